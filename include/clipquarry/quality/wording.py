"""What a broken check says: how many of what break it, how many may, and what to do.

Numbers first: ``5 of 6 clips are missing (83 %, at most 60 % allowed)``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

BROKEN: Final[dict[str, str]] = {
    "annotations.rejected": "csv rows are unusable",
    "annotations.item_unique": "items are there twice",
    "annotations.id_syntax": "video ids have a wrong form",
    "annotations.time_order": "windows have reversed or negative times",
    "annotations.window_length": "windows are longer than usual",
    "annotations.names": "rows have a name that does not follow from them",
    "annotations.same_clip": "clips have two labels",
    "annotations.split_disjoint": "windows of another split are in train too",
    "annotations.video_shared": "clips are of a video that another split has too",
    "annotations.label_index": "label indices are out of range",
    "annotations.label_in_train": "rows have a label that train does not have",
    "annotations.class_in_train": "classes have no training clip",
    "clips.one_row": "selected clips have no result, or two",
    "clips.in_catalog": "results are not of the catalog",
    "clips.coverage": "clips are missing",
    "clips.stopped": "clips were not asked for",
    "clips.our_fault": "clips are lost to our own tools",
    "clips.wrong_bytes": "clips came as something else than a video",
    "clips.facts": "clips lack bytes, frames or a size",
    "clips.sha256": "clips have no checksum",
    "clips.path": "clips do not lie where the layout says",
    "clips.longer": "clips are longer than annotated",
    "clips.shorter": "clips are shorter than annotated",
    "clips.duplicate_content": "clips have the bytes of another video",
    "clips.height": "clips are lower than what was asked for",
    "clips.black": "clips are black",
    "clips.one_colour": "clips are of one colour",
    "clips.frozen": "clips are one frozen picture",
    "clips.slide_show": "clips are rows of still pictures",
    "clips.uneven_rate": "clips have a variable rate",
    "clips.silent": "clips have no sound",
    "clips.near_copy": "clips show the same as a clip of another video",
    "frames.shown": "folders show another clip",
    "frames.content": "folders show hardly anything",
    "resize.made": "resized copies were not made",
    "frames.made": "folders of frames were not made",
    "frames.count": "folders have another number of frames than rate x duration",
    "frames.contiguous": "folders have a gap in their numbers",
    "excerpt.made": "excerpts were not made",
    "lists.files": "listed files are not there",
    "lists.present": "clips that are there are not listed",
    "proposals.coverage": "annotated key frames have no proposal",
}
"""Check to noun and verb, for the checks that people meet; the others say that rows break them."""
_SINGULAR: Final = (
    (" are ", " is "),
    (" have ", " has "),
    (" do ", " does "),
    (" lack ", " lacks "),
    (" were ", " was "),
)
_ADVICE: Final = Path(__file__).with_name("advice.json")


@cache
def _advice() -> dict[str, str]:
    return dict(json.loads(_ADVICE.read_text(encoding="utf-8")))


def advice_of(check: str) -> str:
    """What to do when a check is broken: the words of ``docs/checks.md``."""
    return _advice().get(check) or f"See docs/checks.md under '{check}'."


def percent(share: float, beside: float | None = None) -> str:
    """``83 %``, with as many digits as tell it from 0, from 100, and from the limit that it stands ``beside``."""
    others = [value for value in (0.0, 1.0, beside) if value not in (None, share)]
    texts = [f"{100 * share:.{digits}f}" for digits in range(5)]
    unlike = (
        text for digits, text in enumerate(texts) if text not in [f"{100 * value:.{digits}f}" for value in others]
    )
    return f"{next(unlike, texts[-1])} %"


def broken_sentence(check: str, unexpected: int, checked: int, limit: float, held: bool, ids: Sequence[Any]) -> str:
    """``unexpected`` of ``checked`` rows break the check; ``limit`` is the share that may, of the severity that was reached."""
    what = BROKEN.get(check, "rows break this")
    if unexpected == 1:
        for many, one in (*_SINGULAR, (" break ", " breaks ")):
            what = what.replace(many, one, 1)
    share = unexpected / checked
    allowed = f", at most {percent(limit)} allowed" if limit else ""
    such = f", such as {', '.join(str(one) for one in ids[:3])}" if ids else ""
    within = "Within the threshold: " if held and limit else ""
    return f"{within}{unexpected:,} of {checked:,} {what} ({percent(share, limit or None)}{allowed}){such}."
