"""OmniSource, from the volumes that a person placed, to folders, parts and lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from acquire.made_archives import needs_libarchive, tar
from clipquarry.annotations.omnisource import read_listed
from clipquarry.datasets.load import find_spec, load_spec
from clipquarry.errors import Exit, SpecError
from families.clips.file_world import small
from families.clips.omni_world import NAME, RAW, TRAIN, OmniWorld, picture

pytestmark = [needs_libarchive, pytest.mark.timeout(300)]

KINETICS = ("--split", "kinetics_200_train", "--split", "kinetics_200_val")
PARTS = {
    *(f"kinetics_raw_200_train/pref_/___dTOdxzXY/part_{at}.mp4" for at in range(3)),
    *(f"kinetics_raw_200_train/prefe/exact20secs/part_{at}.mp4" for at in range(2)),
}


def broken(world: OmniWorld, gate: str, run: str = "one") -> set[str]:
    """Checks that do not hold, without those of a small world's counts and absent lists."""
    usual = {"annotations.rows", "listed.placed", "listed.count"}
    return {one["id"] for one in world.gate(gate, run)["checks"] if one["success"] is False} - usual


@pytest.mark.slow
def test_the_placed_volumes_become_a_release(tmp_path: Path) -> None:
    with OmniWorld(tmp_path) as world:
        world.place()
        told = world.run("one").stdout.splitlines()[-1]
        assert told.startswith(f"{NAME}: 14 of 14 clips are there"), told
        assert {gate: broken(world, gate) for gate in ("annotations", "clips", "lists")} == {
            "annotations": set(), "clips": set(), "lists": set(),
        }  # fmt: skip
        raw = {f"kinetics_raw_200_train/pref{name[0]}/{name}.mp4" for name in RAW}
        volumes = {f"kinetics_raw_200_train/vol_{at}.tar" for at in (0, 1)}
        assert world.files("kinetics_raw_200_train") == PARTS | raw | volumes, "nothing is deleted unasked"
        assert len(world.files("googleimage_200")) == 6 + 2, "volumes with and without their top folder"
        for published, written in {
            "kinetics_200/k200_train.txt": "kinetics_200_train.txt",
            "insvideo_200/insvideo_200.txt": "insvideo_200.txt",
            "googleimage_200/googleimage_200.txt": "googleimage_200.txt",
            "webimage_200/tsn_8seg_webimage_200_wodup.txt": "tsn_8seg_webimage_200_wodup.txt",
        }.items():
            assert (world.root / "lists" / written).read_text() == world.lists[published]
        raw_list = "kinetics_raw_200/slowonly_8x8_kinetics_raw_200.json"
        assert (world.root / "lists/kinetics_raw_200_train.json").read_text() == world.lists[raw_list]
        text = (world.root / "lists/kinetics_raw_200_train.txt").read_text()
        assert text == "pref_/___dTOdxzXY 0 3 0 2\nprefe/exact20secs 1 2 1\n"
        (folder,) = (world.data / f".clipquarry/releases/{NAME}").glob("one")
        assert (folder / "label_map.txt").read_text() == "abseiling\nair drumming\narchery\n"
        page = (world.run_folder() / "report/index.html").read_text()
        assert "Sources" in page and "long videos in parts" in page

        inodes = {name: (world.root / name).stat().st_ino for name in PARTS}
        world.run("two", "--set", "delete_source=true")
        assert world.files("kinetics_raw_200_train") == PARTS | volumes
        told = world.run("three", "--set", "delete_source=true").stdout.splitlines()[-1]
        assert told.startswith(f"{NAME}: 14 of 14 clips are there"), told
        assert {name: (world.root / name).stat().st_ino for name in PARTS} == inodes
        assert world.files("kinetics_raw_200_train") == PARTS | volumes, (
            "no volume is unpacked again for parts that are there"
        )


@pytest.mark.slow
def test_a_run_takes_the_sources_that_it_chooses(tmp_path: Path) -> None:
    with OmniWorld(tmp_path) as world:
        some = {name: text for name, text in world.lists.items() if name.startswith(("k200", "kinetics_200/"))}
        world.place(some, "kinetics_200_train", "kinetics_200_val")
        refused = world.run("all", code=Exit.USAGE).output
        assert "annotations/" in refused and "form" in refused, refused
        done = world.run("one", *KINETICS)
        assert done.stdout.splitlines()[-1].startswith(f"{NAME}: 3 of 3 clips are there"), done.stdout
        assert (
            "Not chosen in this run: kinetics_raw_200_train, insvideo_200, googleimage_200, insimage_200" in done.output
        )
        report = json.loads((world.run_folder() / "report/report.json").read_text())
        assert "not chosen in this run" in (world.run_folder() / "report/index.html").read_text() and report
        assert world.files("lists") == {"lists/kinetics_200_train.txt", "lists/kinetics_200_val.txt"}
        refused = world.run("two", *KINETICS, "--set", "delete_source=true", code=Exit.USAGE).output
        assert "no chosen split holds any" in refused, refused


