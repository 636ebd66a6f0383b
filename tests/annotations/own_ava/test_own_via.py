"""Actions, VIA projects, and the rows of labels that come of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.own_ava import actions, label_rows
from clipquarry.annotations.own_ava.via_project import (
    Project,
    Size,
    project_of_proposals,
    project_text,
    without_choices,
)
from clipquarry.annotations.own_ava.via_reading import Reading, parse_project
from clipquarry.errors import UserError

GROUPS = {"head": ["talk", "bow"], "body": ["stand", "sit", "walk"], "limbs": ["hand up", "catch"]}
ACTIONS = actions.attributes_of(GROUPS)
SIZE = Size(128, 96)
BOX = np.array([[0.09375, 0.2083335, 0.40625, 0.9375005000000001, 0.7]])
SECONDS = [2, 3, 4]
FRAMES = ["a_b_000061.jpg", "a_b_000091.jpg", "a_b_000121.jpg"]


def project() -> Project:
    return project_of_proposals("a_b", SECONDS, SIZE, {"a_b,0003": BOX, "a_b,0004": BOX}, ACTIONS)


def read(change: Callable[[dict[str, Any]], object] = lambda _: None, indent: int | None = None) -> Reading:
    value = json.loads(project_text(project()))
    change(value)
    text = json.dumps(value, indent=indent)
    return parse_project(text.encode(), "a_b_finish.json", frames=FRAMES, sizes=lambda _: SIZE)


def test_numbers_of_actions_go_over_all_groups() -> None:
    assert actions.action_names(ACTIONS) == dict(
        enumerate(["talk", "bow", "stand", "sit", "walk", "hand up", "catch"], 1)
    )
    eleven = {str(one): actions.Attribute(f"g{one}", ("x", "y")) for one in range(11, 0, -1)}
    assert actions.offsets(eleven)["10"] == 18, "by value, not by text"


def test_groups_with_keys_and_kinds(tmp_path: Path) -> None:
    path = tmp_path / "actions.yaml"
    path.write_text("body:\n  kind: radio\n  options:\n  - {name: stand, key: s}\n  - sit\nhead: [talk]\n")
    found = actions.read_attributes(path)
    assert found["1"] == actions.Attribute("body", ("stand", "sit"), actions.Kind.RADIO, ("s", ""))
    path = tmp_path / "actions.pbtxt"
    path.write_text('item {\n  name: "stand"\n  id: 1\n}\nitem {\n  name: "sit"\n  id: 2\n}\n')
    assert actions.read_attributes(path)["1"].options == ("stand", "sit")
    path.write_text('item {\n  name: "stand"\n  id: 2\n}\n')
    with pytest.raises(UserError, match="number the actions anew"):
        actions.read_attributes(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [x]\na: [y]\n", "given twice"),
        ("a: &b [x]\nc: *b\n", "references"),
        ("a: [x, x]\n", "given twice"),
        ("a: []\n", "a list of actions"),
        ("a: {options: [x], kind: text}\n", "checkbox, radio or select"),
        ("a: {options: [x], colour: red}\n", "unknown key"),
        ("a: [{name: x, key: ab}]\n", "not one character"),
        ("a: [{name: x, key: s}, {name: y, key: s}]\n", "two actions"),
        ("[1]\n", "are empty"),
        ("a: [[x]]\n", "no action"),
        ("a: [", "no YAML"),
    ],
)
def test_bad_lists_of_actions(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "actions.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=told):
        actions.read_attributes(path)


def test_a_second_without_people_keeps_its_place_and_nothing_is_chosen() -> None:
    value = json.loads(project_text(project()))
    assert list(value) == ["project", "config", "attribute", "file", "metadata", "view"]
    assert [one["fname"] for one in value["file"].values()] == FRAMES
    assert list(value["metadata"]) == ["image2_1", "image3_1"]
    one = value["metadata"]["image2_1"]
    assert one["xy"] == [2, 12.0, 20.000016000000002, 40.0, 70.000032]
    assert list(one) == ["vid", "xy", "av", "flg", "z"] and one["av"] == {"1": "", "2": "", "3": ""}
    assert value["attribute"]["1"]["default_option_id"] == ""
    assert "\n" not in project_text(project())


def test_what_was_written_is_read_again() -> None:
    for indent in (None, 2):
        found = read(indent=indent)
        assert not found.refused and found.unlabelled == ["image2_1", "image3_1"] and not found.finished
        assert project_text(found.project) == project_text(project())


def test_rows_of_a_finished_project_with_a_drawn_region() -> None:
    def label(value: dict[str, Any]) -> None:
        value["metadata"]["image2_1"]["av"] = {"3": "0,1", "1": ""}
        value["metadata"]["2_Ab3dEf9h"] = {
            "vid": "1",
            "flg": 0,
            "z": [],
            "xy": [2, -0.5, 48, 64, 48.5],
            "av": {"2": "0"},
        }

    found = read(label)
    assert not found.refused and found.unlabelled == ["image3_1"]
    rows = list(label_rows.rows_of(found.project, SIZE))
    assert label_rows.rows_text(rows, crlf=True) == (
        b"a_b,3,0.09375,0.20833350000000003,0.40625,0.9375005000000001,6\r\n"
        b"a_b,3,0.09375,0.20833350000000003,0.40625,0.9375005000000001,7\r\n"
        b"a_b,2,0,0.5,0.49609375,1,3\r\n"
    )


def test_kinds_of_attributes() -> None:
    def label(value: dict[str, Any]) -> None:
        value["attribute"]["1"]["type"] = 1
        value["attribute"]["2"]["type"] = 3
        value["attribute"]["3"]["type"] = 4
        value["metadata"]["image2_1"]["av"] = {"1": "a free text, as it is", "2": "2", "3": "1"}

    found = read(label)
    assert not found.refused
    assert [row.action for row in label_rows.rows_of(found.project, SIZE)] == [5, 7]


def _set(*path: Any) -> Callable[[dict[str, Any]], object]:
    *way, last, new = path

    def change(value: dict[str, Any]) -> None:
        at: Any = value
        for one in way:
            at = at[one]
        at[last] = new

    return change


R = ("metadata", "image2_1")


@pytest.mark.parametrize(
    ("change", "where", "told"),
    [
        (_set(*R, "vid", "9"), "image2_1", "view is not in the project"),
        (_set(*R, "xy", [2, 1, 1, 5]), "a_b_000091.jpg", "no rectangle"),
        (_set(*R, "xy", [3, 1, 1, 5, 5]), "image2_1", "no rectangle"),
        (_set(*R, "xy", [2, 1, 1, 0, 5]), "image2_1", "not above 0"),
        (_set(*R, "xy", [2, 1, 1, "5", 5]), "image2_1", "not four numbers"),
        (_set(*R, "xy", [2, 1, 1, 10**400, 5]), "image2_1", "not four numbers"),
        (_set(*R, "xy", [2, 100, 1, 50, 5]), "image2_1", "leaves the frame of 128x96"),
        (_set(*R, "z", [1, 2]), "image2_1", "has times"),
        (_set(*R, "av", {"9": "0"}), "image2_1", "unknown attribute"),
        (_set(*R, "av", {"1": "2"}), "image2_1", "no option of 'head'"),
        (_set(*R, "av", {"1": "0,0"}), "image2_1", "twice"),
        (_set(*R, "av", {"1": 0}), "image2_1", "no text"),
        (_set(*R, "av", [{"1": "0"}]), "image2_1", "no object"),
        (_set("file", "1", "fid", "2"), "file '1'", "is not its key"),
        (_set("file", "1", "type", 4), "file '1'", "no image"),
        (_set("file", "1", "fname", "../x.jpg"), "file '1'", "no plain file name"),
        (_set("file", "1", "fname", FRAMES[1]), "file '2'", "listed twice"),
        (_set("file", "1", "fname", "a_b_000001.jpg"), "file '1'", "no frame to label"),
        (_set("file", {}), "view '1'", "does not show one file"),
        (_set("view", "2", {}), "view '2'", "does not show one file"),
        (_set("project", "vid_list", ["1"]), "project", "lists 1 views and holds 3"),
        (_set("project", {}), "project", "vid_list"),
        (_set("attribute", "1", "type", 9), "attribute '1'", "none of VIA's"),
        (_set("attribute", "1", "options", {"1": "x"}), "attribute '1'", "numbered from 0"),
    ],
)
def test_each_fault_has_its_sentence(change: Callable[[dict[str, Any]], object], where: str, told: str) -> None:
    refused = read(change).refused
    assert any(where in one.where and told in one.why for one in refused), refused
    for one in refused:
        assert one.where.startswith("a_b_finish.json") and one.why.endswith(".") and len(one.why.split()) <= 24


def test_a_moved_file_is_said_and_its_labels_go_by_its_name() -> None:
    def swap(value: dict[str, Any]) -> None:
        one, two = value["file"]["1"], value["file"]["2"]
        one["fname"], two["fname"] = two["fname"], one["fname"]
        value["metadata"]["image2_1"]["av"] = {"1": "0"}

    found = read(swap)
    assert len(found.refused) == 2 and "should be file 2" in found.refused[0].why
    assert [row.second for row in label_rows.rows_of(found.project, SIZE)] == [2]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "no JSON"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": 1, "a": 2}', "given twice"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff", "no JSON"),
        (b"[]", "no VIA 3 project"),
        (b'{"attribute": {}, "file": {}, "metadata": []}', "'metadata' is missing"),
    ],
)
def test_files_that_are_no_project(content: bytes, told: str) -> None:
    with pytest.raises(UserError, match=told):
        parse_project(content, "x.json")


@pytest.mark.shared
def test_the_reference_s_projects(shared: Path) -> None:
    oracle = shared / "oracles/custom_via_json"
    size = Size(*json.loads((oracle / "inputs/images.json").read_text())["size"])
    given = json.loads((oracle / "inputs/proposals_full.json").read_text())
    boxes = {key: np.array([[float(one) for one in row] for row in rows]) for key, rows in given.items()}
    for video in "123":
        made = project_of_proposals(video, range(2, 9), size, boxes, ACTIONS, reference_default=True)
        wanted = (oracle / f"expected/full/{video}_proposal.json").read_text()
        assert project_text(made, reference_default=True) == wanted
        assert not parse_project(wanted.encode(), "x", sizes=lambda _: size).refused
    made = project_of_proposals("1", range(2, 9), size, boxes, ACTIONS, reference_default=True)
    wanted = (oracle / "expected/full/1_proposal_s.json").read_text()
    assert project_text(without_choices(made), reference_default=True) == wanted


@pytest.mark.shared
@pytest.mark.parametrize("video", ["1", "2", "3"])
def test_the_reference_s_gaps_are_mended(shared: Path, video: str) -> None:
    """Upstream wrote no file for video 2 and a shifted one for video 3; here each video has all seven frames in order."""
    oracle = shared / "oracles/custom_via_json"
    size = Size(*json.loads((oracle / "inputs/images.json").read_text())["size"])
    given = json.loads((oracle / "inputs/proposals_gaps.json").read_text())
    boxes = {key: np.array([[float(one) for one in row] for row in rows]) for key, rows in given.items() if rows}
    made = project_of_proposals(video, range(2, 9), size, boxes, ACTIONS, reference_default=True)
    assert [one.name for one in made.files.values()] == [f"{video}_{30 * second + 1:06d}.jpg" for second in range(2, 9)]
    for second in range(2, 9):
        count = sum(
            made.file_of(region).name == f"{video}_{30 * second + 1:06d}.jpg" for region in made.regions.values()
        )
        assert count == len(given.get(f"{video},{second:04d}", ()))
    if video == "1":  # the one that upstream has right
        wanted = (oracle / "expected/gaps/1_proposal.json").read_text()
        assert project_text(made, reference_default=True) == wanted
