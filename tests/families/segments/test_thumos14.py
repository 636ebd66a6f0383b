"""THUMOS'14, from its encrypted archives to lists of proposals with the numbers of the frames that are here, through the command line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from acquire.made_archives import needs_libarchive, zip_crypto, zipped
from clipquarry.annotations.label_table import read_labels
from clipquarry.datasets.load import find_spec
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit
from clipquarry.families.segments.options import segments_options
from families.clips.file_world import World, film, serve, small

pytestmark = [needs_libarchive, pytest.mark.timeout(300)]

PASSWORD = "only-for-the-registered"
FRAMES = 24
"""Of every video: three seconds of 8 frames."""
VAL = {"video_validation_0000051", "video_validation_0000266"}
TEST = {"video_test_0000004", "video_test_0000270"}
INTERVALS = {
    "BaseballPitch_val": "video_validation_0000266  1.2 2.4\nvideo_validation_0000266  0.1 0.9\n",
    "Diving_val": "video_validation_0000051  0.5 1.5\r\n",
    "CliffDiving_val": "video_validation_0000051  0.5 1.5\n",
    "Ambiguous_val": "video_validation_0000051  2.0 2.9\n",
    "Diving_test": "video_test_0000004 0.0 3.0\n",
    "LongJump_test": "video_test_0000270 1.0 2.5\n",
}
NORMALISED = {
    "val": """\
# 1
video_validation_0000266
5000
1
1
1 0.4000 0.8000
2
1 0.8125 0.95121 0.4199 0.8333
0 0.0 1e-2 0.99 0.5
# 2
video_validation_0000999
100
30
0
0
# 3
video_validation_0000051
100
30
2
8 0.1666 0.5
5 0.1666 0.5
0
""",
    "test": """\
# 0
video_test_0000004
1
1
1
8 0 1
0
# 1
video_test_0000270
1
1
1
14 0.3333 0.8334
1
14 1 1 0.04166 0.0416
""",
}
LISTS = {
    "val": """\
# 0
video_validation_0000266
24
1
1
1 9 19
2
1 0.8125 0.9512 10 19
0 0.0000 0.0100 23 12
# 1
video_validation_0000051
24
1
2
8 3 12
5 3 12
0
""",
    "test": """\
