"""FineGYM, from its annotations and a server of source videos to events, subactions and mmaction2's lists."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clipquarry.datasets.load import load_spec
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import Exit
from clipquarry.media.probe import probe as probe_of
from clipquarry.release.lists import ListOptions, build_lists
from clipquarry.settings import DataRoot
from families.clips.file_world import PACKAGED, World, serve

pytestmark = pytest.mark.timeout(300)

RATE = 10
FIRST, SECOND, GONE = "0LtLS9wROrk", "-fqS-wCJ_sw", "NOTDOWNLOAD"


def segment(*stages: tuple[float, float]) -> dict[str, Any]:
    return {"stages": len(stages), "timestamps": [list(pair) for pair in stages]}


def event(start: float, end: float, **segments: Any) -> dict[str, Any]:
    return {"event": 1, "segments": segments or None, "timestamps": [[start, end]]}


ANNOTATION = {
    FIRST: {
        "E_000000_000003": event(
            0.0, 3.0, A_0000_0001=segment((0.2, 1.31)), A_0001_0003=segment((1.1, 1.5), (1.5, 2.0), (2.0, 2.87))
        ),
        "E_000003_000005": event(3.3, 5.25),
        "E_000100_000105": event(100.0, 105.0, A_0000_0002=segment((0.5, 2.0))),
    },
    SECOND: {
        "E_000000_000001": event(0.0, 1.0), "E_000004_000006": event(4.2, 5.9),
        "E_000001_000004": event(
            1.13, 4.0, A_0000_0002=segment((0.1, 1.9)), A_0002_0003=segment((2.2, 3.1)), A_0003_0004=segment((2.87, 3.0)),
            A_0004_0009=segment((1.0, 9.0)), A_0005_0005=segment((1.0, 1.0)), A_0006_0006=segment(), A_0007_0007=segment((-0.5, 0.4)),
            A_0008_0008={"stages": 1, "timestamps": [["0.1", "x"]]},
        ),
    },
    GONE: {"E_000001_000004": event(1.0, 4.0, A_0000_0002=segment((0.1, 1.9)))},
}  # fmt: skip
TRAIN = [
    f"{FIRST}_E_000000_000003_A_0000_0001 0", f"{SECOND}_E_000001_000004_A_0000_0002 98",
    f"{GONE}_E_000001_000004_A_0000_0002 5", f"{FIRST}_E_000100_000105_A_0000_0002 58",
    f"{SECOND}_E_000001_000004_A_0002_0003 70",
]  # fmt: skip
VAL = [f"{FIRST}_E_000000_000003_A_0001_0003 17"]
BAD = {
    f"{FIRST}_E_000003_000005_A_0000_0001 3": ("bad_row", "its event has no segments"),
    f"{FIRST}_E_000009_000010_A_0000_0001 3": ("bad_row", "no such event"),
    f"{SECOND}_E_000001_000004_A_0000_0007 3": ("bad_row", "no such segment"),
    f"{SECOND}_E_000001_000004_A_0003_0004 3": ("bad_time", "would be empty"),
    f"{SECOND}_E_000001_000004_A_0004_0009 3": ("bad_time", "it ends at 9 s of an event of 2.87 s"),
    f"{SECOND}_E_000001_000004_A_0005_0005 3": ("bad_time", "where it starts or before"),
    f"{SECOND}_E_000001_000004_A_0006_0006 3": ("bad_time", "no times of it"),
    f"{SECOND}_E_000001_000004_A_0007_0007 3": ("bad_time", "0.5 s before its event"),
    f"{SECOND}_E_000001_000004_A_0008_0008 3": ("bad_time", "no pairs of seconds"),
    f"{SECOND}_E_000001_000004_A_0000_0002 99": ("unknown_label", "0 to 98"),
    f"{SECOND}_E_000001_000004_A_0000_0002": ("bad_row", "the number of its class"),
    "../../passwd_E_000001_000004_A_0000_0002 3": ("bad_id", "VIDEO_E_000000_000000_A_0000_0000"),
}
"""Lines that no run can use, with the reason and a part of the sentence."""


def film(path: Path) -> Path:
    return make_video(path, 6, RATE, size=(64, 48), label=path.stem, gop=20)


def yaml() -> str:
    """The packaged YAML of a data set called small_gym99, whose hosts are the server at ``${SMALL_URL}``."""
    text = (PACKAGED / "gym99.yaml").read_text()
    changes = (
        ("https://sdolivia.github.io/FineGym/resources/dataset/", "${SMALL_URL}/"), ("name: gym99", "name: small_gym99"),
        ("root: gym\n", "root: small_gym99\n"), ("gym/videos/", "small_gym99/videos/"), ("ext: [mp4]}", "ext: [mp4], ids: youtube}"),
        ("{id: youtube, kind: youtube, ", '{id: origin, kind: http, url: "${SMALL_URL}/{id}.mp4", attempts: 1, '),
    )  # fmt: skip
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return text


def world(folder: Path, train: list[str], val: list[str], annotation: Any = ANNOTATION) -> Iterator[World]:
    served = {
        "finegym_annotation_info_v1.0.json": json.dumps(annotation).encode(),
        "gym99_train_element_v1.0.txt": "".join(f"{line}\n" for line in train).encode(),
        "gym99_val_element.txt": "\n".join(val).encode(),
        **{f"{name}.mp4": film(folder / f"{name}.mp4").read_bytes() for name in (FIRST, SECOND)},
    }
    with Origin(serve(folder / "served", served)) as origin:
        one = World(folder, "small_gym99", origin)
        one.spec(yaml())
        yield one


@pytest.fixture(scope="module")
def gym(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A run with frames and flow."""
    for one in world(tmp_path_factory.mktemp("gym"), TRAIN, VAL):
        told = one.run("one", "--set", "frames=true", "--set", "flow=true", "--set", "flow_type=dis").output
        assert "small_gym99: 9 of 13 clips are there" in told, told
        yield one


