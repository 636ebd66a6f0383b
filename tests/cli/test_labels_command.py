"""``clipquarry labels``: every format to every other one, into a data set and out of it, and what must not happen."""

from __future__ import annotations

import csv
import errno
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from click.testing import CliRunner, Result
from clipquarry.annotations.own_ava.actions import attributes_of
from clipquarry.annotations.own_ava.coco_boxes import coco_text
from clipquarry.annotations.own_ava.crop_labels import MIDDLE
from clipquarry.annotations.own_ava.frame_boxes import Clip, FrameBox
from clipquarry.annotations.own_ava.key_frames import frame_name
from clipquarry.annotations.own_ava.placed import place_file, place_folder
from clipquarry.annotations.own_ava.via_project import Size, project_of, project_text
from clipquarry.annotations.own_ava.via_reading import read_project
from clipquarry.cli import main

SIZE = Size(200, 100)
GROUPS = {"posture": {"kind": "radio", "options": ["stand", "walk"]}, "eyes": ["watch", "read"]}
BOXES = [
    FrameBox(61, 10.0, 20.0, 60.0, 90.0, 4, ("stand", "watch"), 0.5),
    FrameBox(91, 12.0, 20.0, 62.0, 90.0, 4, ("walk", "watch", "read"), 0.25),
    FrameBox(91, 100.0, 10.0, 150.0, 80.0, None, ("stand",)),
]
ENDS = {"via": ".json", "yolo": "", "cvat": ".xml", "label-studio": ".json", "coco": ".json"}


def run(*words: object, code: int = 0, data: Path | None = None) -> Result:
    done = CliRunner().invoke(main, ["labels", *map(str, words)], env={"CLIPQUARRY_DATA": str(data)} if data else {})
    assert done.exit_code == code and "Traceback" not in done.output, done.output
    return done


