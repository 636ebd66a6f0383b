"""All releases of Kinetics in one folder: the packaged YAML over small releases that lie in the same data root."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from clipquarry.acquire.annotation_files import download_annotations, files_of_splits
from clipquarry.annotations.items import Item
from clipquarry.annotations.kinetics_releases import Part, Releases
from clipquarry.annotations.labels import LabelIndex
from clipquarry.datasets.load import find_spec
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.errors import UserError
from clipquarry.ids import normalise_label
from clipquarry.settings import DataRoot
from families.clips.file_world import PACKAGED, World, serve

pytestmark = pytest.mark.timeout(600)

A, B, C, D, E, F, G, H = (f"_video_{letter}_00" for letter in "abcdefgh")
ROWS = {
    ("400", "train"): [("balloon blowing", A, 0), ("zumba", B, 0), ("yoga", G, 0), ("zumba", H, 0)],
    ("600", "train"): [("balloon blowing", A, 0), ("yoga", C, 0), ("yoga", C, 3), ("yoga", D, 0)],
    ("700", "train"): [("inflating balloons", A, 0), ("yoga", C, 0), ("zumba", F, 0)],
    ("700_2020", "train"): [("inflating balloons", A, 0), ("yoga", E, 0), ("zumba", F, 0)],
    ("400", "val"): [("zumba", "_video_v4_0", 0)],
    ("600", "val"): [("balloon blowing", "_video_v6_0", 0)],
    ("700", "val"): [("zumba", B, 0), ("zumba", "_video_v4_0", 0)],
    ("700_2020", "val"): [("zumba", B, 0)],
    ("400", "test"): [("", "_video_t4_0", 0)], ("600", "test"): [("yoga", "_video_t6_0", 0)], ("700", "test"): [("yoga", D, 5)],
    ("700_2020", "test"): [("yoga", D, 5)],
}  # fmt: skip
"""Label, video, start; every window has two seconds."""
NOWHERE = {F}
ON_DISK = ("kinetics400", "kinetics600", "kinetics700", "kinetics700_2020", "kinetics700_2020_flat")
LISTS = {
    "k400_train": [f"{A}_000000_000002.mp4 0", f"{G}_000000_000002.mp4 1", f"{H}_000000_000002.mp4 2"],
    "k600_train": [f"{A}_000000_000002.mp4 0", f"{C}_000000_000002.mp4 1", f"{C}_000003_000005.mp4 1"],
    "k700_train": [f"{A}_000000_000002.mp4 0", f"{C}_000000_000002.mp4 1"],
    "k700_2020_train": [f"{A}_000000_000002.mp4 0", f"{E}_000000_000002.mp4 1"],
    "k400_val": ["_video_v4_0_000000_000002.mp4 2"],
    "k600_val": ["_video_v6_0_000000_000002.mp4 0"],
    "k700_val": [f"{B}_000000_000002.mp4 2", "_video_v4_0_000000_000002.mp4 2"],
    "k700_2020_val": [f"{B}_000000_000002.mp4 2"],
    "k400_test": ["_video_t4_0_000000_000002.mp4"],
    "k600_test": ["_video_t6_0_000000_000002.mp4 1"],
    "k700_test": [f"{D}_000005_000007.mp4 1"],
    "k700_2020_test": [f"{D}_000005_000007.mp4 1"],
}
CLIPS = {line.split()[0] for lines in LISTS.values() for line in lines}


def text(rows: list[tuple[str, str, int]], part: str) -> str:
    if any(not label for label, _, _ in rows):
        return "youtube_id,time_start,time_end,split\n" + "".join(f"{v},{s},{s + 2},{part}\n" for _, v, s in rows)
    header = "label,youtube_id,time_start,time_end,split\n"
    return header + "".join(f"{label},{video},{start},{start + 2},{part}\n" for label, video, start in rows)


@pytest.fixture
def world(tmp_path: Path):
    """The releases' csv files and clips, as their own runs leave them; one release is there flat."""
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "kinetics_flat", origin)
        one = make_video(tmp_path / "one.mp4", 2, 10).read_bytes()
        for (release, part), rows in ROWS.items():
            is_flat = release == "700_2020"
            root = world.data / f"kinetics{release}{'_flat' * is_flat}"
            (root / "annotations").mkdir(parents=True, exist_ok=True)
            (root / f"annotations/kinetics_{part}.csv").write_text(text(rows, part))
            for label, video, start in rows:
                if video in NOWHERE:
                    continue
                folder = root / "videos" if is_flat else root / f"videos_{part}" / (normalise_label(label) or "test")
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{video}_{start:06d}_{start + 2:06d}.mp4").write_bytes(one)
        yield world


