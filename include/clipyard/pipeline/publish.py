"""The release: what two labs can exchange and compare.

``{data}/.clipyard/releases/{dataset}/{run}/`` holds ``{dataset}.lock`` and what the data set adds: of Kinetics copies of the list files,
the missing tables, the label map and the download report in the reference's form; ``latest`` names the newest one.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from clipyard.files import TEMPORARY_PREFIX, read_json, sync_folder, writing
from clipyard.pipeline.context import RunContext
from clipyard.pipeline.state import PRESENT, read_state
from clipyard.release.lock import LockHeader, LockRow, spec_hash, write_lock
from clipyard.release.verify import verified
from clipyard.steps.tools import tool_versions


def _present_rows(ctx: RunContext) -> Iterator[LockRow]:
    """What the lists may hold: present items of the chosen splits."""
    state = read_state(ctx.state)
    wanted = pc.and_(
        pc.is_in(state["status"], value_set=PRESENT),
        pc.is_in(state["split"], value_set=pa.array(ctx.splits, pa.string())),
    )
    for batch in state.filter(wanted).to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            yield LockRow(**{name: row[name] for name in LockRow._fields})


def _tools(ctx: RunContext) -> dict[str, str]:
    """What the run's steps say of their tools (a container's are not the worker's); several versions are all named."""
    seen: dict[str, set[str]] = {name: set() for name in tool_versions()}
    for path in sorted(ctx.folder.glob("*/part-*.result.json")):
        for name, version in read_json(path).get("tools", {}).items():
            seen.setdefault(name, set()).add(str(version))
    return {name: ", ".join(sorted(found)) or tool_versions()[name] for name, found in seen.items()}


def _header(ctx: RunContext) -> LockHeader:
    catalog = read_json(ctx.folder / "catalog.json")
    return LockHeader(
        dataset=ctx.spec.name,
        spec=spec_hash(ctx.spec),
        annotations={split: part["sha256"] for split, part in catalog["splits"].items() if split in ctx.splits},
        tools=_tools(ctx),
        settings=ctx.spec.recipe.model_dump(mode="json"),
    )


def publish_release(ctx: RunContext, fill: Callable[[Path], None]) -> Path:
    """Write the release folder whole or not at all; returns it. ``fill`` puts the data set's own files into it.

    Raises :class:`GateBlocked` when files that the lock names are no longer what was recorded.
    """
    target = ctx.data.release(ctx.spec.name) / ctx.run
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        fill(temporary)
        rows = verified(_present_rows(ctx), ctx.data.root, f"{ctx.spec.name}, run {ctx.run},")
        write_lock(temporary / f"{ctx.spec.name}.lock", _header(ctx), rows)
        _replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    with writing(ctx.data.release(ctx.spec.name) / "latest") as handle:
        handle.write(f"{ctx.run}\n")
    return target


def _replace(temporary: Path, target: Path) -> None:
    """Folders cannot be replaced in one move; the old one steps aside first."""
    if target.exists():
        aside = target.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
        target.rename(aside)
        temporary.rename(target)
        shutil.rmtree(aside)
    else:
        temporary.rename(target)
    sync_folder(target.parent)
