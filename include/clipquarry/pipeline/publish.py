"""The release: files that two labs can exchange and compare.

``{data}/.clipquarry/releases/{dataset}/{run}/`` holds ``{dataset}.lock`` and the data set's own files: for Kinetics
copies of the list files, the missing tables, the label map and the download report in the reference's form.
``latest`` names the newest one. A release that equals the newest one is not published.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.datasets.namespace import namespace_of
from clipquarry.errors import UserError
from clipquarry.files import owned_beside, read_json, sha256_of, sync_folder, writing
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.state import PRESENT, read_state
from clipquarry.release.lock import LockHeader, LockRow, open_lock, spec_hash, write_lock
from clipquarry.release.verify import verified
from clipquarry.run_documents import as_object, read_catalog_facts
from clipquarry.settings import slug
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
            yield LockRow(**{name: row[name] for name in LockRow._fields})


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
        settings=ctx.spec.recipe.model_dump(mode="json"),
    )


_ABOUT_ABSENCE = ("missing", "download_report")
"""Files about missing items: other words in them make no other release."""


class SameRelease(NothingToDo):
    """The same release is published already, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"Nothing changed: the release would be the same as {folder}.")
        self.folder = folder


def latest_name(ctx: RunContext) -> str:
    """The run of the newest release, by the file ``latest``; "" if there is none, or if something else lies there."""
    latest = ctx.data.latest_release(ctx.spec.name)
    try:
        name = latest.read_text(encoding="utf-8").strip() if latest.is_file() else ""
        return name if name and slug(name) == name else ""
    except (OSError, UnicodeDecodeError, UserError):
        return ""


def _lock_name(ctx: RunContext) -> str:
    """The name of the lock file in a release."""
    return f"{ctx.spec.name}.lock"


def latest_release(ctx: RunContext) -> Path | None:
    """The newest release's folder."""
    name = latest_name(ctx)
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
        return _lock_key(Path(work) / "lock") == _lock_key(lock)


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


def _lock_key(path: Path) -> str:
    """A digest of a lock file without the tools in its header: a newer yt-dlp alone makes no other clips."""
    hashed = hashlib.sha256()
    with open(path, "rb") as handle:
        header = json.loads(handle.readline())
        header.pop("tools", None)
        hashed.update(json.dumps(header, sort_keys=True).encode())
        while piece := handle.read(1 << 20):
            hashed.update(piece)
    return hashed.hexdigest()


def _content(folder: Path, lock: str) -> dict[str, str]:
    """The content of a release, by file."""
    return {
        file.name: _lock_key(file) if file.name == lock else sha256_of(file)
        for file in folder.iterdir()
        if not file.name.startswith(_ABOUT_ABSENCE)
    }


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
        rows = verified(_present_rows(ctx), ctx.data.root, f"{ctx.spec.name}, run {ctx.run},")
        lock = _lock_name(ctx)
        write_lock(temporary / lock, _header(ctx), rows)
        latest = latest_release(ctx)
        if latest is not None and latest != target and _content(temporary, lock) == _content(latest, lock):
            raise SameRelease(latest)
        _replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    with writing(ctx.data.latest_release(ctx.spec.name)) as handle:
        handle.write(f"{ctx.run}\n")
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