def test_events_and_subactions_are_cut_on_the_source_s_frames(gym: World) -> None:
    frames = {
        Path(name).stem: read_frame_numbers(gym.root / name) for name in gym.files("events") | gym.files("subactions")
    }
    assert frames == {
        f"{FIRST}_E_000000_000003": list(range(30)),
        f"{FIRST}_E_000003_000005": list(range(33, 53)),
        f"{SECOND}_E_000001_000004": list(range(12, 40)),
        f"{SECOND}_E_000000_000001": list(range(10)),
        f"{SECOND}_E_000004_000006": list(range(42, 59)),
        f"{FIRST}_E_000000_000003_A_0000_0001": list(range(2, 14)),
        f"{FIRST}_E_000000_000003_A_0001_0003": list(range(11, 29)),
        f"{SECOND}_E_000001_000004_A_0000_0002": list(range(13, 31)),
        f"{SECOND}_E_000001_000004_A_0002_0003": list(range(34, 40)),
    }  # fmt: skip
    assert gym.origin.asked[f"{FIRST}.mp4"] == gym.origin.asked[f"{SECOND}.mp4"] == 1, "both levels of one download"


def text(gym: World, name: str) -> str:
    return (gym.root / "annotations" / name).read_bytes().decode()


def test_lists_have_samples_only_and_end_without_a_line_end(gym: World) -> None:
    names = [line.split()[0] for line in TRAIN]
    assert text(gym, "gym99_train.txt") == f"{names[0]}.mp4 0\n{names[1]}.mp4 98\n{names[4]}.mp4 70"
    assert text(gym, "gym99_val.txt") == f"{VAL[0].split()[0]}.mp4 17"
    assert text(gym, "gym99_train_frame.txt") == f"{names[0]} 12 0\n{names[1]} 18 98\n{names[4]} 6 70"
    assert text(gym, "gym99_train_frame_flow.txt") == f"{names[0]} 11 0\n{names[1]} 17 98\n{names[4]} 5 70"
    for split in ("train", "val"):
        link = gym.root / f"annotations/gym99_{split}_list_rawframes.txt"
        assert str(link.readlink()) == f"gym99_{split}_frame.txt" and link.is_file()
    assert {path.name for path in gym.root.glob("annotations/*") if not path.is_symlink()} == {
        "annotation.json", "event_annotation.json",
        *(f"gym99_{split}{end}.txt" for split in ("train", "val") for end in ("", "_org", "_frame", "_frame_flow")),
    }  # fmt: skip
    folders = {path.name for path in (gym.root / "subaction_frames").iterdir()}
    assert folders == {Path(name).stem for name in gym.files("subactions")}, "events have no frames"


def test_the_next_plan_finds_events_and_subactions_here(gym: World) -> None:
    gym.run("plan", "--set", "frames=true", "--set", "dry_run=true")
    estimate = json.loads((gym.run_folder("plan") / "plan.json").read_text())["estimate"]
    assert {one["place"]: one["items"] for one in estimate["items"]}["here"] == 9
    made = {one["kind"]: one["files"] for one in estimate["disk"]}
    assert made.get("rawframes", 0) <= 4, "events have no frames"


