"""Kinetics-710: the packaged YAML over small releases of Kinetics-400, 600 and 700 that lie in the same data root."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clipquarry.annotations.kinetics710 import Releases
from clipquarry.annotations.labels import published_labels
from clipquarry.datasets.load import find_spec
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.ids import normalise_label
from families.clips.file_world import World, serve

pytestmark = pytest.mark.timeout(300)

HEADER = "label,youtube_id,time_start,time_end,split\n"
A, B, C, D, E, F = (f"_video_{letter}_00" for letter in "abcdef")
ROWS = {
    ("400", "train"): [("balloon blowing", A, 0), ("zumba", B, 0)],
    ("600", "train"): [("zumba", B, 4), ("picking fruit", C, 0), ("picking fruit", C, 3), ("yoga", D, 0)],
    ("700", "train"): [("inflating balloons", A, 2), ("yoga", F, 0), ("throwing ball (not baseball or American football)", E, 0)],
    ("400", "val"): [("zumba", "_video_v4_0", 0)],
    ("600", "val"): [("yoga", "_video_v6_0", 0)],
    ("700", "val"): [("yoga", "_video_v6_0", 3), ("zumba", "_video_v7_0", 0)],
    ("400", "test"): [], ("600", "test"): [], ("700", "test"): [("yoga", D, 5)],
}  # fmt: skip
LISTS = {
    "k400_train": f"{A}_000000_000002.mp4 12\n{B}_000000_000002.mp4 399\n",
    "k600_train": f"{C}_000000_000002.mp4 214\n{C}_000003_000005.mp4 214\n",
    "k700_train": f"{F}_000000_000002.mp4 398\n{E}_000000_000002.mp4 357\n",
    "k400_val": "_video_v4_0_000000_000002.mp4 399\n",
    "k600_val": "_video_v6_0_000000_000002.mp4 398\n",
    "k700_val": "_video_v7_0_000000_000002.mp4 399\n",
}
"""What ``{split}_list_videos.txt`` holds."""


def csv(rows: list[tuple[str, str, int]], part: str) -> str:
    return HEADER + "".join(f'"{label}",{video},{start},{start + 2},{part}\n' for label, video, start in rows)


@pytest.fixture
def world(tmp_path: Path):
    """The releases' csv files and clips, as their own runs leave them."""
    with Origin(serve(tmp_path / "served", {})) as origin:
        world = World(tmp_path, "kinetics710", origin)
        one = make_video(tmp_path / "one.mp4", 2, 10).read_bytes()
        for (release, part), rows in ROWS.items():
            root = world.data / f"kinetics{release}"
            (root / "annotations").mkdir(parents=True, exist_ok=True)
            (root / f"annotations/kinetics_{part}.csv").write_text(csv(rows, part))
            for label, video, start in rows if part != "test" else []:
                clip = root / f"videos_{part}" / normalise_label(label) / f"{video}_{start:06d}_{start + 2:06d}.mp4"
                clip.parent.mkdir(parents=True, exist_ok=True)
                clip.write_bytes(one)
        yield world


def test_three_releases_become_six_lists_without_a_repeated_or_leaked_video(world: World) -> None:
    told = world.run("one").stdout.splitlines()[-1]
    assert told.startswith("kinetics710: 9 of 9 clips are there"), told
    assert sum(world.origin.asked.values()) == 0
    broken = {check["id"] for check in world.gate("annotations")["checks"] if check["success"] is False}
    assert broken == {"annotations.label_complete", "annotations.label_count", "annotations.class_in_train"}, (
        "which small releases break"
    )
    for split, text in LISTS.items():
        assert (world.root / f"{split}_list_videos.txt").read_text() == text
    rejected = {row["item_id"]: row["evidence"] for row in world.rows("catalog") if row["status"] == "rejected"}
    assert {name: why.partition(":")[0] for name, why in rejected.items()} == {
        "k600_train/#row-2": "its video is in k400_train",
        "k600_train/#row-5": "its video is in k700_test",
        "k700_train/#row-2": "its video is in k400_train",
        "k700_val/#row-2": "its video is in k600_val",
    }
    names = next((world.data / ".clipquarry/releases/kinetics710/one").glob("*label*")).read_text().splitlines()
    assert (len(names), names[12], names[709]) == (710, "inflating balloons", "bull fighting")


def test_one_split_knows_the_videos_of_the_others(world: World) -> None:
    world.run("one", "--split", "k700_train")
    assert (world.root / "k700_train_list_videos.txt").read_text() == LISTS["k700_train"]


def test_a_release_whose_csv_is_nowhere_is_named(world: World) -> None:
    (world.data / "kinetics600/annotations/kinetics_val.csv").unlink()
    text = (find_file("kinetics710")).read_text().replace("https://storage.googleapis.com", world.origin.url)
    world.name = "toy710"
    world.spec(text.replace("name: kinetics710", "name: toy710").replace("root: kinetics710", "root: toy710"))
    told = world.run("one", code=2).output
    assert "k600_val" in told and "kinetics600.tar.gz" in told


def find_file(name: str) -> Path:
    import clipquarry

    return Path(clipquarry.__file__).parent / f"datasets/{name}.yaml"


@pytest.mark.shared
def test_names_and_indices_are_those_of_the_published_maps() -> None:
    expected = Path(__file__).parents[3].parent / "shared/oracles/kinetics_label_index/expected"
    names = published_labels("kinetics710")
    spec = find_spec("kinetics710", ())
    for release in ("400", "600", "700"):
        source = next(one for one in spec.item_sources if one.id == f"kinetics{release}")
        ours = {normalise_label(theirs): mine for mine, theirs in source.class_names.items()}
        lines = (expected / f"label_index_k{release}.csv").read_text().splitlines()[1:]
        theirs = [line.partition(",")[2].strip('"') for line in lines]
        found = [names.get(normalise_label(ours.get(normalise_label(one), one))) for one in theirs]
        assert found == json.loads((expected / f"k{release}_index_to_k710_index.json").read_text())


def test_a_label_of_no_release_is_rejected(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        (tmp_path / f"{part}.csv").write_text(csv([("no such thing", A, 0)] if part == "train" else [], part))
    made = Releases(
        {("k400", part): tmp_path / f"{part}.csv" for part in ("train", "val", "test")}, published_labels("kinetics710")
    )
    (row,) = made.rows(("k400", "train"), {})
    assert row.reason == "unknown_label"
