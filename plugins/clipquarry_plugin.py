"""The file that Airflow's plugins folder loads. The plugin must be registered once.

An installed Clipquarry registers it by its entry point (``airflow.plugins`` in ``pyproject.toml``). If only this
folder is there (the astro CLI), this file does it.
"""

import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


def _is_installed() -> bool:
    try:
        return any(entry.group == "airflow.plugins" for entry in distribution("clipquarry").entry_points)
    except PackageNotFoundError:
        return False


if not _is_installed():
    include = Path(__file__).resolve().parent.parent / "include"
    if str(include) not in sys.path:
        sys.path.append(str(include))

    from clipquarry_airflow.plugin import ClipquarryPlugin  # noqa: F401  Airflow looks for it by its class