# 0
video_test_0000004
24
1
1
8 0 24
0
# 1
video_test_0000270
24
1
1
14 7 20
1
14 1.0000 1.0000 0 0
""",
}


def annotations(split: str, intervals: dict[str, str]) -> bytes:
    """The archive of a split: a folder with a file for each class, and what lies beside them."""
    classes = [*segments_options(find_spec("thumos14")).classes, "Ambiguous"]
    files = {f"annotation/{name}_{split}.txt": intervals.get(f"{name}_{split}", "").encode() for name in classes}
    return zipped({**files, "annotation/xgtf/x.xgtf": b"<viper/>", "readme.txt": b"read me"})


def served(folder: Path, **changes: str) -> dict[str, bytes]:
    """What the servers have. ``changes``: other texts of annotation files."""
    intervals = {**INTERVALS, **changes}
    test = {f"TH14_test_set_mp4/{name}.mp4": film(folder, name, ".mp4", seconds=3) for name in TEST}
    # Most videos of the archives have no temporal annotation.
    val = {f"{name}.mp4": film(folder, name, ".mp4", seconds=3) for name in (*VAL, "video_validation_0000001")}
    return {
        "TH14_Temporal_annotations_validation.zip": annotations("val", intervals),
        "TH14_Temporal_annotations_test.zip": annotations("test", intervals),
        "TH14_validation_set_mp4.zip": zip_crypto(val, PASSWORD.encode()),
        "TH14_Test_set_mp4.zip": zip_crypto(test, PASSWORD.encode()),
        **{f"thumos14_tag_{split}_normalized_proposal_list.txt": text.encode() for split, text in NORMALISED.items()},
    }


def world_of(folder: Path, origin: Origin, **variables: str) -> World:
    world = World(folder, "small_thumos14", origin, variables)
    world.spec(small("thumos14", ("https://download.openmmlab.com/mmaction/dataset/thumos14/", "${SMALL_URL}/")))
    return world


@pytest.fixture(scope="module")
def thumos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("thumos")
    with Origin(serve(folder / "served", served(folder))) as origin:
        world = world_of(folder, origin, THUMOS14_PASSWORD=PASSWORD)
        done = world.run("one", "--set", "frames=true")
        assert done.stdout.splitlines()[-1].startswith("small_thumos14: 4 of 4 videos are there"), done.output
        assert PASSWORD not in done.output
        yield world


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    with Origin(serve(tmp_path / "served", served(tmp_path))) as origin:
        yield world_of(tmp_path, origin, THUMOS14_PASSWORD=PASSWORD)


def proposal_list(world: World, split: str) -> Path:
    return world.root / f"proposals/thumos14_tag_{split}_proposal_list.txt"


def checks(world: World, gate: str, run: str = "one") -> dict[str, list[str]]:
    """Checks of a gate that do not hold, with the rows that a person is shown."""
    found: dict[str, list[str]] = {}
    for one in world.gate(gate, run)["checks"]:
        if not one["success"]:
            found.setdefault(one["id"], []).extend(row["item_id"] for row in one["worst"])
    return found


def test_the_archives_are_unpacked_flat(thumos: World) -> None:
    assert thumos.files() == {
        *(f"videos/val/{name}.mp4" for name in (*VAL, "video_validation_0000001")),
        *(f"videos/test/{name}.mp4" for name in TEST),
    }
    found = thumos.files("annotations_val")
    assert len(found) == 23 and {"annotations_val/readme.txt", "annotations_val/x.xgtf"} <= found
    assert sum(thumos.origin.asked.values()) == 6, "everything is downloaded once"


def test_the_catalog_has_the_annotated_videos_and_their_labels(thumos: World) -> None:
    assert [row["item_id"] for row in thumos.rows("catalog")] == [
        *sorted(f"val/{name}" for name in VAL), *sorted(f"test/{name}" for name in TEST)
    ]  # fmt: skip
    assert {(row["start"], row["end"], row["class_dir"]) for row in thumos.rows("catalog")} == {(None, None, None)}
    labels = {
        item: [(one.index, one.name) for one in found]
        for item, found in read_labels(thumos.run_folder() / "labels.parquet")
    }
    assert labels == {
        "val/video_validation_0000051": [(4, "CliffDiving"), (7, "Diving")],
        "val/video_validation_0000266": [(0, "BaseballPitch")],
        "test/video_test_0000004": [(7, "Diving")],
        "test/video_test_0000270": [(13, "LongJump")],
    }


def test_the_intervals_stand_in_a_table_of_their_own(thumos: World) -> None:
    rows = [row for row in thumos.rows("intervals") if row["video_id"] == "video_validation_0000051"]
    assert [
        (row["item_id"], row["label"], row["label_index"], row["start"], row["end"], row["ambiguous"]) for row in rows
    ] == [
        ("val/video_validation_0000051#0", "CliffDiving", 4, 500_000, 1_500_000, False),
        ("val/video_validation_0000051#1", "Diving", 7, 500_000, 1_500_000, False),
        ("val/video_validation_0000051#2", "Ambiguous", -1, 2_000_000, 2_900_000, True),
    ]


def test_the_lists_are_those_of_the_reference_without_videos_that_have_no_frames(thumos: World) -> None:
    for split, text in LISTS.items():
        assert proposal_list(thumos, split).read_bytes() == text.encode()
        link = thumos.root / f"thumos14_tag_{split}_proposal_list.txt"
        assert str(link.readlink()) == f"proposals/thumos14_tag_{split}_proposal_list.txt"
        assert link.read_text() == text
    (left,) = (row for row in thumos.rows("proposals/val") if not row["written"])
    assert (left["item_id"], left["line"], left["reason"]) == ("val/video_validation_0000999", 10, "not_annotated")


def test_the_gates_tell_what_is_known_to_be_wrong(thumos: World) -> None:
    assert {gate: thumos.gate(gate)["verdict"] for gate in ("annotations", "clips", "frames", "proposals")} == {
        "annotations": "warn", "clips": "pass", "frames": "pass", "proposals": "warn",
    }  # fmt: skip
    broken = checks(thumos, "annotations")
    assert broken["intervals.known_wrong"] == ["test/video_test_0000270"]
    assert set(broken) == {"annotations.rows", "intervals.class", "intervals.known_wrong"}
    assert checks(thumos, "proposals") == {
        "proposal_list.order": ["test/video_test_0000270", "val/video_validation_0000266"],
        "proposal_list.left_out": ["val/video_validation_0000999"],
    }  # fmt: skip


def test_the_release_has_what_others_need(thumos: World) -> None:
    release = thumos.data / ".clipquarry/releases/small_thumos14/one"
    assert {path.name for path in release.iterdir()} == {
        "small_thumos14.lock", "intervals.csv", "classes.csv", "label_map.txt", "missing.csv", "missing_proposals_val.csv",
        "missing_proposals_test.csv", "thumos14_tag_val_proposal_list.txt", "thumos14_tag_test_proposal_list.txt",
    }  # fmt: skip
    with (release / "intervals.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 7 and rows[0]["start"] == "0.5"
    assert "13,14,51,LongJump" in (release / "classes.csv").read_text().splitlines()
    assert (release / "label_map.txt").read_text().splitlines()[:2] == ["BaseballPitch", "BasketballDunk"]
    assert "video_validation_0000999" in (release / "missing_proposals_val.csv").read_text()


def test_the_report_shows_the_classes(thumos: World) -> None:
    page = (thumos.run_folder() / "report/index.html").read_text()
    assert "6 labelled intervals of 20 classes in 4 videos" in page
    assert "Intervals by class" in page and "CliffDiving" in page


def test_the_password_is_in_no_file(thumos: World) -> None:
    told = PASSWORD.encode()
    assert [path for path in thumos.folder.rglob("*") if path.is_file() and told in path.read_bytes()] == []
    params = thumos.run_folder() / "plan/params"
    assert any("THUMOS14_PASSWORD" in path.read_text() for path in params.glob("extract-*.json"))


def test_a_second_run_keeps_every_file_and_asks_nobody(thumos: World) -> None:
    paths = [*(thumos.root / name for name in thumos.files()), *(proposal_list(thumos, split) for split in LISTS)]
    before, asked = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths], sum(thumos.origin.asked.values())
    thumos.run("two", "--set", "frames=true")
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in paths] == before
    assert sum(thumos.origin.asked.values()) == asked
    assert {row["status"] for row in thumos.rows("results", "two")} == {"kept"}
    releases = thumos.data / ".clipquarry/releases/small_thumos14"
    assert [path.name for path in releases.iterdir() if path.is_dir()] == ["one"]


def test_a_list_is_made_anew_when_the_frames_change(fresh: World) -> None:
    fresh.run("one", "--set", "frames=true")
    assert proposal_list(fresh, "val").read_text() == LISTS["val"]
    test_list = proposal_list(fresh, "test").stat().st_mtime_ns
    video = fresh.root / "videos/val/video_validation_0000051.mp4"
    video.unlink()  # a person puts a longer one in its place
    video.write_bytes(film(fresh.folder, "longer", ".mp4", seconds=4))
    fresh.run("two", "--set", "frames=true")
    assert "video_validation_0000051\n32\n1\n2\n8 5 16\n5 5 16\n" in proposal_list(fresh, "val").read_text()
    assert proposal_list(fresh, "test").stat().st_mtime_ns == test_list, "the other one is kept"


def test_without_the_password_the_run_says_which_variable_to_set(fresh: World) -> None:
    fresh.variables.pop("THUMOS14_PASSWORD")
    done = fresh.run(code=Exit.USAGE)
    assert "the variable THUMOS14_PASSWORD with its password is not set" in done.output


def test_a_wrong_password_leaves_no_file_and_is_told(fresh: World) -> None:
    fresh.variables["THUMOS14_PASSWORD"] = "of-another-data-set"
    done = fresh.run(code=Exit.BLOCKED)
    assert "clips.coverage" in done.output and "of-another-data-set" not in done.output
    assert fresh.files() == set()


def test_of_one_split_only_its_own_archives_are_downloaded(fresh: World) -> None:
    fresh.run("one", "--set", 'splits=["test"]')
    assert {Path(name).name for name in fresh.origin.asked} == {
        "TH14_Temporal_annotations_test.zip", "TH14_Test_set_mp4.zip",
    }  # fmt: skip
    assert not (fresh.root / "proposals").exists(), "without frames there is nothing to number"


def test_an_interval_behind_the_end_of_its_video_is_named(tmp_path: Path) -> None:
    wrong = "video_test_0000004 1.0 3.9\nvideo_test_0000004 2.5 4.2\nvideo_test_0000004 2.0 2.0\nnonsense\n"
    with Origin(serve(tmp_path / "served", served(tmp_path, Diving_test=wrong))) as origin:
        world = world_of(tmp_path, origin, THUMOS14_PASSWORD=PASSWORD)
        world.run("one", "--set", 'splits=["test"]', code=Exit.BLOCKED)  # one rejected line of three rows is too much
        assert checks(world, "annotations")["intervals.order"] == ["test/video_test_0000004#2"]
        (rejected,) = (row for row in world.rows("catalog") if row["status"] == "rejected")
        assert rejected["evidence"].startswith("Diving_test.txt, line 4: it is not VIDEO START END")
        (world.root / "annotations_test/Diving_test.txt").write_text(wrong.removesuffix("nonsense\n"))
        world.run("two", "--set", 'splits=["test"]')
        assert checks(world, "clips", "two")["intervals.in_video"] == ["test/video_test_0000004#1"]
        assert world.gate("clips", "two")["verdict"] == "warn"
        release = world.data / ".clipquarry/releases/small_thumos14/two/intervals.csv"
        assert "2.0,2.0" not in release.read_text()


def test_a_damaged_published_list_is_one_sentence_and_writes_nothing(fresh: World) -> None:
    place = fresh.root / "proposals/thumos14_tag_val_normalized_proposal_list.txt"
    place.parent.mkdir(parents=True)
    place.write_text(NORMALISED["val"].replace("8 0.1666 0.5\n", ""))
    done = fresh.run("one", "--set", "frames=true", code=Exit.USAGE)
    assert f"{place}, line 22: '0' is not 'label start end': get the file again." in done.output
    assert not proposal_list(fresh, "val").exists()


def test_what_lies_in_the_place_of_the_link_is_moved_away(fresh: World) -> None:
    alias = fresh.root / "thumos14_tag_val_proposal_list.txt"
    alias.parent.mkdir(parents=True)
    alias.write_text("a list of mine")
    fresh.run("one", "--set", "frames=true")
    assert alias.is_symlink() and alias.read_text() == LISTS["val"]
    (aside,) = (fresh.data / ".clipquarry/set-aside").rglob("*.txt")
    assert aside.read_text() == "a list of mine"


def test_a_list_that_was_edited_blocks_the_release(fresh: World) -> None:
    fresh.run("one", "--set", "frames=true")
    path = proposal_list(fresh, "val")
    path.write_text(path.read_text().replace("8 3 12", "21 3 25"))
    fresh("stage", "gate_proposals", "small_thumos14", "--run", "one", code=Exit.BLOCKED)
    broken = checks(fresh, "proposals")
    assert broken["proposal_list.label"] == broken["proposal_list.range"] == ["val/video_validation_0000051"]


def test_a_video_whose_file_is_missing_is_left_out_with_its_reason(tmp_path: Path) -> None:
    files = served(tmp_path)
    video = film(tmp_path, "video_validation_0000266", ".mp4", seconds=3)
    files["TH14_validation_set_mp4.zip"] = zip_crypto({"video_validation_0000266.mp4": video}, PASSWORD.encode())
    with Origin(serve(tmp_path / "served", files)) as origin:
        world = world_of(tmp_path, origin, THUMOS14_PASSWORD=PASSWORD)
        text = (tmp_path / "specs/small_thumos14.yaml").read_text()
        world.spec(text.replace("missing: {warn: 0, error: 0}", "missing: {warn: 0, error: 0.5}"))
        world.run("one", "--set", "frames=true", "--set", 'splits=["val"]')
        assert "video_validation_0000051" not in proposal_list(world, "val").read_text()
        release = world.data / ".clipquarry/releases/small_thumos14/one"
        with (release / "missing_proposals_val.csv").open() as handle:
            left = {row["video"]: (row["reason"], row["evidence"]) for row in csv.DictReader(handle)}
        assert left["video_validation_0000051"] == ("not_found", "val_videos: not in the archive")
        assert left["video_validation_0000999"][0] == "not_annotated"


def test_a_trial_writes_a_list_of_what_has_frames(fresh: World) -> None:
    fresh.run("one", "--set", "frames=true", "--set", "limit=1", "--set", 'splits=["val"]')
    assert proposal_list(fresh, "val").read_text().count("#") == 1
    left = {row["video_id"]: row["reason"] for row in fresh.rows("proposals/val") if not row["written"]}
    assert left == {"video_validation_0000266": "not_asked", "video_validation_0000999": "not_annotated"}
