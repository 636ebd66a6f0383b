"""Dense optical flow between the grey frames of a clip, as pairs of 8-bit images, by OpenCV.

Flow k lies between frames k and k + 1, so that n frames give n - 1 pairs. A level is ``round(255 * (v + B) / (2 * B))``
of v pixels per frame, halves to the even number, clamped to 0..255: no motion is 128, as in the tool ``denseflow``.
Names are ``flow_x_00001.jpg`` and ``flow_y_00001.jpg`` onwards.
"""

from __future__ import annotations

import fcntl
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from clipquarry.errors import MachineError, RetryLater
from clipquarry.media.errors import MediaError
from clipquarry.media.frame_folder import Direction, count_flow, flow_name
from clipquarry.reasons import Reason

if TYPE_CHECKING:
    from types import ModuleType

Image = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
FlowType = Literal["tvl1", "farneback", "dis"]
FlowTool = Literal["opencv", "denseflow"]

STILL = 128
"""The level of no motion."""
_QUALITY = 95
"""Of OpenCV's JPEGs, 0 to 100: denseflow's."""
_SLOWEST = 60
"""Seconds for a pair of a megapixel after which a call counts as hung; TV-L1 takes about 6."""
_PIPE = 1 << 20
"""Bytes: a few frames, and the most that Linux gives to users."""
_BOTH: tuple[Direction, ...] = ("x", "y")


@dataclass(frozen=True)
class FlowRecipe:
    """Settings of the flow. ``bound``: pixels per frame that become the darkest and the lightest level."""

    kind: FlowType = "tvl1"
    tool: FlowTool = "opencv"
    bound: int = 20


@dataclass(frozen=True)
class FlowFacts:
    """Facts of the images of flow in a folder."""

    flow_x: int
    """Images of x; as many as of y."""
    flow_y: int
    flow_bytes: int
    """Bytes of all of them together."""
    flow_still: float
    """Share of the pairs whose both images are all 128; 0 without a pair."""

    def columns(self) -> dict[str, Any]:
        """The facts by name."""
        return asdict(self)


@cache
def opencv() -> ModuleType:
    """OpenCV with its optical flow. Raises MachineError for a build without it."""
    import cv2

    if not hasattr(cv2, "optflow"):
        raise MachineError(
            f"OpenCV {cv2.__version__} has no TV-L1 flow: install opencv-contrib-python-headless in the place of the "
            "other builds of OpenCV, which lie over each other."
        )
    # Pairs are worked on at the same time; OpenCV's own threads share one pair, which costs a fifth more CPU.
    cv2.setNumThreads(1)
    found: ModuleType = cv2
    return found


def flow_problem(kind: FlowType, tool: FlowTool) -> str:
    """Why a tool cannot make a type of flow, as a sentence; empty if it can."""
    return (
        "denseflow makes no DIS flow: take tvl1 or farneback, or OpenCV" if (kind, tool) == ("dis", "denseflow") else ""
    )


def calculator(kind: FlowType) -> Callable[[Image, Image], Vectors]:
    """A function of two grey images (height x width, 8 bit) that gives the motion from the first to the second,
    height x width x 2 (x, y) in pixels. It keeps buffers: every thread needs its own.
    """
    cv2 = opencv()
    if kind == "farneback":

        def farneback(one: Image, other: Image) -> Vectors:
            # Pyramid of 5 levels by half, windows of 13 pixels: the defaults of the class that denseflow uses.
            found: Vectors = cv2.calcOpticalFlowFarneback(one, other, None, 0.5, 5, 13, 10, 5, 1.1, 0)
            return found

        return farneback
    preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    made = cv2.optflow.createOptFlow_DualTVL1() if kind == "tvl1" else cv2.DISOpticalFlow_create(preset)

    def calc(one: Image, other: Image) -> Vectors:
        found: Vectors = made.calc(one, other, None)
        return found

    return calc


def levels(vectors: npt.NDArray[np.floating[Any]], bound: float) -> Image:
    """8-bit levels of motions in pixels, of any shape; see the module."""
    scaled = vectors.astype(np.float64, order="C")
    scaled += bound
    scaled *= 255
    scaled /= 2 * bound
    np.clip(scaled, 0, 255, out=scaled)
    image: Image = np.rint(scaled, out=scaled).astype(np.uint8)  # rint: halves to the even number
    return image


