"""Reader and writer of lists of temporal proposals, as mmaction2's ``SSNDataset`` reads them (specification 4.13 of the other data
sets).

A list is a text of blocks, one for each video::

    # 0                          running index, from 0
    video_test_0000004           name of the video, or of its folder of frames
    1012                         frames
    1                            frames a second; frames x this is the scale of the frame numbers
    2                            annotated intervals, then a line for each: label start end
    7 120 180
    7 400 433
    1                            proposals, then a line for each: label best_iou overlap_self start end
    7 0.8125 0.9512 118 176

Labels are 1 to K, 0 is the background. In a *normalised* list starts and ends are fractions of the video, in all others frames. Both
kinds are read block by block, so that memory does not grow with the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from clipquarry.annotations.csv_records import visible
from clipquarry.errors import UserError
from clipquarry.ids import id_problem

MAX_ROWS = 200_000
"""Lines of one kind in a block, at most; published lists have some thousands."""
_MAX_LINE = 1000
"""Bytes."""
_COUNT = re.compile(rb"[0-9]{1,9}", re.ASCII)
_WHOLE = re.compile(rb"[+-]?[0-9]{1,15}", re.ASCII)
_NUMBER = re.compile(rb"[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_SHOWN = 80


class Truth(NamedTuple):
    """An annotated interval: the class, start and end (fractions of the video, or frames)."""

    label: int
    start: float
    end: float
    line: int
    """Its line in the file; 1 is the first."""


class Proposal(NamedTuple):
    """A proposed interval, with its best IoU with an annotated one and the share of itself that this covers."""

    label: int
    iou: float
    overlap: float
    start: float
    end: float
    line: int


class Block(NamedTuple):
    """A video's annotated intervals and proposals, in the file's order."""

    line: int
    """Line of ``# index``; 1 is the first."""
    video: str
    frames: float
    rate: float
    truths: list[Truth]
    proposals: list[Proposal]


class _Lines:
    """The lines of a file, stripped, with their numbers; a line that is too long is an error before it is held."""

    def __init__(self, path: Path, handle: IO[bytes]) -> None:
        self.path, self.number, self._handle = path, 0, handle

    def next(self) -> bytes | None:
        """The next line; None at the end of the file."""
        line = self._handle.readline(_MAX_LINE + 1)
        if not line:
            return None
        self.number += 1
        if len(line) > _MAX_LINE:
            raise self.wrong(f"it is longer than {_MAX_LINE} bytes")
        return line.strip()

    def need(self, what: str) -> bytes:
        line = self.next()
        if line is None:
            raise UserError(f"{self.path} ends after line {self.number}, where {what} is missing: get the file again.")
        return line

    def wrong(self, why: str) -> UserError:
        return UserError(f"{self.path}, line {self.number}: {why}: get the file again.")

    def count(self, what: str) -> int:
        line = self.need(what)
        if not _COUNT.fullmatch(line) or int(line) > MAX_ROWS:
            raise self.wrong(f"{_shown(line)} is not {what}, a whole number to {MAX_ROWS}")
        return int(line)

    def amount(self, what: str) -> float:
        line = self.need(what)
        if not _NUMBER.fullmatch(line) or not 0 <= float(line) < 1e12:
            raise self.wrong(f"{_shown(line)} is not {what}, a number from 0")
        return float(line)

    def row(self, form: str, whole: bool) -> tuple[int, tuple[float, ...]]:
        """The label and the numbers behind it. ``whole``: start and end, the last two, are whole numbers."""
        line = self.need(f"a line '{form}'")
        words = line.split()
        numbers = words[1:]
        good = len(words) == len(form.split()) and _WHOLE.fullmatch(words[0])
        if not good or not all(map((_WHOLE if whole else _NUMBER).fullmatch, numbers[-2:])):
            raise self.wrong(f"{_shown(line)} is not '{form}'{', with whole frames' * whole}")
        values = tuple(map(float, numbers)) if all(map(_NUMBER.fullmatch, numbers)) else (math.inf,)
        if not all(map(math.isfinite, values)):
            raise self.wrong(f"{_shown(line)} is not '{form}'")
        return int(words[0]), values


def _shown(line: bytes) -> str:
    return repr(visible(line.decode("utf-8", "replace"), _SHOWN))


def read_blocks(path: Path, *, normalised: bool) -> Iterator[Block]:
    """The blocks of a list, streamed. Values are not judged: labels and frames out of range are a check's business.

    Raises :class:`UserError` with the file and the line where it leaves the form, and for a file that ends in a block.
    """
    try:
        with path.open("rb") as handle:
            lines = _Lines(path, handle)
            while (line := lines.next()) is not None:
                if not line:
                    continue
                if not line.startswith(b"#"):
                    raise lines.wrong(
                        f"{_shown(line)} is not the beginning of a block ('# 0'), nor announced by a count"
                    )
                yield _block(lines, normalised)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _block(lines: _Lines, normalised: bool) -> Block:
    begun = lines.number
    name = lines.need("the name of a video")
    try:
        video = name.decode("utf-8")
    except UnicodeDecodeError:
        raise lines.wrong(f"{_shown(name)} is not UTF-8") from None
    if problem := id_problem(video):
        raise lines.wrong(f"the name of the video {problem}")
    frames = lines.amount("the number of frames")
    rate = lines.amount("the frames a second")
    whole = not normalised
    truths, proposals = list[Truth](), list[Proposal]()
    for _ in range(lines.count("the number of annotated intervals")):
        label, (start, end) = lines.row("label start end", whole)
        truths.append(Truth(label, start, end, lines.number))
    for _ in range(lines.count("the number of proposals")):
        label, (iou, overlap, start, end) = lines.row("label best_iou overlap_self start end", whole)
        proposals.append(Proposal(label, iou, overlap, start, end, lines.number))
    return Block(begun, video, frames, rate, truths, proposals)


def write_block(handle: IO[str], index: int, block: Block, frames: int) -> None:
    """Write a normalised block with the fractions as numbers of ``frames``, byte for byte as mmaction2's
    ``denormalize_proposal_file.py``: frames are truncated, proposals whose end is not behind their start stay (its reader drops them).
    """
    handle.write(f"# {index}\n{block.video}\n{frames}\n1\n{len(block.truths)}\n")
    for one in block.truths:
        handle.write(f"{one.label} {int(one.start * frames)} {int(one.end * frames)}\n")
    handle.write(f"{len(block.proposals)}\n")
    for each in block.proposals:
        start, end = int(each.start * frames), int(each.end * frames)
        handle.write(f"{each.label} {each.iou:.4f} {each.overlap:.4f} {start} {end}\n")
