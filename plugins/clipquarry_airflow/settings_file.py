"""Loader of ``airflow_settings.yaml`` without the astro CLI: ``python -m clipquarry_airflow.settings_file FILE``.

The file's entries become the JSON that ``airflow pools|connections|variables import`` reads; Airflow's own commands
do the rest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from clipquarry.datasets.safe_yaml import read_yaml
from clipquarry.errors import ClipquarryError, UserError


def read_settings(path: Path) -> dict[str, dict[str, Any]]:
    """``{"pools": {...}, "connections": {...}, "variables": {...}}`` in Airflow's import form. Raises UserError."""
    _, value = read_yaml(path, "a settings file")
    if not isinstance(value, dict) or not isinstance(value.get("airflow", ()), dict | None):
        raise UserError(f"{path} is not a settings file: it must be YAML with the key 'airflow'.")
    content = value["airflow"] or {}
    try:
        return {
            "pools": {
                pool["pool_name"]: {
                    "slots": int(pool["pool_slot"]),
                    "description": pool.get("pool_description") or "",
                    "include_deferred": False,  # a task that waits for the breaker holds no slot
                }
                for pool in content.get("pools") or []
            },
            "connections": {c["conn_id"]: _connection(c) for c in content.get("connections") or []},
            "variables": {v["variable_name"]: v["variable_value"] for v in content.get("variables") or []},
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: an entry lacks or misspells {error}; see the astro CLI's form.") from error


def _connection(entry: dict[str, Any]) -> dict[str, Any]:
    if entry.get("conn_uri"):
        return {"uri": entry["conn_uri"]}
    names = ("conn_type", "host", "schema", "login", "password", "port", "extra")
    values = {name: entry.get(f"conn_{name.removeprefix('conn_')}") for name in names}
    return {name: value for name, value in values.items() if value not in (None, "")}


def load(path: Path) -> list[str]:
    """Import everything into Airflow's database; returns what was imported. Existing entries are overwritten."""
    done = []
    for kind, entries in read_settings(path).items():
        if not entries:
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{kind}.json"
            file.write_text(json.dumps(entries))
            command = [sys.executable, "-m", "airflow", kind, "import", str(file)]
            if kind == "connections":
                command.append("--overwrite")
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise UserError(f"Airflow refused the {kind} of {path}: {result.stderr.strip().splitlines()[-1:]}.")
        done.append(f"{len(entries)} {kind}")
    return done


if __name__ == "__main__":
    try:
        print("loaded", ", ".join(load(Path(sys.argv[1]))))
    except ClipquarryError as error:
        print(f"clipquarry: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