@pytest.mark.slow
def test_volumes_that_lack_are_named_and_nothing_of_them_appears(tmp_path: Path) -> None:
    with OmniWorld(tmp_path, ("volumes: 2\n      strip_top: [OmniSource, googleimage_200", "volumes: 3\n      strip_top: [OmniSource, googleimage_200")) as world:  # fmt: skip
        world.place(None, "googleimage_200")
        world.run("one", "--split", "googleimage_200", code=Exit.BLOCKED)
        (row,) = world.rows("extract/part-00000")
        assert row["status"] == "missing" and "2 of 3 parts are there, the last is vol_1.tar" in row["evidence"], row
        assert world.files("googleimage_200") == {f"googleimage_200/vol_{at}.tar" for at in (0, 1)}
        (world.root / "googleimage_200/vol_1.tar").rename(world.root / "googleimage_200/vol_2.tar")
        world.run("two", "--split", "googleimage_200", code=Exit.BLOCKED)
        (row,) = world.rows("extract/part-00000", "two")
        assert "have a gap: number 1" in row["evidence"], row
        # A damaged volume costs its own files.
        whole = world.volumes["googleimage_200/vol_1.tar"]
        (world.root / "googleimage_200/vol_1.tar").write_bytes(whole[: len(whole) // 3])
        (world.root / "googleimage_200/vol_2.tar").write_bytes(tar({"x.txt": b"x"}))
        world.run("three", "--split", "googleimage_200", code=Exit.BLOCKED)
        (row,) = world.rows("extract/part-00000", "three")
        assert row["status"] == "missing" and "vol_1.tar" in row["evidence"], row
        assert {f"googleimage_200/{at:03d}/0{at}/000001.jpg" for at in range(3)} <= world.files("googleimage_200")
        (world.root / "googleimage_200/vol_1.tar").write_bytes(whole)
        done = world.run("four", "--split", "googleimage_200")
        assert done.stdout.splitlines()[-1].startswith(f"{NAME}: 3 of 3 clips are there"), done.stdout


@pytest.mark.slow
def test_every_fault_of_a_list_or_file_is_named(tmp_path: Path) -> None:
    with OmniWorld(
        tmp_path, ("missing: {warn: 0, error: 0.01}", "missing: {warn: 0, error: 0.9}\nrejected: {error: 0.5}")
    ) as world:
        google = "googleimage_200/googleimage_200.txt"
        lines = world.lists[google].splitlines()
        lines[0] = "googleimage_200/000/00/000009.jpg 0"  # not there
        lines[3] = lines[3].replace(" 1", " 2")  # in the folder of class 1
        raw = json.loads(world.lists["kinetics_raw_200/slowonly_8x8_kinetics_raw_200.json"])
        raw[0] |= {"num_clips": 4, "positive_clip_inds": [0]}
        raw[1] |= {"positive_clip_inds": [2]}
        world.lists |= {
            google: "\n".join(lines) + "\n",
            "kinetics_raw_200/slowonly_8x8_kinetics_raw_200.json": json.dumps(raw),
            "kinetics_200/k200_train.txt": f"{world.lists['kinetics_200/k200_train.txt']}zzzlyL61Fyo.mp4 2\n",
            "insvideo_200/slowonly_8x8_insvideo_200.txt": "000/abseil/B00arxogub0.mp4 0\n001/abseil/B00arxogub1.mp4\n",
            "insvideo_200/slowonly_8x8_insvideo_200_wodup.txt": "002/abseil/B00arxogub2.mp4 3\n",
        }
        names = [f"00{at}/0{at}/000002.jpg" for at in range(3)]
        pictures = {f"googleimage_200/{name}": picture(tmp_path, name) for name in names}
        pictures[f"googleimage_200/{names[2]}"] = b"<html>gone</html>"
        world.volumes["googleimage_200/vol_1.tar"] = tar(pictures)
        world.place()
        world.run("one", code=Exit.BLOCKED)
        found = {(row["list"].rpartition("/")[2], row["line"], row["kind"]) for row in world.rows("list_problems")}
        assert found == {
            ("googleimage_200.txt", 1, "absent"), ("googleimage_200.txt", 4, "folder"), ("googleimage_200.txt", 6, "unusable"),
            ("slowonly_8x8_kinetics_raw_200.json", 1, "clips"), ("slowonly_8x8_kinetics_raw_200.json", 2, "positive"),
            ("k200_train.txt", 3, "again"), ("slowonly_8x8_insvideo_200.txt", 2, "syntax"),
            ("slowonly_8x8_insvideo_200_wodup.txt", 1, "class"),
            ("tsn_8seg_webimage_200_wodup.txt", 6, "unusable"),
        }  # fmt: skip
        assert broken(world, "lists") == {
            "listed.absent", "listed.folder", "listed.usable", "listed.clips", "listed.positive", "listed.unique", "listed.syntax",
            "listed.class",
        }  # fmt: skip
        assert broken(world, "clips") == {"folders.usable"}
        kept = [line for at, line in enumerate(lines) if at not in (0, 5)]
        assert (world.root / "lists/googleimage_200.txt").read_text().splitlines() == kept
        written = json.loads((world.root / "lists/kinetics_raw_200_train.json").read_text())
        assert written == [{**raw[0], "num_clips": 3}], "the number of parts is that on disk"
        assert (world.root / "annotations" / google).read_text() == world.lists[google], "published lists stay"


@pytest.mark.slow
def test_a_long_video_that_cannot_be_cut_is_missing_with_its_reason(tmp_path: Path) -> None:
    with OmniWorld(tmp_path) as world:
        whole = world.volumes["kinetics_raw_200_train/vol_1.tar"]
        data = whole[512 : 512 + 6000]
        world.volumes["kinetics_raw_200_train/vol_1.tar"] = tar({"prefe/exact20secs.mp4": data})
        world.place()
        arguments = ("--split", "kinetics_raw_200_train", "--set", "delete_source=true")
        world.run("one", *arguments, code=Exit.BLOCKED)
        rows: dict[str, Any] = {row["clip_id"]: row for row in world.rows("recorded")}
        assert rows["exact20secs"]["status"] == "missing" and rows["exact20secs"]["reason"] == "truncated"
        assert (world.root / "kinetics_raw_200_train/prefe/exact20secs.mp4").read_bytes() == data
        assert {"clips.coverage", "clips.wrong_bytes"} <= broken(world, "clips")


def test_entries_of_lists_are_judged_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"a/b/c.jpg 0\r\na b 1\n../x.jpg 1\n/x.jpg 1\nc.jpg 1 2\n\nd//e.jpg 1\nlast.mp4 7")
    found = [(one.line, one.path, bool(one.problem)) for one in read_listed(path)]
    assert found == [(1, "a/b/c.jpg", False), *((at, "", True) for at in range(2, 8)), (8, "last.mp4", False)]
    path = tmp_path / "list.json"
    good = {"video_dir": "pref_/a", "label": 0, "num_clips": 2, "positive_clip_inds": []}
    path.write_text(json.dumps([
        good, {**good, "label": "0"}, {**good, "num_clips": 0}, {**good, "positive_clip_inds": [1, 1]}, [],
        {**good, "video_dir": "../a"}, {key: value for key, value in good.items() if key != "label"}, {**good, "label": True},
    ]))  # fmt: skip
    assert [bool(one.problem) for one in read_listed(path)] == [False, *[True] * 7]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("    insvideo_200: folder\n", "", "what an item of 'insvideo_200' is"),
        ("insvideo_200: folder", "insvideo_200: parts", "parts are listed as JSON"),
        ("{of: [insvideo_200], count: 956}", "{of: [other], count: 956}", "no split 'other'"),
        ("source: file, path: annotations/k200_actions.txt, count: 200", "source: annotation, count: 200", "a file of classes"),
        ("  # Each volume", "  - {id: mirror, kind: http, provides: items, content: file, url: 'http://a.org/{clip}.mp4'}\n  # Each volume",
         "that a person places"),
        ("insvideo_200/vol_[0-9][0-9].tar", "ins*/vol_[0-9][0-9].tar", "whose name is written out"),
    ],
)  # fmt: skip
def test_a_wrong_yaml_is_told(tmp_path: Path, before: str, after: str, says: str) -> None:
    path = tmp_path / "small_omnisource.yaml"
    path.write_text(small("omnisource", (before, after)))
    with pytest.raises(SpecError, match=says):
        load_spec(path)


def test_the_published_sizes_are_those_of_the_document() -> None:
    spec = find_spec("omnisource")
    counts = {path.rpartition("/")[2]: one.count for path, one in spec.options.lists_of.items() if one.count}  # type: ignore[attr-defined]
    assert counts["googleimage_200.txt"] == 3_050_880 and counts["insvideo_200.txt"] == 732_855 and len(TRAIN) == 2
    assert set(spec.options.holds) == set(spec.splits) and spec.labels.count == 200  # type: ignore[attr-defined]
