"""Training clips whose video, or very window, is in the evaluation of another data set (K-I7).

Kinetics-700 trains on videos that Kinetics-600 tests on (cvdfoundation/kinetics-dataset#41). ``options.kept_apart`` names the
releases of Kinetics that a data set's training is compared with; those that lie in the data root are read.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from clipquarry.annotations.kinetics_columns import EVALUATION, kinetics_csv
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.splits import is_train
from clipquarry.families.clips.options import clips_options
from clipquarry.files import writing
from clipquarry.quality.tables import among
from clipquarry.settings import DataRoot

NAME = "also_in_evaluation.csv"
HEADER = ("item_id", "data_set", "split", "what")
COLUMNS = ("item_id", "video_id", "split", "start", "end")
_FILE_COLUMNS = ("youtube_id", "time_start", "time_end")


def compared(spec: DatasetSpec, data: DataRoot, usable: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame | str]]:
    """Data set, split, and the training items with ``video_leaked`` and ``window_leaked``; or why they were not compared.

    ``usable`` has the columns :data:`COLUMNS`; times in seconds.
    """
    train = usable.loc[usable["split"].map(is_train).astype(bool), [*COLUMNS]]
    for dataset in clips_options(spec).kept_apart:
        for split in EVALUATION:
            found = kinetics_csv(data, dataset, split, _FILE_COLUMNS, _own(spec, data, dataset, split))
            if isinstance(found, str):
                yield dataset, split, found
                continue
            if train.empty:
                yield dataset, split, "train is not in the run"
                continue
            rows = found.rows
            table = pd.DataFrame({"item_id": train["item_id"], "split": train["split"]})
            table["video_leaked"] = among(train["video_id"], rows["youtube_id"]).to_numpy()
            windows = _window(rows["youtube_id"], rows["time_start"], rows["time_end"])
            some = table["video_leaked"].to_numpy()  # the others need no comparison
            table["window_leaked"] = False
            ours = train[some]
            table.loc[some, "window_leaked"] = among(
                _window(ours["video_id"], ours["start"], ours["end"]), windows
            ).to_numpy()
            yield dataset, split, table.reset_index(drop=True)


def _own(spec: DatasetSpec, data: DataRoot, dataset: str, split: str) -> Path | None:
    """The csv of a release that the data set itself holds."""
    releases = clips_options(spec).releases
    names = (f"{name}_{split}" for name, release in releases.items() if release.data_set == dataset)
    return next((data.dataset(spec.root, spec.splits[name]) for name in names if name in spec.splits), None)


def _window(video: pd.Series[str], start: pd.Series[float], end: pd.Series[float]) -> pd.Series[str]:
    return video.astype(str) + "/" + start.astype(float).astype(str) + "/" + end.astype(float).astype(str)


def write_exclusions(spec: DatasetSpec, data: DataRoot, usable: pd.DataFrame, folder: Path) -> int:
    """Write what a person leaves out of training who evaluates on the other data set; returns the number of lines.

    Without one of the other data sets nothing is written: no file is no statement.
    """
    tables = [(name, split, table) for name, split, table in compared(spec, data, usable) if not isinstance(table, str)]
    if not tables:
        return 0
    lines = 0
    with writing(folder / NAME) as handle:
        out = csv.writer(handle, lineterminator="\n")
        out.writerow(HEADER)
        for name, split, table in tables:
            for item, window in table.loc[table["video_leaked"], ["item_id", "window_leaked"]].itertuples(index=False):
                out.writerow((item, name, split, "window" if window else "video"))
                lines += 1
    return lines
