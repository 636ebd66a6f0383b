"""One detector for many threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Lock

from clipquarry.people.detector import Boxes, Detector, Picture


class SharedDetector:
    """A detector that any thread may ask at any time; see :class:`clipquarry.people.detector.Detector`.

    One thread at a time is inside. It takes along what others have waiting, up to ``batch`` pictures, so that clips of three
    pictures still fill a batch.
    """

    def __init__(self, detector: Detector, batch: int = 1) -> None:
        self._detector, self._batch = detector, batch
        self._turn, self._lock = Lock(), Lock()
        self._waiting: deque[tuple[Sequence[Picture], Future[list[Boxes]]]] = deque()

    @property
    def name(self) -> str:
        return self._detector.name

    def detect(self, pictures: Sequence[Picture]) -> list[Boxes]:
        """People in each picture. An error of the detector reaches all whose pictures were in the batch."""
        mine: Future[list[Boxes]] = Future()
        with self._lock:
            self._waiting.append((pictures, mine))
        with self._turn:
            while not mine.done():
                self._work()
        return mine.result()

    def _work(self) -> None:
        """Answer the first who waits, and those behind who fit into the same batch."""
        with self._lock:
            taken = [self._waiting.popleft()]
            while self._waiting and sum(len(p) for p, _ in taken) + len(self._waiting[0][0]) <= self._batch:
                taken.append(self._waiting.popleft())
        try:
            found = self._detector.detect([picture for pictures, _ in taken for picture in pictures])
        except BaseException as error:
            for _, answer in taken:
                answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        begin = 0
        for pictures, answer in taken:
            answer.set_result(found[begin : begin + len(pictures)])
            begin += len(pictures)
