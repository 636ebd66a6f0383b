"""What such a run writes into its folder, besides what all families do (:mod:`clipquarry.run_folder`).

::

    checked_lists.json                 every published list: its entries, and how many of them are wrong or not there
    list_problems.{parquet,csv}        every entry that is wrong, not there, or not usable, with the reason
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from clipquarry.errors import UserError
from clipquarry.files import read_json

PROBLEM_FIELDS: tuple[pa.Field, ...] = (
    pa.field("item_id", pa.string(), nullable=False),  # {list}:{line}
    pa.field("list", pa.string(), nullable=False),
    pa.field("line", pa.int64(), nullable=False),
    pa.field("kind", pa.string(), nullable=False),
    pa.field("text", pa.string(), nullable=False),
    pa.field("evidence", pa.string(), nullable=False),
)
"""Columns of ``list_problems.parquet`` and ``.csv``."""


@dataclass(frozen=True)
class MixedFiles:
    """``root`` is the run's folder. Nothing is created here."""

    root: Path

    @property
    def checked(self) -> Path:
        return self.root / "checked_lists.json"

    @property
    def problems(self) -> Path:
        return self.root / "list_problems.parquet"

    @property
    def problems_csv(self) -> Path:
        """The same for people."""
        return self.problems.with_suffix(".csv")

    def read_checked(self) -> list[dict[str, Any]]:
        """The checked lists. Raises UserError for a damaged document, OSError for none."""
        value = read_json(self.checked)
        if not isinstance(value, list) or not all(isinstance(one, dict) and "list" in one for one in value):
            raise UserError(f"{self.checked} was damaged or edited: run the stage that writes the lists again.")
        return value