def test_what_is_not_there_has_its_reason(gym: World) -> None:
    lost = {row["clip_id"]: (row["split"], row["reason"]) for row in gym.rows("results") if row["status"] == "missing"}
    assert lost == {
        f"{FIRST}_E_000100_000105": ("events", "too_short"),
        f"{FIRST}_E_000100_000105_A_0000_0002": ("train", "too_short"),
        f"{GONE}_E_000001_000004": ("events", "not_found"),
        f"{GONE}_E_000001_000004_A_0000_0002": ("train", "not_found"),
    }
    missing = {row["clip_id"] for row in gym.rows("missing_videos")}
    assert missing == {name for name in lost if "_A_" in name}
    for gate in ("annotations", "clips", "frames", "lists"):
        told = gym.gate(gate)
        assert told["verdict"] != "block", told
    failed = {one["id"] for one in gym.gate("annotations")["checks"] if not one["success"]}
    assert failed <= {"annotations.rows", "annotations.label_complete", "annotations.label_count", "annotations.class_in_train",
                      "annotations.label_in_train", "annotations.video_shared", "annotations.window_overlap"}, failed  # fmt: skip
    (overlap,) = (one for one in gym.gate("annotations")["checks"] if one["id"] == "annotations.window_overlap")
    assert [(one["overlap"], one["start"]) for one in overlap["worst"]] == [(0.21, 1.1)], (
        "windows are compared to the millisecond"
    )
    assert all(one["success"] is not False for one in gym.gate("lists")["checks"])
    scopes = {one["scope"] for one in gym.gate("annotations")["checks"] if one["id"] == "annotations.label_complete"}
    assert scopes == {"gap", "double"}, "58 and 70 may share a name, a number may not have two"


def test_event_annotation_is_of_videos_that_are_there(gym: World) -> None:
    wanted = {
        f"{video}_{name}": told["segments"]
        for video in (FIRST, SECOND) for name, told in ANNOTATION[video].items() if told["segments"]
    }  # fmt: skip
    assert text(gym, "event_annotation.json") == json.dumps(wanted), "in the order and form of json.dump"
    release = gym.data / ".clipquarry/releases/small_gym99/one"
    assert (release / "event_annotation.json").read_text() == json.dumps(wanted)
    names = (release / "label_map.txt").read_text().splitlines()
    assert len(names) == 99 and names[58] == names[70] == "(BB) salto backward tucked"


def test_a_second_run_keeps_every_file_and_asks_only_for_what_is_missing(gym: World) -> None:
    before = {path: path.stat().st_mtime_ns for path in gym.root.rglob("*") if path.is_file()}
    gym.run("two", "--set", "frames=true", "--set", "flow=true", "--set", "flow_type=dis")
    assert {path: path.stat().st_mtime_ns for path in gym.root.rglob("*") if path.is_file()} == before
    assert gym.origin.asked[f"{SECOND}.mp4"] == 1


def test_thirds_of_the_images_as_the_reference_counts_them(gym: World) -> None:
    gym.run(
        "thirds", "--set", "frames=true", "--set", "flow=true", "--set", "flow_type=dis", "--set", "list_thirds=true"
    )
    names = [line.split()[0] for line in TRAIN]
    assert text(gym, "gym99_train_frame.txt") == f"{names[0]} 11 0\n{names[1]} 17 98\n{names[4]} 5 70"
    assert gym.gate("lists", "thirds")["verdict"] != "block"


def test_subactions_without_events(tmp_path: Path) -> None:
    for one in world(tmp_path, TRAIN, VAL):
        one.run("one", "--set", 'splits=["train", "val"]')
        assert not one.files("events")
        assert len(one.files("subactions")) == 4
        before = {path: path.read_bytes() for path in one.root.glob("annotations/*")}
        one.run("two", "--set", 'splits=["events"]')
        assert len(one.files("events")) == 5
        assert {path: path.read_bytes() for path in one.root.glob("annotations/*")} == before, "no lists of events"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[World]:
    yield from world(tmp_path, [TRAIN[0], *BAD], VAL)


def test_lines_that_no_run_can_use_are_rejected_each_with_its_reason(small: World) -> None:
    small.run(code=Exit.BLOCKED)
    rows = [row for row in small.rows("catalog") if row["split"] == "train"]
    assert [row["status"] for row in rows] == ["done"] + ["rejected"] * len(BAD)
    for row, (line, (reason, sentence)) in zip(rows[1:], BAD.items(), strict=True):
        assert row["reason"] == reason and sentence in row["evidence"] and line in row["evidence"], (
            line,
            row["evidence"],
        )


