"""The release: files that two labs can exchange and compare.

``{data}/.clipquarry/releases/{dataset}/{run}/`` holds ``{dataset}.lock`` and what the data set's family adds, such
as copies of the list files, the tables of what is missing, a map of the labels, a report of the downloads.
``latest`` names the newest one. A release that equals the newest one is not published.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.approvals import found_in
from clipquarry.datasets.namespace import namespace_of
from clipquarry.errors import UserError
from clipquarry.files import as_object, owned_beside, read_json, sha256_of, sync_folder, writing
from clipquarry.pipeline.chains import made_of
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.releases import latest_name, lock_digest, note_release
from clipquarry.pipeline.state import PRESENT, read_state
from clipquarry.release.lock import LockHeader, LockRow, open_lock, spec_hash, write_lock
from clipquarry.release.verify import verified
from clipquarry.run_documents import read_catalog_facts
from clipquarry.steps.tools import tool_versions


def _present_rows(ctx: RunContext) -> Iterator[LockRow]:
    """Items that lists may contain: the present ones of the chosen splits."""
    state = read_state(ctx.state)
    wanted = pc.and_(
        pc.is_in(state["status"], value_set=PRESENT),
        pc.is_in(state["split"], value_set=pa.array(ctx.splits, pa.string())),
    )
    for batch in state.filter(wanted).to_batches(max_chunksize=4096):
        for row in batch.to_pylist():
            # A folder of frames has no length in seconds, features have no frames.
            facts = {name: row[name] for name in LockRow._fields}
            yield LockRow(**{**facts, "duration": row["duration"] or 0.0, "frames": row["frames"] or 0})


def _tools(ctx: RunContext) -> dict[str, str]:
    """Tools by the run's steps (a container's are not the worker's); several versions are all named."""
    seen: dict[str, set[str]] = {name: set() for name in tool_versions()}
    for path in ctx.place.results_of():
        for name, version in as_object(as_object(read_json(path)).get("tools")).items():
            seen.setdefault(name, set()).add(str(version))
    return {name: ", ".join(sorted(found)) or tool_versions()[name] for name, found in seen.items()}


def _header(ctx: RunContext) -> LockHeader:
    catalog = read_catalog_facts(ctx.place)
    return LockHeader(
        dataset=ctx.spec.name,
        namespace=namespace_of(ctx.spec),
        spec=spec_hash(ctx.spec),
        annotations={split: part["sha256"] for split, part in catalog["splits"].items() if split in ctx.splits},
        tools=_tools(ctx),
        settings={**ctx.spec.recipe.model_dump(mode="json"), **ctx.params.in_lock()},
        made_of=made_of(ctx),
        approved=[one.entry for one in found_in(ctx.place, "approved")],
    )


_ABOUT_ABSENCE = ("missing", "download_report")
"""Files about missing items: other words in them make no other release."""


class SameRelease(NothingToDo):
    """The same release is published already, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"Nothing changed: the release would be the same as {folder}.")
        self.folder = folder


def _lock_name(ctx: RunContext) -> str:
    """The name of the lock file in a release."""
    return f"{ctx.spec.name}.lock"


def latest_release(ctx: RunContext) -> Path | None:
    """The newest release's folder."""
    name = latest_name(ctx.data, ctx.spec.name)
    folder = ctx.data.release(ctx.spec.name) / name
    return folder if name and folder.is_dir() else None


def release_is_current(ctx: RunContext) -> bool:
    """Whether the newest release has the present annotation files, YAML and clips."""
    folder = latest_release(ctx)
    lock = folder / _lock_name(ctx) if folder else None
    if lock is None or not lock.exists() or not same_annotations(ctx):
        return False
    with tempfile.TemporaryDirectory(dir=ctx.folder) as work:
        write_lock(Path(work) / "lock", _header(ctx), _present_rows(ctx))
        made = Path(work) / "lock"  # who released at which gate is of the run that published
        return _lock_key(made, "approved") == _lock_key(lock, "approved")


def same_annotations(ctx: RunContext) -> bool:
    """Whether the newest release has the same annotation files and the same YAML as this run."""
    folder = latest_release(ctx)
    if folder is None or not ctx.place.catalog_file.exists():
        return False
    try:
        with open_lock(folder / _lock_name(ctx)) as lock:
            now = _header(ctx)
            return (lock.header.spec, dict(lock.header.annotations)) == (now.spec, dict(now.annotations))
    except UserError:
        return False


def _lock_key(path: Path, *without: str) -> str:
    """A digest of a lock file without the tools in its header: a newer yt-dlp alone makes no other clips."""
    return lock_digest(path, without=("tools", *without))


def _content(folder: Path, lock: str) -> dict[str, str]:
    """The content of a release, by file. What is no file, or no lock file, is no content: then releases differ."""
    found = {}
    for file in folder.iterdir():
        if file.name.startswith(_ABOUT_ABSENCE):
            continue
        try:
            content = _lock_key(file) if file.name == lock else sha256_of(file) if file.is_file() else ""
        except (OSError, UserError):
            content = ""
        found[file.name] = content
    return found


def publish_release(ctx: RunContext, fill: Callable[[Path], None]) -> Path:
    """Write the release folder whole or not at all; returns it. ``fill`` adds the data set's own files.

    Raises :class:`SameRelease` if the newest release, of another run, is equal. Raises :class:`GateBlocked` if files
    in the lock differ from their records.
    """
    target = ctx.data.release(ctx.spec.name) / ctx.run
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = owned_beside(target)
    temporary.mkdir()
    try:
        fill(temporary)
        item = ctx.spec.item if ctx.spec.has_folders else None
        rows = verified(_present_rows(ctx), ctx.data.root, f"{ctx.spec.name}, run {ctx.run},", item)
        lock = _lock_name(ctx)
        write_lock(temporary / lock, _header(ctx), rows)
        latest = latest_release(ctx)
        if latest is not None and latest != target and _content(temporary, lock) == _content(latest, lock):
            note_release(ctx, latest)
            raise SameRelease(latest)
        _replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    with writing(ctx.data.latest_release(ctx.spec.name)) as handle:
        handle.write(f"{ctx.run}\n")
    note_release(ctx, target)
    return target


def _replace(temporary: Path, target: Path) -> None:
    """Folders cannot be replaced in one move, so the old one is renamed first."""
    if target.exists():
        aside = owned_beside(target)
        target.rename(aside)
        temporary.rename(target)
        shutil.rmtree(aside)
    else:
        temporary.rename(target)
    sync_folder(target.parent)
