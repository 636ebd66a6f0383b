"""A file context of Great Expectations with the stored suites of a run, their tables and their results.

It is made in a process of its own (``python -m clipquarry.quality.file_context RUN FOLDER``), because gates import the
library without its readers of files (:mod:`clipquarry.quality.light_import`).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import link_or_copy
from clipquarry.run_folder import RunFolder, table_of_suite

_TABLES: Final = "tables"


def make_context(run: Path, folder: Path) -> None:
    """Make ``folder`` with a file context of a run. It holds absolute paths, so it is made in its place and stays there.

    Raises :class:`UserError` for a folder that is there, and for a run without stored suites.
    """
    if folder.exists():
        raise UserError(f"{folder} is there already: name a folder that does not exist, or delete it.")
    if not RunFolder(run).gx_gates():
        raise UserError(
            f"{run} has no stored suites: no gate of this run has ended, or an earlier version ran it. Run a gate again."
        )
    folder.mkdir(parents=True)
    try:
        command = [sys.executable, "-m", __name__, str(run.absolute()), str(folder.absolute())]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = " ".join(done.stderr.split())[-500:] or f"it ended with {done.returncode}"
            raise ClipquarryError(f"Great Expectations could not make {folder}: {said}")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(run: Path, folder: Path) -> None:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context: Any = gx.get_context(mode="file", project_root_dir=folder)
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.variables.save()
    place = RunFolder(run)
    root = Path(context.root_directory)
    for gate in place.gx_gates():
        (root / _TABLES / gate).mkdir(parents=True)
        source = context.data_sources.add_pandas_filesystem(gate, base_directory=root / _TABLES / gate)
        definitions = []
        for path in place.gx_suites(gate):
            table = table_of_suite(path)
            link_or_copy(table, root / _TABLES / gate / table.name)
            stored = json.loads(path.read_text(encoding="utf-8"))
            suite = context.suites.add(gx.ExpectationSuite(**{**stored, "name": f"{gate}.{stored['name']}"}))
            asset = source.add_parquet_asset(stored["name"])
            batch = asset.add_batch_definition_path("whole", path=table.name)
            definitions.append(
                context.validation_definitions.add(gx.ValidationDefinition(name=suite.name, data=batch, suite=suite))
            )
        if definitions:
            checkpoint = context.checkpoints.add(gx.Checkpoint(name=gate, validation_definitions=definitions))
            checkpoint.run()


if __name__ == "__main__":
    _write(Path(sys.argv[1]), Path(sys.argv[2]))
