"""Events for other DAGs, only for complete data that have changed since the last event.

``{data}/.clipquarry/announced/{dataset}.json`` records, by outlet, the last event: ``{"digest", "run"}``. A retried
task announces again, because nobody knows whether its first event arrived.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.files import read_json, sha256_of, write_json
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.state import PRESENT, read_state
from clipquarry.run_documents import read_lists

_SHAPES = frozenset(
    {
        "resize",
        "frames",
        "short_edge",
        "frame_width",
        "frame_height",
        "frame_rate",
        "audio",
        "audio_features",
        "version",
        "excerpts",
    }
)
"""Parameters that affect the look of frames and copies."""


def announcement(ctx: RunContext, outlet: str) -> dict[str, Any] | None:
    """The ``extra`` of an asset event, recorded as announced; None if there is nothing to announce.

    Keys: ``run``; ``release``, its name; ``lock``, sha256 over the paths and contents of the present clips;
    ``present`` and ``expected`` (items), ``by_split`` (split to both).
    """
    if not is_whole(ctx):
        return None
    lock, counts = _content(ctx)
    digest = _digest(ctx, outlet, lock)
    path = ctx.data.announced(ctx.spec.name)
    told = _read(path)
    before = told.get(outlet, {})
    if before.get("digest") == digest and before.get("run") != ctx.run:
        return None
    write_json(path, {**told, outlet: {"digest": digest, "run": ctx.run}})
    return {
        "run": ctx.run, "release": ctx.run, "lock": lock, "present": sum(one["present"] for one in counts.values()),
        "expected": sum(one["expected"] for one in counts.values()), "by_split": counts,
    }  # fmt: skip


def is_whole(ctx: RunContext) -> bool:
    """Whether the run covers the whole data set: its default splits, and all of each. A trial does not."""
    return covers_all(ctx.spec, ctx.params.model_dump(), ctx.splits)


def covers_all(spec: DatasetSpec, params: Mapping[str, Any], splits: Collection[str]) -> bool:
    """The same, of parameters as ``run.json`` has them, and of the run's splits."""
    partial = any(params.get(name) for name in ("dry_run", "limit", "classes", "videos", "kinetics_list"))
    return not partial and set(spec.default_splits or spec.splits) <= set(splits)


def _content(ctx: RunContext) -> tuple[str, dict[str, dict[str, int]]]:
    """A digest of the present items of the chosen splits, and their share of the requested ones."""
    state = read_state(ctx.state)
    here = state.filter(pc.is_in(state["status"], value_set=PRESENT)).select(["path", "sha256", "split"])
    hashed = hashlib.sha256()
    for path, sha256, split in sorted(zip(*(here[name].to_pylist() for name in here.column_names), strict=True)):
        if split in ctx.splits:
            hashed.update(f"{path}\t{sha256}\n".encode())
    expected, present = Counter(state["split"].to_pylist()), Counter(here["split"].to_pylist())
    return hashed.hexdigest(), {split: {"present": present[split], "expected": expected[split]} for split in ctx.splits}


def _digest(ctx: RunContext, outlet: str, lock: str) -> str:
    """A digest that differs if ``outlet`` has changed."""
    found = [lock]
    if outlet == "frames":
        found += [
            f"{name}={value}" for name, value in sorted(ctx.params.model_dump(mode="json").items()) if name in _SHAPES
        ]
    elif outlet == "lists":
        found += [sha256_of(Path(one["path"])) for one in read_lists(ctx.place)]
    elif outlet == "release":
        found += [
            f"{file.name}={sha256_of(file)}"
            for file in sorted((ctx.data.release(ctx.spec.name) / ctx.run).glob("*"))
            if file.is_file()
        ]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except (OSError, ClipquarryError):  # none yet, or damaged: a second event does less harm than none
        return {}
    return {str(key): one for key, one in value.items() if isinstance(one, dict)} if isinstance(value, dict) else {}
