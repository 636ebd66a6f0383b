"""What a data set declares, held against what its annotation names: splits without a row, videos without an annotation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.quality.engine import BETWEEN, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.settings import DataRoot

TEST: Final = "test"
"""The split of AVA in which nothing is labelled; its videos have a list of their own."""
LISTED: Final = "ava_file_names_trainval_v2.1.txt"
"""AVA's list of the files of train and val."""


def declared_splits(params: GateParams) -> list[str]:
    """The splits that a run chose, whether or not anything of them is there; none when nobody said which."""
    return list(params.splits or ())


def split_rows(usable: pd.DataFrame, params: GateParams) -> Suite:
    """One row for each declared split, with its usable rows of the catalog."""
    counts = usable["split"].value_counts()
    splits = declared_splits(params)
    table = pd.DataFrame(
        {"item_id": [f"{split}/csv" for split in splits], "rows": [int(counts.get(split, 0)) for split in splits]}
    ).astype({"item_id": "str", "rows": "int64"})
    return Suite(
        "splits", table, [Rule("annotations.split", BETWEEN, {"column": "rows", "min_value": 1}, show=("rows",))]
    )


def counted(params: GateParams, found: Mapping[str, int]) -> dict[str, int]:
    """``found`` numbers by split, with 0 for each declared split that has none."""
    return dict.fromkeys(declared_splits(params), 0) | dict(found)


def video_counts(
    spec: DatasetSpec, params: GateParams, videos: Mapping[str, pd.Series[str]], usable: pd.DataFrame
) -> Iterator[Suite]:
    """One row for each split whose number of videos is published. ``videos``: the annotated ones; in a split without
    labels the listed ones count.
    """
    published = spec.expected.videos.parts if spec.expected.videos is not None else {}
    listed = usable.groupby("split")["video_id"].nunique()
    for split in sorted({*declared_splits(params), *videos}):
        expected = published.get(split)
        if expected is None:
            why = f"no number of videos is published for {split}"
            yield Suite("video_count", pd.DataFrame(), skipped=[("ava.video_count", why)])
            continue
        known = videos.get(split)
        count = int(listed.get(split, 0)) if split == TEST or known is None else int(known.nunique())
        table = pd.DataFrame({"item_id": [f"{split}/videos"], "videos": [count]})
        official = expected.provenance in ("counted", "documented") and params.annotation_counts == "strict"
        official = official and count < max(expected.counts)  # one too many is a misspelt id, which ava.in_list names
        rule = Rule("ava.video_count", IN_SET, {"column": "videos", "value_set": expected.counts}, split,
                    severity="error" if official else "warn", show=("videos",))  # fmt: skip
        yield Suite("video_count", table, [rule])


def listed_videos(spec: DatasetSpec, data: DataRoot, params: GateParams, videos: Mapping[str, pd.Series[str]]) -> Suite:
    """One row for each file that AVA's list of train and val names: some split annotates its video, or excludes all of it."""
    check = "ava.video_annotated"
    unread = [split for split in spec.parts if split != TEST and split not in videos]
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
    """File names of the list, each once; None when there is no list."""
    try:
        text = data.dataset(spec.root, spec.folder("annotations"), LISTED).read_text(encoding="utf-8", errors="replace")
    except (OSError, UserError, KeyError):
        return None
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
