"""The crawler's download report and the status csv."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from clipyard.annotations.download_report import (
    ReportEntry,
    read_download_report,
    verdict_of,
    write_download_report,
    write_report,
    write_status_csv,
)
from clipyard.errors import UserError
from clipyard.manifest import RESULT_FIELDS, Row, schema_of, write_rows

HEADER = "label,youtube_id,time_start,time_end,split,is_cc"


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
    assert len(list(read_download_report(target))) == 5


def test_bytes_of_a_tool_are_text(tmp_path: Path) -> None:
    write_report(tmp_path / "r.json", [("a", False, b"caf\xe9 \xff gone")])
    assert list(read_download_report(tmp_path / "r.json")) == [ReportEntry("a", False, "caf� � gone")]


def test_parts(tmp_path: Path) -> None:
    write_report(tmp_path / "r.json-01", [("a", True, "Exists")])
    write_report(tmp_path / "r.json-02", [("b", False, "x")])
    assert [entry.clip_id for entry in read_download_report(tmp_path / "r.json", parts=2)] == ["a", "b"]
    with pytest.raises(UserError, match=r"no download report .*r\.json-03"):
        list(read_download_report(tmp_path / "r.json", parts=3))


@pytest.mark.parametrize("text", ["", "{}", '[["a", true]]', '[["a", 1, "x"]]', "[", "[1]"])
def test_another_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UserError, match=r"r\.json"):
        list(read_download_report(tmp_path / "r.json"))


@pytest.mark.parametrize(
    ("message", "status", "reason"),
    [
        ("Downloaded", "Downloaded", ""),
        ("Exists", "Downloaded", ""),
        ("ERROR: The read operation timed out", "Network", ""),
        ("ERROR: Did not get any data blocks", "Network", ""),
        ("ERROR: giving up after 10 retries", "Network", ""),
        ("<urlopen error [Errno 101] Network is unreachable>", "Network", ""),
        ("ERROR: content too short (expected 5 bytes and served 3)", "Network", ""),
        ("This video has been removed by the user", "Unavailable", "User-Removed"),
        (
            "contains content from UMG, who has blocked it in your country on copyright grounds",
            "Unavailable",
            "Copyright",
        ),
        ("The uploader has not made this video available in your country", "Unavailable", "Country-Block"),
        ("removed for violating YouTube's policy on spam, deceptive practices", "Unavailable", "Spam"),
        ("removed for violating YouTube's policy on nudity or sexual content", "Unavailable", "Nudity"),
        ("Sign in to confirm your age", "Unavailable", "Sign-In"),
        ("Private video. Sign in if you've been granted access to this video", "Unavailable", "Private"),
        ("removed for violating YouTube's Community Guidelines.", "Unavailable", "Guidelines"),
        ("violating YouTube's policy on harassment and bullying.", "Unavailable", "Harassment and Bullying"),
        ("removed for violating YouTube's Terms of Service", "Unavailable", "Service-Terms"),
        ("policy on harmful or dangerous content", "Unavailable", "Harmful"),
        ("Sign in to confirm you’re not a bot", "Other", "Sign in to confirm you’re not a bot"),
        ("Video unavailable", "Other", "Video unavailable"),
    ],
)
def test_messages(message: str, status: str, reason: str) -> None:
    assert verdict_of(message) == (status, reason)


def test_status_csv(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text(
        f'{HEADER}\nzumba,00000000002,3,13,train,0\n"a, b",00000000004,3.0,13.0,train,1\n'
        "zumba,00000000009,3,13,train,0\nzumba,only three\nzumba,00000000005,nan,13,train,0\n"
    )
    write_report(
        tmp_path / "r.json",
        [("00000000002_000003_000013", True, "Exists"), ("00000000004_000003_000013", False, "odd, and\nlong")],
    )
    counts = write_status_csv(tmp_path / "k.csv", tmp_path / "r.json", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == (
        f"{HEADER},status,reason\nzumba,00000000002,3,13,train,0,Downloaded,\n"
        '"a, b",00000000004,3.0,13.0,train,1,Other,"odd, and\nlong"\n'
        "zumba,00000000009,3,13,train,0,Other,not in the report\n"
        '"zumba,only three",,,,,,Other,2 columns where the header has 6\n'
        "zumba,00000000005,nan,13,train,0,Other,not in the report\n"
    )
    assert counts == {"Downloaded": 1, "Other": 4}


def test_a_status_csv_can_be_made_again_from_itself(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text(f"{HEADER}\nzumba,00000000002,3,13,train,0\n")
    write_report(tmp_path / "r.json", [("00000000002_000003_000013", True, "Downloaded")])
    write_status_csv(tmp_path / "k.csv", tmp_path / "r.json", tmp_path / "one.csv")
    write_status_csv(tmp_path / "one.csv", tmp_path / "r.json", tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_text() == (tmp_path / "two.csv").read_text()


def test_fields_without_metadata_are_refused(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(UserError, match="not one of Clipyard's manifests"):
        write_download_report(tmp_path / "x.parquet", "train", tmp_path)