def jpeg(path: Path, size: Size = SIZE) -> None:
    """A file that begins as a JPEG of that size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\xd8\xff\xc0\x00\x11\x08" + struct.pack(">HH", size.height, size.width) + bytes(12))


def clip(name: str = "door_1", boxes: list[FrameBox] | None = None) -> Clip:
    names = {number: frame_name(name, number) for number in (61, 91, 121)}
    return Clip(name, SIZE, list(BOXES if boxes is None else boxes), names)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    path = tmp_path / "labels.json"
    path.write_text(coco_text(clip()))
    return path


def table(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.reader(handle))[1:]


def boxes_of(value: Any) -> list[Any]:
    return [[one["bbox"], sorted(one["attributes"]["actions"])] for one in value["annotations"]]


@pytest.mark.parametrize("kind", [one for one in ENDS if one not in ("coco", "yolo")])
def test_a_format_and_back_keeps_boxes_and_actions(coco: Path, kind: str, tmp_path: Path) -> None:
    other, back = tmp_path / f"other{ENDS[kind]}", tmp_path / "back.json"
    run("convert", "--from", "coco", "--to", kind, coco, other)
    run("convert", "--from", kind, "--to", "coco", "--size", "200x100", other, back)
    given, found = (json.loads(path.read_text()) for path in (coco, back))
    wanted = sorted(boxes_of(given))
    assert [one[1] for one in sorted(boxes_of(found))] == [one[1] for one in wanted]
    assert [one[0] for one in sorted(boxes_of(found))] == [pytest.approx(one[0]) for one in wanted]
    left = table(tmp_path / f"{other.name}.what-was-left-out.csv")
    lost = ["score 0.5", "score 0.25", *(["track 4", "track 4"] if kind == "via" else [])]
    assert [row[2] for row in left] == lost and all(len(row) == 4 and row[3] for row in left), left


def test_via_to_yolo_and_yolo_to_via(coco: Path, tmp_path: Path) -> None:
    """Frames without people have an empty text, and keep their place in the project."""
    done = run("convert", "--from", "coco", "--to", "yolo", coco, tmp_path / "texts")
    names = sorted(path.name for path in (tmp_path / "texts").iterdir())
    assert names == ["door_1_000061.txt", "door_1_000091.txt", "door_1_000121.txt"]
    assert (tmp_path / "texts/door_1_000061.txt").read_text() == "0 0.175 0.55 0.25 0.7\n"
    assert (tmp_path / "texts/door_1_000121.txt").read_text() == ""
    assert "7 things were left out" in done.output
    left = ["door_1", "91", "actions walk, watch, read", "YOLO's texts have boxes alone"]
    assert left in table(tmp_path / "texts.what-was-left-out.csv")
    for number in (61, 91, 121, 151):
        jpeg(tmp_path / "frames" / frame_name("door_1", number))
    run(
        "convert",
        "--from",
        "yolo",
        "--to",
        "via",
        "--frames",
        tmp_path / "frames",
        tmp_path / "texts",
        tmp_path / "p.json",
    )
    made = read_project(tmp_path / "p.json", boxes_only=True)
    assert not made.refused and [one.name for one in made.project.files.values()][3] == "door_1_000151.jpg"
    assert len(made.project.regions) == 3 and made.project.attributes == {}
    run("convert", "--from", "coco", "--to", "yolo", "--scores", "--write-class", 1, coco, tmp_path / "scored")
    assert (tmp_path / "scored/door_1_000061.txt").read_text() == "1 0.175 0.55 0.25 0.7 0.5 4\n"


def test_a_project_of_the_reference_s_form_becomes_texts(tmp_path: Path) -> None:
    """A project of more than ten frames without attributes, whose boxes carry upstream's own choice; a class of 1 comes and goes."""
    for number in range(1, 13):
        jpeg(tmp_path / "frames" / frame_name(f"10001{number:02d}", 211))
        name = tmp_path / "bodies" / f"10001{number:02d}_000211.txt"
        name.parent.mkdir(exist_ok=True)
        name.write_text(f"0 0.5 0.5 0.5 0.5 0.9\n1 0.5 0.5 0.25 {number / 20}\n")
    project = tmp_path / "detection.json"
    frames = ("--frames", tmp_path / "frames")
    run("convert", "--from", "yolo", "--to", "via", "--class", 1, *frames, tmp_path / "bodies", project)
    value = json.loads(project.read_text())
    for one in value["metadata"].values():
        one["av"] = {"1": "0"}
    project.write_text(json.dumps(value))
    run("convert", "--from", "via", "--to", "yolo", *frames, project, tmp_path / "texts")
    for number in range(1, 13):
        (line,) = (tmp_path / f"texts/10001{number:02d}_000211.txt").read_text().splitlines()
        assert [float(one) for one in line.split()] == pytest.approx([0, 0.5, 0.5, 0.25, number / 20])


def test_a_target_that_is_there_is_left_alone(coco: Path, tmp_path: Path) -> None:
    words = ("convert", "--from", "coco", "--to", "cvat", coco, tmp_path / "x.xml")
    run(*words)
    run(*words)  # the same is no conflict
    (tmp_path / "x.xml").write_text("mine")
    assert "is left alone" in run(*words, code=2).output and (tmp_path / "x.xml").read_text() == "mine"
    assert "x.xml.former-1" in run(*words, "--replace").output
    assert (tmp_path / "x.xml.former-1").read_text() == "mine" and "<annotations>" in (tmp_path / "x.xml").read_text()
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "door_1_000061.txt").write_text("mine")
    words = ("convert", "--from", "coco", "--to", "yolo", coco, folder)
    run(*words, code=2)
    run(*words, "--replace")
    assert (tmp_path / "texts.former-1/door_1_000061.txt").read_text() == "mine" and len(list(folder.iterdir())) == 3


