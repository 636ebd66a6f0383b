"""Jester and Something-Something, from what a person placed, to mmaction2's lists."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from acquire.made_archives import needs_libarchive, tar
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.labels import LabelIndex
from clipquarry.annotations.twentybn import read_entries, read_label_json, read_label_lines, read_rows
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit, UserError
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason
from families.clips.file_world import World, film, serve, small
from families.clips.frames_world import frames

pytestmark = pytest.mark.timeout(300)

LABELS = 'Swiping Left\nDoing other things\nPushing something so it spins, then "stops"\n'
INDEX = ("Swiping_Left", "Doing_other_things", "Pushing_something_so_it_spins,_then_stops")


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def place_jester(world: World, folder: Path) -> list[bytes]:
    """Put the annotations into their place; returns the three parts of the archive."""
    texts = {
        "labels": LABELS,
        "train": "10;Swiping Left\n2;Doing other things\n",
        "validation": "3;Swiping Left\n",
        "test": "4\n",
    }
    (world.root / "annotations").mkdir(parents=True)
    for name, text in texts.items():
        (world.root / f"annotations/jester-v1-{name}.csv").write_text(text)
    made = frames(folder, folder / "made", "a")
    members = {
        f"20bn-jester-v1/{clip}/{one.name}": one.read_bytes()
        for clip in ("10", "2", "3", "4")
        for one in sorted(made.iterdir())
    }
    whole = gzip.compress(tar(members))
    third = len(whole) // 3
    return [whole[:third], whole[third : 2 * third], whole[2 * third :]]


@needs_libarchive
@pytest.mark.parametrize("wrapped", [False, True])
def test_jesters_parts_become_frames_flow_videos_and_lists(tmp_path: Path, wrapped: bool) -> None:
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_jester", origin)
        world.spec(small("jester", ("volumes: 23", "volumes: 3")))
        parts = place_jester(world, tmp_path)
        for number, part in enumerate(parts):
            name = f"20bn-jester-v1-{number:02d}"
            if wrapped:
                (world.root / f"{name}.zip").write_bytes(zipped({name: part}))
            else:
                (world.root / name).write_bytes(part)
        told = world.run(
            "one", "--set", "encode=true", "--set", "flow=true", "--set", "flow_type=dis"
        ).stdout.splitlines()[-1]
        assert told.startswith("small_jester: 4 of 4 "), told
        lists = {
            "train_list_rawframes": "10 8 0\n2 8 1\n", "train_list_rawframes_flow": "10 7 0\n2 7 1\n", "train_list_videos": "10.mp4 0\n2.mp4 1\n",
            "val_list_rawframes": "3 8 0\n", "test_list_rawframes": "4 8\n", "test_list_videos": "4.mp4\n",
        }  # fmt: skip
        for name, text in lists.items():
            assert (world.root / f"small_jester_{name}.txt").read_text() == text, name
        assert len(list((world.root / "rawframes/10").glob("0*.jpg"))) == 8, "the archive's top folder is rawframes"


@needs_libarchive
def test_a_missing_part_is_told_and_nothing_is_unpacked(tmp_path: Path) -> None:
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_jester", origin)
        world.spec(small("jester", ("volumes: 23", "volumes: 3")))
        parts = place_jester(world, tmp_path)
        for number in (0, 1):  # the last one lacks, which shows no gap
            (world.root / f"20bn-jester-v1-{number:02d}").write_bytes(parts[number])
        world.run("one", code=Exit.BLOCKED)
        assert {row["status"] for row in world.rows("recorded")} == {"missing"}
        assert all("2 of 3 parts are there" in row["evidence"] for row in world.rows("recorded")), world.rows(
            "recorded"
        )
        assert not world.files("rawframes")


TRAIN = [
    {"id": "78687", "label": "holding potato", "template": "Holding [something]", "placeholders": ["potato"]},
    {"id": "1", "label": "x", "template": "Holding [something] next to [something]", "placeholders": []},
]


def annotations() -> dict[str, bytes]:
    """The files of version 2 under the names that the page gives them today."""
    labels = {"Holding something next to something": "1", "Holding something": "0"}
    val, test = [{"id": "2", "template": "Holding [something]"}], [{"id": "3"}]
    told = {"labels": labels, "train": TRAIN, "validation": val, "test": test}
    return {f"{name}.json": json.dumps(value).encode() for name, value in told.items()}


def webm_of(folder: Path, name: str) -> bytes:
    """A real webm that shows its name."""
    mp4, webm = folder / f"{name}.mp4", folder / f"{name}.webm"
    mp4.write_bytes(film(folder, name, ".mp4"))
    codec = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "16", "-an")
    subprocess.run([ffmpeg().path, "-v", "error", "-y", "-i", str(mp4), *codec, str(webm)], check=True, timeout=120)
    return webm.read_bytes()


LISTS = {"train": "78687.webm 0\n1.webm 1\n", "val": "2.webm 0\n", "test": "3.webm\n"}


@needs_libarchive
@pytest.mark.parametrize("names", ["former", "present", "package"])
def test_version_2_with_all_names_of_its_annotations(tmp_path: Path, names: str) -> None:
    webm = {f"20bn-something-something-v2/{clip}.webm": webm_of(tmp_path, clip) for clip in ("78687", "1", "2", "3")}
    whole = gzip.compress(tar(webm))
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "small_sthv2", origin)
        world.spec(small("sthv2", ("path: sthv2/", "path: small_sthv2/")))
        (world.root / "annotations").mkdir(parents=True)
        if names == "package":
            inside = {f"labels/{name}": data for name, data in annotations().items()}
            (world.root / "20bn-something-something-download-package-labels.zip").write_bytes(zipped(inside))
        else:
            before = "something-something-v2-" if names == "former" else ""
            for name, data in annotations().items():
                (world.root / "annotations" / f"{before}{name}").write_bytes(data)
        for number, part in enumerate((whole[:1000], whole[1000:])):  # the two bigger ones of today
            name = f"20bn-something-something-v2-{number:02d}"
            (world.root / f"{name}.zip").write_bytes(zipped({name: part}))
        told = world.run("one").stdout.splitlines()[-1]
        assert told.startswith("small_sthv2: 4 of 4 clips are there"), told
        for split, text in LISTS.items():
            assert (world.root / f"small_sthv2_{split}_list_videos.txt").read_text() == text, split
        catalog = world.rows("catalog")
        assert [row["label"] for row in catalog[:2]] == ["Holding something", "Holding something next to something"]


def test_rows_of_csv_that_no_run_can_use_are_told(tmp_path: Path) -> None:
    path, labels = tmp_path / "jester-v1-train.csv", LabelIndex(INDEX, "labels")
    path.write_bytes(
        b'5;Pushing something so it spins, then "stops"\r\n\r\n6;Waving\r\n../7;Swiping Left\r\n8\r\n9;\r\n10;\xff\r\n'
    )
    found = list(read_rows(path, labels, labelled=False))
    assert isinstance(found[0], Item) and found[0].labels[0].index == 2
    assert isinstance(found[3], Item) and found[3].labels == (), "a list of test has no labels"
    told = [(row.line, row.reason) for row in found if isinstance(row, RejectedRow)]
    assert told == [(3, Reason.UNKNOWN_LABEL), (4, Reason.BAD_ID), (6, Reason.UNKNOWN_LABEL), (7, Reason.BAD_ROW)]
    (cut,) = (row for row in read_rows(path, labels) if row.line == 5)
    assert isinstance(cut, RejectedRow) and cut.reason is Reason.BAD_LABEL, "the cut end of a list of train"


def test_entries_of_json_that_no_run_can_use_are_told(tmp_path: Path) -> None:
    path, labels = tmp_path / "train.json", LabelIndex(INDEX, "labels")
    entries = [
        {"id": 5, "template": "Swiping [Left]"},
        3,
        {"template": "x"},
        {"id": "6", "template": 1},
        {"id": "../7"},
    ]
    path.write_text(json.dumps(entries))
    found = list(read_entries(path, labels))
    assert isinstance(found[0], Item) and (found[0].clip_id, found[0].class_dir) == ("5", "Swiping_Left")
    told = [(row.line, row.reason) for row in found if isinstance(row, RejectedRow)]
    assert told == [(2, Reason.BAD_ROW), (3, Reason.BAD_ROW), (4, Reason.BAD_ROW), (5, Reason.BAD_ID)]
    path.write_text(json.dumps([{"id": 8}, {"id": "9", "template": None}]))
    assert [row.reason for row in read_entries(path, labels) if isinstance(row, RejectedRow)] == [Reason.BAD_LABEL] * 2
    assert all(isinstance(row, Item) for row in read_entries(path, labels, labelled=False))


def test_classes_are_numbered_by_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "jester-v1-labels.csv"
    path.write_text(LABELS)
    assert read_label_lines(path).names == INDEX


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "Swiping Left\nSwiping Left\n", "class 2: 'Swiping Left' is given before"),
        ("a.csv", "Swiping Left\nSwiping_Left\n", "class 2: 'Swiping_Left' is given before, as 'Swiping Left'"),
        ("a.csv", "a/b\n", "class 1: the label"),
        ("a.csv", "\n", "names no class"),
        ("a.json", '{"a": "0", "b": "0"}', "'a' and 'b' both have the number 0"),
        ("a.json", '{"a": "0", "b": "2"}', "the class 1 is missing"),
        ("a.json", '{"a": true}', "the class 'a' has the number 'True'"),
        ("a.json", '["a"]', "holds a list"),
        ("a.json", '{"a": ', "is no JSON"),
        ("a.json", "{}", "names no class"),
    ],
)
def test_lists_of_classes_that_number_none_are_refused(tmp_path: Path, name: str, text: str, told: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        (read_label_json if name.endswith("json") else read_label_lines)(path)
    assert told in str(raised.value), raised.value
