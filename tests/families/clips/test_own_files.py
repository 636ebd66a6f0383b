"""A lab's own videos: looked at by ``init``, then run with no other input, and left as they are."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clipquarry.datasets.load import load_spec
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit, SpecError
from families.clips.file_world import World, film, serve

pytestmark = pytest.mark.timeout(300)

FILES = {
    "pour water/Cup 1 (final).mp4": "a",
    "pour water/cup.MKV": "b",
    "pour water/take 2/cup 1 (final).mp4": "c",
    "stir/-first.avi": "d",
    "stir/ß#[1].mov": "e",
    "stir/a b.mp4": "f",
    "stir/a_b.mp4": "g",
    ' wash/ 50%d "off", a:b.mp4': "h",
}


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*") if path.is_file()
    }  # fmt: skip


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[World]:
    with Origin(serve(tmp_path / "served", {})) as origin:
        yield World(tmp_path, "my_actions", origin)


def place(lab: World, files: dict[str, str], below: str = "My Actions") -> Path:
    folder = lab.folder / below
    for name, shows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(film(lab.folder, shows, path.suffix.lower()))
    return folder


def test_class_folders_with_any_names_become_lists(lab: World) -> None:
    folder = place(lab, FILES)
    (folder / "notes.txt").write_text("not a video")
    (folder / "stray.mp4").write_bytes(film(lab.folder, "stray", ".mp4"))
    before = snapshot(folder)
    told = lab("init", str(folder)).output
    for words in (
        "9 videos (.mp4 6, .avi 1, .mkv 1, .mov 1)", "of 3 classes: train 8", "The smallest class is ' wash' with 1.",
        "1 videos lie in no class folder", "Left out: 1 files that are no videos (.txt 1)", "clipquarry run my_actions",
    ):  # fmt: skip
        assert words in told, told
    last = lab("run", "my_actions", "--run", "one", "--set", "frames=true").stdout.splitlines()[-1]
    assert last.startswith("my_actions: 8 of 8 clips are there"), last
    lines = (lab.root / "my_actions_train_list_videos.txt").read_text().splitlines()
    assert lines[1] == "pour_water/Cup_1_(final).mp4 0"
    names = [line.split()[0] for line in lines]
    assert len(set(names)) == 8 and all(len(line.split()) == 2 for line in lines)
    # Two files would have one name: each has a hash of its path behind it.
    assert [name for name in names if name.startswith("stir/a_b-")] == [
        f"stir/a_b-{hashlib.sha256(path.encode()).hexdigest()[:8]}.mp4" for path in ("stir/a b.mp4", "stir/a_b.mp4")
    ]
    for name, line in zip(sorted(FILES), lines, strict=True):
        assert (lab.root / "videos" / line.split()[0]).read_bytes() == (folder / name).read_bytes()
    assert snapshot(folder) == before, "the person's own files are untouched"
    rejected = [row for row in lab.rows("catalog") if row["status"] == "rejected"]
    assert [(row["reason"], row["split"]) for row in rejected] == [("bad_label", "train")]
    # A file more, and a second run: it is taken, and what was there is kept.
    place(lab, {"stir/new.ts": "h"})
    lab("run", "my_actions", "--run", "two")
    assert sorted(row["status"] for row in lab.rows("results", "two")) == ["done", *["kept"] * 8]
    assert len((lab.root / "my_actions_train_list_videos.txt").read_text().splitlines()) == 9


@pytest.mark.parametrize("other", ["pour_water", 'pour" water'])
def test_two_classes_that_would_share_a_folder_are_told(lab: World, other: str) -> None:
    folder = place(lab, {"pour water/a.mp4": "a", f"{other}/b.mp4": "b", "stir/c.mp4": "c"})
    says = f"The classes 'pour water' and '{other}' would share the folder pour_water"
    assert says in lab("init", str(folder), code=Exit.USAGE).output
    shutil.move(folder / other, folder.parent / "later")
    lab("init", str(folder))
    shutil.move(folder.parent / "later", folder / other)
    assert says in lab("run", "my_actions", code=Exit.USAGE).output
    assert not list(lab.root.rglob("*.mp4"))


def test_a_table_beside_the_files_is_found_and_read_anew_at_each_run(lab: World) -> None:
    files = {"one.mp4": "a", "sub/two.mp4": "b", "three.mp4": "c"}
    folder = place(lab, files)
    table = folder / "labels.csv"
    table.write_text("label,file,split\nb,one.mp4,train\na,sub/two.mp4,train\na,three.mp4,val\nb,lost.mp4,val\n")
    told = lab("init", str(folder)).output
    assert "of 2 classes: train 2, val 1" in told
    assert f"Their labels stand in {table}" in told
    assert "1 rows of the table name a file that is not there" in told
    lab("run", "my_actions", "--run", "one", code=Exit.BLOCKED)
    lost = {row["clip_id"]: row["reason"] for row in lab.rows("results") if row["status"] == "missing"}
    assert set(lost) == {"lost"}
    table.write_text("label,file,split\nb,one.mp4,train\na,sub/two.mp4,train\na,three.mp4,val\n")
    lab("run", "my_actions", "--run", "two")
    assert (lab.root / "my_actions_train_list_videos.txt").read_text() == "b/one.mp4 1\na/two.mp4 0\n"
    assert (lab.root / "my_actions_val_list_videos.txt").read_text() == "a/three.mp4 0\n"


def test_split_folders_and_a_share_of_val(lab: World) -> None:
    folder = place(lab, {"Training/x/1.mp4": "a", "Training/y/1.mp4": "b", "validation/x/2.mp4": "c"})
    assert "train 2, val 1" in lab("init", str(folder), "--name", "my_actions").output
    assert list(load_spec(lab.folder / "specs/my_actions.yaml").splits) == ["train", "val"]
    lab("run", "my_actions")
    assert (lab.root / "my_actions_val_list_videos.txt").read_text() == "x/2.mp4 0\n"
    shutil.rmtree(folder)
    many = place(lab, {f"{name}/{number}.mp4": "a" for name in "xy" for number in range(20)}, "others")
    told = lab("init", str(many), "--val-share", "0.3").output
    lab("plan", "others")
    lab("run", "others", "--set", "dry_run=true", "--run", "dry")
    lines = (lab.data / "others/annotations/files.csv").read_text().splitlines()[1:]
    share = sum(line.endswith(",val") for line in lines) / len(lines)
    assert f"train {sum(line.endswith(',train') for line in lines)}, val" in told, told
    assert 0.1 < share < 0.5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{folder}/absent"], "is no folder"),
        (["{folder}/empty"], "No video lies in"),
        (["{folder}/mine", "--name", "kinetics400"], "There is a data set 'kinetics400' already"),
        (["{folder}/mine", "--name", "../up"], "--name '../up' is no name of a data set"),
        (["{folder}/mine", "--name", "youtube"], "choose another name"),
        (["{folder}/mine", "--csv", "{folder}/upper.csv"], "the split 'Train' is not one of the data set's"),
        (["{folder}/mine", "--csv", "{folder}/lost.csv"], "names a video that lies in"),
        (["{folder}/mine", "--csv", "{folder}/other.csv"], "no header of a table of files"),
        (["{folder}/mine", "--csv", "{folder}/absent.csv"], "cannot be read"),
        (["{folder}/split", "--val-share", "0.2"], "for class folders without splits"),
        (["{folder}/mine", "--val-share", "0.01"], "leave no video for val"),
        (["{folder}/two tables"], "name the right one with --csv"),
    ],
)
def test_what_cannot_be_described_is_a_sentence(lab: World, arguments: list[str], says: str) -> None:
    place(lab, {"x/1.mp4": "a"}, "mine")
    place(lab, {"train/x/1.mp4": "a", "test/x/1.mp4": "a"}, "split")
    (lab.folder / "empty").mkdir()
    (lab.folder / "two tables").mkdir()
    for name in ("two tables/a.csv", "two tables/b.csv"):
        (lab.folder / name).write_text("file,label\n")
    (lab.folder / "other.csv").write_text("name,class\n1.mp4,x\n")
    (lab.folder / "upper.csv").write_text("file,label,split\nx/1.mp4,x,Train\n")
    (lab.folder / "lost.csv").write_text("file,label\nlost.mp4,x\n")
    told = lab("init", *(one.format(folder=lab.folder) for one in arguments), code=2).output
    assert says in told and told.count("\n") == 1, told
    assert list((lab.folder / "specs").iterdir()) == []
    assert list(lab.folder.glob("*.yaml")) == [], "nothing is written outside of the folder either"


@pytest.mark.parametrize(
    ("below", "where"), [("data/my_actions", "is"), ("data/my_actions/raw", "lies in"), (".", "holds")]
)
def test_a_folder_that_runs_fill_is_never_looked_through(lab: World, below: str, where: str) -> None:
    folder = place(lab, {"x/1.mp4": "a"}, below)
    told = lab("init", str(folder), "--name", "my_actions", code=2).output
    assert f"{where} the folder that runs fill" in told, told
    lab("init", str(place(lab, {"x/1.mp4": "a"}, "mine")), "--name", "my_actions")
    spec = lab.folder / "specs/my_actions.yaml"
    spec.write_text(spec.read_text().replace(str(lab.folder / "mine"), str(folder)))
    told = lab("run", "my_actions", "--run", "one", code=2).output
    assert f"{where} the folder that runs fill" in told, told
    assert lab.files() == set()


def test_names_that_are_not_utf_8_are_rejected_each_by_itself(lab: World) -> None:
    folder = place(lab, {"x/1.mp4": "a", "x/2.mp4": "b", "y/1.mp4": "c"})
    (folder / "x/2.mp4").rename(folder / "x/caf\udce9.mp4")
    (folder / "y").rename(folder / "\udce9")
    assert "of 2 classes: train 3" in lab("init", str(folder)).output
    lab("run", "my_actions", "--run", "one", "--set", "annotation_counts=warn", code=Exit.BLOCKED)  # most are rejected
    rows = [(row["status"], row["reason"], row["evidence"]) for row in lab.rows("catalog")]
    assert sum(status == "rejected" and "caf\\udce9" in told for status, _, told in rows) == 1
    assert sum(status == "rejected" and reason == "bad_id" for status, reason, _ in rows) == 2
    assert sum(status == "done" for status, *_ in rows) == 1


def test_classes_and_files_with_very_long_names(lab: World) -> None:
    folder, clip = "ä" * 100, "ü" * 70
    lab("init", str(place(lab, {f"{folder}/{clip}.mp4": "a", f"{folder}/{clip[:-1]}ö.mp4": "b"})))
    lab("run", "my_actions", "--run", "one")
    assert lab.files() == {f"videos/{folder}/{clip}.mp4", f"videos/{folder}/{clip[:-1]}ö.mp4"}


def test_links_to_files_count_and_those_that_lead_nowhere_are_missing(lab: World) -> None:
    folder = place(lab, {"x/1.mp4": "a"})
    elsewhere = place(lab, {"2.mp4": "b"}, "elsewhere")
    (folder / "x/2.mp4").symlink_to(elsewhere / "2.mp4")
    (folder / "x/3.mp4").symlink_to(elsewhere / "3.mp4")
    (folder / "y").symlink_to(elsewhere)
    (folder / "x/loop").symlink_to(folder)
    told = lab("init", str(folder)).output
    assert "2 videos" in told and "1 links lead to no file" in told and "Left out: 2 links to folders" in told, told
    lab("run", "my_actions", "--run", "one", code=Exit.BLOCKED)
    assert {row["clip_id"]: row["status"] for row in lab.rows("recorded")} == {"1": "done", "2": "done", "3": "missing"}
    only = lab.folder / "only links"
    only.mkdir()
    (only / "y").symlink_to(elsewhere)
    assert "links to folders are not followed" in lab("init", str(only), code=2).output


def test_folders_beside_those_of_the_splits(lab: World) -> None:
    folder = place(lab, {"train/x/1.mp4": "a", "val/x/2.mp4": "b"})
    (folder / "labels").mkdir()
    (folder / "labels/readme.txt").write_text("no video lies here")
    assert "of 1 classes: train 1, val 1" in lab("init", str(folder)).output
    lab("run", "my_actions", "--run", "one")
    place(lab, {"misc/3.mp4": "c"})
    told = lab("run", "my_actions", "--run", "two", code=2).output
    assert "the folder misc lies beside those of the splits (train, val): move it away" in told, told
    told = lab("init", str(folder), "--name", "other").output
    assert "'train' is taken for a class" in told, told


@pytest.mark.parametrize("is_copied", [False, True])
def test_a_video_that_a_person_replaces_is_taken_anew(
    lab: World, monkeypatch: pytest.MonkeyPatch, is_copied: bool
) -> None:
    if is_copied:  # a file system without hard links, or another one

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.EXDEV, "another file system")

        monkeypatch.setattr(os, "link", refuse)
    folder = place(lab, {"1.mp4": "a", "2.mp4": "b", "3.mp4": "c"})
    table = folder / "labels.csv"
    table.write_text("file,label\n1.mp4,x\n2.mp4,x\n3.mp4,x\n")
    lab("init", str(folder))
    lab("run", "my_actions", "--run", "one")
    old = {name: (lab.root / f"videos/x/{name}").read_bytes() for name in ("1.mp4", "2.mp4", "3.mp4")}
    (folder / "1.mp4").unlink()
    place(lab, {"1.mp4": "new", "sub/2.avi": "moved"})
    os.utime(folder / "3.mp4", (1, 1))  # the same bytes
    table.write_text("file,label\n1.mp4,x\nsub/2.avi,x\n3.mp4,x\n")
    lab("run", "my_actions", "--run", "two")
    assert (lab.root / "videos/x/1.mp4").read_bytes() == film(lab.folder, "new", ".mp4") != old["1.mp4"]
    assert (lab.root / "videos/x/2.avi").read_bytes() == film(lab.folder, "moved", ".avi")
    assert lab.files() == {"videos/x/1.mp4", "videos/x/2.avi", "videos/x/3.mp4"}
    aside = lab.data / ".clipquarry/set-aside/my_actions/videos/x"
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == {
        name: old[name] for name in ("1.mp4", "2.mp4")
    }
    assert {row["clip_id"]: row["status"] for row in lab.rows("results", "two")} == {
        "1": "done",
        "2": "done",
        "3": "kept",
    }
    lab("run", "my_actions", "--run", "three")
    assert {row["status"] for row in lab.rows("results", "three")} == {"kept"}


def test_a_video_that_was_edited_where_it_lies_and_replaced_later(lab: World) -> None:
    mine = place(lab, {"x/1.mp4": "a"}) / "x/1.mp4"
    lab("init", str(mine.parents[1]))
    lab("run", "my_actions", "--run", "one")
    mine.write_bytes(film(lab.folder, "edited", ".mp4"))
    os.utime(mine, (1, 1))  # links share it
    lab("run", "my_actions", "--run", "two")
    assert [(row["status"], row["source"]) for row in lab.rows("recorded", "two")] == [("kept", "own")]
    mine.unlink()
    mine.write_bytes(film(lab.folder, "replaced", ".mp4"))
    lab("run", "my_actions", "--run", "three")
    assert (lab.root / "videos/x/1.mp4").read_bytes() == mine.read_bytes()


def test_a_share_of_val_that_nothing_would_read_is_refused(lab: World) -> None:
    folder = place(lab, {"x/1.mp4": "a"})
    spec = lab.folder / "specs/my_actions.yaml"
    for table, says in (("", "the data set has no split 'val'"), ("file,label\nx/1.mp4,x\n", "leave it out")):
        spec.unlink(missing_ok=True)
        if table:
            (folder / "labels.csv").write_text(table)
        lab("init", str(folder))
        spec.write_text(spec.read_text().replace("own_files}", "own_files, val_share: 0.1}"))
        with pytest.raises(SpecError, match=f"options.val_share.*{says}"):
            load_spec(spec)
    spec.write_text(
        spec.read_text().replace(", val_share: 0.1", "").replace("into: annot", f"sha256: {'a' * 64}, into: annot")
    )
    with pytest.raises(SpecError, match=r"sources.0.sha256.*is read as it is at each run"):
        load_spec(spec)


def test_names_that_yaml_takes_for_numbers_and_a_quoted_header(lab: World) -> None:
    folder = place(lab, {"one.mp4": "a", "no.mp4": "b"}, "2024-05-01")
    (folder / "folds.csv").write_text(
        '"file","label","split"\n"one.mp4","x","1"\n"no.mp4","y","no"\n"late.mp4","y","2"\n'
    )
    (folder / "folder.csv").mkdir()
    assert "Their labels stand in" in lab("init", str(folder)).output
    spec = load_spec(lab.folder / "specs/2024_05_01.yaml")
    assert (spec.name, spec.root, sorted(spec.splits)) == ("2024_05_01", "2024_05_01", ["1", "2", "no"])


def test_hostile_rows_of_a_table_are_rejected_and_nothing_is_read_outside(lab: World) -> None:
    folder = place(lab, {"good.mp4": "a"})
    (lab.folder / "secret.mp4").write_bytes(film(lab.folder, "secret", ".mp4"))
    rows = [
        "../secret.mp4,x",
        "/etc/passwd,x",
        "a\\b.mp4,x",
        "good.mp4,../x",
        "good.mp4,",
        "nul\x00.mp4,x",
        "no suffix,x",
    ]
    (folder / "labels.csv").write_text("file,label\n" + "".join(f"{row}\n" for row in [*rows, "good.mp4,x"]))
    lab("init", str(folder))
    lab(
        "run", "my_actions", "--run", "one", "--set", "annotation_counts=warn", code=Exit.BLOCKED
    )  # nearly all rows are rejected
    assert sum(row["status"] == "rejected" for row in lab.rows("catalog")) == len(rows)
    assert lab.files() == set()
