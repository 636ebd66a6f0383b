"""Windows of a fetched video that other data sets lack: they are cut into the store, where their own runs find them.

So a video that several data sets want is asked for once, whichever of them comes first. The table is made with the
plan; its rows are sorted by video, so that one video's rows are found without reading the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Event

import pyarrow as pa
import pyarrow.parquet as pq

from clipquarry.acquire.answer import one_line
from clipquarry.acquire.cache import CachedVideo
from clipquarry.datasets.model import Recipe
from clipquarry.errors import ManifestError
from clipquarry.ids import VIDEO_SUFFIXES
from clipquarry.manifest import Row, schema_of
from clipquarry.media.errors import MediaError
from clipquarry.settings import DataRoot
from clipquarry.steps.clips import Clips, Window

OTHERS_SCHEMA = schema_of(
    (
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),  # microseconds
        pa.field("end", pa.int64(), nullable=False),  # exclusive
        pa.field("recipe", pa.string(), nullable=False),  # as JSON, of the data set that lacks the window
    ),
    "others",
)


@dataclass(frozen=True)
class OtherWindows:
    """The table ``path`` (None, or no such file: nobody lacks anything); ``namespace``: of the video ids."""

    data: DataRoot
    namespace: str
    path: Path | None

    def of(self, video_id: str) -> Iterator[tuple[Clips, Window]]:
        """The windows of a video, each with the store of its data set's recipe. Raises ManifestError for a damaged table."""
        for row in self._rows(video_id):
            yield Clips(self.data, _recipe(row["recipe"])), Window(video_id, row["start"], row["end"], self.namespace)

    def check(self) -> None:
        """Raise ManifestError if the table cannot be read: before anything is asked for."""
        self._rows("")

    def _rows(self, video_id: str) -> list[Row]:
        if self.path is None:
            return []
        try:
            table = pq.read_table(self.path, columns=OTHERS_SCHEMA.names, filters=[("video_id", "=", video_id)])
            return list(table.cast(OTHERS_SCHEMA).to_pylist())
        except FileNotFoundError:  # a person deleted it, as the sentence below says: each data set's own run asks
            return []
        except (pa.ArrowException, OSError) as error:
            raise ManifestError(
                f"{self.path}, the windows that other data sets lack of this run's videos, is not readable "
                f"({one_line(str(error))}). Delete it to go on without: their own runs then ask for them."
            ) from error

    def cut(self, video: CachedVideo, video_id: str, work: Path, cancelled: Event) -> int:
        """Cut those that the fetched file covers and that the store lacks; returns their number. One that fails is left to
        its own run, which says why.
        """
        made = 0
        for clips, other in self.of(video_id):
            covered = video.offset <= other.begins and other.ends <= video.offset + video.seconds
            if not covered or cancelled.is_set() or clips.get(other) is not None:
                continue
            try:
                clips.cut(other, video.path, video.offset, video.source, work, cancelled)
            except MediaError:
                continue
            made += 1
        return made


def kept_videos(folders: Sequence[Path], video_id: str) -> Iterator[Path]:
    """The whole source videos that runs kept under the video's id."""
    for folder in folders:
        for suffix in sorted(VIDEO_SUFFIXES):
            if (path := folder / f"{video_id}{suffix}").is_file():
                yield path


@lru_cache(maxsize=64)
def _recipe(text: str) -> Recipe:
    return Recipe.model_validate(json.loads(text))
