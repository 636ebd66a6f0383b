"""What is said of a file that is no JSON: one clear sentence, without Python's words about its stack or its functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clipquarry.acquire.annotation_content import file_problem
from clipquarry.annotations.activitynet import read_object
from clipquarry.annotations.json_array import array_elements
from clipquarry.annotations.own_ava.actions import read_attributes
from clipquarry.annotations.own_ava.coco_boxes import read_coco
from clipquarry.annotations.own_ava.via_reading import read_project
from clipquarry.annotations.small_file import read_small_json
from clipquarry.cli.runs import _assigned
from clipquarry.errors import UserError, unread
from clipquarry.files import read_json
from clipquarry.labelling.journal import _lines
from clipquarry.quality.own_files import _read_json
from clipquarry.release.lock import open_lock

DEEP = "[" * 100_000
LONG = f"[{'9' * 5_000}]"
PYTHONS = ("recursion", "sys.", "codec", "limit")


def _array(path: Path) -> Any:
    return list(array_elements(path))


def _journal(path: Path) -> Any:
    return list(_lines(path, path.read_bytes()))


def _content(path: Path) -> None:
    if problem := file_problem(path.rename(path.with_suffix(".jsonl")), "x.jsonl"):
        raise UserError(problem)


def _lock(path: Path) -> None:
    header = {"version": 2, "dataset": "x", "spec": "x", "namespace": "x", "clips": 1}
    path.write_bytes(json.dumps(header).encode() + b"\n" + path.read_bytes())
    with open_lock(path) as lock:
        list(lock)


READERS: tuple[Callable[[Path], Any], ...] = (
    read_json, lambda path: read_small_json(path, "file"), lambda path: read_object(path, "file"), read_project, read_attributes,
    read_coco, _read_json, _array, _journal, _content, _lock,
)  # fmt: skip


@pytest.mark.parametrize("reader", READERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    ("content", "why"), [(DEEP.encode(), "nested too deep"), (LONG.encode(), "digits"), (b'["\xff"]', "")],
    ids=["deep", "long", "encoded"],
)  # fmt: skip
def test_no_reader_of_json_shows_the_words_of_python(
    tmp_path: Path, reader: Callable[[Path], Any], content: bytes, why: str
) -> None:
    path = tmp_path / "given.json"
    path.write_bytes(content + b"\n")
    with pytest.raises(UserError) as found:
        reader(path)
    assert not any(word in str(found.value) for word in PYTHONS), found.value
    assert why in str(found.value)


def test_a_parameter_that_is_nested_too_deep_is_text() -> None:
    assert _assigned(f"crops={DEEP}") == ("crops", DEEP)


def test_other_words_stay() -> None:
    assert unread(ValueError("the key 'a'\n is given twice")) == "the key 'a' is given twice"
