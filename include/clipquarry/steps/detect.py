"""The step ``detect``: detects people in the key frame of each annotated second; proposals are made of its boxes.

A row is a key frame: a second (``start``, in microseconds) of the original video, and the frame folder (``clip_id``) of
its clip. The key frame is frame ``fps (second - first) + 1 + offset`` of the folder (numbered from 1), where ``first`` is
the second at which the folder begins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Any

import pyarrow as pa
from pydantic import Field, field_validator

from clipquarry.annotations.ava_time import FPS
from clipquarry.errors import RetryLater, UserError
from clipquarry.files import inside
from clipquarry.ids import parse_clip_id
from clipquarry.manifest import Row
from clipquarry.microseconds import SECOND
from clipquarry.people.frame_file import FrameError, read_frame
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot
from clipquarry.steps.base import TOLD_TO_STOP, Outcome, Step, StepContext
from clipquarry.steps.looking import NAMED_BY_DETECTOR, DetectorParams, Notes, detector_of
from clipquarry.store import content_key

BLOCK = 32
"""Seconds of one clip that are processed together: after a kill at most so many are processed again."""

_PATTERN = re.compile(r"[A-Za-z0-9_.-]*\{:0?[0-9]{0,2}d?\}[A-Za-z0-9_.-]*\.(?:jpe?g|png)")


class DetectParams(DetectorParams):
    """``frames`` is a folder below ``root``, with a folder ``clip_id`` for each clip, which holds frames named by ``pattern``.

    ``start``: the second of its video at which a folder begins, where that is the same for all (AVA: 900); null: the start
    in the clip's name. ``offset`` is added to the frame's number. The rest: :class:`DetectorParams`.
    """

    root: str
    frames: str = "rawframes"
    pattern: str = "img_{:05d}.jpg"
    start: int | None = Field(default=None, ge=0)
    offset: int = Field(default=0, ge=-30, le=30)
    fps: int = Field(default=FPS, ge=1, le=240)

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        if not _PATTERN.fullmatch(value):
            raise ValueError(f"{value!r} is not a pattern of frame names; write img_{{:05d}}.jpg")
        return value


class _Key:
    """One row's key frame: its path and its state (size, time). ``problem``: the outcome where there is no such frame."""

    def __init__(self, row: Row, data: DataRoot, params: DetectParams) -> None:
        self.path: Path | None = None
        self.state: list[int] | None = None
        self.problem: Outcome | None = None
        try:
            folder, number = self._where(row, data, params)
        except (UserError, ValueError, TypeError) as error:
            self.problem = Outcome(Status.REJECTED, Reason.BAD_ROW, str(error))
            return
        path = folder / params.pattern.format(max(0, number))
        self.image = str(path.relative_to(data.root))
        if number < 1:
            self.problem = Outcome.missing(Reason.NO_FRAMES, f"second {_second(row)} lies before the first frame")
            return
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            what = f"second {_second(row)} is frame {number}: {path.name} is not" if folder.is_dir() else "there is no"
            where = str(folder.relative_to(data.root))
            self.problem = Outcome.missing(
                Reason.NO_FRAMES, f"{what} in {where}" if folder.is_dir() else f"{what} folder {where}"
            )
            return
        if not S_ISREG(stat.st_mode):  # the read of a pipe would never end
            self.problem = Outcome.failed(Reason.CORRUPT, f"{path.name} is not a file", image=self.image)
            return
        self.path, self.state = path, [stat.st_size, stat.st_mtime_ns]

    def content(self) -> str:
        """Hash that identifies the frame's content."""
        return content_key(image=self.image, state=self.state)

    @staticmethod
    def _where(row: Row, data: DataRoot, params: DetectParams) -> tuple[Path, int]:
        """Folder and number of the frame."""
        clip = row["clip_id"]
        if not clip or row["start"] is None:
            raise UserError(f"The row {row['item_id']!r} has no clip or no second.")
        if "/" in clip:
            raise UserError(f"The row {row['item_id']!r} has a '/' in its clip's name.")
        first = parse_clip_id(clip).start if params.start is None else params.start
        folder = inside(data.root, params.root, params.frames, clip)
        return folder, params.fps * (_second(row) - first) + 1 + params.offset


