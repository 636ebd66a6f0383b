"""The splits that a run chose, and their rows in the catalog."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from clipquarry.quality.engine import BETWEEN, Rule, Suite
from clipquarry.quality.params import GateParams


def declared_splits(params: GateParams) -> list[str]:
    """The splits that a run chose, whether or not they have rows; none if the run did not say."""
    return list(params.splits or ())


def split_rows(usable: pd.DataFrame, params: GateParams) -> Suite:
    """One row for each declared split, with its number of usable rows in the catalog."""
    counts = usable["split"].value_counts()
    splits = declared_splits(params)
    table = pd.DataFrame(
        {"item_id": [f"{split}/csv" for split in splits], "rows": [int(counts.get(split, 0)) for split in splits]}
    ).astype({"item_id": "str", "rows": "int64"})
    return Suite(
        "splits", table, [Rule("annotations.split", BETWEEN, {"column": "rows", "min_value": 1}, show=("rows",))]
    )


def counted(params: GateParams, found: Mapping[str, int]) -> dict[str, int]:
    """``found`` counts by split, with 0 for each declared split without a count."""
    return dict.fromkeys(declared_splits(params), 0) | dict(found)
