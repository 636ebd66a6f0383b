"""One detector, shared by many threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Lock

from clipquarry.people.detector import Boxes, Detector, Frame


class SharedDetector:
    """A detector that any thread may use at any time; see :class:`clipquarry.people.detector.Detector`.

    One thread at a time detects. It takes along the waiting frames of other threads, up to ``batch``, so that clips
    of three frames still fill a batch.
    """

    def __init__(self, detector: Detector, batch: int = 1) -> None:
        self._detector, self._batch = detector, batch
        self._turn, self._lock = Lock(), Lock()
        self._waiting: deque[tuple[Sequence[Frame], Future[list[Boxes]]]] = deque()

    @property
    def name(self) -> str:
        return self._detector.name

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """People in each frame. An error of the detector is raised in all threads with frames in the batch."""
        mine: Future[list[Boxes]] = Future()
        with self._lock:
            self._waiting.append((frames, mine))
        with self._turn:
            while not mine.done():
                self._work()
        return mine.result()

    def _work(self) -> None:
        """Detect people for the first waiting thread, and for the next ones whose frames fit into the same batch."""
        with self._lock:
            taken = [self._waiting.popleft()]
            while self._waiting and sum(len(p) for p, _ in taken) + len(self._waiting[0][0]) <= self._batch:
                taken.append(self._waiting.popleft())
        try:
            found = self._detector.detect([frame for frames, _ in taken for frame in frames])
        except BaseException as error:
            for _, answer in taken:
                answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        begin = 0
        for frames, answer in taken:
            answer.set_result(found[begin : begin + len(frames)])
            begin += len(frames)
