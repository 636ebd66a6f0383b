"""Crops of which a margin leaves nothing to label, told before anything is cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clipquarry.errors import UserError
from clipquarry.families.boxes.own.key_frames import choose
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.manifest import read_table
from clipquarry.microseconds import SECOND
from clipquarry.pipeline.context import RunContext

_SHOWN = 3


def check_margins(ctx: RunContext) -> None:
    """Raise UserError where a crop of the chosen splits has no key frame to label however whole it is: the gate ``frames`` would stop
    the run after all the work.
    """
    chosen = ctx.chosen(CropsParams)
    if not chosen.frames:
        return
    rows = read_table(ctx.catalog, ["clip_id", "split", "start", "end"]).to_pylist()
    windows = {
        row["clip_id"]: row["end"] - row["start"]
        for row in rows
        if row["end"] is not None and row["start"] is not None and row["split"] in ctx.splits
    }
    if short := list(without_labels(windows.items(), chosen)):
        shown = ", ".join(short[:_SHOWN]) + (", …" if len(short) > _SHOWN else "")
        first = f" and first_key={chosen.first_key}" if chosen.first_key else ""
        raise UserError(
            f"{len(short)} of {len(windows)} crops ({shown}) have no key frame to label, because margin={chosen.margin}{first} "
            f"leaves none: lower 'margin', make the crops at least {chosen.first_key + 2 * chosen.margin} s long, or take them out of the list."
        )


def labelled_keys(length: int, chosen: CropsParams) -> int:
    """Number of key frames to label of a whole crop; ``length``: microseconds, with the second behind the labelled ones."""
    keys = choose(
        length // SECOND - 1,
        length * chosen.fps // SECOND,
        chosen.fps,
        first=chosen.first_key,
        margin=chosen.margin,
    )
    return sum(key.labelled for key in keys)


def without_labels(windows: Iterable[tuple[str, int]], chosen: CropsParams) -> Iterator[str]:
    """Names of the crops without a key frame to label; ``windows``: as for :func:`labelled_keys`."""
    return (name for name, length in windows if not labelled_keys(length, chosen))
