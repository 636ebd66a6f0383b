"""What ``docker/.env`` says besides the settings that ``docker/compose.yaml`` names, for the containers of the compose deployment.

``python3 -m clipquarry_airflow.compose_settings ENV_FILE`` prints a second compose file (JSON), because one file cannot contain lists of
unknown length:

- the folders of ``CLIPQUARRY_EXTRA_ROOTS`` and ``CLIPQUARRY_DOCKER_MOUNTS``, for Airflow's own containers: steps get the same folders from
  their operator; workers check, list and report their content;
- every other ``CLIPQUARRY_`` setting of the file, such as ``CLIPQUARRY_EGRESS`` or the limits of one step: a setting that somebody wrote
  and that reached nobody would be worse than one that is refused.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipquarry.errors import ClipquarryError, UserError

from clipquarry_airflow.folders import extra_roots, pairs

SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")
COMPOSE = Path(__file__).parents[2] / "docker" / "compose.yaml"
FIXED = {
    "CLIPQUARRY_DATA": "the data root is /data in every container; CLIPQUARRY_DOCKER_DATA names the volume or folder behind it",
    "CLIPQUARRY_LEDGER": "the ledger is in the deployment's own PostgreSQL",
    "CLIPQUARRY_DOCKER_USER": "steps run as the user of the image, 10001",
}
"""What the deployment decides itself, and why another value would be wrong."""
OF_STEPS = re.compile(r"CLIPQUARRY_(DEVICE|GPUS|(IMAGE|MEMORY|CPUS|RUNTIME)_[A-Z_]+)")
"""Settings that the proxy compares a step's container with."""
_LINE = re.compile(r"(?:export\s+)?(CLIPQUARRY_[A-Za-z0-9_]+)\s*[=:]")


def names_in(text: str) -> list[str]:
    """The ``CLIPQUARRY_`` names that an env file sets, in order."""
    found = (_LINE.match(line.strip()) for line in text.splitlines())
    return list(dict.fromkeys(match[1] for match in found if match))


def passed_on(env_file: Path) -> list[str]:
    """The settings of the file that ``compose.yaml`` does not name. Raises UserError for one that the deployment decides itself."""
    try:
        names = names_in(env_file.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise UserError(f"{env_file} cannot be read: {error.strerror}.") from error
    for name in names:
        if name in FIXED:
            raise UserError(f"{env_file} sets {name}, but {FIXED[name]}: take the line out.")
    known = set(re.findall(r"CLIPQUARRY_[A-Z0-9_]+", COMPOSE.read_text(encoding="utf-8")))
    return [name for name in names if name not in known]


def override(environ: Mapping[str, str], names: list[str]) -> dict[str, Any]:
    """The compose file; ``names`` get the value that compose reads for them. Raises UserError for folders that a step could not have either."""
    root = Path("/data")
    roots, mounts = extra_roots(root, environ), pairs("CLIPQUARRY_DOCKER_MOUNTS", environ, root)
    volumes = [f"{source}:{target}" for source, target in roots] + [
        f"{source}:{target}:ro" for source, target in mounts
    ]
    outside = [source for source, _ in (*roots, *mounts) if not source.startswith("/")]
    settings: dict[str, None] = dict.fromkeys(names)
    of_steps: dict[str, None] = {name: None for name in names if OF_STEPS.fullmatch(name)}
    return {
        "services": {
            **{name: {"volumes": volumes, "environment": settings} for name in SERVICES},
            "socket-proxy": {"environment": of_steps},
        },
        "volumes": {name: {"name": name, "external": True} for name in outside},
    }


if __name__ == "__main__":
    try:
        print(json.dumps(override(os.environ, passed_on(Path(sys.argv[1])))))
    except ClipquarryError as error:
        print(f"clipquarry: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
