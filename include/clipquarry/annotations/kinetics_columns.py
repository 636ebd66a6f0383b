"""Annotation csvs of Kinetics releases on the disk, for comparison with other data sets. Their own gates check them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
from pyarrow import csv

from clipquarry.errors import UserError
from clipquarry.settings import DataRoot

EVALUATION = ("val", "test")


class KineticsCsv(NamedTuple):
    """A csv, with the columns that were asked for; times are float64 (s)."""

    name: str
    rows: pd.DataFrame


def kinetics_csv(
    data: DataRoot, dataset: str, split: str, columns: tuple[str, ...], path: Path | None = None
) -> KineticsCsv | str:
    """Columns of the csv of a release's split, or why there are none. ``path``: a copy of it elsewhere, which comes first."""
    name = f"{dataset}/annotations/kinetics_{split}.csv"
    if path is not None and path.is_file():
        name = path.relative_to(data.root).as_posix()
    else:
        path = data.dataset(dataset, "annotations", f"kinetics_{split}.csv")
    if not path.is_file():
        return f"{name} is not here"
    # float64: '12' and '12.0' are both published.
    types = {column: pa.string() if column == "youtube_id" else pa.float64() for column in columns}
    try:
        convert = csv.ConvertOptions(include_columns=list(columns), column_types=types)
        parse = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
        return KineticsCsv(name, csv.read_csv(path, parse_options=parse, convert_options=convert).to_pandas())
    except (OSError, UserError, KeyError, pa.ArrowException) as error:
        return f"{name} cannot be read ({str(error)[:100]})"