def run(world: World, name: str = "one", *more: str) -> str:
    sources = [argument for source in ON_DISK for argument in ("--source", source)]
    return world.run(name, *sources, *more).stdout.splitlines()[-1]


def broken(world: World, name: str = "one") -> set[tuple[str, str]]:
    """Checks that do not hold, without those that small releases break."""
    small = {f"annotations.{one}" for one in ("label_complete", "label_count", "class_in_train", "rows", "sha256")}
    return {
        (check["id"], check["severity"])
        for gate in ("annotations", "clips", "lists")
        for check in world.gate(gate, name)["checks"]
        if check["success"] is False and check["id"] not in small
    }


def lists(world: World) -> dict[str, list[str]]:
    return {split: (world.root / f"{split}_list_videos.txt").read_text().splitlines() for split in LISTS}


@pytest.mark.slow
def test_four_releases_share_one_folder_and_keep_their_lists(world: World) -> None:
    told = run(world)
    assert sum(world.origin.asked.values()) == 0
    assert world.files() == {f"videos/{clip}" for clip in CLIPS}, told
    assert lists(world) == LISTS
    rejected = {row["item_id"]: row["evidence"] for row in world.rows("catalog") if row["status"] == "rejected"}
    assert {name: why.partition(":")[0] for name, why in rejected.items()} == {
        "k400_train/#row-3": "its video is in k700_val",
        "k600_train/#row-5": "its video is in k700_test",
    }
    assert not any(severity == "error" for _, severity in broken(world)), broken(world)
    assert ("annotations.leak", "warn") not in broken(world)
    # Nothing was copied: the clip of the first release that has it is the very file.
    theirs = world.data / f"kinetics400/videos_train/balloon_blowing/{A}_000000_000002.mp4"
    assert (world.root / f"videos/{A}_000000_000002.mp4").samefile(theirs)
    flat = world.data / f"kinetics700_2020_flat/videos/{E}_000000_000002.mp4"
    assert (world.root / f"videos/{E}_000000_000002.mp4").samefile(flat)
    release = next((world.data / ".clipquarry/releases/kinetics_flat").glob("one"))
    assert (release / "label_map_k400.txt").read_text() == "balloon blowing\nyoga\nzumba\n"
    assert (release / "label_map_k700_2020.txt").read_text() == "inflating balloons\nyoga\nzumba\n"
    assert not (release / "label_map.txt").exists()
    assert (release / "kinetics_flat_clips.csv").read_text() == (world.root / "kinetics_flat_clips.csv").read_text()
    locked = (release / "kinetics_flat.lock").read_text().splitlines()[1:]
    assert len(locked) == len(CLIPS)
    (both,) = (line for line in locked if f"{A}_000000_000002" in line)
    assert '"split":"k400_train,k600_train,k700_2020_train,k700_train"' in both
    (differs,) = (line for line in locked if f"{B}_000000" in line)
    assert '"label_index":2' in differs


@pytest.mark.slow
def test_the_table_has_each_clip_once_with_its_class_in_each_release(world: World) -> None:
    run(world)
    with open(world.root / "kinetics_flat_clips.csv") as handle:
        rows = {row["clip"]: row for row in csv.DictReader(handle)}
    every = {f"{video}_{start:06d}_{start + 2:06d}" for rows in ROWS.values() for _, video, start in rows}
    assert set(rows) == every
    assert dict(rows[f"{A}_000000_000002"]) == {
        "youtube_id": A, "time_start": "0", "time_end": "2", "clip": f"{A}_000000_000002",
        "k400_split": "train", "k400_class": "balloon blowing", "k600_split": "train", "k600_class": "balloon blowing",
        "k700_split": "train", "k700_class": "inflating balloons", "k700_2020_split": "train",
        "k700_2020_class": "inflating balloons", "left_out_of": "",
    }  # fmt: skip
    leaked = rows[f"{B}_000000_000002"]
    assert (leaked["k400_split"], leaked["k700_split"], leaked["left_out_of"]) == ("train", "val", "k400_train")
    assert (rows["_video_t4_0_000000_000002"]["k400_split"], rows["_video_t4_0_000000_000002"]["k400_class"]) == (
        "test",
        "",
    )


