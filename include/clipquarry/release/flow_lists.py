"""Lists whose lines have the number of images of optical flow, beside those with the number of frames.

The reference's lists have the frames' count, and flow is one shorter: a reader of flow asks for an image that is not
there. The lists with the flow's own count are for such readers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from clipquarry.annotations.file_list import ListEntry, ListWriter
from clipquarry.layout import Placing, placing
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot


def why_no_flow(frames: int | None) -> tuple[str, str]:
    """Reason and evidence of a clip that a list of frames has and that of flow lacks."""
    if frames == 1:
        return str(Reason.TOO_SHORT), "one frame, which has no optical flow"
    return str(Reason.NO_FRAMES), "the folder has no optical flow"


class FlowList:
    """The list of flow of a list of frames, written while the latter's entries pass by. It appears when the block ends
    without an error, and only if an entry has flow or an older list, which may name what is gone, is there.
    """

    def __init__(self, data: DataRoot, target: Path, *, final_newline: bool = True) -> None:
        self._data, self._target, self._stack = data, target, ExitStack()
        self._final_newline = final_newline
        self._writer: ListWriter | None = None
        self._placing: Placing | None = None

    @property
    def is_written(self) -> bool:
        return self._writer is not None

    @property
    def lines(self) -> int:
        return self._writer.count if self._writer else 0

    @property
    def moved(self) -> str:
        """What became of a file of somebody else in its place."""
        return self._placing.told if self._placing else ""

    def noting(self, entries: Iterable[ListEntry]) -> Iterator[ListEntry]:
        """The entries of the list of frames. Those with pairs are also lines of this one."""
        for entry in entries:
            if entry.pairs:
                one = ListEntry(entry.path, entry.labels, entry.pairs, groups=entry.groups)
                (self._writer or self._begin()).add(one)
            yield entry

    def _begin(self) -> ListWriter:
        self._placing = self._stack.enter_context(placing(self._data, self._target))
        self._writer = self._stack.enter_context(ListWriter(self._placing.path, final_newline=self._final_newline))
        return self._writer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._writer is None and self._target.is_file():
            self._begin()
        self._stack.__exit__(kind, error, trace)
