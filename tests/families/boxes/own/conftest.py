"""Data of one's own AVA."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.families.boxes.own.sample import SAMPLE, make
from clipquarry.settings import DataRoot


@pytest.fixture
def data(tmp_path: Path) -> DataRoot:
    """A data root with the sample's videos, of which nothing is labelled."""
    make(tmp_path / "made").place(tmp_path / "data" / SAMPLE.dataset)
    for path in (tmp_path / "data").rglob("*_finish.json"):
        path.unlink()
    return DataRoot(tmp_path / "data")