def _second(row: Row) -> int:
    """The row's key second; 0 where it has none."""
    return int(row["start"] or 0) // SECOND


class DetectStep(Step[DetectParams]):
    """Boxes of people, as fractions of width and height, best score first. A frame without people is ``done``, with no boxes.

    Results are noted in the store by frame, detector and parameters, so that a later run keeps them.
    """

    name = "detect"
    version = 1
    fields = (
        pa.field("image", pa.string()),  # relative to the data root
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("boxes", pa.list_(pa.list_(pa.float64()))),  # rows x1, y1, x2, y2, score
        pa.field("detector", pa.string()),
    )
    params_model = DetectParams

    def preflight(self, ctx: StepContext[DetectParams]) -> None:
        detector_of(ctx)

    def group_of(self, row: Row) -> str:
        return f"{row['clip_id']}/{_second(row) // BLOCK}"

    def run_group(self, rows: Sequence[Row], ctx: StepContext[DetectParams]) -> list[Outcome]:
        keys = [_Key(row, ctx.data, ctx.params) for row in rows]
        outcomes = {place: key.problem for place, key in enumerate(keys) if key.problem is not None}
        known = _notes(rows[0], ctx)
        for place, key in enumerate(keys):
            if key.problem is None and (facts := known.get(key.content())) is not None:
                outcomes[place] = Outcome(Status.KEPT, columns=facts)
        left = [place for place in range(len(rows)) if place not in outcomes]
        for begin in range(0, len(left), ctx.params.batch):
            if ctx.cancelled.is_set():
                raise RetryLater(TOLD_TO_STOP)
            places = left[begin : begin + ctx.params.batch]
            outcomes |= self._look(places, keys, ctx)
        done = [place for place in left if outcomes[place].status is Status.DONE]
        known.add({keys[place].content(): outcomes[place].columns for place in done})
        return [outcomes[place] for place in range(len(rows))]

    @staticmethod
    def _look(places: Sequence[int], keys: Sequence[_Key], ctx: StepContext[DetectParams]) -> dict[int, Outcome]:
        """Read one batch of frames and detect the people in them."""
        outcomes, frames = {}, {}
        for place in places:
            path = keys[place].path
            assert path is not None
            try:
                frames[place] = read_frame(path)
            except FrameError as error:
                outcomes[place] = Outcome.failed(Reason.CORRUPT, str(error), image=keys[place].image)
        detector = detector_of(ctx)
        found = detector.detect(list(frames.values())) if frames else []
        for (place, frame), boxes in zip(frames.items(), found, strict=True):
            columns = {
                "image": keys[place].image, "width": frame.shape[1], "height": frame.shape[0],
                "boxes": boxes.tolist(), "detector": detector.name,
            }  # fmt: skip
            outcomes[place] = Outcome(Status.DONE, columns=columns)
        return outcomes

    def still_holds(self, row: Row, result: Row, ctx: StepContext[DetectParams]) -> bool:
        return True  # the result's key holds the frame's size and time

    def key(self, row: Row, ctx: StepContext[DetectParams]) -> str:
        frame = _Key(row, ctx.data, ctx.params).state
        where = {"row": super().key(row, ctx), "picture": frame, "detector": detector_of(ctx).name}
        return content_key(**where)

    def key_params(self, params: DetectParams) -> dict[str, Any]:
        # Keys of frames at 30 a second are those of before there was another rate.
        left_out = NAMED_BY_DETECTOR | ({"fps"} if params.fps == FPS else set())
        return params.model_dump(mode="json", exclude=left_out)


def _notes(row: Row, ctx: StepContext[DetectParams]) -> Notes:
    """Those of one block of seconds of the row's clip."""
    clip = row["clip_id"]
    named = clip and "/" not in clip and clip not in (".", "..")
    where = {"root": ctx.params.root, "frames": ctx.params.frames, "least": ctx.params.least}
    return Notes(
        ctx.store, f"{clip}@{_second(row) // BLOCK}" if named else "", {"detector": detector_of(ctx).name, **where}
    )
