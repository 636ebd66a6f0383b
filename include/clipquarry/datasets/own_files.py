"""The YAML of a data set of a person's own files, from what lies in their folder."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clipquarry.frame_names import FrameForm

_ORDER = ("train", "val", "test")


@dataclass
class Seen:
    """What lies in a folder: counts of videos, or of folders of frames."""

    folder: Path
    csv: Path | None = None
    """The table that says the labels; None: the class folders do."""
    splits: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    suffixes: Counter[str] = field(default_factory=Counter)
    """Without their dots, as written."""
    unlabelled: int = 0
    others: Counter[str] = field(default_factory=Counter)
    """Files that are no videos, by suffix."""
    absent: int = 0
    """Rows of the table whose file is not there; without a table, links that lead to no file."""
    has_splits: bool = False
    """The folders name splits."""
    split_like: str = ""
    """A folder that is called like a split and means a class, because others lie beside it."""
    links: int = 0
    """Links to folders, which are not followed."""
    unusable: list[str] = field(default_factory=list)
    """Rows of the table that cannot be used, a sentence each."""
    bytes: int = 0
    form: FrameForm | None = None
    """The items are folders of frames with such names; None: videos."""
    folders: int = 0
    frames: int = 0
    gaps: int = 0
    """Folders whose frames are not numbered without a gap, which runs reject."""

    @property
    def items(self) -> int:
        return self.folders if self.form else sum(self.suffixes.values())

    @property
    def noun(self) -> str:
        return "folders of frames" if self.form else "videos"

    @property
    def _kinds(self) -> str:
        if self.form is None:
            return _counted(self.suffixes, ".")
        return f"{self.frames:,} frames, the first one {self.form.template.format(self.form.first)}"

    def sentences(self) -> Iterable[str]:
        """What a person should know, a line each."""
        yield (
            f"{self.items:,} {self.noun} ({self._kinds}), {self.bytes / 1e9:.2f} GB, of {len(self.classes)} classes: "
            f"{_counted(self.splits)}."
        )
        if self.csv:
            yield f"Their labels stand in {self.csv}."
        if self.classes:
            name, least = min(self.classes.items(), key=lambda one: (one[1], one[0]))
            yield f"The smallest class is '{name}' with {least:,}."
        if self.split_like:
            yield f"'{self.split_like}' is taken for a class: splits are folders with no class folders beside them."
        if self.gaps:
            yield f"{self.gaps:,} folders lack frames between others, or begin with another number: runs reject them."
        if self.unlabelled:
            yield f"{self.unlabelled:,} {self.noun} lie in no class folder: they have no label, and runs reject them."
        if self.absent:
            what = (
                f"rows of the table name a {'folder' if self.form else 'file'} that is not there"
                if self.csv
                else "links lead to no file"
            )
            yield f"{self.absent:,} {what}: runs report them as missing."
        if self.unusable:
            yield f"{len(self.unusable):,} rows of the table cannot be used, the first because {self.unusable[0]}."
        if self.links:
            yield f"Left out: {self.links:,} links to folders; what they lead to is not looked at."
        if self.others:
            yield f"Left out: {sum(self.others.values()):,} files that are no {'frames' if self.form else 'videos'} ({_counted(self.others, '.')})."


def _counted(counts: Mapping[str, int], before: str = "") -> str:
    shown = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{before}{name} {count:,}" for name, count in shown[:8]) + (", …" if len(shown) > 8 else "")


def name_of(folder: Path) -> str:
    """A data set's name from a folder's: ``My clips (2)`` gives ``my_clips_2``."""
    return re.sub(r"[^a-z0-9]+", "_", folder.name.lower()).strip("_")[:60] or "own_files"


def yaml_text(name: str, seen: Seen, *, val_share: float = 0.0) -> str:
    """The YAML. Every text in it is quoted as JSON, which YAML reads alike."""
    splits = sorted(seen.splits, key=lambda one: (_ORDER.index(one) if one in _ORDER else len(_ORDER), one)) or [
        "train"
    ]
    if val_share and "val" not in splits:
        splits.insert(1, "val")
    table = "annotations/files.csv"
    share = f", val_share: {val_share:g}" if val_share else ""
    csv = (
        f"  - {{id: table, kind: local, provides: annotations, path: {_quoted(seen.csv)}, into: {table}}}\n"
        if seen.csv
        else ""
    )
    layout, item, lists = _of_folders(seen.form) if seen.form else _of_videos(seen)
    return f"""schema: dataset-spec/v1
name: {_quoted(name)}
title: {_quoted(seen.folder.name[:200] or name)}
description: {_quoted(f"Own files of {seen.folder}.")}
family: clips
root: {_quoted(name)}
tags: [own]
access: {{kind: own}}
options: {{reader: own_files{share}}}
layout:
  annotations: annotations
{layout}
item: {{level: 2, {item}, ids: own}}
labels: {{source: {"annotation" if seen.csv else "folders"}, order: codepoint}}
splits: {{{", ".join(f"{_quoted(split)}: {table}" for split in splits)}}}
sources:
{csv}  - {{id: own, kind: local, provides: items, content: file, path: {_quoted(seen.folder)}}}
lists:
{lists}
missing: {{warn: 0, error: 0.05}}
rejected: {{error: 0.25}}
refresh: {{schedule: null}}
"""


_FRAME_LIST = '  rawframes: "{name}_{split}_list_rawframes.txt"'


def _of_videos(seen: Seen) -> tuple[str, str, str]:
    """Folders, items and lists of videos, as lines of the YAML."""
    suffixes = ", ".join(name for name, _ in seen.suffixes.most_common()) or "mp4"
    folders = "  videos: videos\n  resized: videos_256p_dense_cache\n  rawframes: rawframes"
    return folders, f"ext: [{suffixes}]", f'  videos: "{{name}}_{{split}}_list_videos.txt"\n{_FRAME_LIST}'


def _of_folders(form: FrameForm) -> tuple[str, str, str]:
    """The same of folders of frames."""
    names = f"rgb_pattern: {_quoted(form.template)}, rgb_prefix: {_quoted(form.prefix)}, start_index: {form.first}"
    folders = "  rawframes: rawframes\n  videos: videos  # made of the frames by encode=true"
    return folders, f"medium: frames, {names}", f'{_FRAME_LIST}\n  videos: "{{name}}_{{split}}_list_videos.txt"'


def _quoted(text: object) -> str:
    # Without quotes YAML reads '2024_05_01' as a number and 'no' as false.
    return json.dumps(str(text), ensure_ascii=False)
