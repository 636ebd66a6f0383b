"""The step ``track``: who is who in a clip. Detects people in every n-th frame of it, and gives each person one id in the whole clip.

Tracking at a key frame a second tears people apart; see :mod:`clipquarry.people.tracking` for how it is done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from clipquarry.errors import RetryLater, UserError
from clipquarry.files import disk_errors, inside, sha256_of
from clipquarry.layout import placing
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_folder import count_frames, frame_name
from clipquarry.people.frame_file import FrameError, read_frame
from clipquarry.people.rates import note_rate
from clipquarry.people.tracking.boxes import ClipBoxes
from clipquarry.people.tracking.clip import track_clip
from clipquarry.people.tracking.colour import BINS, descriptors
from clipquarry.people.tracking.track_file import write_tracks
from clipquarry.reasons import Reason, Status
from clipquarry.steps.base import TOLD_TO_STOP, Outcome, Step, StepContext
from clipquarry.steps.fields import PATH_FIELD
from clipquarry.steps.looking import NAMED_BY_DETECTOR, DetectorParams, Notes, detector_of
from clipquarry.store import content_key

KIND = "tracks"
"""The store's kind of notes about files of tracks."""
BLOCK = 64
"""Frames that are looked at, and noted, together: after a kill at most so many of a clip are looked at again."""
_COLOUR_DIGITS = 4


class TrackParams(DetectorParams):
    """``frames`` and ``out`` are folders below ``root``: ``frames`` has a folder ``clip_id`` of ``img_00001.jpg`` and so on for each
    clip, ``out`` gets ``{clip_id}.csv``. Every ``every``-th frame is looked at, from the first on; boxes between are interpolated. ``fps`` is
    that of the frames. The rest: :class:`DetectorParams`.
    """

    root: str
    frames: str = "rawframes"
    out: str = "tracks"
    fps: int = Field(default=30, ge=1, le=240)
    every: int = Field(default=1, ge=1, le=240)


class TrackStep(Step[TrackParams]):
    """A csv of tracks per clip, as :mod:`clipquarry.people.tracking.track_file` says. A clip without people has one without rows.

    What the detector found is noted in the store by block of frames, so that a killed step, and a run that tracks anew, look at no frame twice.
    """

    name = "track"
    version = 1
    fields = (
        PATH_FIELD,
        pa.field("sha256", pa.string()),
        pa.field("frames", pa.int32()),  # of the clip
        pa.field("looked_at", pa.int32()),  # frames in which people were looked for
        pa.field("boxes", pa.int32()),  # that the detector found
        pa.field("filled", pa.int32()),  # that were interpolated
        pa.field("people", pa.int32()),
        pa.field("detector", pa.string()),
    )
    params_model = TrackParams

    def preflight(self, ctx: StepContext[TrackParams]) -> None:
        detector_of(ctx)

    def run_group(self, rows: Sequence[Row], ctx: StepContext[TrackParams]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[TrackParams]) -> Outcome:
        try:
            folder, out = _folder(row, ctx), _out(row, ctx)
        except (UserError, ValueError, TypeError) as error:
            return Outcome(Status.REJECTED, Reason.BAD_ROW, str(error))
        try:
            count = count_frames(folder)[0]
        except (MediaError, OSError) as error:
            why = error.evidence if isinstance(error, MediaError) else f"there is no folder {folder.name}"
            return Outcome.missing(Reason.NO_FRAMES, why)
        if not count:
            return Outcome.missing(Reason.NO_FRAMES, f"the folder {folder.name} is empty")
        key = self._noted_as(row, ctx)
        facts = ctx.store.noted(KIND, row["clip_id"], key)
        if facts is not None and _is(out, facts.get("sha256")):
            return Outcome(Status.KEPT, columns={field.name: facts.get(field.name) for field in self.fields})
        try:
            looked = _Looked(row["clip_id"], folder, count, ctx)
            tracked = track_clip(looked.boxes(), float(ctx.params.fps), step=ctx.params.every, length=count)
        except FrameError as error:
            return Outcome.failed(Reason.CORRUPT, str(error))
        with disk_errors(out), placing(ctx.data, out) as new:
            with new.path.open("w", encoding="utf-8", newline="") as handle:
                write_tracks(handle, tracked)
            facts = {
                "path": str(out.relative_to(ctx.data.root)), "sha256": sha256_of(new.path), "frames": count,
                "looked_at": looked.count, "boxes": int((~tracked.filled).sum()), "filled": int(tracked.filled.sum()),
                "people": len(tracked.tracks), "detector": detector_of(ctx).name,
            }  # fmt: skip
        ctx.store.note(KIND, row["clip_id"], key, facts)
        if looked.new:
            note_rate(ctx.store, ctx.params.backend, looked.seconds, looked.new)
        return Outcome(Status.DONE, evidence=new.told, columns=facts)

    def _noted_as(self, row: Row, ctx: StepContext[TrackParams]) -> str:
        params = self.key_params(ctx.params)
        changed = _folder(row, ctx).stat().st_mtime_ns
        return content_key(
            kind=KIND, version=self.version, params=params, folder=changed, detector=detector_of(ctx).name
        )

    def still_holds(self, row: Row, result: Row, ctx: StepContext[TrackParams]) -> bool:
        return _is(_out(row, ctx), result["sha256"])

    def key(self, row: Row, ctx: StepContext[TrackParams]) -> str:
        try:
            of_clip = self._noted_as(row, ctx)
        except (UserError, ValueError, TypeError, OSError):
            of_clip = ""
        return content_key(row=super().key(row, ctx), clip=of_clip)

    def key_params(self, params: TrackParams) -> dict[str, Any]:
        return params.model_dump(mode="json", exclude=NAMED_BY_DETECTOR)


