"""The file of all rows that broke a check: plain, and compressed where it is large."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from clipquarry.quality import rows_file
from clipquarry.reasons import Reason
from clipquarry.report.gates import _gate
from quality_world import World


def test_a_large_file_is_compressed_and_the_report_knows_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [world.lose(index, Reason.REMOVED) for index in range(9)]
    plain = world.gate("clips")
    text = plain.path.with_name(plain.rows_file).read_bytes()
    monkeypatch.setattr(rows_file, "PLAIN_BYTES", len(text) - 1)
    packed = world.gate("clips")
    assert packed.rows_file == "clips.rows.csv.gz" and str(packed.path.with_name(packed.rows_file)) in packed.sentence
    assert gzip.decompress(packed.path.with_name(packed.rows_file).read_bytes()) == text
    assert all(name.encode() in text for name in lost)
    assert sorted(path.name for path in packed.path.parent.iterdir()) == ["clips.json", "clips.rows.csv.gz"]
    shown = _gate(packed.path, None)
    assert (shown.rows_file, shown.rows_bytes > 0) == ("../gates/clips.rows.csv.gz", True)
    monkeypatch.setattr(rows_file, "PLAIN_BYTES", len(text))
    assert world.gate("clips").rows_file == "clips.rows.csv"
    assert sorted(path.name for path in packed.path.parent.iterdir()) == ["clips.json", "clips.rows.csv"]
    assert _gate(packed.path, None).rows_file == "../gates/clips.rows.csv"


def test_an_error_leaves_the_last_file(tmp_path: Path) -> None:
    plain = tmp_path / "clips.rows.csv"
    with rows_file.rows_file(plain) as (file, write):
        write([("a", "check", "", "warn", "{}")])
    assert file.path == plain
    before = plain.read_bytes()
    with pytest.raises(ValueError, match="no"), rows_file.rows_file(plain) as (_, write):
        write([("b",)])
        raise ValueError("no")
    assert plain.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["clips.rows.csv"]