@pytest.mark.slow
def test_lists_as_published_keep_what_others_evaluate_on_and_say_so(world: World) -> None:
    run(world, "one", "--set", "training_lists=as_published")
    found = lists(world)
    assert f"{B}_000000_000002.mp4 2" in found["k400_train"] and f"{D}_000000_000002.mp4 1" in found["k600_train"]
    told = broken(world)
    assert ("annotations.leak", "warn") in told
    assert not any(severity == "error" for _, severity in told), told
    release = next((world.data / ".clipquarry/releases/kinetics_flat").glob("one"))
    with open(release / "also_in_evaluation.csv") as handle:
        rows = {(row["item_id"], row["data_set"], row["split"], row["what"]) for row in csv.DictReader(handle)}
    assert (f"k400_train/zumba/{B}_000000_000002", "kinetics700", "val", "window") in rows
    assert (f"k600_train/yoga/{D}_000000_000002", "kinetics700", "test", "video") in rows
    # A second run the other way takes them out of the lists, not out of the folder.
    run(world, "two")
    assert lists(world) == LISTS
    assert (world.root / f"videos/{B}_000000_000002.mp4").exists()


@pytest.mark.slow
def test_one_split_knows_the_evaluation_of_the_other_releases(world: World) -> None:
    run(world, "one", "--split", "k400_train")
    assert (world.root / "k400_train_list_videos.txt").read_text().splitlines() == LISTS["k400_train"]
    assert world.files() == {f"videos/{line.split()[0]}" for line in LISTS["k400_train"]}


def test_a_label_map_for_all_releases_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text("yoga\n")
    told = world.run("one", "--set", f"label_map={tmp_path}/map.txt", code=2).output
    assert "leave label_map out" in told


def write(folder: Path, parts: dict[str, list[tuple[str, str, int]]]) -> dict[Part, Path]:
    places = {}
    for name, rows in parts.items():
        places[Part(*name.split("/"))] = folder / f"{name.replace('/', '_')}.csv"
        (folder / f"{name.replace('/', '_')}.csv").write_text(text(rows, "x"))
    return places


def test_a_clip_with_two_classes_or_two_splits_is_one_line(tmp_path: Path) -> None:
    places = write(tmp_path, {
        "k400/train": [("yoga", A, 0), ("zumba", A, 0), ("yoga", B, 0)], "k400/val": [("yoga", B, 0)], "k600/train": [("yoga", B, 0)],
    })  # fmt: skip
    out = io.StringIO()
    assert Releases(places, {}).write_clips(out) == 2
    first, second = csv.DictReader(out.getvalue().splitlines())
    assert (first["k400_split"], first["k400_class"], first["k600_split"]) == ("train|train", "yoga|zumba", "")
    assert (second["k400_split"], second["left_out_of"]) == ("train|val", "k400_train|k600_train")
    labels = dict.fromkeys(("k400", "k600"), LabelIndex.from_labels(["yoga", "zumba"]))
    kept = [row for row in Releases(places, labels).rows(Part("k400", "train")) if isinstance(row, Item)]
    assert [row.video_id for row in kept] == [A, A]
    published = Releases(places, labels, apart=False)
    assert len(list(published.rows(Part("k400", "train")))) == 3
    assert all(isinstance(row, Item) for row in published.rows(Part("k600", "train")))


def test_csv_files_that_are_on_no_disk_come_from_each_releases_own_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``k700_2020_train.csv`` begins as those of ``k700`` do, and comes neither from there nor from their archive."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    rows = {f"{part}.csv": text(ROWS["700_2020", part], part).encode() for part in ("train", "val")}
    with Origin(serve(tmp_path / "served", rows)) as origin:
        yaml = (PACKAGED / "kinetics_flat.yaml").read_text().replace("name: kinetics_flat\n", "name: small_flat\n")
        (tmp_path / "specs").mkdir()
        (tmp_path / "specs/small_flat.yaml").write_text(
            yaml.replace("https://s3.amazonaws.com/kinetics/700_2020/annotations", origin.url).replace(
                "https://storage.googleapis.com", origin.url
            )
        )
        spec, data = find_spec("small_flat", (tmp_path / "specs",)), DataRoot(tmp_path / "data")
        found = download_annotations(spec, data, files_of_splits(spec, ["k700_2020_train", "k700_2020_val"]))
        assert [one.source for one in found] == ["cvdf_annotations"] * 2
        assert sorted(origin.asked) == ["train.csv", "val.csv"], "no archive was asked for"
        with pytest.raises(UserError, match=r"k700_train.*kinetics700\.tar\.gz"):
            download_annotations(spec, data, files_of_splits(spec, ["k700_train"]))
