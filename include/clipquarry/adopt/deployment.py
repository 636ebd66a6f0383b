"""Adoption of a compose deployment of the old name: its settings file and its volumes. ``docker/compose.sh adopt`` calls it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from clipquarry import former
from clipquarry.errors import MachineError, UserError
from clipquarry.files import writing

VOLUMES = ("{}_data", "{}_postgres", "{}_state")
"""Of the data root, of the database, of Airflow: the first has its name from compose.yaml, the others from the project."""


_MOVE = """
find "$1" -mindepth 1 -maxdepth 1 | while IFS= read -r path; do
  to="$2/${path##*/}"
  if [ -e "$to" ]; then echo "$to is there already" >&2; exit 3; fi
  mv "$path" "$to"
done && chown --reference="$1" "$2" && chmod --reference="$1" "$2"
"""
"""One rename for each entry of a volume; after a kill, the rest is renamed. Hard links stay."""


def adopt_env(path: Path) -> str:
    """Give the settings of a file their new names; the old file stays beside it as ``{name}.before-adopt``. Returns
    a sentence.

    Names of images that the old deployment made are left out: ``compose.sh up`` makes new ones.
    """
    lines, changed = [], 0
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and name.startswith(former.PREFIX):
            changed += 1
            name = f"CLIPQUARRY_{name.removeprefix(former.PREFIX)}"
            if "IMAGE" in name and value.startswith(f"{former.NAME}-"):
                continue
            if value == f"{former.NAME}_data":
                continue  # the default anyway
            line = f"{name}={value.replace(former.PRIVATE + '/', '.clipquarry/')}"
        elif line.startswith("#"):
            line = line.replace(former.PREFIX, "CLIPQUARRY_")
        lines.append(line)
    if not changed:
        return f"{path} holds no setting of the old name."
    kept = path.with_name(f"{path.name}.before-adopt")
    if not kept.exists():
        os.link(path, kept)
    mode = path.stat().st_mode & 0o777
    with writing(path) as handle:
        os.fchmod(handle.fileno(), mode)  # it holds passwords
        handle.write("\n".join(lines) + "\n")
    return f"{path}: {changed} settings have their new names; the old file is {kept.name}."


def _docker(*arguments: str) -> str:
    try:
        asked = subprocess.run(["docker", *arguments], text=True, capture_output=True, check=False)
    except FileNotFoundError:
        raise MachineError("There is no docker client here: run this where the deployment runs.") from None
    if asked.returncode:
        raise UserError(
            f"docker {' '.join(arguments[:2])} failed: {asked.stderr.strip().splitlines()[-1:] or asked.returncode}."
        )
    return asked.stdout


def _volume(name: str) -> dict[str, Any] | None:
    there = _docker("volume", "ls", "--quiet", "--filter", f"name=^{name}$").split()
    return dict(json.loads(_docker("volume", "inspect", name))[0]) if name in there else None


def adopt_volumes(image: str, *, old_name: str = former.NAME, new_name: str = "clipquarry") -> str:
    """Move the content of the old deployment's volumes into volumes of the new names, by renames on the engine's
    disk. Returns a sentence.

    ``image``: any that has ``sh``, ``mv`` and ``find``. Raises UserError while a container uses an old volume, if a
    volume is not a plain folder of the engine's, and if a new one contains something of the same name.
    """
    moved = []
    for form in VOLUMES:
        old, new = form.format(old_name), form.format(new_name)
        found = _volume(old)
        if found is None:
            continue
        if found["Driver"] != "local" or found.get("Options"):
            raise UserError(
                f"The volume {old} is not a plain one (driver {found['Driver']}, options {found.get('Options')}): make a volume "
                f"{new} over the same place, remove {old}, then run this again."
            )
        users = _docker("ps", "--all", "--quiet", "--filter", f"volume={old}").split()
        if users:
            raise UserError(
                f"{len(users)} containers still use the volume {old}: end the old deployment first ('make compose-down' with the "
                "version that began it)."
            )
        of_compose = new if form == VOLUMES[0] else new.removeprefix(f"{new_name}_")
        labels = (f"com.docker.compose.project={new_name}", f"com.docker.compose.volume={of_compose}")
        _docker("volume", "create", *(f"--label={label}" for label in labels), new)
        mountpoint = Path(found["Mountpoint"])
        places = [f"/volumes/{name}/{mountpoint.name}" for name in (mountpoint.parent.name, new)]
        mount = f"{mountpoint.parent.parent}:/volumes"
        _docker(
            "run",
            "--rm",
            "--network=none",
            "--user=0:0",
            "--volume",
            mount,
            "--entrypoint=sh",
            image,
            "-euc",
            _MOVE,
            "sh",
            *places,
        )
        _docker("volume", "rm", old)
        moved.append(f"{old} to {new}")
    return f"Volumes: {', '.join(moved) or 'none of the old name is here'}."
