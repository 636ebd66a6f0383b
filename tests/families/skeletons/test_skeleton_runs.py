"""Packages of skeletons, from a server or a folder to a release: small ones, under the packaged YAMLs."""

from __future__ import annotations

import csv
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotations.ntu_files import skeleton_text
from clipquarry.datasets.load import find_spec
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit, UserError
from clipquarry.families.skeletons.sample import make_packages
from clipquarry.files import read_json
from clipquarry.pipeline.param_checks import parse_run_params
from families.clips.file_world import PACKAGED, World

Value = dict[str, Any]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The toy packages at a server, in an own data set."""
    made = make_packages(tmp_path / "made")
    with Origin(made.folder / "packages") as origin:
        world = World(tmp_path, "toys", origin)
        text = (PACKAGED / "skeleton_demo.yaml").read_text()
        text = text.replace("skeleton_demo", "toys").replace("${CLIPQUARRY_DEMO_URL}/packages", "${SMALL_URL}")
        world.spec(text)
        made.place(world.root)
        yield world


def change(world: World, package: str, how: Callable[[Value], object]) -> None:
    """Change what the server has."""
    path = world.folder / f"made/packages/{package}.pkl"
    value = pickle.loads(path.read_bytes())
    path.unlink()
    path.write_bytes(pickle.dumps(how(value) or value, 4))


def broken(world: World, gate: str = "packages") -> dict[str, str]:
    """Checks that did not hold, with their severities."""
    return {one["id"]: one["severity"] for one in world.gate(gate)["checks"] if not one["success"]}


def faults(world: World, package: str) -> set[tuple[str, str]]:
    return {(row["place"], row["reason"]) for row in world.rows(f"packages/{package}.faults")}


def test_packages_are_fetched_checked_and_released(world: World) -> None:
    done = world.run("one")
    assert done.stdout.splitlines()[-1] == "toys: 4 of 4 packages are there.", done.output
    assert broken(world) == {} and broken(world, "clips") == {}
    release = world.data / ".clipquarry/releases/toys/one"
    with open(release / "packages.csv", newline="") as handle:
        rows = {row["package"]: row for row in csv.DictReader(handle)}
    assert {name: (row["samples"], row["classes"], row["faults"]) for name, row in rows.items()} == {
        "toy_2d": ("12", "3", "0"), "toy_3d": ("12", "3", "0"), "toy_boxes": ("12", "", "0"), "toy_contents": ("6", "3", "0"),
    }  # fmt: skip
    assert (release / "splits.csv").read_text().splitlines()[1] == "toy_2d,train,9,9,3,0,0"
    assert (release / "faults.csv").read_text() == "package,place,name,reason\n"
    lock = (release / "toys.lock").read_text()
    assert all(f"toys/{name}.pkl" in lock for name in rows)
    page = (world.run_folder() / "report/index.html").read_text()
    assert "42 samples in 4 packages were read" in page
    assert page.count(", class 0: key points") == 2, "of each package with samples"
    assert page.count(": heat maps of points") == page.count(": heat maps of limbs") == 1, (
        "of 2D points, which models see so"
    )
    assert page.count("data:image/png;base64,") == 8
    assert "No thumbnail" not in page and "of video" not in page and "have sound" not in page, "a package is no video"


def test_only_the_chosen_packages_are_fetched(world: World) -> None:
    world.run("one", "--set", 'packages=["toy_3d"]')
    assert world.files(".") - world.files("kpfiles") == {"toy_3d.pkl"}
    assert set(world.origin.asked) == {"toy_3d.pkl"}
    world.run("two", "--split", "toy_2d")
    assert set(world.origin.asked) == {"toy_3d.pkl", "toy_2d.pkl"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"packages": ["toy_9d"]}, "skeleton_demo has no split 'toy_9d'|skeleton_demo has no package 'toy_9d'"),
        ({"packages": ["toy_2d"], "splits": ["toy_3d"]}, "'packages' and 'splits' are one choice"),
        ({"packages": ["toy_2d", "toy_2d"]}, "names 'toy_2d' twice"),
    ],
)
def test_choices_that_cannot_be_right(given: dict[str, list[str]], told: str) -> None:
    with pytest.raises(UserError, match=told):
        parse_run_params(given, find_spec("skeleton_demo"))


def _break_samples(value: Value) -> None:
    one = value["annotations"]
    one[0]["keypoint"] = one[0]["keypoint"][:, 1:]
    one[1]["keypoint"] = one[1]["keypoint"].copy()
    one[1]["keypoint"][0, 0, 0, 0] = np.nan
    one[2]["label"] = 3
    one[3]["frame_dir"] = one[4]["frame_dir"]
    one[5]["keypoint"], one[5]["keypoint_score"] = one[5]["keypoint"][:0], one[5]["keypoint_score"][:0]
    one[6]["img_shape"] = (240, 20)
    value["split"]["train"] += ["nobody\n", value["split"]["train"][0], value["split"]["val"][0]]
    value["split"]["more"] = []


def test_every_fault_is_in_a_table_with_its_reason(world: World) -> None:
    change(world, "toy_2d", _break_samples)
    world.run("one", "--set", 'packages=["toy_2d"]', code=Exit.BLOCKED)
    assert broken(world) == {
        "packages.inside": "error", "skeletons.form": "error", "skeletons.name_unique": "error", "skeletons.label": "error",
        "skeletons.finite": "error", "skeletons.somebody": "warn", "skeletons.inside": "info", "packages.split_names": "error",
        "packages.split_twice": "warn", "packages.disjoint": "error", "packages.split_size": "warn", "packages.split_known": "info",
    } | {key: value for key, value in broken(world).items() if key in ("packages.split_classes", "skeletons.in_split")}  # fmt: skip
    found = faults(world, "toy_2d")
    assert {place for place, _ in found} >= {f"annotations[{number}]" for number in (0, 1, 2, 4, 5, 6)} | {
        "split train",
        "split val",
    }
    reasons = {reason for _, reason in found}
    assert reasons >= {
        "another sample before it has its name", "label 3 is none of the classes 0 to 2", "it shows nobody",
        "it names no sample of the package", "the split names it twice", "the split train names it too",
    }  # fmt: skip
    assert any(reason.startswith("keypoint has 7 frames, total_frames says 8") for reason in reasons)
    assert any(reason.endswith("key points are no finite numbers") for reason in reasons)
    assert any(reason.endswith("key points are outside of the picture") for reason in reasons)
    assert not (world.data / ".clipquarry/releases/toys/one").exists(), "nothing broken is released"
    page = (world.run_folder() / "report/index.html").read_text()
    assert "label 3 is none of the classes 0 to 2" in page and "nobody\\n" in page


def test_another_structure_is_one_broken_check(world: World) -> None:
    change(world, "toy_2d", lambda value: {"annotations": value["annotations"]})
    change(world, "toy_3d", lambda value: {"a": 1})
    world.run("one", "--set", 'packages=["toy_2d", "toy_3d"]', code=Exit.BLOCKED)
    found = next(one for one in world.gate("packages")["checks"] if one["id"] == "packages.structure")
    assert [row["problem"] for row in found["worst"]] == ["it has no dict 'split'", "it has no list 'annotations'"]


class _Call:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return shutil.rmtree, (str(self.path),)


def test_what_is_no_package_never_takes_its_place(world: World) -> None:
    folder = world.folder / "made/packages"
    (folder / "toy_2d.pkl").write_bytes(b"<!DOCTYPE html><html>Sign in</html>")
    (folder / "toy_3d.pkl").write_bytes((folder / "toy_3d.pkl").read_bytes()[:-9])
    (folder / "toy_boxes.pkl").write_bytes(pickle.dumps({"a": _Call(world.root)}, 4))
    world.run("one", code=Exit.BLOCKED)
    rows = {row["clip_id"]: row for row in world.rows("results")}
    assert {name: row["reason"] for name, row in rows.items() if row["status"] == "missing"} == {
        "toy_2d": "not_a_video", "toy_3d": "corrupt", "toy_boxes": "corrupt",
    }  # fmt: skip
    assert "it wants to call shutil.rmtree" in rows["toy_boxes"]["evidence"]
    assert "breaks off" in rows["toy_3d"]["evidence"] or "announces more data" in rows["toy_3d"]["evidence"]
    assert world.files(".") - world.files("kpfiles") == {"toy_contents.pkl"}


def test_a_persons_own_package_is_kept_and_a_damaged_one_set_aside(world: World) -> None:
    good = (world.folder / "made/packages/toy_2d.pkl").read_bytes()
    mine, damaged = world.root / "toy_2d.pkl", world.root / "toy_3d.pkl"
    mine.write_bytes(good)
    damaged.write_bytes(b"\x80\x04 what I wrote")
    before = mine.stat()
    world.run("one", "--set", 'packages=["toy_2d", "toy_3d"]')
    assert (mine.stat().st_ino, mine.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "toy_2d.pkl" not in world.origin.asked
    aside = list((world.data / ".clipquarry/set-aside").rglob("toy_3d*"))
    assert [path.read_bytes() for path in aside if path.is_file()] == [b"\x80\x04 what I wrote"]


def test_packages_of_a_folder(world: World) -> None:
    mine = world.folder / "mine"
    shutil.copytree(world.folder / "made/packages", mine)
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    world.run("one", "--source", "local", "--local-folder", str(mine))
    assert not world.origin.asked and broken(world) == {}
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == before
    assert {row["source"] for row in world.rows("results")} == {"local"}


def test_a_table_of_contents_needs_its_files(world: World) -> None:
    kept = world.folder / "kept"
    shutil.move(world.root / "kpfiles", kept)
    one = 'packages=["toy_contents"]'
    done = world.run("one", "--set", one, code=Exit.BLOCKED)
    assert broken(world) == {"packages.points_in": "error"}
    assert "Unpack the archive of key points" in done.output
    shutil.copytree(kept, world.root / "kpfiles")
    (world.root / "kpfiles/walk_00.pkl").unlink()
    (world.root / "kpfiles/walk_01.pkl").write_bytes(pickle.dumps({"keypoint": np.zeros((3, 17, 3))}, 4))
    world.run("two", "--set", one, code=Exit.BLOCKED)
    assert {row["name"]: row["reason"] for row in world.rows("packages/toy_contents.faults", "two")} == {
        "walk_00": "kpfiles has no file of its key points", "walk_01": "keypoint has the shape 3×17×3, not 12×17×3",
    }  # fmt: skip
    shutil.copytree(kept, world.root / "kpfiles", dirs_exist_ok=True)
    world.run("three", "--set", one)


def test_boxes_of_samples_that_are_not_there(world: World) -> None:
    change(world, "toy_boxes", lambda value: {name: boxes for name, boxes in value.items() if name != "walk_03"})
    world.run("one", "--set", 'packages=["toy_2d", "toy_boxes"]')
    assert broken(world) == {"skeletons.boxes": "warn"}
    (found,) = (one for one in world.gate("packages")["checks"] if one["id"] == "skeletons.boxes")
    assert [row["name"] for row in found["worst"]] == ["walk_03"]


def test_the_published_sizes_are_compared(world: World) -> None:
    """The packaged data set, with the toy package in the place of one of NTU RGB+D's."""
    shutil.copy(world.folder / "made/packages/toy_2d.pkl", world.folder / "made/packages/ntu60_2d.pkl")
    text = (
        (PACKAGED / "skeleton.yaml")
        .read_text()
        .replace("name: skeleton\n", "name: toys\n")
        .replace("root: skeleton\n", "root: toys\n")
    )
    world.spec(text.replace("https://download.openmmlab.com/mmaction/v1.0/skeleton/data/", "${SMALL_URL}/"))
    world.run("one", "--set", 'packages=["ntu60_2d"]', code=Exit.BLOCKED)
    assert {"packages.size": "warn", "packages.split": "error"}.items() <= broken(world).items()
    facts = read_json(world.run_folder() / "packages/ntu60_2d.json")
    assert {one["split"]: (one["names"], one["published"]) for one in facts["splits"]}["xsub_train"] == (0, "40,091")


