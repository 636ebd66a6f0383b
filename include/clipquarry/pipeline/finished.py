"""Finished shards of a run: their results are read, and their items get no new request while the run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipquarry.errors import UserError
from clipquarry.files import read_json
from clipquarry.run_documents import read_run_facts, verdicts
from clipquarry.run_folder import RunFolder, journal_path, result_path
from clipquarry.settings import DataRoot
from clipquarry.steps.registry import ARCHIVES

ASKING = (*ARCHIVES, "fetch", "download", "collect")
"""Steps whose finished shards are not run again while a run goes on."""


def is_over(data: DataRoot, folder: Path) -> bool:
    """Whether the run in ``folder`` ended: released, or blocked by a gate. A killed run continues, and one that waits for an
    answer about a gate.
    """
    place = RunFolder(folder)
    if not place.run_file.exists() or not read_run_facts(folder).get("ended"):
        return False
    return (data.release(folder.parent.name) / folder.name).exists() or bool(
        {"block", "stopped"} & {*verdicts(place).values()}
    )


def finished_shard(data: DataRoot, step: str, out: Path) -> dict[str, Any] | None:
    """The result of the shard ``out`` of a run that goes on, if it is finished; None: the step must run.

    Steps without requests always run: they keep finished work, and see files that have gone from the disk since.
    """
    if step not in ASKING or not out.exists() or is_over(data, out.parents[1]):
        return None
    try:
        told = read_json(result_path(out))
    except (UserError, OSError):
        return None
    if not isinstance(told, dict) or told.get("exit") != 0:
        return None
    journal_path(out).unlink(missing_ok=True)  # a process died when only this was left to do
    return told
