"""Checks of the content of clips: black, of one colour, frozen, a slide show, an uneven rate, silent.

They use clips with measurements. A share of odd clips warns, a single one is only listed, and nothing blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pandas as pd

from clipquarry.quality.engine import IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams, share_of_several

COLUMNS: Final = ("brightness", "contrast", "still", "changes", "jumps", "uneven", "sound")
"""Columns of the manifest; -1 and ``""``: not measured."""
NOBODY_LOOKED: Final = (
    "the content of these clips was not measured: an earlier version made them, or they were not decoded"
)

_BLACK: Final = 12.0
"""Mean level: even a night scene has lights."""
_FLAT: Final = 3.0
"""Standard deviation within a frame: even fog and snow have more."""
_NO_MOTION: Final = 0.85
"""Share of moments without motion; turned pages move in one of eight."""
_UNEVEN: Final = 0.1


def _black(table: pd.DataFrame) -> pd.Series[bool]:
    return (table["brightness"] < _BLACK) & (table["contrast"] < _FLAT)


def _one_colour(table: pd.DataFrame) -> pd.Series[bool]:
    return (table["contrast"] < _FLAT) & ~_black(table)


def _frozen(table: pd.DataFrame) -> pd.Series[bool]:
    """One frame from beginning to end; clips of one colour are another kind."""
    return (table["still"] == 1) & (table["changes"] == 0) & (table["contrast"] >= _FLAT)


def _slide_show(table: pd.DataFrame) -> pd.Series[bool]:
    """Nothing moves, but whole frames change."""
    return (table["still"] >= _NO_MOTION) & (table["jumps"] > 0) & (table["jumps"] == table["changes"])


def _uneven_rate(table: pd.DataFrame) -> pd.Series[bool]:
    return table["uneven"] > _UNEVEN


def _silent(table: pd.DataFrame) -> pd.Series[bool]:
    return table["sound"].isin(["silent", "none"])


_KINDS: Final[dict[str, tuple[Callable[[pd.DataFrame], pd.Series[bool]], str, tuple[str, ...]]]] = {
    "black": (_black, "black_warn", ("brightness", "contrast")),
    "one_colour": (_one_colour, "one_colour_warn", ("brightness", "contrast")),
    "frozen": (_frozen, "frozen_warn", ("still", "changes")),
    "slide_show": (_slide_show, "slide_show_warn", ("still", "changes", "jumps")),
    "uneven_rate": (_uneven_rate, "uneven_warn", ("uneven",)),
    "silent": (_silent, "silent_warn", ("sound",)),
}
"""Kind to its rule, the setting with the share that warns, and the columns that are shown."""
_OF_FRAMES: Final = ("black", "one_colour", "frozen", "slide_show")


def _rule(check: str, kind: str, table: pd.DataFrame, params: GateParams, scope: str, note: str) -> Rule:
    test, setting, show = _KINDS[kind]
    table[kind] = test(table)
    share = share_of_several(getattr(params, setting), len(table))
    return Rule(check, IN_SET, {"column": kind, "value_set": [False]}, scope, max_share=share, show=show, note=note)


def clip_suites(clips: pd.DataFrame | None, params: GateParams, *, sound_wanted: bool) -> Iterator[Suite]:
    """Suite of the present clips, with ``item_id`` and :data:`COLUMNS`; None if the table has no such columns."""
    checks = [f"clips.{kind}" for kind in _KINDS]
    measured = None if clips is None else clips[clips["contrast"] >= 0].reset_index(drop=True)
    if clips is None or measured is None or (measured.empty and len(clips)):
        yield Suite("content", pd.DataFrame(), skipped=[(check, NOBODY_LOOKED) for check in checks])
        return
    note = said(len(measured), len(clips))
    rules = [_rule(f"clips.{kind}", kind, measured, params, "", note) for kind in _OF_FRAMES]
    yield Suite("content", measured, rules)
    timed = clips[clips["uneven"] >= 0].reset_index(drop=True)
    yield Suite("rate_of_clips", timed, [_rule("clips.uneven_rate", "uneven_rate", timed, params, "", "")])
    heard = clips[clips["sound"] != ""].reset_index(drop=True)
    why = "the recipe leaves sound out" if not sound_wanted else "no clip has a track of sound"
    if not sound_wanted or (heard["sound"] == "none").all():
        yield Suite("sound", heard, skipped=[("clips.silent", why)])
    else:
        yield Suite("sound", heard, [_rule("clips.silent", "silent", heard, params, "", said(len(heard), len(clips)))])


def folder_suite(check: str, folders: pd.DataFrame, params: GateParams) -> Suite:
    """Suite of frame folders whose clip was not measured: one check, one scope per kind."""
    measured = folders[folders["contrast"] >= 0].reset_index(drop=True)
    if measured.empty and len(folders):
        return Suite("folder_content", measured, skipped=[(check, NOBODY_LOOKED)])
    note = said(len(measured), len(folders))
    rules = [_rule(check, kind, measured, params, kind.replace("_", " "), note) for kind in _OF_FRAMES]
    return Suite("folder_content", measured, rules)


def said(measured: int, there: int) -> str:
    """How many clips were measured, unless all were."""
    return "" if measured == there else f"{there - measured:,} of {there:,} were not measured."
