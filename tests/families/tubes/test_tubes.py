"""Tubes from the package that a person places, or from a copy of it, to the release, through the command line."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from acquire.made_archives import needs_libarchive
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit
from clipquarry.families.tubes import flow_images
from clipquarry.families.tubes.sample import VIDEOS, _encoded, picture, tree, truth
from clipquarry.pipeline import run as runs
from families.clips.file_world import World, serve, small
from families.clips.test_waiting_run import Person

pytestmark = [needs_libarchive, pytest.mark.timeout(300)]

GT = "JHMDB-GT.pkl"
FILES = 1 + 2 * sum(frames for _, frames in VIDEOS.values())


def write_tree(folder: Path) -> Path:
    for name, content in tree():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published tree, which tests copy."""
    return write_tree(tmp_path_factory.mktemp("package") / "JHMDB")


def packed(package: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    made = shutil.make_archive(str(target).removesuffix(".tar.gz"), "gztar", package.parent, package.name)
    assert Path(made) == target
    return target


@pytest.fixture
def world(tmp_path: Path) -> Any:
    with Origin(serve(tmp_path / "served", {})) as origin:
        made = World(tmp_path, "small_jhmdb", origin)
        made.spec(small("jhmdb"))
        yield made


def content(folder: Path) -> dict[str, tuple[str, int]]:
    """Sum and time of every file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in files
    }


def tree_of(world: World) -> set[str]:
    return {name for name in world.files(".") if not name.endswith(".tar.gz")}


def failed(world: World, gate: str, run: str = "one") -> dict[str, str]:
    """Checks that did not hold, with their severity; not those of published counts."""
    checks = world.gate(gate, run)["checks"]
    counts = ("annotations.rows", "truth.classes")
    return {one["id"]: one["severity"] for one in checks if one["success"] is False and one["id"] not in counts}


def test_the_package_in_the_data_sets_folder(world: World, package: Path) -> None:
    archive = packed(package, world.root / "JHMDB.tar.gz")
    before = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert world.run().stdout.splitlines()[-1].startswith("small_jhmdb: 5 of 5 videos are there")
    assert tree_of(world) == set(content(package)), "the top folder is left out"
    assert len(tree_of(world)) == FILES
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == before
    assert [failed(world, gate) for gate in ("annotations", "clips", "tubes")] == [{}, {}, {}]
    assert [row["images"] for row in world.rows("flow_images")] == [frames for _, frames in _in_order()]
    release = world.data / ".clipquarry/releases/small_jhmdb/one"
    assert {path.name for path in release.iterdir()} == {
        "small_jhmdb.lock",
        "label_map.txt",
        "missing.csv",
        "tubes.csv",
    }
    lines = (release / "tubes.csv").read_text().splitlines()
    assert lines[0] == "video,split,label,label_index,position,frames,first_frame,last_frame,of_frames"
    assert "catch/ball_catch_03,test,catch,0,0,8,1,8,8" in lines and len(lines) == 6
    assert (release / "label_map.txt").read_text() == "catch\nwave\n"
    kept = content(world.root)
    archive.unlink()  # the tree is enough
    world.run("two")
    assert {row["status"] for row in world.rows("recorded", "two")} == {"kept"}
    assert not (release.parent / "two").exists()
    del kept["JHMDB.tar.gz"]
    assert content(world.root) == kept


def _in_order() -> list[tuple[str, int]]:
    return sorted(VIDEOS.values(), key=lambda one: one[0] == "test")


@pytest.mark.parametrize("above", [False, True])
def test_a_copy_that_a_colleague_has(world: World, package: Path, tmp_path: Path, above: bool) -> None:
    copy = shutil.copytree(package, tmp_path / "theirs/data/JHMDB")
    before = content(copy)
    world.run("one", "--local-folder", str(copy.parent if above else copy))
    assert tree_of(world) == set(before)
    assert {row["status"] for row in world.rows("recorded")} == {"done"}
    assert [failed(world, gate) for gate in ("annotations", "clips", "tubes")] == [{}, {}, {}]
    assert content(copy) == before, "theirs is only read"
    assert not (world.root / GT).samefile(copy / GT)


def test_an_archive_with_another_top_folder(world: World, package: Path, tmp_path: Path) -> None:
    packed(shutil.copytree(package, tmp_path / "of-somebody"), world.root / "JHMDB.tar.gz")
    world.run()
    assert set(content(package)) <= tree_of(world)


def test_a_run_waits_for_the_package(
    world: World, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = packed(package, tmp_path / "JHMDB.tar.gz")
    os.utime(archive, (1e9, 1e9))

    def placed() -> None:
        world.root.mkdir(exist_ok=True)
        shutil.copy2(archive, world.root)

    person = Person(world, lambda: None, placed)
    monkeypatch.setattr(runs, "sleep_until", person)
    world.run("one", "--set", "wait_days=1")
    assert "JHMDB.tar.gz" in person.saw[0] and str(world.root) in person.saw[0]
    assert tree_of(world) == set(content(package))


def test_nothing_is_there(world: World) -> None:
    told = world.run("one", code=Exit.USAGE).output
    assert "The JHMDB-GT.pkl of small_jhmdb cannot be had" in told and "drive.google.com" in told
    assert "Traceback" not in told


def test_a_page_in_place_of_the_archive(world: World) -> None:
    world.root.mkdir(parents=True)
    (world.root / "JHMDB.tar.gz").write_bytes(b"<!DOCTYPE html><html>Google Drive: quota exceeded</html>")
    told = world.run("one", code=Exit.USAGE).output
    assert "JHMDB.tar.gz" in told and "Traceback" not in told


class Touch:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch hostile",)


def test_a_hostile_ground_truth(world: World, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(package, world.root)
    (world.root / GT).write_bytes(pickle.dumps(Touch()))
    told = world.run("one", code=Exit.USAGE).output
    assert "was not executed" in told and "Traceback" not in told
    assert not (tmp_path / "hostile").exists()


def test_a_tree_that_is_not_that_of_the_ground_truth(world: World, package: Path) -> None:
    shutil.copytree(package, world.root)
    lacking_end, lacking_middle, smaller, without_flow, torn = VIDEOS
    (world.root / f"Frames/{lacking_end}/00009.png").unlink()
    (world.root / f"Frames/{lacking_middle}/00003.png").unlink()
    for number in range(1, VIDEOS[smaller][1] + 1):
        half = picture(smaller, number)[::2, ::2].copy()
        (world.root / f"Frames/{smaller}/{number:05d}.png").write_bytes(_encoded(half, "png", "rgb24"))
    shutil.rmtree(world.root / f"FlowBrox04/{without_flow}")
    cut = world.root / f"Frames/{torn}/00004.png"
    cut.write_bytes(cut.read_bytes()[:-30])
    world.run("one", code=Exit.BLOCKED)
    assert "clips.coverage" in failed(world, "clips")
    why = {row["item_id"]: row["evidence"] for row in world.rows("recorded") if row["status"] != "kept"}
    assert {name.partition("/")[2] for name in why} == {lacking_middle, torn}
    assert any("00003.png is not there" in text for text in why.values())
    assert any("00004.png has no end" in text for text in why.values())


def test_frames_and_flow_that_are_whole_and_others(world: World, package: Path) -> None:
    shutil.copytree(package, world.root)
    lacking_end, smaller, without_flow, *_ = VIDEOS
    (world.root / f"Frames/{lacking_end}/00009.png").unlink()
    for number in range(1, VIDEOS[smaller][1] + 1):
        half = picture(smaller, number)[::2, ::2].copy()
        (world.root / f"Frames/{smaller}/{number:05d}.png").write_bytes(_encoded(half, "png", "rgb24"))
    shutil.rmtree(world.root / f"FlowBrox04/{without_flow}")
    world.run("one", code=Exit.BLOCKED)
    assert failed(world, "tubes") == {"tubes.frames": "error", "tubes.picture": "error", "tubes.flow": "warn"}


def test_wrong_tubes_block_before_anything_is_collected(world: World, package: Path) -> None:
    shutil.copytree(package, world.root)
    value = pickle.loads(truth())
    value["gttubes"]["wave/hand_wave_01"][1][0][:, 0] += 1  # 0-based in truth, or of another tool
    value["train_videos"][0].remove("catch/ball_catch_01")
    (world.root / GT).write_bytes(pickle.dumps(value, protocol=2))
    world.run("one", code=Exit.BLOCKED)
    found = failed(world, "annotations")
    assert found["truth.frames"] == found["truth.split"] == "error"
    rejected = [row for row in world.rows("catalog") if row["status"] == "rejected"]
    assert [row["reason"] for row in rejected] == ["bad_row"] and "it is not in train_videos" in rejected[0]["evidence"]


def test_flow_that_another_run_puts_there_at_this_moment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, target, link = tmp_path / "theirs", tmp_path / "data/flow", flow_images.link_or_copy
    theirs.mkdir()
    (theirs / "00001.jpg").write_bytes(b"x")

    def other_run_comes_first(*args: Path) -> str:
        monkeypatch.undo()
        assert flow_images._take(theirs, target)
        return link(*args)

    monkeypatch.setattr(flow_images, "link_or_copy", other_run_comes_first)
    assert not flow_images._take(theirs, target)
    assert [path.name for path in target.parent.rglob("*")] == ["flow", "00001.jpg"]