class FlowMaker:
    """Makes the flow of several clips at a time; all their pairs share ``jobs`` threads, so that the last clip and a
    long one use every core too.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = max(1, jobs)
        self._pool = ThreadPoolExecutor(self.jobs, thread_name_prefix="flow")
        self._own = threading.local()

    def write(
        self, greys: Iterable[Image], folder: Path, recipe: FlowRecipe, start: int, cancelled: Event | None = None
    ) -> tuple[int, int]:
        """Write the flow of the frames ``greys`` into an existing folder, numbered from ``start``.

        Returns the number of pairs, and of those in which nothing moves. At most two pairs a thread are in memory.
        Raises RetryLater when ``cancelled`` is set.
        """
        opencv()
        waiting: deque[Future[bool]] = deque()
        count = still = 0
        try:
            for number, (one, other) in enumerate(pairwise(greys), start):
                if cancelled is not None and cancelled.is_set():
                    raise RetryLater("The step was told to stop while it made optical flow: run it again to go on.")
                waiting.append(self._pool.submit(self._pair, one, other, folder, recipe, number))
                count += 1
                if len(waiting) >= 2 * self.jobs:
                    still += waiting.popleft().result()
            while waiting:
                still += waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)  # nothing may go on writing into a folder that the caller deletes
        return count, still

    def _pair(self, one: Image, other: Image, folder: Path, recipe: FlowRecipe, number: int) -> bool:
        cv2 = opencv()
        makers: dict[str, Callable[[Image, Image], Vectors]] = self._own.__dict__.setdefault("makers", {})
        if recipe.kind not in makers:
            makers[recipe.kind] = calculator(recipe.kind)
        images = levels(makers[recipe.kind](one, other).transpose(2, 0, 1), recipe.bound)
        for direction, image in zip(_BOTH, images, strict=True):
            done, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
            if not done:
                raise MediaError(Reason.TOOL_FAILED, f"OpenCV did not encode flow {direction} {number}")
            (folder / flow_name(direction, number)).write_bytes(data.tobytes())
        return bool((images == STILL).all())


@dataclass
class Flowing:
    """The flow of one clip from a stream of its grey frames of ``size`` (width, height); called with the stream."""

    maker: FlowMaker
    folder: Path
    recipe: FlowRecipe
    size: tuple[int, int]
    start: int
    cancelled: Event | None = None
    still: int = 0
    """Pairs in which nothing moves, once it was called."""

    def __call__(self, stream: BinaryIO) -> None:
        with suppress(OSError):  # no pipe, or the user has too many
            fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE)  # ffmpeg need not wait for us within a frame
        greys = read_greys(stream, *self.size)
        _, self.still = self.maker.write(greys, self.folder, self.recipe, self.start, self.cancelled)

    def seconds(self, frames: int) -> float:
        """How long the flow of so many frames may take while as many clips as threads are worked on."""
        return frames * self.size[0] * self.size[1] / 1e6 * _SLOWEST * self.maker.jobs


def read_greys(stream: BinaryIO, width: int, height: int) -> Iterator[Image]:
    """Grey frames from a stream of raw pixels. Raises MediaError if it ends within one."""
    size = width * height
    while data := stream.read(size):
        if len(data) < size:
            raise MediaError(Reason.TOOL_FAILED, "the stream of grey frames ends within a frame")
        yield np.frombuffer(data, np.uint8).reshape(height, width)


def grey_frames(paths: Iterable[Path]) -> Iterator[Image]:
    """Grey frames from image files, in order. Raises MediaError if one does not decode or has another size."""
    size: tuple[int, ...] | None = None
    for path in paths:
        image = _decoded(path)
        if image is None:
            raise MediaError(Reason.CORRUPT, f"{path.name} does not decode")
        if size is not None and image.shape != size:
            raise MediaError(Reason.CORRUPT, f"{path.name} has another size than the frame before it")
        size = image.shape
        yield image


def _decoded(path: Path) -> Image | None:
    cv2 = opencv()
    data = path.read_bytes()
    # OpenCV decodes a file that was cut off, and invents its end.
    if path.suffix == ".jpg" and b"\xff\xd9" not in data[-1024:]:
        return None
    image: Image | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    return image


def check_flow(folder: Path, frames: int, size: tuple[int, int], start: int, still: int | None = None) -> FlowFacts:
    """The facts of the flow of ``frames`` frames of ``size`` (width, height), after every image was decoded.

    ``still``: pairs without motion, counted here if None. Raises MediaError if there are not ``frames`` - 1 images of
    each direction, contiguous from ``start``, all of that size.
    """
    count, total = count_flow(folder, start)
    if count != max(0, frames - 1):
        raise MediaError(Reason.TOOL_FAILED, f"{count} pairs of flow for {frames} frames")
    seen = 0
    for number in range(start, start + count):
        moves = False
        for direction in _BOTH:
            name = flow_name(direction, number)
            image = _decoded(folder / name)
            if image is None:
                raise MediaError(Reason.TOOL_FAILED, f"{name} does not decode")
            if image.shape != (size[1], size[0]):
                found = f"{image.shape[1]}x{image.shape[0]}"
                raise MediaError(Reason.TOOL_FAILED, f"{name} is {found}, not {size[0]}x{size[1]}")
            moves = moves or bool((image != STILL).any())
        seen += not moves
    still = seen if still is None else still
    return FlowFacts(count, count, total, still / count if count else 0.0)
