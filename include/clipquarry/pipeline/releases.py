"""The newest release of any data set: its fingerprint, and whether it covers the whole data set.

``{data}/.clipquarry/state/{dataset}.release.json`` notes both when a release is published, because the folder of its
run may be removed: ``{"run", "lock", "fingerprint", "whole"}``, where ``lock`` is the lock file's size and time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from clipquarry.datasets.load import find_spec
from clipquarry.errors import ClipquarryError, UserError
from clipquarry.files import as_object, known_object, refuse_pipe, write_json
from clipquarry.pipeline.announce import covers_all, is_whole
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.inherit import remember
from clipquarry.pipeline.state import splits_of
from clipquarry.release.lock import Lock, open_lock
from clipquarry.run_documents import known_run_facts
from clipquarry.settings import DataRoot, Settings, slug

WITHOUT_CLIPS = ("tools", "made_of", "approved")
"""Keys of a lock's header that say nothing about the clips."""


@dataclass(frozen=True)
class Standing:
    """What is known of a data set's newest release. ``why`` says in a sentence why it is not ``whole``."""

    dataset: str
    run: str = ""
    fingerprint: str = ""
    """Sha256 over its lock file without tools; empty: there is no release."""
    whole: bool = False
    why: str = ""
    damaged: bool = False
    """There was a release, but its lock file, or the file that names the newest release, cannot be read."""


def latest_name(data: DataRoot, dataset: str) -> str:
    """The run of the newest release, by the file ``latest``; "" if there is none, or if something else lies there."""
    latest = data.latest_release(dataset)
    try:
        name = latest.read_text(encoding="utf-8").strip() if latest.is_file() else ""
        return name if name and slug(name) == name else ""
    except (OSError, UnicodeDecodeError, UserError):
        return ""


def latest_lock(data: DataRoot, dataset: str) -> Path | None:
    """The lock file of the newest release; None if there is none."""
    name = latest_name(data, dataset)
    lock = data.release(dataset) / name / f"{dataset}.lock"
    return lock if name and lock.is_file() else None


def lock_digest(path: Path, *, without: Collection[str]) -> str:
    """A sha256 of a lock file without some keys of its header. Raises OSError, and :class:`UserError` without a header."""
    hashed = hashlib.sha256()
    refuse_pipe(path)
    with open(path, "rb") as handle:
        try:
            header = json.loads(handle.readline())
            told = {key: value for key, value in header.items() if key not in without}
            if isinstance(
                answers := told.get("approved"), list
            ):  # the same answer on another day makes no other release
                told["approved"] = [{**as_object(one), "at": ""} for one in answers]
            hashed.update(json.dumps(told, sort_keys=True).encode())
        except (ValueError, AttributeError, RecursionError) as error:
            raise UserError(f"{path} is not a lock file: its first line is not a header.") from error
        while piece := handle.read(1 << 20):
            hashed.update(piece)
    return hashed.hexdigest()


def made_of_in(lock: Path | None) -> dict[str, str]:
    """The releases that a release was made of, by its lock file: data set to fingerprint. Raises :class:`UserError` for a
    damaged header: "made of nothing" would start a run.
    """
    if lock is None:
        return {}
    with open_lock(lock) as read:
        _check_owner(lock, read)
        return {str(part): str(one) for part, one in read.header.made_of.items()}


def _check_owner(path: Path, lock: Lock) -> None:
    if lock.header.dataset != path.stem:
        raise UserError(f"{path} is the lock file of {lock.header.dataset[:60]}.")


def _check(path: Path) -> None:
    """Read a lock file to its end. Raises :class:`UserError` if it is damaged, cut off, or of another data set."""
    with open_lock(path) as lock:
        _check_owner(path, lock)
        for _ in lock:
            pass


def unreadable(dataset: str, run: str) -> str:
    """Why a release is not to be used whose lock file is damaged or gone."""
    return f"the lock file of {dataset}'s release {run} cannot be read, so run {dataset} once in full"


def standing(dataset: str, settings: Settings) -> Standing:
    """The standing of a data set's newest release."""
    data = settings.data
    run, lock = latest_name(data, dataset), latest_lock(data, dataset)
    if lock is None:
        if run:
            return Standing(dataset, run, why=unreadable(dataset, run), damaged=True)
        if os.path.lexists(latest := data.latest_release(dataset)):
            why = f"{latest} names no release, so run {dataset} once in full"
            return Standing(dataset, why=why, damaged=True)
        return Standing(dataset, why=f"{dataset} has no release yet")
    note = known_object(data.release_note(dataset))
    whole: bool | None
    try:
        fingerprint = str(note.get("fingerprint"))
        if note.get("run") != run or note.get("lock") != _stat(lock):
            fingerprint = lock_digest(lock, without=WITHOUT_CLIPS)
            if note.get("fingerprint") != fingerprint:  # else a half of a lock would be another release
                _check(lock)
        # A restored lock may have another time.
        if note.get("run") == run and note.get("fingerprint") == fingerprint:
            whole = note.get("whole") is True
        else:  # published by an earlier version, or the note was lost
            whole = _was_whole(dataset, run, settings)
    except (OSError, UserError):
        return Standing(dataset, run, why=unreadable(dataset, run), damaged=True)
    why = {
        True: "",
        False: f"the newest release of {dataset}, {run}, is of a run over a part of it",
        None: f"nobody knows any more whether the newest release of {dataset}, {run}, is of all of it, so run "
        f"{dataset} once in full",
    }[whole]
    return Standing(dataset, run, fingerprint, whole is True, why)


def note_release(ctx: RunContext, folder: Path) -> None:
    """Note the fingerprint of the release in ``folder``, which this run published or found to be the same."""
    lock = folder / f"{ctx.spec.name}.lock"
    whole = is_of_all(ctx) or (folder.name != ctx.run and standing(ctx.spec.name, ctx.settings).whole)
    told = {
        "run": folder.name,
        "lock": _stat(lock),
        "fingerprint": lock_digest(lock, without=WITHOUT_CLIPS),
        "whole": whole,
    }
    write_json(ctx.data.release_note(ctx.spec.name), told)
    if ctx.kind == "full":
        remember(ctx.spec, ctx.data, ctx.run, ctx.params, "release")


def note_current(ctx: RunContext) -> None:
    """The same of the newest release, which a refresh found to be up to date."""
    if (lock := latest_lock(ctx.data, ctx.spec.name)) is not None:
        note_release(ctx, lock.parent)


def is_of_all(ctx: RunContext) -> bool:
    """Whether a release of the run covers the whole data set. A refresh knows what was asked for: after trials, only a
    part.
    """
    return is_whole(ctx) and (ctx.kind == "full" or ctx.data.had_full_run(ctx.spec.name))


def _stat(path: Path) -> list[int]:
    told = path.stat()
    return [told.st_size, told.st_mtime_ns]


def _was_whole(dataset: str, run: str, settings: Settings) -> bool | None:
    """The same, from the folder of the run; None if nobody knows, because that or the YAML is gone."""
    facts = known_run_facts(settings.data.run(dataset, run))
    params, refresh = facts.get("params"), facts.get("kind") == "refresh"
    if not isinstance(params, dict):
        return None
    if refresh and not settings.data.had_full_run(dataset):
        return False
    try:
        spec = find_spec(dataset, settings.dataset_folders)
    except ClipquarryError:
        return None
    asked = splits_of(settings.data.state(dataset)) if refresh else []
    return covers_all(spec, params, params.get("splits") or asked or spec.default_splits or spec.splits)
