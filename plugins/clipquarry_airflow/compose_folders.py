"""The folders of ``CLIPQUARRY_EXTRA_ROOTS`` and ``CLIPQUARRY_DOCKER_MOUNTS`` for Airflow's own containers in the
compose deployment.

``python3 -m clipquarry_airflow.compose_folders`` prints a second compose file (JSON), because one file cannot
contain a list of unknown length. Steps get the same folders from their operator; workers check, list and report
their content.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipquarry.errors import ClipquarryError

from clipquarry_airflow.folders import extra_roots, pairs

SERVICES = ("api-server", "scheduler", "dag-processor", "triggerer", "worker")


def override(environ: Mapping[str, str]) -> dict[str, Any]:
    """The compose file. Raises UserError for folders that a step could not have either."""
    root = Path("/data")
    roots, mounts = extra_roots(root, environ), pairs("CLIPQUARRY_DOCKER_MOUNTS", environ, root)
    volumes = [f"{source}:{target}" for source, target in roots] + [
        f"{source}:{target}:ro" for source, target in mounts
    ]
    names = [source for source, _ in (*roots, *mounts) if not source.startswith("/")]
    return {
        "services": {name: {"volumes": volumes} for name in SERVICES},
        "volumes": {name: {"name": name, "external": True} for name in names},
    }


if __name__ == "__main__":
    try:
        print(json.dumps(override(os.environ)))
    except ClipquarryError as error:
        print(f"clipquarry: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
