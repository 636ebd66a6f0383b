"""What of a run came to its end: such parts are read, and nobody is asked again while the run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipquarry.errors import UserError
from clipquarry.files import read_json
from clipquarry.settings import DataRoot

ASKING = ("unpack", "fetch", "download")
"""Steps whose finished parts are not asked for again while a run goes on."""


def is_over(data: DataRoot, folder: Path) -> bool:
    """Whether the run in ``folder`` came to its end: released, or blocked by a gate. One that was stopped goes on where it was."""
    about = folder / "run.json"
    if not about.exists() or not read_json(about).get("ended"):
        return False
    gates = (read_json(path).get("verdict") for path in (folder / "gates").glob("[!.]*.json"))
    return (data.release(folder.parent.name) / folder.name).exists() or "block" in gates


def finished_part(data: DataRoot, step: str, out: Path) -> dict[str, Any] | None:
    """The result of the part ``out`` of a run that goes on, when it is finished; None: the step is to be run.

    Steps that ask nobody are run in any case: they keep what is done, and see what has gone from the disk since.
    """
    from clipquarry.steps.runner import journal_path, result_path

    if step not in ASKING or not out.exists() or is_over(data, out.parents[1]):
        return None
    try:
        told = read_json(result_path(out))
    except (UserError, OSError):
        return None
    if not isinstance(told, dict) or told.get("exit") != 0:
        return None
    journal_path(out).unlink(missing_ok=True)  # of a process that died when it had nothing left to do but this
    return told
