"""Suites of the archives that a run of whole files unpacked: read to their ends, and nothing in them refused."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.quality.engine import BETWEEN, IN_SET, Rule, Suite
from clipquarry.quality.tables import RunTables, pick, present

CHECKS = ("archives.read", "archives.refused")


def suites(spec: DatasetSpec, run: RunTables) -> Iterator[Suite]:
    """One row for each archive that the run read."""
    if not run.has("extract"):
        why = (
            "no archive was read" if any(source.archive for source in spec.item_sources) else "no source is an archive"
        )
        yield Suite("archives", pd.DataFrame(), skipped=[(check, why) for check in CHECKS])
        return
    columns = ("item_id", "status", "reason", "evidence", "files", "refused", "refused_table")
    rows = run.shards("extract", columns)
    rows["read"] = present(rows)
    yield Suite(
        "archives",
        rows,
        [Rule("archives.read", IN_SET, {"column": "read", "value_set": [True]}, show=("reason", "evidence"))],
    )
    read = pick(rows, rows["read"])
    refused = {"column": "refused", "max_value": 0}
    yield Suite(
        "members",
        read,
        [Rule("archives.refused", BETWEEN, refused, worst_by="refused", show=("refused", "refused_table"))],
    )
