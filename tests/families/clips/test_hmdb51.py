"""HMDB51, from a rar of split files and a rar of rars to mmaction2's lists, through the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from acquire.made_archives import needs_libarchive, rar4, rar5
from clipquarry.demo.origin import Origin
from families.clips.file_world import World, film, serve, small

pytestmark = [needs_libarchive, pytest.mark.timeout(300)]

CLIPS = {
    "brush_hair": [
        "April_09_brush_hair_u_nm_np1_ba_goo_0",
        "b#1_(x)_brush_hair_f_cm_np1_ba_med_3",
        "unused_brush_hair",
    ],
    "wave": ["a;b&c!_wave_u_cm_np1_fr_goo_1", "[2]_wave_u_cm_np1_fr_med_2", "x_wave_3"],
}
CODES = {1: (1, 2, 0), 2: (2, 1, 0), 3: (1, 1, 2)}


def splits() -> dict[str, bytes]:
    """As published: a blank at the end of each line."""
    folder = "testTrainMulti_7030_splits"
    return {
        f"{folder}/{name}_test_split{number}.txt": "".join(
            f"{clip}.avi {code} \r\n" for clip, code in zip(clips, codes, strict=True)
        ).encode()
        for number, codes in CODES.items()
        for name, clips in CLIPS.items()
    }


@pytest.fixture(scope="module")
def hmdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hmdb")
    inner = {
        f"{name}.rar": rar4({f"{name}/{clip}.avi": film(folder, clip) for clip in clips})
        for name, clips in CLIPS.items()
    }
    served = serve(folder / "served", {"test_train_splits.rar": rar4(splits()), "hmdb51_org.rar": rar5(inner)})
    with Origin(served) as origin:
        world = World(folder, "small_hmdb51", origin)
        world.spec(small("hmdb51"))
        told = world.run("one", "--set", "frames=true", "--set", "list_json=true").stdout.splitlines()[-1]
        assert told.startswith("small_hmdb51: 14 of 14 clips are there"), told
        yield world


def test_the_rar_of_rars_becomes_videos(hmdb: World) -> None:
    assert hmdb.files() == {f"videos/{name}/{clip}.avi" for name, clips in CLIPS.items() for clip in clips}
    assert sum(hmdb.origin.asked.values()) == 2


def test_the_side_files_are_the_reference_s(hmdb: World) -> None:
    notes = hmdb.root / "annotations"
    assert (notes / "classInd.txt").read_bytes() == b"1 brush_hair\n2 wave"
    brush, wave = CLIPS.values()
    assert (notes / "trainlist01.txt").read_bytes() == (f"brush_hair/{brush[0]}.avi 1\nwave/{wave[0]}.avi 2").encode()
    assert (notes / "testlist01.txt").read_bytes() == (f"brush_hair/{brush[1]}.avi 1\nwave/{wave[1]}.avi 2").encode()


def test_each_division_has_its_lists(hmdb: World) -> None:
    for number, codes in CODES.items():
        for part, wanted in (("train", 1), ("val", 2)):
            clips = [
                (f"{name}/{clip}", label)
                for label, (name, all_) in enumerate(CLIPS.items())
                for clip, code in zip(all_, codes, strict=True)
                if code == wanted
            ]
            name = f"small_hmdb51_{part}_split_{number}"
            assert (hmdb.root / f"{name}_videos.txt").read_text() == "".join(f"{clip}.avi {at}\n" for clip, at in clips)
            assert (hmdb.root / f"{name}_rawframes.txt").read_text() == "".join(
                f"{clip} 8 {at}\n" for clip, at in clips
            )
            told = ", ".join(f'{{"filename": "{clip}.avi", "label": [{at}]}}' for clip, at in clips)
            assert (hmdb.root / f"{name}_videos.json").read_text() == f"[{told}]"


def test_a_class_index_that_is_there_decides(tmp_path: Path) -> None:
    with Origin(serve(tmp_path / "served", {"test_train_splits.rar": rar4(splits())})) as origin:
        world = World(tmp_path, "small_hmdb51", origin)
        world.spec(small("hmdb51"))
        (world.root / "annotations").mkdir(parents=True)
        (world.root / "annotations/classInd.txt").write_text("1 wave\n2 brush_hair\n")
        world.run("one", "--set", "dry_run=true")
        assert (world.root / "annotations/classInd.txt").read_text() == "1 wave\n2 brush_hair\n"
        assert (world.root / "annotations/trainlist01.txt").read_text().splitlines()[0].endswith(".avi 2")
        (world.root / "annotations/classInd.txt").write_text("1 wave\n")
        told = world.run("two", "--set", "dry_run=true", code=2).output
        assert "classInd.txt lacks the class 'brush_hair', which has split files beside it" in told


def test_without_the_split_files_the_run_says_what_to_place_where(tmp_path: Path) -> None:
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_hmdb51", origin)
        world.spec(small("hmdb51"))
        told = world.run("one", code=2).output.splitlines()[-1]
    assert "unpack its 153 files" in told
    assert str(world.root / "annotations") in told
