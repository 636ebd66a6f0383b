"""Moments in Time, from the zip that a person placed, to mmaction2's lists."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from acquire.made_archives import needs_libarchive
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.labels import LabelIndex
from clipquarry.annotations.moments import read_categories, read_items, read_numbered_items
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit, UserError
from clipquarry.reasons import Reason
from families.clips.file_world import World, film, serve, small

pytestmark = pytest.mark.timeout(300)

CLIPS = ("training/clapping/yt-a_1", "training/adult+female+singing/b.c_2", "validation/clapping/flickr-0-1_2")
CATEGORIES = "adult+female+singing,1\nclapping,0\n"
TRAINING = "clapping/yt-a_1.mp4,clapping,4,0\nadult+female+singing/b.c_2.mp4,adult+female+singing,3,1\n"
VALIDATION = "clapping/flickr-0-1_2.mp4,clapping,3,0\n"
NAME = "Moments_in_Time_Raw.zip"


def package(folder: Path, top: str = "") -> bytes:
    """The zip that the form gives, in small."""
    files = {f"{clip}.mp4": film(folder, clip, ".mp4") for clip in CLIPS}
    files |= {"moments_categories.txt": CATEGORIES.encode(), "license.txt": b"research only", "README.txt": b"read"}
    files |= {"trainingSet.csv": TRAINING.encode(), "validationSet.csv": VALIDATION.encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"{top}{name}", data)
    return out.getvalue()


@needs_libarchive
@pytest.mark.parametrize("top", ["", "Moments_in_Time_Raw/"])
def test_the_placed_zip_becomes_a_release(tmp_path: Path, top: str) -> None:
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_mit", origin)
        world.spec(small("mit"))
        refused = world.run("zero", code=2).output
        assert NAME in refused and "form" in refused, refused
        world.root.mkdir(parents=True, exist_ok=True)
        (world.root / NAME).write_bytes(package(tmp_path, top))
        told = world.run("one", "--set", "frames=true").stdout.splitlines()[-1]
        assert told.startswith("small_mit: 3 of 3 clips are there"), told
        assert world.files() == {f"videos/{clip}.mp4" for clip in CLIPS}, "the zip's texts are annotations"
        lists = {
            "small_mit_train_list_videos.txt": "clapping/yt-a_1.mp4 0\nadult+female+singing/b.c_2.mp4 1\n",
            "small_mit_val_list_videos.txt": "clapping/flickr-0-1_2.mp4 0\n",
            "small_mit_val_list_rawframes.txt": "clapping/flickr-0-1_2 8 0\n",
            "small_mit_train_video_anno.txt": "clapping/yt-a_1.mp4 0\nadult+female+singing/b.c_2.mp4 1\n",
            "small_mit_val_rawframe_anno.txt": "clapping/flickr-0-1_2 8 0\n",
        }
        for name, text in lists.items():
            assert (world.root / name).read_text() == text, name
        assert (world.root / NAME).is_file(), "an archive that a person placed stays"
        inodes = {name: (world.root / name).stat().st_ino for name in world.files()}
        world.run("two", "--set", "frames=true")
        assert {name: (world.root / name).stat().st_ino for name in world.files()} == inodes


@needs_libarchive
def test_two_files_that_may_be_the_archive_are_told(tmp_path: Path) -> None:
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_mit", origin)
        world.spec(small("mit", (f"files: [{NAME}]", "files: ['Moments*.zip']")))
        world.root.mkdir(parents=True)
        for name in ("Moments_1.zip", "Moments_2.zip"):
            (world.root / name).write_bytes(package(tmp_path))
        refused = world.run("zero", code=2).output
        assert "2 files may be the archive" in refused and "leave one of them there" in refused, refused


@needs_libarchive
@pytest.mark.parametrize(("top", "suffix"), [("", "csv"), ("videos/", "txt"), ("Multi_Moments_in_Time/videos/", "csv")])
def test_clips_with_several_labels(tmp_path: Path, top: str, suffix: str) -> None:
    rows = {
        "training": "clapping/a_1.mp4,7,84\nadult+female+singing/b.c_2.mp4,0\n",
        "validation": "clapping/d_3.mp4,312,5,7\n",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for split, text in rows.items():
            archive.writestr(f"{split}Set.{suffix}", text)
            for line in text.splitlines():
                name = line.partition(",")[0]
                archive.writestr(f"{top}{name}", film(tmp_path, name, ".mp4"))
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_mmit", origin)
        world.spec(small("mmit"))
        world.root.mkdir(parents=True)
        (world.root / "Multi_Moments_in_Time_Raw.zip").write_bytes(out.getvalue())
        told = world.run("one", "--set", "frames=true").stdout.splitlines()[-1]
        assert told.startswith("small_mmit: 3 of 3 clips are there"), told
        lists = {
            "small_mmit_train_list_videos.txt": "clapping/a_1.mp4 7 84\nadult+female+singing/b.c_2.mp4 0\n",
            "small_mmit_val_list_videos.txt": "clapping/d_3.mp4 312 5 7\n",
            "small_mmit_val_rawframes.txt": "clapping/d_3 8 312 5 7\n",
        }
        for name, text in lists.items():
            assert (world.root / name).read_text() == text, name
        told = {one["id"]: one["success"] for one in world.gate("annotations")["checks"]}
        assert told["annotations.label_count"] and told["annotations.labelled"] and told["annotations.names"], told
        assert {name for name, success in told.items() if success is False} == {"annotations.class_in_train"}, (
            "of 313 classes"
        )


@needs_libarchive
@pytest.mark.parametrize("has_names", [False, True])
def test_another_version_of_the_classes_is_told(tmp_path: Path, has_names: bool) -> None:
    """Version 2 has 305: its numbers would pass, and get names of version 1."""
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_mmit", origin)
        world.spec(small("mmit"))
        (world.root / "annotations").mkdir(parents=True)
        (world.root / "annotations/trainingSet.csv").write_text("clapping/a_1.mp4,304\n")
        (world.root / "annotations/validationSet.csv").write_text("clapping/b_1.mp4,0\n")
        if has_names:
            names = ["stroking/petting", *(f"action{number}" for number in range(304))]
            text = "".join(f"{name},{number}\n" for number, name in enumerate(names))
            (world.root / "annotations/moments_categories.txt").write_text(text)
        (world.root / "videos/clapping").mkdir(parents=True)
        for clip in ("a_1", "b_1"):
            (world.root / f"videos/clapping/{clip}.mp4").write_bytes(film(tmp_path, clip, ".mp4"))
        world("run", "small_mmit", "--run", "one", "--jobs", "2", code=Exit.BLOCKED)
        (count,) = (one for one in world.gate("annotations")["checks"] if one["id"] == "annotations.label_count")
        assert count["success"] is False and "all has 305 classes, 313 are published" in count["sentence"], count
        world.run("two")
        (label_map,) = (world.data / ".clipquarry/releases/small_mmit").glob("two/label_map.txt")
        first = "stroking or petting" if has_names else "crafting"
        found = label_map.read_text().splitlines()
        assert (len(found), found[0]) == ((305, first) if has_names else (313, first))


def test_rows_with_numbers_that_are_no_classes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "trainingSet.csv"
    path.write_text("a/b.mp4,1, 0\na/c.mp4\na/d.mp4,2\na/e.mp4,x\na/f.mp4,1,\n")
    found = list(read_numbered_items(path, LabelIndex(("x", "y"), "published")))
    assert isinstance(found[0], Item) and [label.index for label in found[0].labels] == [1, 0]
    assert [row.reason for row in found if isinstance(row, RejectedRow)] == [
        Reason.BAD_ROW, Reason.UNKNOWN_LABEL, Reason.BAD_ROW, Reason.BAD_ROW,
    ]  # fmt: skip


def test_the_number_of_a_class_counts_and_not_its_line(tmp_path: Path) -> None:
    path = tmp_path / "moments_categories.txt"
    path.write_text(CATEGORIES)
    assert read_categories(path).names == ("clapping", "adult+female+singing")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clapping,0\npraying,0\n", "line 2: the class 0 'praying' is given twice"),
        ("clapping,0\nclapping,1\n", "line 2: the class 1 'clapping' is given twice"),
        ("clapping,0\npraying,2\n", "the class 1 is missing"),
        ("clapping\n", "line 1: 'clapping' is not the name of a class and its number"),
        ("../x,0\n", "line 1: "),
    ],
)
def test_categories_that_number_no_classes_are_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "moments_categories.txt"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        read_categories(path)
    assert told in str(raised.value)


def test_rows_that_no_run_can_use_are_told(tmp_path: Path) -> None:
    path = tmp_path / "trainingSet.csv"
    rows = [
        b"clapping/a.mp4,clapping,3,1",
        b"",
        b"a.mp4,clapping",
        b"waving/b.mp4",
        b"../x/b.mp4,1",
        b"clapping/\xff.mp4",
        b"clapping/.mp4,1",
    ]
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(rows))
    found = list(read_items(path, LabelIndex(("clapping",), "moments_categories.txt")))
    assert [(row.line, row.reason if isinstance(row, RejectedRow) else row.clip_id) for row in found] == [
        (1, "a"), (3, Reason.BAD_ROW), (4, Reason.UNKNOWN_LABEL), (5, Reason.BAD_ROW), (6, Reason.BAD_ROW), (7, Reason.BAD_ROW),
    ]  # fmt: skip
    assert isinstance(found[0], Item) and found[0].class_dir == "clapping"
