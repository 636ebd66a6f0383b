"""The Kinetics csv reader: every published form, and every kind of damage."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from clipquarry.annotations.csv_records import MAX_RECORD_BYTES
from clipquarry.annotations.kinetics_csv import (
    GoodRow,
    RejectedRow,
    parse_seconds,
    read_kinetics_csv,
    why_no_row_is_good,
)
from clipquarry.errors import UserError
from clipquarry.ids import is_youtube_id, label_problem
from clipquarry.reasons import Reason
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory import traced_peak

HEADER = "label,youtube_id,time_start,time_end,split"
SHARED = Path(__file__).parents[2].parent / "shared"
REAL = SHARED / "real" / "annotations"


def read(tmp_path: Path, content: str | bytes, split: str = "train") -> list[GoodRow | RejectedRow]:
    path = tmp_path / "kinetics.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_kinetics_csv(path, split))


def good(rows: list[GoodRow | RejectedRow]) -> list[GoodRow]:
    return [row for row in rows if isinstance(row, GoodRow)]


def bad(rows: list[GoodRow | RejectedRow]) -> list[RejectedRow]:
    return [row for row in rows if isinstance(row, RejectedRow)]


def test_every_published_form(tmp_path: Path) -> None:
    k400 = (
        f'{HEADER},is_cc\nabseiling,0wR5jVB-WPk,417,427,val,0\n"massaging person\'s head",aaaaaaaaaaa,3.0,13.0,val,1\n'
    )
    assert read(tmp_path, k400, "val") == [
        GoodRow(2, "abseiling", "0wR5jVB-WPk", 417, 427, "417", "427"),
        GoodRow(3, "massaging person's head", "aaaaaaaaaaa", 3, 13, "3.0", "13.0"),
    ]
    k700 = f"{HEADER}\npassing American football (in game),-_bbbb-bb__,12.9,17,validate\n"
    assert read(tmp_path, k700, "val") == [
        GoodRow(2, "passing American football (in game)", "-_bbbb-bb__", 12, 17, "12.9", "17")
    ]
    test = "youtube_id,time_start,time_end,split\n--6bJUbfpnQ,17,27,test\n"
    (row,) = good(read(tmp_path, test, "test"))
    assert (row.label, row.class_dir, row.clip_id) == (None, "test", "--6bJUbfpnQ_000017_000027")


def test_names_of_folder_and_clip(tmp_path: Path) -> None:
    (row,) = good(read(tmp_path, f'{HEADER}\n"say ""hi"" (loud)",abcdefghij_,4,1234567,train\n'))
    assert row.class_dir == "say_hi_(loud)"
    assert row.clip_id == "abcdefghij__000004_1234567"


def test_byte_order_mark_crlf_and_blank_lines(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + f"{HEADER}\r\nzumba,ddddddddddd,0,10,train\r\n\r\nzumba,eeeeeeeeeee,0,10,train".encode()
    assert [(row.line, row.video_id) for row in good(read(tmp_path, content))] == [
        (2, "ddddddddddd"),
        (4, "eeeeeeeeeee"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("zumba,../../etc/pw,0,10,train", Reason.BAD_ID),
        ("zumba,../../../x/,0,10,train", Reason.BAD_ID),
        ("zumba,short,0,10,train", Reason.BAD_ID),
        ("zumba,abcdefghijk\x00,0,10,train", Reason.BAD_ID),
        ("zumba, abcdefghij,0,10,train", Reason.BAD_ID),
        ("zumba,abcdefghijk,-1,10,train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,20,10,train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,10,10,train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,10.2,10.9,train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,nan,10,train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,0,inf,train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,0,1e999,train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,0,10000000,train", Reason.BAD_TIME),
        (f"zumba,abcdefghijk,0,{'9' * 5000},train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,0,1_0,train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,0,١٠,train", Reason.BAD_TIME),
        ("zumba,abcdefghijk,,10,train", Reason.BAD_TIME),
        ("a/b,abcdefghijk,0,10,train", Reason.BAD_LABEL),
        ("..,abcdefghijk,0,10,train", Reason.BAD_LABEL),
        (",abcdefghijk,0,10,train", Reason.BAD_LABEL),
        ("a\u202eb,abcdefghijk,0,10,train", Reason.BAD_LABEL),
        ("a\x00b,abcdefghijk,0,10,train", Reason.BAD_LABEL),
        ('"two\nlines",abcdefghijk,0,10,train', Reason.BAD_LABEL),
        (f"{'x' * 201},abcdefghijk,0,10,train", Reason.BAD_LABEL),
        ('zumba,abcdefghijk,0,10,"tr\nain"', Reason.BAD_ROW),
        ("zumba,abcdefghijk,0,10", Reason.BAD_ROW),
        ("zumba,abcdefghijk,0,10,train,0,7", Reason.BAD_ROW),
        ("<html>", Reason.BAD_ROW),
        ('"zumba,abcdefghijk,0,10,train', Reason.BAD_ROW),
        ('zumba,abcdefghijk,0,10,"train', Reason.BAD_ROW),
        ('"zumba"x,abcdefghijk,0,10,train', Reason.BAD_ROW),
        ("zum\rba,abcdefghijk,0,10,train", Reason.BAD_ROW),
        ("z" * (MAX_RECORD_BYTES + 1), Reason.BAD_ROW),
    ],
)
def test_a_hostile_row_is_rejected_by_name_and_the_rest_goes_on(tmp_path: Path, line: str, reason: Reason) -> None:
    before, after = "zumba,bbbbbbbbbbb,0,10,train", "abseiling,aaaaaaaaaaa,0,10,train"
    rows = read(tmp_path, f"{HEADER}\n{before}\n{line}\n{after}\n")
    assert [row.video_id for row in good(rows)] == ["bbbbbbbbbbb", "aaaaaaaaaaa"]
    (rejected,) = bad(rows)
    assert (rejected.reason, rejected.line) == (reason, 3)
    assert rejected.sentence
    assert rejected.raw.isprintable()
    assert len(rejected.raw) < 1300


def test_wrong_encoding_costs_one_row(tmp_path: Path) -> None:
    rows = read(tmp_path, f"{HEADER}\n".encode() + b"caf\xe9,abcdefghijk,0,10,train\nzumba,bbbbbbbbbbb,0,10,train\n")
    assert len(good(rows)) == 1
    (rejected,) = bad(rows)
    assert rejected.reason is Reason.BAD_ROW
    assert rejected.raw.startswith("caf\\xe9,")
    assert "UTF-8" in rejected.sentence


def test_the_same_clip_again_is_a_duplicate_but_not_under_another_label(tmp_path: Path) -> None:
    rows = read(
        tmp_path,
        f"{HEADER}\nair drumming,abcdefghijk,0,10,train\nzumba,abcdefghijk,0,10,train\n"
        "air drumming,abcdefghijk,0.0,10.0,train\nair_drumming,abcdefghijk,0,10,train\nzumba,abcdefghijk,1,11,train\n",
    )
    assert [(row.line, row.class_dir) for row in good(rows)] == [(2, "air_drumming"), (3, "zumba"), (6, "zumba")]
    # 'air_drumming' is the same folder, so the same file
    assert [(row.line, row.reason) for row in bad(rows)] == [(4, Reason.DUPLICATE), (5, Reason.DUPLICATE)]


def test_an_open_quote_does_not_swallow_the_rest(tmp_path: Path) -> None:
    lines = [f"zumba,{index:011d},0,10,train" for index in range(1000)]
    lines[5] = '"' + lines[5]
    lines[7] = '"air drumming",00000000007,0,10,train'
    lines[9] = lines[9].replace("zumba", 'zum"ba')
    lines[998] += '"'
    rows = read(tmp_path, "\n".join([HEADER, *lines]) + "\n")
    assert [(row.line, row.reason) for row in bad(rows)] == [(n, Reason.BAD_ROW) for n in (7, 11, 1000)]
    assert len(good(rows)) == 997


def test_every_line_with_an_open_quote_is_still_linear(tmp_path: Path) -> None:
    rows = read(tmp_path, HEADER + "\n" + '"zumba,abcdefghijk,0,10,train\n' * 5000)
    assert len(rows) == len(bad(rows)) == 5000


def test_a_line_of_ten_megabytes_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "kinetics.csv"
    with open(path, "wb") as handle:
        handle.write(
            f"{HEADER}\n".encode() + b"x" * 10_000_000 + b"\nzumba,abcdefghijk,0,10,train\n" + b"y" * 10_000_000
        )
    rows = list(read_kinetics_csv(path, "train"))
    assert [(row.line, type(row)) for row in rows] == [(2, RejectedRow), (3, GoodRow), (4, RejectedRow)]
    assert traced_peak(lambda: list(read_kinetics_csv(path, "train"))) < 4_000_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"<!DOCTYPE html><html><body>Not found</body></html>",
        b"a,b,c\n1,2,3\n",
        b"lable,youtube_id,time_start,time_end,split\n",
        b"youtube_id,youtube_id,time_start,time_end,split\n",
        b"\x1f\x8b\x08\x00garbage\x00\x01",
        (HEADER + "\n").encode("utf-16"),
        b'"label,youtube_id,time_start,time_end,split\n',
        b"x" * 10_000_000,
    ],
)
def test_a_file_that_is_no_annotation_csv_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UserError, match=r"kinetics\.csv.*youtube_id,time_start,time_end,split") as caught:
        read(tmp_path, content)
    assert len(str(caught.value)) < 800
    assert str(caught.value).isprintable()


def test_train_needs_labels_and_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no 'label' column"):
        read(tmp_path, "youtube_id,time_start,time_end,split\n", "train")
    with pytest.raises(UserError, match="No such file"):
        list(read_kinetics_csv(tmp_path / "absent.csv", "val"))
    with pytest.raises(UserError, match="Is a directory"):
        list(read_kinetics_csv(tmp_path, "val"))


def test_column_order_is_free_and_status_columns_may_follow(tmp_path: Path) -> None:
    content = "time_end,youtube_id,label,time_start,status,reason\n10,abcdefghijk,zumba,0,Downloaded,\n"
    assert good(read(tmp_path, content)) == [GoodRow(2, "zumba", "abcdefghijk", 0, 10, "0", "10")]


@given(st.binary(max_size=300))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_the_reader(tmp_path: Path, junk: bytes) -> None:
    sentinel = b"abseiling,zzzzzzzzzzz,5,15,train"
    rows = read(tmp_path, f"{HEADER}\n".encode() + junk + b"\n" + sentinel + b"\n")
    for row in good(rows):
        assert is_youtube_id(row.video_id)
        assert 0 <= row.start < row.end < 10_000_000
        assert row.label is not None
        assert label_problem(row.label) is None
    for rejected in bad(rows):
        assert rejected.raw.isprintable()
    # Only a junk quote closed by nothing could take the sentinel with it, and the sentinel has no quote.
    assert rows[-1] == GoodRow(rows[-1].line, "abseiling", "zzzzzzzzzzz", 5, 15, "5", "15")


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=15)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT), max_size=6))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_well_formed_record_is_one_row(tmp_path: Path, records: list[tuple[str, ...]]) -> None:
    records = [record for record in records if not any("\r" in text for text in record)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(HEADER.split(","))
    for record in records:
        writer.writerow([record[0].replace("\n", ""), *(field.replace("\n", "") for field in record[1:])])
    rows = read(tmp_path, text.getvalue())
    assert len(rows) == len(records)


def test_times() -> None:
    assert [parse_seconds(text) for text in ("12", "12.0", "12.9", " 7 ", "1e2", "+3", "0", "-0.0")] == [
        12, 12, 12, 7, 100, 3, 0, 0,
    ]  # fmt: skip
    assert [parse_seconds(text) for text in ("", "x", "nan", "-1", "1e400", "9" * 50, "0x10", "1,5")] == [None] * 8


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "split", "count", "labels", "odd"),
    [
        ("kinetics400_val.csv", "val", 19_906, 400, 0),
        ("kinetics400_test.csv", "test", 38_685, 1, 0),
        ("kinetics700_val.csv", "val", 35_000, 700, 6),
    ],
)
def test_the_real_csvs_are_all_good(name: str, split: str, count: int, labels: int, odd: int) -> None:
    if not REAL.is_dir():
        pytest.skip("the real annotation files are not on this machine")
    rows = list(read_kinetics_csv(REAL / name, split))
    assert bad(rows) == []
    assert len(rows) == count
    assert len({row.class_dir for row in good(rows)}) == labels
    assert sum(row.end - row.start != 10 for row in good(rows)) == odd


@pytest.mark.shared
def test_folder_names_are_those_of_the_reference() -> None:
    case = SHARED / "oracles" / "kinetics_rename_classnames"
    if not case.is_dir():
        pytest.skip("the reference cases are not on this machine")
    names = (case / "inputs" / "class_dirs.txt").read_text().splitlines()
    renamed = sorted(GoodRow(2, name, "abcdefghijk", 0, 1, "0", "1").class_dir for name in names)
    assert renamed == (case / "expected" / "class_dirs.txt").read_text().splitlines()


def test_other_columns_are_not_looked_at(tmp_path: Path, shared: Path) -> None:
    content = (
        "url,label,youtube_id,time_start,time_end,split,note,note\n"
        'http://x,zumba,abcdefghijk,0,10,val,"a note, over\ntwo lines",\nhttp://x,zumba,abcdefghijl,0,10,val,,\n'
        'http://x,zumba,"abcdefghijm\n",0,10,val,,\nhttp://x,"zum\nba",abcdefghijn,0,10,val,,\n'
    )
    found = read(tmp_path, content)
    assert [row.video_id for row in good(found)] == ["abcdefghijk", "abcdefghijl"]
    assert [row.reason for row in found if isinstance(row, RejectedRow)] == ["bad_row", "bad_label"]
    case = shared / "cases/annotations/extra_column/kinetics_val.csv"
    assert [row.clip_id for row in good(list(read_kinetics_csv(case, "val")))] == ["0wR5jVB-WPk_000417_000427"]


@pytest.mark.parametrize("name", ["lable", "Label", "labels"])
def test_a_misspelt_label_column_is_not_one_column_more(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"column '{name.lower()}': name it 'label'"):
        read(tmp_path, f"{name},youtube_id,time_start,time_end\n", "test")


def test_a_nul_byte_costs_one_row_and_says_so(tmp_path: Path) -> None:
    rows = read(tmp_path, f"{HEADER}\nzumba,abcdefghijk,0,10,train\nzum\0ba,abcdefghijl,0,10,train\n".encode())
    assert [type(row) for row in rows] == [GoodRow, RejectedRow]
    assert isinstance(rows[1], RejectedRow) and "a NUL byte stands in the row" in rows[1].sentence
    with pytest.raises(UserError, match="UTF-16"):
        read(tmp_path, (HEADER + "\n").encode("utf-16"))


@pytest.mark.parametrize(
    ("header", "row", "why"),
    [
        (HEADER, "abcdefghij{n},zumba,0,10,val", "the column 'label' holds what 'youtube_id' should: columns are swapped"),
        (HEADER, "zumba,0,10,abcdefghij{n},val", "the column 'time_end' holds what 'youtube_id' should: columns are swapped"),
        (HEADER, "zumba,abcdefghij{n},10,0,val", "the two columns are swapped"),
        (HEADER, ",abcdefghij{n},0,10,test", "the column 'label' is empty: fill it, or take it out"),
        (HEADER, "zumba,abc{n},0,10,test", "no row can be used, most of them because the id is not 11 characters"),
        (HEADER, "zumba;abcdefghij{n};0;10;test", "most of them because 1 columns where the header has 5"),
        (HEADER, "zumba,abcdefghij{n},0,10,test", ""),
        (HEADER, "", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_csv_without_a_good_row(tmp_path: Path, header: str, row: str, why: str) -> None:
    path = tmp_path / "kinetics.csv"
    path.write_text(f"{header}\n" + "".join(f"{row.format(n=n)}\n" for n in range(10)))
    found = why_no_row_is_good(path, "test")
    assert why in found and bool(why) == bool(found)
