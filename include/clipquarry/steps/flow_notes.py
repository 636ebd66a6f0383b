"""Notes in the store about the optical flow in folders of frames: whose it is, and whether it still fits the frames."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from clipquarry.media.errors import MediaError
from clipquarry.media.flow import FlowFacts, FlowRecipe
from clipquarry.media.frame_folder import count_flow, has_flow
from clipquarry.settings import DataRoot
from clipquarry.store import Facts, Store, content_key

KIND = "flow"

FLOW_FIELDS: tuple[pa.Field, ...] = (
    pa.field("start_index", pa.int32()),  # number of the first frame and of the first pair
    pa.field("flow_x", pa.int32()),  # images; null where no flow was asked for
    pa.field("flow_y", pa.int32()),
    pa.field("flow_type", pa.string()),  # tvl1, farneback, dis
    pa.field("flow_tool", pa.string()),  # opencv, denseflow
    pa.field("flow_still", pa.float32()),  # share of the pairs whose images are all 128
)


class FlowNotes:
    """The note of one folder of one clip. One note per folder, so that facts of another recipe are never found."""

    def __init__(self, data: DataRoot, clip_id: str, folder: Path, start: int) -> None:
        self._store, self._clip, self._folder, self._start = Store(data.store), clip_id, folder, start
        self._where = str(folder.relative_to(data.root))
        self._key = content_key(kind=KIND, folder=self._where)

    @property
    def noted(self) -> Facts | None:
        """The note, unchecked."""
        return self._store.noted(KIND, self._clip, self._key)

    def note(self, made: FlowFacts, recipe: FlowRecipe, frames: tuple[int, int], version: int) -> Facts:
        """Note the flow of ``frames`` (count, bytes), before it takes its place; the note before it is kept in it."""
        before = self._there() if self.is_ours() else None
        facts = made.columns() | {
            "path": self._where, "flow_type": recipe.kind, "flow_tool": recipe.tool, "start_index": self._start,
            "made": asdict(recipe) | {"version": version}, "of": list(frames), "before": before and list(before),
        }  # fmt: skip
        self._store.note(KIND, self._clip, self._key, facts)
        return facts

    def intact(self, recipe: FlowRecipe, frames: tuple[int, int], version: int) -> Facts | None:
        """The note when the folder has the flow that it is about, of this recipe and of these ``frames``, else None."""
        facts = self.noted
        if facts is None or facts.get("made") != asdict(recipe) | {"version": version}:
            return None
        if facts.get("of") != list(frames) or facts.get("start_index") != self._start:
            return None
        return facts if (facts.get("flow_x"), facts.get("flow_bytes")) == self._there() else None

    def recipe(self) -> FlowRecipe | None:
        """The recipe of the flow in the folder when it is ours, so that it can be made again; None without flow."""
        facts = self.noted
        if facts is None or not has_flow(self._folder) or not self.is_ours():
            return None
        made = {name: facts["made"].get(name) for name in ("kind", "tool", "bound")}
        return FlowRecipe(**made)

    def is_ours(self) -> bool:
        """Whether the folder has no flow, or what a run noted, or noted before a kill."""
        if not has_flow(self._folder):
            return True
        there, facts = self._there(), self.noted
        if there is None or facts is None:
            return False
        return list(there) in ([facts.get("flow_x"), facts.get("flow_bytes")], facts.get("before"))

    def _there(self) -> tuple[int, int] | None:
        """Pairs and bytes of the flow in the folder, from whatever index it is numbered."""
        for start in (self._start, 1 - self._start):
            with suppress(MediaError, OSError):
                return count_flow(self._folder, start)
        return None
