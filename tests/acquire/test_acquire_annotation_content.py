"""A file is judged by what its name says that it is."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from clipquarry.acquire.annotation_content import file_problem

CSV = b"-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1\n"
PBTXT = b'item {\n  name: "bow"\n  id: 2\n}\n'
PKL = pickle.dumps({"-5KQ66BBWC4,0902": [0.1] * 5}, protocol=2)


@pytest.mark.parametrize(
    ("name", "body", "wrong"),
    [
        ("ava_train_v2.2.csv", b"", "not an annotation csv: it is empty"),
        ("ava_train_v2.2.csv", b"\xef\xbb\xbf \r\n", "not an annotation csv: it is empty"),
        ("ava_train_v2.2.csv", b"no comma here\n", "not an annotation csv: its first line is not that of a csv"),
        ("ava_train_v2.2.csv", b"\x1f\x8b,\x00", "not an annotation csv: it begins with"),
        ("ava_train_v2.2.csv", b"\xef\xbb\xbf" + CSV, None),
        ("ava_train_v2.2.csv", b'{"database": {"v_1": {}}}', "not an annotation csv: it is a web page or JSON"),
        ("ava_action_list_v2.2.pbtxt", b"nothing of the kind", "not a list of actions: it begins with"),
        ("ava_action_list_v2.2.pbtxt", PBTXT, None),
        ("trainlist01.txt", b"ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1\r\n", None),
        ("smoke_test_split1.txt", b"a&b_(x)#1!.avi 1 \n", None),
        ("classInd.txt", b"<!DOCTYPE html>", "not a text file: it is a web page"),
        ("classInd.txt", b"\x00\x01\x02", "not a text file: it begins with"),
        ("classInd.txt", b"", "not a text file: it is empty"),
        ("hvu_train.json", b'[{"filename": "x", "label": {"action": [1]}}]', None),
        ("hvu_train.JSON", b'{"database": {"v_1": {}}}', None),
        ("hvu_train.json", b"<!DOCTYPE html>", "not annotations in JSON: it is a web page or XML"),
        ("hvu_train.json", b'{"message": "Not Found"}', "server's error message"),
        ("hvu_train.json", b'{"database": {"v_1"', "breaks off"),
        ("p.pkl", PKL, None),
        ("p.pkl", PKL[:-1], "not a pickle: it does not end as a pickle does"),
        ("p.pkl", b'{"error": 1}', "a web page or JSON"),
    ],
)
def test_a_file_is_judged_by_what_it_should_be(tmp_path: Path, name: str, body: bytes, wrong: str | None) -> None:
    (tmp_path / name).write_bytes(body)
    problem = file_problem(tmp_path / name, name)
    assert (problem is None) if wrong is None else (wrong in (problem or ""))


def test_a_file_of_rows_that_may_be_absent_may_be_empty(tmp_path: Path) -> None:
    file = tmp_path / "excluded.csv"
    for body, good in ((b"", True), (b"\n \n", True), (b"0f39OWEqJ24,0903\n", True), (b"<html>", False)):
        file.write_bytes(body)
        assert (file_problem(file, file.name, may_be_empty=True) is None) == good, body


@pytest.mark.parametrize(
    ("body", "separator", "good"),
    [
        (b"74225;Drumming Fingers\n", ";", True), (b"74225;Drumming Fingers\n", ",", False),
        (b"action\nApplying sunscreen\n", "", True), (b"", "", False), (b"<html>", "", False),
    ],
)  # fmt: skip
def test_a_csv_has_the_separator_that_its_reader_says(tmp_path: Path, body: bytes, separator: str, good: bool) -> None:
    (tmp_path / "a.csv").write_bytes(body)
    assert (file_problem(tmp_path / "a.csv", "a.csv", separator=separator) is None) == good


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b'{"id": "a"}\n{"id": "b"}\n', None),
        (b'{"id": "a"}\n', None),
        (b'{"error": "no"}\n', "a server's error message"),
        (b"<html>\n<p>\n", "a web page"),
        (b'{"id": \n "a"}\n', "its first line is no JSON"),
        (b"", "it is empty"),
    ],
)
def test_a_format_may_have_json_in_each_line(tmp_path: Path, body: bytes, wrong: str | None) -> None:
    path = tmp_path / "x"
    path.write_bytes(body)
    problem = file_problem(path, "train.jsonl")
    assert problem is None if wrong is None else wrong in str(problem)
