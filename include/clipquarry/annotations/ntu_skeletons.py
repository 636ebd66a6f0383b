"""Reader of one ``.skeleton`` file of NTU RGB+D (specification 5.2), and the choice of its people.

A text file of a Kinect's bodies, in metres. Line 1 is the number of frames. Each frame has a line with its number of bodies, and each body
a line of 10 numbers (bodyID … trackingState), a line with its number of joints (25), and a line of 12 numbers for each joint (x y z depthX depthY
colorX colorY orientationW orientationX orientationY orientationZ trackingState).

Everything is read at once: the lines' numbers of words say whether the form is right, and Arrow makes numbers of the coordinates together. A file may hold
anything: whatever is odd becomes a :class:`SkeletonError` that names the line. Of the numbers that are not used only the letters are checked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.annotations.csv_records import visible
from clipquarry.reasons import Reason

JOINTS = 25
SLOTS = 4
"""Bodies of a frame that are used, by their position in it. A Kinect reports up to :data:`MOST_BODIES`."""
MOST_BODIES = 6
PERSONS = 2
"""At most, of a sample."""
MOST_FRAMES = 10_000
"""Published samples have up to about 300."""
_MOST_BYTES = 64 << 20
_BODY_WORDS, _JOINT_WORDS = 10, 12
_BODY_LINES = 2 + JOINTS
_HALF = 65_520.0
"""From here on float16 is infinite."""
_LETTERS = b"0123456789+-.eEnNaAiIfFtTyY \t\n\r\v\f"
"""All that a number can hold (nan, inf and infinity among them), and spaces."""
_DIGITS = 9
"""Of a count, at most."""

Keypoint = npt.NDArray[np.float64]
"""[persons or slots, T, 25, 3]: x, y, z in metres from the camera; zeros where a frame has no such body."""


class SkeletonError(Exception):
    """A file that cannot be used: ``reason`` is ``truncated`` or ``corrupt``, ``sentence`` says where and why."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason, self.sentence = reason, sentence


class Bodies(NamedTuple):
    """What a file holds. ``most``: bodies of the fullest frame; those beyond :data:`SLOTS` are not in ``keypoint`` [4, T, 25, 3]."""

    keypoint: Keypoint
    most: int


def read_file(path: Path) -> Bodies:
    """The bodies of a file. Raises :class:`SkeletonError`, also for a file that cannot be read or is no file."""
    try:
        if not path.is_file():
            _corrupt("it is no file")  # a pipe would never end
        with open(path, "rb") as handle:
            content = handle.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SkeletonError(Reason.CORRUPT, f"it cannot be read: {error.strerror}") from error
    return read_bodies(content)


def read_bodies(content: bytes) -> Bodies:
    """The bodies in the text of a file. Raises :class:`SkeletonError`."""
    if len(content) > _MOST_BYTES:
        _corrupt(f"it is larger than {_MOST_BYTES} bytes")
    text = _Text(content)
    frames, bodies = _outline(text)
    text.expect(bodies)
    joints = text.joints(bodies)
    if not (well := (np.abs(joints) < _HALF).all(axis=(1, 2))).all():  # NaN compares false
        place = bodies.frame[int(np.argmin(well))] + 1
        _corrupt(f"frame {place} holds a coordinate that is no number of metres")
    keypoint = np.zeros((SLOTS, frames, JOINTS, 3))
    used = bodies.slot < SLOTS
    keypoint[bodies.slot[used], bodies.frame[used]] = joints[used]
    return Bodies(keypoint, int(bodies.slot.max(initial=-1)) + 1)


def denoise(keypoint: Keypoint) -> npt.NDArray[np.float16]:
    """The people of a sample, [M, T, 25, 3] with M of 0 to 2: of the slots [4, T, 25, 3] the two of the largest energy, that one first.

    A slot's energy is std(x) + std(y) + std(z) over its frames whose coordinates do not sum to 0. Of equal energies the higher slot comes
    first. A slot whose coordinates sum to 0 is left out. Sums are numpy's, in the reference's order, so that each bit is the same.
    """
    energy = np.array([_energy(slot) for slot in keypoint])
    chosen = keypoint[energy.argsort(kind="stable")[::-1][:PERSONS]]
    persons: npt.NDArray[np.float16] = chosen[chosen.sum((1, 2, 3)) != 0].astype(np.float16)
    return persons


def _energy(slot: npt.NDArray[np.float64]) -> float:
    held = slot[slot.sum(-1).sum(-1) != 0]
    if not len(held):
        return 0.0
    return float(held[:, :, 0].std() + held[:, :, 1].std() + held[:, :, 2].std())


class _Found(NamedTuple):
    """Where the bodies are: line (of their 10 numbers), frame and slot, all from 0."""

    line: npt.NDArray[np.intp]
    frame: npt.NDArray[np.intp]
    slot: npt.NDArray[np.intp]


