"""The gate ``lists``: every line, and that no csv row is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clipquarry.families.clips.gates.lists import _List, _read
from clipquarry.microseconds import seconds
from clipquarry.quality.params import GateParams
from clipquarry.reasons import Reason
from quality_world import World, broken, ids, make_spec

TRAIN, VAL, IMAGES = "mini_train_list_videos.txt", "mini_val_list_videos.txt", "mini_val_list_rawframes.txt"


def test_clean_lists_pass_every_check(world: World) -> None:
    world.lose(0, Reason.REMOVED)
    world.lose(12, Reason.NOT_A_VIDEO)
    world.catalog.append(
        {"item_id": "val/#row-9", "split": "val", "row": 9, "status": "rejected", "reason": "bad_id", "evidence": "x"}
    )
    for rows in world.missing.values():
        rows.append({"item_id": "val/#row-9", "split": "val", "reason": "bad_id", "evidence": "x"})
    result = world.gate("lists")
    assert (result.verdict, broken(result)) == ("pass", {})
    assert len({check.scope for check in result.checks if check.id == "lists.balance"}) == 6


def test_shifted_indices_are_caught_on_every_line(world: World) -> None:
    world.edit_line(TRAIN, lambda lines: [f"{line.split()[0]} {(int(line.split()[1]) + 1) % 3}" for line in lines])
    found = broken(world.gate("lists"))
    assert list(found) == ["lists.index [train videos]"] and found["lists.index [train videos]"].unexpected == 12


def test_a_line_of_a_file_that_is_gone(world: World) -> None:
    row = world.recorded[12]
    (world.root / row["path"]).unlink()
    found = broken(world.gate("lists"))
    assert {name: ids(check) for name, check in found.items()} == {"lists.files [val videos]": [row["item_id"]]}


def test_a_name_one_second_off_is_no_csv_row(world: World) -> None:
    first = world.recorded[12]
    second = seconds(first["start"])
    start = f"_{second:06d}_"
    world.edit_line(VAL, lambda lines: [lines[0].replace(start, f"_{second + 1:06d}_"), *lines[1:]])
    found = broken(world.gate("lists"))
    assert found["lists.row [val videos]"].worst[0]["line"] == 1
    assert ids(found["lists.balance [val videos]"]) == ids(found["lists.present [val videos]"]) == [first["item_id"]]


@pytest.mark.parametrize(
    "line",
    ["", "a b/c.mp4 0", "only_a_path.mp4", "abseiling/x.mp4 zero", "abseiling/x.mp4  0", "abseiling/x.avi 0",
     "../../etc/passwd.mp4 0", "/etc/passwd.mp4 0", "abseiling/x.mp4 0\r", "abseiling/x.mp4 99999999999", "\x00\x1b[31m 0",
     "abseiling/" + "x" * 100_000 + ".mp4 0"],
)  # fmt: skip
def test_hostile_lines_are_named_and_stop_nothing(world: World, line: str) -> None:
    world.edit_line(VAL, lambda lines: [*lines, "placeholder 0"])
    world.lists[VAL] = world.lists[VAL].replace(b"placeholder 0", line.encode())
    found = broken(world.gate("lists"))
    named = [row for check in found.values() for row in check.worst if row.get("line") == 7]
    assert named and all(check.severity == "error" for check in found.values())
    assert ("lists.syntax [val videos]" in found) or ("lists.row [val videos]" in found)
    assert all(len(row["text"]) <= 301 for row in named)


def test_bytes_that_are_no_text(world: World) -> None:
    world.lists[VAL] += b"abseiling/\xff\xfe.mp4 0\n"
    found = broken(world.gate("lists"))
    assert found["lists.row [val videos]"].worst[0]["text"] == "abseiling/\\xff\\xfe.mp4 0"


def test_doubled_line_and_absent_line_end(world: World) -> None:
    world.edit_line(VAL, lambda lines: [*lines, lines[0]])
    world.lists[VAL] = world.lists[VAL].removesuffix(b"\n")
    found = broken(world.gate("lists"))
    assert {name: check.unexpected for name, check in found.items()} == {
        "lists.unique [val videos]": 2, "lists.final_newline": 1
    }  # fmt: skip
    assert ids(found["lists.final_newline"]) == [f"val/{VAL}"]


def test_rows_in_neither_place_or_in_both(world: World) -> None:
    gone, both = world.recorded[12], world.recorded[13]
    world.edit_line(VAL, lambda lines: lines[1:])
    row = {name: both[name] for name in ("item_id", "split", "label", "clip_id")}
    stray = {"item_id": "val/#row-99", "split": "val"}
    world.missing["videos"] += [{**one, "reason": "removed", "evidence": "x"} for one in (row, stray)]
    found = broken(world.gate("lists"))["lists.balance [val videos]"]
    assert {row["item_id"]: (row["listed"], row["missing"]) for row in found.worst} == {
        gone["item_id"]: (False, False), both["item_id"]: (True, True), stray["item_id"]: (False, False)
    }  # fmt: skip


def test_wrong_numbers_of_frames(world: World) -> None:
    world.edit_line(IMAGES, lambda lines: [lines[0].replace(" 10 ", " 11 "), *lines[1:]])
    (world.root / world.frames[13]["path"] / "img_00010.jpg").unlink()  # type: ignore[index]
    found = broken(world.gate("lists"))
    assert ids(found["lists.total_frames [val rawframes]"]) == [
        world.recorded[12]["item_id"],
        world.recorded[13]["item_id"],
    ]


def test_an_absent_list_is_named(world: World) -> None:
    del world.lists[VAL]
    found = broken(world.gate("lists"))
    assert ids(found["lists.exists"]) == [f"val/{VAL}"]


def test_an_empty_list_is_whole_but_hides_nothing(world: World) -> None:
    world.lists[VAL] = b""
    found = broken(world.gate("lists"))
    assert set(found) == {"lists.balance [val videos]", "lists.present [val videos]"}
    assert found["lists.balance [val videos]"].unexpected == 6


def test_nothing_selected_and_nothing_listed_passes(world: World) -> None:
    world.recorded, world.plan, world.resized, world.frames, world.lists = [], [], None, None, {}
    assert world.gate("lists", GateParams()).verdict == "pass"


LINES = ("a/b.mp4 3", "a/b.c.mp4", "a/b 12 7", "a b/c.mp4 1", "", " ", "a/b.mp4 -1", "a/b.mp4 1 2", "/x", "a/", "a/b\u00a0c 1",
         "a/b.mp4  1", "x.y/z.mp4 0012", "a/b/c.mp4 1", "a/b.mp4 1234567890", "a\tb 1", "ü/ж.mp4 4")  # fmt: skip


@pytest.mark.parametrize("format_", ["videos", "rawframes"])
def test_lines_are_read_as_readers_read_them(tmp_path: Path, format_: str) -> None:
    """Arrow's expressions say of every line what Python's say."""
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{line}\n" for line in LINES))
    table = _read(_List("val", format_, path), make_spec())
    middle = r" (?P<frames>\d{1,9})" if format_ == "rawframes" else ""
    for row, line in zip(table.to_dict("records"), LINES, strict=True):
        found = re.fullmatch(rf"(?P<path>[^\s]+){middle}(?P<labels>(?: \d{{1,9}})*)", line)
        assert (row["path"], row["labels"]) == ((found["path"], found["labels"][1:]) if found else ("", "")), line


@pytest.mark.parametrize(
    ("labels", "written", "caught"),
    [
        ((2, 0), "2 0", []),
        ((2, 0), "0 2", ["lists.index [val videos]"]),
        ((2, 0), "2", ["lists.index [val videos]"]),
        ((1,), "1 1", ["lists.index [val videos]"]),
        ((), "", []),
        ((), "0", ["lists.index [val videos]"]),
    ],
)
def test_several_labels_of_a_clip_in_their_order(
    world: World, labels: tuple[int, ...], written: str, caught: list[str]
) -> None:
    row = world.recorded[12]
    world.labels[row["item_id"]] = labels
    world.edit_line(VAL, lambda lines: [f"{lines[0].split()[0]} {written}".rstrip(), *lines[1:]])
    world.edit_line(
        IMAGES, lambda lines: [f"{' '.join(lines[0].split()[:2])} {' '.join(map(str, labels))}".rstrip(), *lines[1:]]
    )
    assert list(broken(world.gate("lists"))) == caught


def rename(world: World, index: int, name: str, suffix: str) -> None:
    """One clip of val gets a name and a suffix of its own, in all tables, lists and folders."""
    old = dict(world.recorded[index])
    clip, folder = old["clip_id"], old["class_dir"]
    world.lists = {
        key: value.replace(
            *(
                (f"{clip}.mp4".encode(), f"{name}{suffix}".encode())
                if "videos" in key
                else (clip.encode(), name.encode())
            )
        )
        for key, value in world.lists.items()
    }
    for kind, end, new_end in (("videos_val", ".mp4", suffix), ("rawframes_val", "", "")):
        place = world.root / f"mini/{kind}/{folder}"
        (place / f"{clip}{end}").rename(place / f"{name}{new_end}")
    tables = (world.catalog, world.plan, world.recorded, world.resized or [], world.frames or [])
    for row in (row for rows in tables for row in rows if row["item_id"] == old["item_id"]):
        row |= {"item_id": f"val/{folder}/{name}", "clip_id": name}
    world.recorded[index]["path"] = f"mini/videos_val/{folder}/{name}{suffix}"


def test_clips_with_names_and_suffixes_of_their_own(world: World) -> None:
    world.spec = make_spec(item={"level": 2, "ext": ["webm", "avi", "mp4"]})
    names = ("v_ApplyEyeMakeup_g01_c01", "1", "a.b.c", "1.5", "#437_(best)_[ok]", "a.mp4")
    for index, (name, suffix) in enumerate(zip(names, (".avi", ".WEBM", ".mp4", ".avi", ".webm", ".mp4"), strict=True)):
        rename(world, 12 + index, name, suffix)
    assert broken(world.gate("lists")) == {}


def test_a_file_of_another_clip_is_not_taken_for_one(world: World) -> None:
    """The name of a clip does not end at its first dot."""
    row = world.recorded[12]
    rename(world, 12, f"{row['clip_id']}.5", ".mp4")
    world.catalog.append(
        {**world.catalog[12], "item_id": f"val/{row['class_dir']}/other", "clip_id": row["clip_id"][:-2]}
    )
    found = broken(world.gate("lists"))
    assert set(found) == {"lists.balance [val videos]", "lists.balance [val rawframes]"}
    assert ids(found["lists.balance [val videos]"]) == [f"val/{row['class_dir']}/other"]