def test_whole_videos_are_kept_and_used_before_any_is_downloaded(tmp_path: Path) -> None:
    for one in world(tmp_path, TRAIN, VAL):
        mine = one.root / "videos" / f"{SECOND}.mp4"
        mine.parent.mkdir(parents=True)
        mine.write_bytes((one.folder / f"{SECOND}.mp4").read_bytes())
        before = mine.stat()
        one.run("one", "--set", "keep_videos=true")
        assert one.files("videos") == {f"videos/{FIRST}.mp4", f"videos/{SECOND}.mp4"}
        assert (one.root / f"videos/{FIRST}.mp4").read_bytes() == (one.folder / f"{FIRST}.mp4").read_bytes()
        assert (mine.stat().st_ino, mine.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert one.origin.asked[f"{FIRST}.mp4"] == 1 and not one.origin.asked[f"{SECOND}.mp4"]
        assert len(one.files("subactions")) == 4 and len(one.files("events")) == 5
        for name in one.files("events") | one.files("subactions"):
            (one.root / name).unlink()
        shutil.rmtree(one.data / ".clipquarry/store")
        asked = sum(one.origin.asked.values())
        one.run("two", "--set", 'sources=["kept"]')
        assert sum(one.origin.asked.values()) == asked, "a run over kept videos alone makes no request"
        assert len(one.files("subactions")) == 4 and len(one.files("events")) == 5


ORACLE = Path(__file__).parents[4] / "shared/oracles/gym_trim_and_filelist"


@pytest.mark.skipif(not ORACLE.is_dir(), reason=f"needs the oracle {ORACLE}")
def test_the_reference_s_own_case(tmp_path: Path) -> None:
    """Its annotations and videos through a run; its frame folders through the lists."""
    inputs = ORACLE / "inputs/data/gym"

    def expected(stage: str, name: str) -> bytes:
        return (ORACLE / "expected" / stage / "data/gym/annotations" / name).read_bytes()

    with Origin(serve(tmp_path / "served", {})) as origin:
        one = World(tmp_path, "small_gym99", origin)
        one.spec(yaml())
        shutil.copytree(inputs, one.root)
        one.run("one", "--set", "frames=true")
        for name in ("gym99_train.txt", "gym99_val.txt"):
            assert (one.root / "annotations" / name).read_bytes() == expected("3_filelist_videos_only", name)
        wanted = expected("1_trim_event", "event_annotation.json")
        assert (one.root / "annotations/event_annotation.json").read_bytes() == wanted
        for probe in ("1_trim_event_probe.json", "2_trim_subaction_probe.json"):
            for path, told in json.loads((ORACLE / "expected" / probe).read_bytes()).items():
                clip = one.root / Path(path).relative_to("data/gym")
                if "video" not in told:  # an empty file of the reference
                    assert not clip.exists()
                    continue
                found = probe_of(clip)
                assert abs(found.frames - int(told["video"]["nb_read_frames"])) <= 1, path
                assert abs(found.duration - float(told["video"]["duration"])) <= 0.101 and found.has_audio, path
        shutil.rmtree(one.root / "subaction_frames")
        shutil.copytree(ORACLE / "inputs_stage4/data/gym/subaction_frames", one.root / "subaction_frames")
        names = ("gym99_train_frame.txt", "gym99_val_frame.txt")
        for more, stage in (
            ({}, "4_filelist_rgb_and_flow"), ({"thirds": True}, "4_filelist_rgb_and_flow"), ({"thirds": True}, "5_filelist_rgb_only_BUGGY"),
        ):  # fmt: skip
            if stage.startswith("5"):
                for path in one.root.glob("subaction_frames/*/flow_*"):
                    path.unlink()
            build_lists(
                load_spec(tmp_path / "specs/small_gym99.yaml"), DataRoot(one.data), one.run_folder() / "catalog.parquet", tmp_path / "missing",
                splits=["train", "val"], options=ListOptions(**more),
            )  # fmt: skip
            for name in names:
                lines = [line.split() for line in expected(stage, name).decode().split("\n")]
                right = [[folder, str(int(count) + (not more)), label] for folder, count, label in lines]
                assert (one.root / "annotations" / name).read_text() == "\n".join(map(" ".join, right)), (stage, more)