def test_every_fault_is_in_one_table_and_nothing_is_written(coco: Path, tmp_path: Path) -> None:
    value = json.loads(coco.read_text())
    value["annotations"][0]["bbox"] = [1, 1, 1e400, 5]
    value["annotations"][1]["category_id"] = 10**30
    value["images"][2]["file_name"] = "../../etc/passwd"
    coco.write_text(json.dumps(value))
    done = run("convert", "--from", "coco", "--to", "via", coco, tmp_path / "out.json", code=2)
    assert "All 3 faults are in" in done.output and not (tmp_path / "out.json").exists()
    assert len(table(tmp_path / "out.json.problems.csv")) == 3


BOMB = '<!DOCTYPE a [<!ENTITY b "cccc"><!ENTITY d "&b;&b;&b;">]><annotations>&d;</annotations>'
META = "<annotations><meta><task><name>{}</name><original_size><width>{}</width><height>9</height></original_size></task></meta></annotations>"


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("cvat", BOMB, "document type"),
        ("cvat", META.format("../../up", "9"), "clip's name"),
        ("cvat", META.format("x", "nan"), "size of its frames"),
        ("cvat", META.format("x", "9" * 400), "size of its frames"),
        ("coco", "[" * 100_000, "no JSON"),
        ("coco", "1" * 5000, "no JSON"),
        ("label-studio", '[{"data": {"video": "../../.."}}]', "size of the frames"),
        (
            "via",
            '{"attribute": {}, "file": {"1": {"fname": "../x_000001.jpg"}}, "metadata": {}, "view": {}}',
            "plain file name",
        ),
        ("via", '{"attribute": {}, "file": {}, "metadata": {"a": {"xy": [2, NaN]}}, "view": {}}', "no number"),
    ],
)
def test_hostile_files_are_one_sentence(kind: str, text: str, told: str, tmp_path: Path) -> None:
    source = tmp_path / "in.file"
    source.write_text(text)
    done = run("convert", "--from", kind, "--to", "coco", source, tmp_path / "out.json", code=2)
    assert told in done.output and len(done.output) < 600 and not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--to", "cvat", "--scores"), "--scores is for YOLO's target"),
        (("--to", "coco", "--length", "9"), "--length is for CVAT's"),
        (("--to", "yolo", "--actions", "x.yaml"), "--actions is for VIA's"),
        (("--to", "via", "--clip", "x"), "--clip is for CVAT's"),
        (("--to", "via", "--class", "1"), "--class is for YOLO's"),
        (("--to", "via", "--size", "9x"), "--size '9x'"),
        (("--to", "via", "--size", "9x9", "--frames", "."), "given twice"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    coco: Path, words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    assert told in run("convert", "--from", "coco", *words, coco, tmp_path / "out", code=2).output


def test_an_action_that_the_list_lacks_is_a_fault(coco: Path, tmp_path: Path) -> None:
    actions = tmp_path / "actions.yaml"
    actions.write_text("posture: [stand, walk]\n")
    done = run("convert", "--from", "coco", "--to", "via", "--actions", actions, coco, tmp_path / "p.json", code=2)
    assert "'watch' is not in the list" in done.output


# --- a data set's crops


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data root after a run with labels=true: two crops with three frames to label."""
    root = tmp_path / "data"
    for crop in ("door_1", "2"):
        folder, names = root / "custom_ava" / MIDDLE / crop, [frame_name(crop, number) for number in (61, 91, 121)]
        for name in names:
            jpeg(folder / name)
        text = project_text(project_of(names, SIZE, {names[0]: [(0.1, 0.1, 0.5, 0.5)]}, attributes_of(GROUPS)))
        (folder / f"{crop}_proposal.json").write_text(text)
    return root


def test_labels_of_another_tool_become_finished_projects(coco: Path, data: Path, tmp_path: Path) -> None:
    coco.write_text(coco_text(clip(boxes=[*BOXES, FrameBox(62, 1.0, 1.0, 9.0, 9.0)])))
    run("convert", "--from", "coco", "--to", "cvat", coco, tmp_path / "x.xml")
    done = run("import", "custom_ava", "--from", "cvat", tmp_path / "x.xml", data=data)
    assert "3 boxes of 1 crops" in done.output and "1 crops are not in" in done.output
    path = data / "custom_ava" / MIDDLE / "door_1/door_1_finish.json"
    made = read_project(path, frames=[frame_name("door_1", number) for number in (61, 91, 121)], sizes=lambda _: SIZE)
    assert made.finished and [one.choices for one in made.project.regions.values()][1] == {"1": "1", "2": "0,1"}
    left = table(data / "custom_ava/label_import.what-was-left-out.csv")
    where = "the frames to label are 61 to 121, counted from 1: draw it there"
    assert ["door_1", "62", "a box on a frame that is not to be labelled", where] in left
    assert [row[2] for row in left if row[3].startswith("a VIA project has no numbers")] == ["track 4", "track 4"]
    assert len(left) == 3
    path.write_text(path.read_text() + " ")  # somebody went on in VIA
    words = ("import", "custom_ava", "--from", "cvat", tmp_path / "x.xml")
    assert "is left alone" in run(*words, code=2, data=data).output and path.read_text().endswith(" ")
    run(*words, "--replace", data=data)
    assert (path.parent / "door_1_finish.json.former-1").read_text().endswith(" ")


def test_what_comes_back_from_cvat_as_it_went_there_loses_nothing(coco: Path, data: Path, tmp_path: Path) -> None:
    """A finished project has no numbers of people: those that CVAT needs are made up, and so are its boxes between two that were drawn."""
    run("import", "custom_ava", "--from", "coco", coco, data=data)
    path = data / "custom_ava" / MIDDLE / "door_1/door_1_finish.json"
    before, left = path.read_text(), data / "custom_ava/label_import.what-was-left-out.csv"
    assert table(left)
    run("export", "custom_ava", "--to", "cvat", tmp_path / "cvat", data=data)
    xml = (tmp_path / "cvat/door_1.xml").read_text()
    done = run("import", "custom_ava", "--from", "cvat", tmp_path / "cvat/door_1.xml", data=data)
    assert "left out" not in done.output and not left.exists() and path.read_text() == before
    between = '<box frame="61" keyframe="0" outside="0" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0"></box>'
    (tmp_path / "x.xml").write_text(xml.replace("</track>", f"{between}</track>", 1))
    run("import", "custom_ava", "--from", "cvat", "--clip", "door_1", tmp_path / "x.xml", data=data)
    assert not left.exists() and path.read_text() == before


def test_an_import_is_checked_as_a_run_checks_it(coco: Path, data: Path) -> None:
    wrong = [BOXES[0]._replace(labels=("stand", "walk")), BOXES[1]._replace(labels=("fly",))]
    coco.write_text(coco_text(clip(boxes=wrong), clip("nobody_s")))
    done = run("import", "custom_ava", "--from", "coco", coco, code=2, data=data)
    whys = [row[1] for row in table(data / "custom_ava/label_import.problems.csv")]
    assert "nothing was written" in done.output and len(whys) == 3
    assert any("'fly' is not in the list" in one for one in whys) and any("2 choices" in one for one in whys)
    assert not list(data.rglob("*_finish.json"))
    coco.write_text(coco_text(clip(boxes=[BOXES[0]._replace(frame=1)])))
    assert "No box with an action" in run("import", "custom_ava", "--from", "coco", coco, code=2, data=data).output
    assert "hold no actions" in run("import", "custom_ava", "--from", "yolo", coco, code=2, data=data).output


def test_finished_and_proposed_projects_go_out(coco: Path, data: Path, tmp_path: Path) -> None:
    none = run("export", "custom_ava", "--to", "coco", tmp_path / "out.json", code=2, data=data)
    assert "is labelled yet" in none.output
    run("import", "custom_ava", "--from", "coco", coco, data=data)
    done = run("export", "custom_ava", "--to", "coco", tmp_path / "out.json", data=data)
    assert "1 crops are not labelled yet, the first is 2." in done.output
    assert boxes_of(json.loads((tmp_path / "out.json").read_text())) == [
        [[10, 20, 50, 70], ["stand", "watch"]], [[12, 20, 50, 70], ["read", "walk", "watch"]], [[100, 10, 50, 70], ["stand"]]
    ]  # fmt: skip
    jpeg(data / "custom_ava/frames/2/2_000001.jpg")
    run("export", "custom_ava", "--to", "cvat", "--proposed", tmp_path / "all", data=data)
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["2.xml", "door_1.xml"]
    absent = run("export", "custom_ava", "--to", "coco", tmp_path / "x", code=2, data=tmp_path)
    assert "labels=true" in absent.output


def test_bodies_that_are_heads_are_taken_out(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "1000101_000211.txt").write_text(
        "0 0.5 0.2 0.1 0.1 0.9\n1 0.5 0.5 0.4 0.8 0.8\n1 0.5 0.2 0.11 0.11 0.7\n"
    )
    (source / "1000102_000211.txt").write_text("0 0.5 0.2 0.1 0.1 0.9\n")
    done = run("without-heads", source, target)
    assert "2 frames, 1 bodies" in done.output
    assert (target / "1000101_000211.txt").read_text() == "1 0.5 0.5 0.4 0.8 0.8\n"
    assert (target / "1000102_000211.txt").read_text() == ""
    run("without-heads", "--reference", source, tmp_path / "as_upstream")
    assert (tmp_path / "as_upstream/1000101_000211.txt").read_text().count("\n") == 2
    (source / "3_000001.txt").write_text("0 0.5\n1 nan 0 0 0\n")
    assert "All 2 faults" in run("without-heads", source, tmp_path / "other", code=2).output


@pytest.mark.parametrize("target", [".", ".."])
def test_a_target_without_a_name_is_refused(coco: Path, target: str) -> None:
    done = run("convert", "--from", "coco", "--to", "via", coco, target, "--replace", code=2)
    assert "is no name to write to" in done.output


def test_a_full_disk_leaves_the_former_file_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.json"
    target.write_text("former")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr("clipquarry.annotations.own_ava.placed.write_new", full)
    with pytest.raises(OSError, match="no space"):
        place_file(target, "new", replace=True)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("x.json", "former")]
    monkeypatch.undo()
    assert place_file(target, "new", replace=True) == tmp_path / "x.json.former-1"
    assert target.read_text() == "new" and (tmp_path / "x.json.former-1").read_text() == "former"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_several_who_write_the_same_at_once_all_have_it(kind: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        for number in range(50):
            start = Barrier(4)

            def place(target: Path, start: Barrier = start) -> Path | None:
                start.wait()
                return place_file(target, "same") if kind == "file" else place_folder(target, {"a": "same"})

            assert list(pool.map(place, [tmp_path / str(number)] * 4)) == [None] * 4
    assert {one.read_text() for one in tmp_path.rglob("*") if one.is_file()} == {"same"}


def test_two_who_replace_a_file_at_once_lose_no_former_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, move = tmp_path / "x.json", Path.rename
    target.write_text("former")

    def other_comes_first(path: Path, to: Path) -> Path:
        monkeypatch.undo()
        place_file(target, "theirs", replace=True)
        return move(path, to)

    monkeypatch.setattr(Path, "rename", other_comes_first)
    place_file(target, "ours", replace=True)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"former", "theirs", "ours"}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_another_one_moves_away_at_this_moment_is_no_error(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, move = tmp_path / "x", Path.rename
    if kind == "file":
        target.write_text("former")
    else:
        target.mkdir()
        (target / "a").write_text("former")

    def other_comes_first(path: Path, to: Path) -> Path:
        monkeypatch.undo()
        move(path, tmp_path / "moved")
        return move(path, to)

    monkeypatch.setattr(Path, "rename", other_comes_first)
    told = (
        place_file(target, "ours", replace=True)
        if kind == "file"
        else place_folder(target, {"a": "ours"}, replace=True)
    )
    assert told is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moved", "x"]
