"""Suites over the videos that AVA declares: their published numbers, and its lists of file names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.quality.declared import declared_splits
from clipquarry.quality.engine import IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.settings import DataRoot

TEST: Final = "test"
"""The split of AVA without labels; its videos have a list of their own."""
LISTED: Final = "ava_file_names_trainval_v2.1.txt"
"""AVA's list of the files of train and val."""


def video_counts(
    spec: DatasetSpec, params: GateParams, videos: Mapping[str, pd.Series[str]], usable: pd.DataFrame
) -> Iterator[Suite]:
    """One row for each split whose number of videos is published. ``videos``: the annotated ones; in a split without
    labels the listed ones count.
    """
    published = spec.expected.videos
    listed = usable.groupby("split")["video_id"].nunique()
    for split in sorted({*declared_splits(params), *videos}):
        expected = published.get(split)
        if expected is None:
            why = f"no number of videos is published for {split}"
            yield Suite(f"video_count_{split}", pd.DataFrame(), skipped=[("ava.video_count", why)])
            continue
        known = videos.get(split)
        count = int(listed.get(split, 0)) if split == TEST or known is None else int(known.nunique())
        table = pd.DataFrame({"item_id": [f"{split}/videos"], "videos": [count]})
        official = expected.provenance in ("counted", "documented") and params.annotation_counts == "strict"
        official = official and count < max(expected.counts)  # one too many is a misspelt id, which ava.in_list names
        rule = Rule("ava.video_count", IN_SET, {"column": "videos", "value_set": expected.counts}, split,
                    severity="error" if official else "warn", show=("videos",))  # fmt: skip
        yield Suite(f"video_count_{split}", table, [rule])


def listed_videos(spec: DatasetSpec, data: DataRoot, params: GateParams, videos: Mapping[str, pd.Series[str]]) -> Suite:
    """One row for each file name in AVA's list of train and val: some split annotates its video, or excludes all of
    it.
    """
    check = "ava.video_annotated"
    unread = [split for split in spec.splits if split != TEST and split not in videos]
    if unread:
        why = f"train and val share a list, and the csv of {unread[0]} is not here"
        return Suite("listed_videos", pd.DataFrame(), skipped=[(check, why)])
    names = _names(data, spec)
    if names is None:
        return Suite("listed_videos", pd.DataFrame(), skipped=[(check, f"{LISTED} is not here")])
    known: set[str] = set().union(*(set(ids) for ids in videos.values()))
    table = pd.DataFrame({"item_id": pd.Series([f"trainval/{name}" for name in names], dtype="str")})
    table["annotated"] = pd.Series([name.rpartition(".")[0] in known for name in names], dtype="bool")
    rule = Rule(check, IN_SET, {"column": "annotated", "value_set": [True]},
                severity="warn" if params.annotation_counts == "warn" else None)  # fmt: skip
    return Suite("listed_videos", table, [rule])


def _names(data: DataRoot, spec: DatasetSpec) -> Iterable[str] | None:
    """File names of the list, each once; None if there is no list."""
    try:
        text = data.dataset(spec.root, spec.folder("annotations"), LISTED).read_text(encoding="utf-8", errors="replace")
    except (OSError, UserError, KeyError):
        return None
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
