"""What the entries of published lists say, compared with the items of a run and what is on disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clipquarry.annotations.omnisource import Listed
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.clips.options import clips_options
from clipquarry.item_folder import count_parts, files_in, unusable_names
from clipquarry.manifest import read_rows
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot

Kind = Literal["syntax", "again", "class", "folder", "absent", "unusable", "not_asked", "clips", "positive"]
"""What may be wrong with an entry: it is no entry; it is there twice; its class is none; its class folder has another number; its
file is not there, cannot be used, or was not asked for in this run; a long video has another number of parts; an index is of
no part.
"""
LEFT_OUT: frozenset[Kind] = frozenset({"syntax", "again", "class", "absent", "unusable", "not_asked", "positive"})
"""Kinds of entries that no list of the run has."""

_FOLDERS = 512


@dataclass(frozen=True)
class Problem:
    """What is wrong with an entry."""

    kind: Kind
    evidence: str
    reason: Reason = Reason.BAD_ROW


@dataclass
class Shelf:
    """The items of a run and their files. ``states``: the run's results, or the state of the data set."""

    spec: DatasetSpec
    data: DataRoot
    states: Path | None
    _known: OrderedDict[Path, tuple[frozenset[str], dict[str, tuple[str, str]]]] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.holds = clips_options(self.spec).holds
        self._why: dict[str, tuple[str, str]] = {}
        self._there = set[int]()
        for row in read_rows(self.states, ("item_id", "status", "reason", "evidence")) if self.states else ():
            if Status(row["status"]).is_present:
                self._there.add(hash(row["item_id"]))
            else:
                self._why[row["item_id"]] = row["reason"], row["evidence"]

    def split_of(self, path: str, of: tuple[str, ...]) -> str | None:
        """The split whose file a path names; a list of several splits says it with the path's first folder."""
        first = path.partition("/")[0]
        return first if first in of else of[0] if len(of) == 1 else None

    def problems(self, one: Listed, of: tuple[str, ...]) -> Iterator[Problem]:
        """What is wrong with an entry of a list of the splits ``of``, which was read as one."""
        split = self.split_of(one.path, of)
        if split is None:
            yield Problem("syntax", f"its path begins with none of {', '.join(of)}")
            return
        count = self.spec.labels.count or 0
        if one.label >= count:
            yield Problem("class", f"the class {one.label} is not one of 0 to {count - 1}", Reason.UNKNOWN_LABEL)
            return
        *folders, name = one.path.removeprefix(f"{split}/").split("/")
        yield from {"file": self._file, "folder": self._folder, "parts": self._parts}[self.holds[split]](
            split, folders, name, one
        )

    def _file(self, split: str, folders: list[str], name: str, one: Listed) -> Iterator[Problem]:
        stem = name.rpartition(".")[0] or name
        if (absent := self._absent("/".join((split, *folders, stem)))) is not None:
            yield absent
        elif name not in self._names(self._root(split).joinpath(*folders))[0]:
            yield Problem("absent", "its file has another suffix, or is not there", Reason.NO_SOURCE)

    def _folder(self, split: str, folders: list[str], name: str, one: Listed) -> Iterator[Problem]:
        if len(folders) != 2:
            yield Problem("syntax", f"its path has {len(folders)} folders, not 2")
            return
        if not folders[0].isdecimal() or int(folders[0]) != one.label:
            yield Problem("folder", f"it lies in the folder {folders[0][:20]!r}, its class is {one.label}")
        if (absent := self._absent("/".join((split, *folders)))) is not None:
            yield absent
            return
        names, unusable = self._names(self._root(split).joinpath(*folders))
        if name not in names:
            yield Problem("absent", "it is not there", Reason.NO_SOURCE)
        elif name in unusable:
            reason, evidence = unusable[name]
            yield Problem("unusable", evidence, Reason(reason))

    def _parts(self, split: str, folders: list[str], name: str, one: Listed) -> Iterator[Problem]:
        if len(folders) != 1 or not name:
            yield Problem("syntax", f"its path has {len(folders)} folders, not 1")
            return
        if folders[0] != f"pref{name[0]}":
            yield Problem("folder", f"it lies in the folder {folders[0][:20]!r}, not in 'pref{name[0]}'")
        if (absent := self._absent(f"{split}/{folders[0]}/{name}")) is not None:
            yield absent
            return
        there = self.parts(one, split)
        if there != one.clips:
            yield Problem("clips", f"its num_clips is {one.clips}, {there} parts are there", Reason.TRUNCATED)
        if wrong := [at for at in one.positive if at >= there]:
            yield Problem("positive", f"there is no part_{wrong[0]}.mp4 of its {there} parts")

    def parts(self, one: Listed, split: str) -> int:
        """How many parts of a long video are there; 0 where something else lies in the folder, or one is missing."""
        try:
            return count_parts(self._root(split) / one.path.removeprefix(f"{split}/"))
        except OSError:
            return 0

    def _absent(self, item: str) -> Problem | None:
        if hash(item) in self._there:
            return None
        reason, evidence = self._why.get(item, (str(Reason.NOT_ASKED), "it was not among the items of this run"))
        kind: Kind = "not_asked" if reason == Reason.NOT_ASKED else "absent"
        return Problem(kind, evidence, Reason(reason))

    def _root(self, split: str) -> Path:
        return self.data.dataset(self.spec.root, self.spec.folder("videos", split))

    def _names(self, folder: Path) -> tuple[frozenset[str], dict[str, tuple[str, str]]]:
        """The files of a folder, and those that cannot be used; of the last folders, because lists go from one to the next."""
        if (known := self._known.get(folder)) is None:
            try:
                known = frozenset(path.name for path in files_in(folder)), unusable_names(self.data, folder)
            except OSError:
                known = frozenset(), {}
            self._known[folder] = known
            if len(self._known) > _FOLDERS:
                self._known.popitem(last=False)
        self._known.move_to_end(folder)
        return known