@pytest.fixture
def raw(world: World) -> World:
    """The packaged data set, with some files of NTU RGB+D and BABEL that a person has placed."""
    text = (
        (PACKAGED / "skeleton.yaml")
        .read_text()
        .replace("name: skeleton\n", "name: toys\n")
        .replace("root: skeleton\n", "root: toys\n")
    )
    world.spec(text.replace("https://download.openmmlab.com/mmaction", "${SMALL_URL}"))
    folder = world.root / "nturgb+d_skeletons"
    folder.mkdir()
    for name in ("S001C001P001R001A001", "S001C002P003R001A060", "S018C001P041R001A120"):
        (folder / f"{name}.skeleton").write_bytes(skeleton_text([1, 1, 2, 1], seed=3))
    (folder / "S001C003P001R001A002.skeleton").write_bytes(b"4\n1\n")
    return world


def test_a_package_is_made_of_placed_files_and_kept(raw: World) -> None:
    one = 'packages=["ntu60_3d_raw"]'
    raw.run("one", "--set", one)
    package = raw.root / "ntu60_3d_raw.pkl"
    value = pickle.loads(package.read_bytes())
    assert [one["frame_dir"] for one in value["annotations"]] == ["S001C001P001R001A001", "S001C002P003R001A060"]
    assert value["split"]["xsub_train"] == ["S001C001P001R001A001"]
    rows = {row["name"]: row["reason"] for row in raw.rows("made/ntu60_3d_raw")}
    assert rows["S018C001P041R001A120"] == "left_out" and rows["S001C003P001R001A002"] in ("truncated", "corrupt")
    assert broken(raw)["skeletons.made"] == "warn" and not raw.origin.asked
    assert "S001C003P001R001A002" in (raw.data / ".clipquarry/releases/toys/one/faults.csv").read_text()
    before = package.stat()
    raw.run("two", "--set", one)
    assert (package.stat().st_ino, package.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert raw.rows("made/ntu60_3d_raw", "two") == raw.rows("made/ntu60_3d_raw", "one")
    (raw.root / "nturgb+d_skeletons/S001C003P001R001A002.skeleton").write_bytes(skeleton_text([1, 1], seed=4))
    raw.run("three", "--set", one)
    assert len(pickle.loads(package.read_bytes())["annotations"]) == 3, "its files have changed"


def test_a_persons_package_is_not_made_again(raw: World) -> None:
    mine = pickle.dumps(
        {"split": {"xsub_train": [], "xsub_val": [], "xview_train": [], "xview_val": []}, "annotations": []}, 4
    )
    (raw.root / "ntu60_3d_raw.pkl").write_bytes(mine)
    raw.run("one", "--set", 'packages=["ntu60_3d_raw"]')
    assert (raw.root / "ntu60_3d_raw.pkl").read_bytes() == mine


def test_babel_becomes_a_list(raw: World) -> None:
    one = 'packages=["babel60_val"]'
    done = raw.run("one", "--set", one, code=Exit.USAGE)
    assert "put val_ntu_sk_60.npy and val_label_60.pkl into" in done.output
    folder = raw.root / "babel"
    folder.mkdir()
    np.save(folder / "val_ntu_sk_60.npy", np.zeros((3, 3, 150, 25, 1), np.float32))
    labels = pickle.dumps((["a", "b", "c"], ([0, 59, 60], [1, 2, 3], [0, 0, 0], [7, 8, 9])), 4)
    (folder / "val_label_60.pkl").write_bytes(labels)
    raw.run("two", "--set", one)
    value = pickle.loads((raw.root / "babel60_val.pkl").read_bytes())
    assert [(sample["frame_dir"], sample["label"]) for sample in value] == [("a_1_0_7", 0), ("b_2_0_8", 59)]
    assert [row["reason"] for row in raw.rows("made/babel60_val", "two")] == ["ok", "ok", "unknown_label"]
