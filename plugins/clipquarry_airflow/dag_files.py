"""Functions that the files in ``dags/`` call: the DAGs of one data set, the DAGs of all users' data sets, and their
errors.

Airflow runs each file every few minutes, and one of them before each task. Therefore a call with an empty result
imports only the settings, and a task's file loads one YAML.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import clipquarry.datasets
from clipquarry.settings import only_of

if TYPE_CHECKING:
    from airflow.sdk import DAG

_PACKAGED = Path(clipquarry.datasets.__file__).parent


def _is_packaged(name: str) -> bool:
    return (_PACKAGED / f"{name}.yaml").is_file()


def _asked() -> str | None:
    """The one DAG that a worker wants; None if all are wanted."""
    from airflow.sdk import get_parsing_context

    return get_parsing_context().dag_id


def _could_be(name: str, dag: str | None) -> bool:
    return dag is None or name in (dag, dag.removesuffix("_refresh"))


def data_set_dags(name: str, environ: Mapping[str, str] = os.environ) -> dict[str, DAG]:
    """The DAGs of one data set, packaged or a user's; none if ``CLIPQUARRY_ONLY`` leaves it out.

    Raises the error of its YAML, which the UI then shows as the file's import error.
    """
    only = only_of(environ)
    if (only and name not in only) or not _could_be(name, asked := _asked()):
        return {}
    from clipquarry.datasets.load import find_spec, load_named
    from clipquarry.settings import Settings

    from clipquarry_airflow.dags import build_dags

    # A task's file needs this YAML alone. Users' data sets are compared with all others when the file is read for the
    # UI.
    load = find_spec if asked is None and not _is_packaged(name) else load_named
    return build_dags(load(name, Settings.from_env(environ).dataset_folders))


def own_dags(file: str, environ: Mapping[str, str] = os.environ) -> dict[str, DAG]:
    """The DAGs of all users' data sets (``CLIPQUARRY_DATASETS``); ``file`` is the DAG file that calls this.

    A data set with its own DAG file in the folder of ``file`` or below is left to that file. A data set that cannot
    be loaded or built is left out: :func:`own_errors` gives the reason.
    """
    only = only_of(environ)
    if not environ.get("CLIPQUARRY_DATASETS") or (only and all(map(_is_packaged, only))):
        return {}
    asked = _asked()
    if asked is not None and any(map(_is_packaged, {asked, asked.removesuffix("_refresh")})):
        return {}
    from clipquarry.datasets.load import load_all, load_named
    from clipquarry.errors import SpecError
    from clipquarry.settings import Settings

    from clipquarry_airflow.dags import build_all

    folders = Settings.from_env(environ).dataset_folders
    if asked is None:
        specs = list(load_all(folders)[0].values())
    else:
        specs = []
        for name in dict.fromkeys((asked, asked.removesuffix("_refresh"))):
            try:
                specs.append(load_named(name, folders))
            except SpecError:
                continue
    return build_all(
        spec
        for spec in specs
        if not _is_packaged(spec.name) and (not only or spec.name in only) and not _has_a_file(spec.name, file)
    )


def _has_a_file(name: str, file: str) -> bool:
    for path in Path(file).parent.rglob(f"{name}.py"):
        try:
            if f'data_set_dags("{name}")' in path.read_text(encoding="utf-8"):
                return True
        except (OSError, UnicodeDecodeError):
            continue
    return False


def own_errors(environ: Mapping[str, str] = os.environ) -> list[str]:
    """One sentence for each users' YAML that cannot be loaded or gives no DAG, and for each unknown name in
    ``CLIPQUARRY_ONLY``.

    The packaged data sets have their own DAG files, which report their errors.
    """
    only = only_of(environ)
    if (not environ.get("CLIPQUARRY_DATASETS") and all(map(_is_packaged, only))) or _asked() is not None:
        return []
    from clipquarry.datasets.load import PACKAGED, load_all
    from clipquarry.settings import Settings

    from clipquarry_airflow.dags import build_errors

    specs, found = load_all(Settings.from_env(environ).dataset_folders)
    errors = [str(error) for error in found if not str(error).startswith(f"{PACKAGED}{os.sep}")]
    errors += [
        f"CLIPQUARRY_ONLY names '{name}', which is no data set; known: {', '.join(sorted(specs))}."
        for name in sorted(only - set(specs))
    ]
    own = [spec for spec in specs.values() if not _is_packaged(spec.name) and (not only or spec.name in only)]
    return errors + build_errors(own)
