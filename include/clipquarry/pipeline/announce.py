"""What other DAGs are told: only what is whole and has changed since it was last told of.

``{data}/.clipquarry/announced/{dataset}.json`` keeps, by outlet, what was last announced: ``{"digest", "run"}``. A task that is tried again
announces again, because nobody knows whether its first word arrived.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from clipquarry.errors import ClipquarryError
from clipquarry.files import read_json, sha256_of, write_json
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.state import PRESENT, read_state

_SHAPES = frozenset(
    {"resize", "frames", "short_edge", "frame_width", "frame_height", "frame_rate", "version", "excerpts"}
)
"""Parameters that say how frames and copies look."""


def announcement(ctx: RunContext, outlet: str) -> dict[str, Any] | None:
    """The ``extra`` of an asset event, noted as announced; None when there is nothing to tell.

    Keys: ``run``; ``release``, its name; ``lock``, sha256 over the paths and contents of the clips that are there; ``present`` and
    ``expected`` (items), ``by_split`` (split to both).
    """
    if not is_whole(ctx):
        return None
    lock, counts = _content(ctx)
    digest = _digest(ctx, outlet, lock)
    path = ctx.data.private / "announced" / f"{ctx.spec.name}.json"
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
    """Whether the run is about the data set as a whole: its default splits, and all of each. A trial is not."""
    params = ctx.params
    part = any(getattr(params, name, None) for name in ("limit", "classes", "videos", "kinetics_list"))
    usual = set(ctx.spec.default_parts or ctx.spec.parts)
    return not part and not params.dry_run and usual <= set(ctx.splits)


def _content(ctx: RunContext) -> tuple[str, dict[str, dict[str, int]]]:
    """A digest of what is there of the chosen splits, and how much of what was asked for that is."""
    state = read_state(ctx.state)
    here = state.filter(pc.is_in(state["status"], value_set=PRESENT)).select(["path", "sha256", "split"])
    hashed = hashlib.sha256()
    for path, sha256, split in sorted(zip(*(here[name].to_pylist() for name in here.column_names), strict=True)):
        if split in ctx.splits:
            hashed.update(f"{path}\t{sha256}\n".encode())
    expected, present = Counter(state["split"].to_pylist()), Counter(here["split"].to_pylist())
    return hashed.hexdigest(), {split: {"present": present[split], "expected": expected[split]} for split in ctx.splits}


def _digest(ctx: RunContext, outlet: str, lock: str) -> str:
    """What must differ for ``outlet`` to have changed."""
    parts = [lock]
    if outlet == "frames":
        parts += [
            f"{name}={value}" for name, value in sorted(ctx.params.model_dump(mode="json").items()) if name in _SHAPES
        ]
    elif outlet == "lists":
        parts += [sha256_of(Path(one["path"])) for one in read_json(ctx.folder / "lists.json")]
    elif outlet == "release":
        parts += [
            f"{file.name}={sha256_of(file)}"
            for file in sorted((ctx.data.release(ctx.spec.name) / ctx.run).glob("*"))
            if file.is_file()
        ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except (OSError, ClipquarryError):  # none yet, or damaged: to tell once more does less harm than never
        return {}
    return {str(key): one for key, one in value.items() if isinstance(one, dict)} if isinstance(value, dict) else {}