def _folder(row: Row, ctx: StepContext[TrackParams]) -> Path:
    return inside(ctx.data.root, ctx.params.root, ctx.params.frames, _clip(row))


def _out(row: Row, ctx: StepContext[TrackParams]) -> Path:
    return inside(ctx.data.root, ctx.params.root, ctx.params.out, f"{_clip(row)}.csv")


def _clip(row: Row) -> str:
    clip = row["clip_id"]
    if not clip or "/" in clip or clip in (".", ".."):
        raise UserError(f"The row {row['item_id']!r} has no clip, or one whose name is a path.")
    return str(clip)


def _is(path: Path, sha256: Any) -> bool:
    try:
        return sha256 is not None and sha256_of(path) == sha256
    except OSError:
        return False


class _Looked:
    """What the detector finds in a clip of ``count`` frames. Raises :class:`FrameError` for a damaged one, RetryLater where the step must
    stop. ``seconds``: wall time for the ``new`` frames, those that were not noted before.
    """

    def __init__(self, clip: str, folder: Path, count: int, ctx: StepContext[TrackParams]) -> None:
        self._clip, self._folder, self._ctx = clip, folder, ctx
        self._numbers = range(1, count + 1, ctx.params.every)
        self.count = len(self._numbers)
        self.seconds = 0.0
        self.new = 0

    def boxes(self) -> ClipBoxes:
        """In fractions of the picture; frames from 0."""
        frames, boxes, colours = [], [], []
        for number, facts in self._all():
            frames += [number - 1] * len(facts["boxes"])
            boxes += facts["boxes"]
            colours += facts["colours"]
        rows = np.asarray(boxes, np.float64).reshape(-1, 5)
        return ClipBoxes(
            np.asarray(frames, np.int64),
            rows[:, :4],
            rows[:, 4].clip(0, 1),
            np.asarray(colours, np.float64).reshape(-1, BINS),
        )

    def _all(self) -> Iterator[tuple[int, dict[str, Any]]]:
        params = self._ctx.params
        where = {
            "detector": detector_of(self._ctx).name,
            "root": params.root,
            "frames": params.frames,
            "least": params.least,
            "colours": BINS,
        }
        for place, block in enumerate(_parts(self._numbers, BLOCK)):
            # By the first frame, so that another 'every' does not take the place of these notes.
            notes = Notes(self._ctx.store, f"{self._clip}+{params.every}@{place}", where)
            keys = {number: self._content(number) for number in block}
            known = {number: notes.get(key) for number, key in keys.items()}
            found = self._look([number for number in block if known[number] is None])
            notes.add({keys[number]: facts for number, facts in found.items()})
            for number in block:
                yield number, known[number] or found[number]

    def _content(self, number: int) -> str:
        path = self._folder / frame_name(number)
        try:
            stat = path.stat()
        except OSError as error:
            raise FrameError(f"{path.name} cannot be read: {error.strerror}") from error
        return content_key(image=frame_name(number), state=[stat.st_size, stat.st_mtime_ns])

    def _look(self, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
        detector, found = detector_of(self._ctx), {}
        for some in _parts(numbers, self._ctx.params.batch):
            if self._ctx.cancelled.is_set():
                raise RetryLater(TOLD_TO_STOP)
            began = time.monotonic()
            pictures = [read_frame(self._folder / frame_name(number)) for number in some]
            for number, picture, boxes in zip(some, pictures, detector.detect(pictures), strict=True):
                found[number] = {
                    "image": frame_name(number), "boxes": boxes.tolist(), "colours": _colours(picture, boxes),
                }  # fmt: skip
            self.new += len(some)
            self.seconds += time.monotonic() - began
        return found


def _parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (numbers[begin : begin + size] for begin in range(0, len(numbers), size))


def _colours(picture: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float64]) -> list[list[float]]:
    height, width = picture.shape[:2]
    found: list[list[float]] = (
        descriptors(picture, boxes[:, :4] * (width, height, width, height)).round(_COLOUR_DIGITS).tolist()
    )
    return found
