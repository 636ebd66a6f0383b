"""Published csv files break no check: what the gate blocks on must not be in the real thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipyard.annotations.catalog import build_catalog
from clipyard.datasets.load import find_spec
from clipyard.quality import GateParams, run_gate
from clipyard.settings import DataRoot

REAL = Path(__file__).parents[2].parent / "shared" / "real" / "annotations"


@pytest.mark.shared
@pytest.mark.parametrize(("name", "splits"), [("kinetics400", ("val", "test")), ("kinetics700", ("val",))])
def test_published_annotations_are_clean(tmp_path: Path, name: str, splits: tuple[str, ...]) -> None:
    csvs = {split: REAL / f"{name}_{split}.csv" for split in splits}
    if not all(path.exists() for path in csvs.values()):
        pytest.skip(f"The published csv files of {name} are not on this machine.")
    spec, data = find_spec(name), DataRoot(tmp_path)
    run = data.run(name, "run")
    summary = build_catalog(csvs, run / "catalog.parquet", expected_labels=spec.labels.count)
    result = run_gate("annotations", spec, run, data, GateParams())
    assert (result.verdict, [check.name for check in result.checks if not check.success]) == ("pass", [])
    assert result.tables == {"catalog": summary.rows} and summary.rows > 30_000