class _Text:
    """The words of a text, by line. Lines are numbered from 0 here, from 1 in sentences."""

    def __init__(self, content: bytes) -> None:
        odd = content.translate(None, _LETTERS)
        self.content = content = b" " + content + b" "
        raw = np.frombuffer(content, np.uint8)
        if ((raw[:-1] == 13) & (raw[1:] != 10)).any():  # a line ends there too, for the reference
            raw = np.frombuffer(content.replace(b"\r\n", b" \n").replace(b"\r", b"\n"), np.uint8)
        gap = raw <= 32
        edges = np.flatnonzero(gap[1:] != gap[:-1]) + 1
        self.begin, self.end = edges[::2], edges[1::2]
        first = np.searchsorted(self.begin, np.concatenate(([0], np.flatnonzero(raw == 10))))
        count = np.diff(first, append=len(self.begin))
        self.lines = int(np.flatnonzero(count)[-1]) + 1 if count.any() else 0
        self.first, self.count = first[: self.lines], count[: self.lines]
        alone = np.flatnonzero(self.count == 1)
        places = zip(self.begin[self.first[alone]].tolist(), self.end[self.first[alone]].tolist(), strict=True)
        self.alone = dict(zip(alone.tolist(), (content[begin:end] for begin, end in places), strict=True))
        """The words that are alone in their line."""
        if odd:
            self._complain(odd)

    def number(self, line: int, what: str) -> int:
        """The whole number that is alone in a line."""
        word = self.alone.get(line, b"")
        if not word.isdigit() or len(word) > _DIGITS:
            _corrupt(f"line {line + 1} should be the number of {what} alone")
        return int(word)

    def expect(self, bodies: _Found) -> None:
        """Check the numbers of words in the lines of all bodies."""
        lines = bodies.line[:, None] + np.array((0, *range(2, _BODY_LINES)))
        wanted = np.array((_BODY_WORDS, *[_JOINT_WORDS] * JOINTS))
        if not (wrong := self.count[lines] != wanted).any():
            return
        row, column = np.argwhere(wrong)[0]
        line, want = int(lines[row, column]), int(wanted[column])
        found = f"line {line + 1} has {self.count[line]} numbers instead of {want}"
        if line == self.lines - 1 and self.count[line] < want:
            raise SkeletonError(Reason.TRUNCATED, f"{found}: the file is cut off")
        _corrupt(found)

    def joints(self, bodies: _Found) -> npt.NDArray[np.float64]:
        """x, y, z of all bodies' joints, [bodies, 25, 3]. Only these words are made numbers: they are a quarter of all."""
        words = self.first[bodies.line + 2, None, None] + _JOINT_WORDS * np.arange(JOINTS)[:, None] + np.arange(3)
        places = np.append(self.begin, len(self.content)).astype(np.int32)  # each with the space behind it
        text = pa.StringArray.from_buffers(len(self.begin), pa.py_buffer(places), pa.py_buffer(self.content))
        chosen = pc.ascii_trim_whitespace(text.take(pa.array(words.ravel())))
        try:
            values: Any = pc.cast(chosen, pa.float64())
        except pa.ArrowInvalid:
            self._complain_of_number(chosen, words.ravel())
        return np.asarray(values).reshape(words.shape)

    def _complain_of_number(self, chosen: Any, words: npt.NDArray[np.intp]) -> NoReturn:
        for word, at in zip(chosen, words, strict=True):
            try:
                pc.cast(word, pa.float64())
            except pa.ArrowInvalid:
                line = int(np.searchsorted(self.first, at, "right"))
                _corrupt(f"line {line} holds {visible(str(word), 40)!r}, which is no number")
        raise AssertionError("no word is wrong alone")

    def _complain(self, odd: bytes) -> NoReturn:
        if (strange := next((byte for byte in odd if not 32 < byte < 127), None)) is not None:
            _corrupt(f"it is no text: it holds the byte {strange:#04x}")
        at = self.content.index(odd[:1])
        word = int(np.searchsorted(self.begin, at, "right")) - 1
        line = int(np.searchsorted(self.first, word, "right"))
        shown = self.content[self.begin[word] : self.end[word]].decode("ascii", "backslashreplace")
        _corrupt(f"line {line} holds {visible(shown, 40)!r}, which is no number")


def _outline(text: _Text) -> tuple[int, _Found]:
    """The number of frames, and where their bodies are, by the counts that the file gives."""
    if not text.lines:
        _corrupt("it is empty")
    frames = text.number(0, "frames")
    if not 1 <= frames <= MOST_FRAMES:
        _corrupt(f"it announces {frames} frames; 1 to {MOST_FRAMES} are expected")
    found: list[tuple[int, int, int]] = []
    line = 1
    for frame in range(frames):
        if line >= text.lines:
            _cut(frame, frames)
        bodies = text.number(line, "bodies")
        if bodies > MOST_BODIES:
            _corrupt(f"line {line + 1} announces {bodies} bodies; a Kinect finds at most {MOST_BODIES}")
        line += 1
        for slot in range(bodies):
            if line + 1 >= text.lines:
                _cut(frame, frames)
            if (joints := text.number(line + 1, "joints")) != JOINTS:
                _corrupt(f"line {line + 2} announces {joints} joints instead of {JOINTS}")
            found.append((line, frame, slot))
            line += _BODY_LINES
        if line > text.lines:
            _cut(frame, frames)
    if line < text.lines:
        _corrupt(f"it announces {frames} frames, but line {line + 1} is after the last one")
    return frames, _Found(*np.array(found, np.intp).reshape(-1, 3).T)


def _cut(frame: int, frames: int) -> NoReturn:
    raise SkeletonError(Reason.TRUNCATED, f"it announces {frames} frames and ends in frame {frame + 1}")


def _corrupt(sentence: str) -> NoReturn:
    raise SkeletonError(Reason.CORRUPT, sentence)
