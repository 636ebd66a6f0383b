"""Annotation files in JSON: what is one, and what only looks like it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clipquarry.acquire.json_content import PIECE, json_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import traced_peak

ACTIVITYNET = {"version": "VERSION 1.3", "taxonomy": [], "database": {"v_1": {"annotations": [], "duration": 82.7}}}


def problem(tmp_path: Path, body: str | bytes) -> str | None:
    file = tmp_path / "labels.json"
    file.write_bytes(body.encode() if isinstance(body, str) else body)
    return json_problem(file)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(ACTIVITYNET),
        json.dumps([{"id": "78687", "label": "holding potato next to vicks", "template": "Holding [something]"}], indent=1),
        '\ufeff{"Pushing something": "12"}\r\n',
        '[[0.0, -1.5e-7, 12345678901234567890], ["\\ud83d\\ude00 \\u00e9", null, true]]',
        '{"error": {"made": "by a class of this name"}, "database": {"v_1": {}}}',
        '{"error": 3, "message": 4}',  # a map of classes
        json.dumps({f"message {n}": n for n in range(40)} | {"message": "40"}),
        '["abseiling", "error"]',
    ],
)  # fmt: skip
def test_annotations_in_json(tmp_path: Path, body: str) -> None:
    assert problem(tmp_path, body) is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("<!DOCTYPE html><html>404</html>", "web page or XML"),
        ('<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "web page or XML"),
        ("404: Not Found", "neither an object nor an array"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "neither an object nor an array"),
        ('"Not Found"', "neither an object nor an array"),
        ("label,youtube_id,time_start,time_end,split\n", "neither an object nor an array"),
        ("{}", "holds nothing"),
        ("[\n]", "holds nothing"),
        ('{"error": "Repository not found"}', "server's error message"),
        ('{"error": {"code": 404, "message": "File not found: x.", "errors": [{"reason": "notFound"}]}}', "server's error"),
        ('{"message": "Not Found", "documentation_url": "https://docs", "status": "404"}', "server's error message"),
        ('{"Message": "denied", "Code": "AccessDenied", "RequestId": "7", "HostId": "9"}', "server's error message"),
        ('{"detail": "Not found."}', "server's error message"),
        ('{"errors": [{"message": "gone"}], "data": null}', "server's error message"),
        ('{"timestamp": 1, "status": 404, "error": "Not Found", "path": "/x.json"}', "server's error message"),
        ('[{"errorCode": "INVALID", "message": "no session"}]', "server's error message"),
        ('{"database": {"v_1": {"duration": 8', "breaks off after 35 characters"),
        ('{"database": {"v_1": "dur', "breaks off"),
        ('{"database": ', "breaks off"),
        ("[1, 2,", "breaks off"),
        ('{"a": [1, 2]}]', "something follows after the end of the JSON value (character 14)"),
        ('{"id": 1}\n{"id": 2}\n', "something follows"),
        ('{"a": 1,}', "no valid JSON"),
        ("{'a': 1}", "no valid JSON"),
        ('{"a": tru}', "no valid JSON"),
        ('{"a": "x\ny"}', "no valid JSON"),
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ('{"duration": 1e999}', "1e999, which is too large"),
        ('{"duration": -1e999}', "too large"),
        ('{"id": ' + "9" * 5000 + "}", "a number of 5,000 digits"),
        ('{"duration": NaN}', "NaN, which is no number of JSON"),
        ("[-Infinity]", "-Infinity, which is no number"),
        ('{"v_1": 1, "v_1": 2}', "the key 'v_1' twice"),
        ('{"database": {"v_1": {"a": 1, "a": 1}}}', "the key 'a' twice"),
        ('{"label": "a\\ud800b"}', "half a character"),
        ('{"a\\uDC00": 1}', "half a character"),
        (b'{"label": "caf\xe9"}', "not UTF-8"),
        (b'{"label": "\xed\xa0\x80"}', "not UTF-8"),
        ('{"label": 1}'.encode("utf-16"), "NUL bytes"),
        ('{"label": 1}'.encode("utf-16-le"), "NUL bytes"),
        (b"\x1f\x8b\x08\x00", "NUL bytes"),
        (b"\x80\x04K\x01.", "neither an object nor an array"),
    ],
)  # fmt: skip
def test_what_is_none_has_one_sentence(tmp_path: Path, body: str | bytes, said: str) -> None:
    found = problem(tmp_path, body)
    assert said in (found or "")
    assert "\n" not in (found or "")


def large(count: int) -> list[str]:
    """Pieces of a file like ActivityNet's: one object of many members, below another."""
    row = json.dumps({"annotations": [{"segment": [0.01, 23.4], "label": "Playing \u00e9 drum"}] * 3, "url": "x" * 120})
    return ['{"version": "1", "database": {', *(f'"v_{n}": {row},\n' for n in range(count)), '"last": {}}, "end": [1]}']


def test_a_large_file_is_read_to_its_end_in_little_memory(tmp_path: Path) -> None:
    pieces = large(16_000)
    file = tmp_path / "database.json"
    file.write_text("".join(pieces))
    assert file.stat().st_size > 5 * PIECE
    assert json_problem(file) is None
    assert traced_peak(lambda: json_problem(file)) < 20 * PIECE


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ('"v_1": 1', "the key 'v_1' twice"),
        ('"w": NaN', "NaN"),
        ('"w" 1', "Expecting ':'"),
        ('w: 1', "Expecting a key in double quotes"),
        ('"w": 1; "x": 2', "Expecting ',' or '}'"),
        ('"w": [1, 2', "no valid JSON"),
        ('"\\ud800": 2', "half a character"),
    ],
)  # fmt: skip
def test_faults_deep_in_a_large_file(tmp_path: Path, replaced: str, said: str) -> None:
    pieces = large(4000)
    text = "".join([*pieces[:-1], f"{replaced},\n", pieces[-1]])
    assert len(text) > PIECE
    assert said in (problem(tmp_path, text) or "")


def test_a_large_file_that_was_cut_off(tmp_path: Path) -> None:
    text = "".join(large(4000))
    assert f"breaks off after {len(text) - 30:,} characters" in (problem(tmp_path, text[:-30]) or "")
    assert "something follows" in (problem(tmp_path, text + "x") or "")


def test_one_long_text(tmp_path: Path) -> None:
    assert problem(tmp_path, json.dumps({"a": "x" * (3 * PIECE), "b": [1]})) is None
    assert "breaks off" in (problem(tmp_path, '{"a": "' + "x" * (3 * PIECE)) or "")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), inner, max_size=4),
    max_leaves=30,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.lists(VALUES, min_size=1), st.integers(40, 60), st.data())
def test_whatever_the_buffer_json_is_json_and_what_is_cut_off_is_not(
    tmp_path_factory: pytest.TempPathFactory, value: list[object], piece: int, data: st.DataObject
) -> None:
    text = json.dumps(["first", *value], indent=data.draw(st.sampled_from((None, 1))))
    file = tmp_path_factory.mktemp("json") / "x.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clipquarry.acquire.json_content.PIECE", piece)
        file.write_text(text, encoding="utf-8")
        assert json_problem(file) is None
        file.write_text(text[: data.draw(st.integers(1, len(text) - 1))], encoding="utf-8")
        assert json_problem(file) is not None
