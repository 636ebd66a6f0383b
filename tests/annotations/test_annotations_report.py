"""The crawler's download report."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from clipquarry.annotations.download_report import (
    write_download_report,
    write_report,
)
from clipquarry.errors import UserError
from clipquarry.manifest import RESULT_FIELDS, Row, schema_of, write_rows


def row(number: int, status: str, evidence: str = "", split: str = "train", reason: str = "ok") -> Row:
    clip = None if status == "rejected" else f"{number:011d}_000003_000013"
    return {
        "item_id": f"{split}/zumba/{clip}" if clip else f"{split}/#row-{number}", "clip_id": clip, "split": split,
        "row": number, "status": status, "reason": reason, "evidence": evidence, "key": "k",
    }  # fmt: skip


def manifest(tmp_path: Path, rows: list[Row]) -> Path:
    path = tmp_path / "recorded.parquet"
    write_rows(path, schema_of(RESULT_FIELDS, "recorded"), rows)
    return path


ROWS = [
    row(2, "done"),
    row(3, "kept"),
    row(4, "missing", "ERROR: Private video", reason="private"),
    row(5, "rejected", "the id is bad", reason="bad_id"),
    row(6, "missing", reason="no_network"),
    row(2, "done", split="val"),
]


@pytest.mark.parametrize("order", [range(6), (4, 1, 5, 0, 3, 2)])
def test_the_report_is_in_csv_order_and_named_by_split(tmp_path: Path, order: list[int]) -> None:
    path = manifest(tmp_path, [ROWS[index] for index in order])
    target = write_download_report(path, "train", tmp_path)
    assert target.name == "download_report_train.json"
    assert target.read_text() == json.dumps(
        [
            ["00000000002_000003_000013", True, "Downloaded"],
            ["00000000003_000003_000013", True, "Exists"],
            ["00000000004_000003_000013", False, "ERROR: Private video"],
            ["#row-5", False, "the id is bad"],
            ["00000000006_000003_000013", False, "no_network"],
        ]
    )
    write_download_report(path, "val", tmp_path)
    assert json.loads((tmp_path / "download_report_val.json").read_text())[0][1] is True
    assert len(json.loads(target.read_text())) == 5


def test_bytes_of_a_tool_are_text(tmp_path: Path) -> None:
    write_report(tmp_path / "r.json", [("a", False, b"caf\xe9 \xff gone")])
    assert json.loads((tmp_path / "r.json").read_text()) == [["a", False, "caf� � gone"]]


def test_fields_without_metadata_are_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="not one of Clipquarry's manifests"):
        write_download_report(tmp_path / "x.parquet", "train", tmp_path)
