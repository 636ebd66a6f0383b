"""What clips show: odd shares warn, single ones are told, legitimate ones and those that nobody looked at raise nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from clipquarry.microseconds import seconds
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import CheckResult
from clipquarry.steps.fields import CONTENT_FIELDS
from quality_world import World, broken, draw, ids, shows

BLACK: dict[str, Any] = {"brightness": 0.4, "contrast": 0.2, "still": 1.0, "changes": 0.0, "fingerprint": ""}
KINDS: dict[str, dict[str, Any]] = {
    "clips.black": BLACK,
    "clips.one_colour": BLACK | {"brightness": 120.0},
    "clips.frozen": {"still": 1.0, "changes": 0.0},
    "clips.slide_show": {"still": 0.875, "changes": 5 / 7, "jumps": 5 / 7},
    "clips.uneven_rate": {"uneven": 0.4},
    "clips.silent": {"sound": "silent"},
}


def _checks(world: World, **settings: Any) -> dict[str, CheckResult]:
    return {check.id: check for check in world.gate("clips", GateParams(**settings)).checks}


@pytest.mark.parametrize("kind", KINDS)
def test_a_share_of_odd_clips_warns_and_a_single_one_is_told(world: World, kind: str) -> None:
    world.recorded[3] |= KINDS[kind]
    alone = _checks(world, silent_warn=0.0)[kind]
    assert (alone.success, alone.unexpected, ids(alone)) == (True, 1, [world.recorded[3]["item_id"]])
    for row in world.recorded[:11]:
        row |= KINDS[kind]
    result = world.gate("clips")
    assert result.verdict == "warn" and list(broken(result)) == [kind]
    assert broken(result)[kind].unexpected == 11


@pytest.mark.parametrize(
    "legitimate",
    [
        {"brightness": 4.0, "contrast": 9.0},  # a night with lights
        {"still": 1.0, "changes": 0.3},  # a camera on a tripod, something moves now and then
        {"still": 0.6, "changes": 1.0, "jumps": 0.9},  # a cartoon of held drawings
        {"still": 0.9, "changes": 1.0, "jumps": 0.5},  # pages and a pointer
        {"brightness": 240.0, "contrast": 5.0},  # snow
        {"still": None, "changes": None, "jumps": None, "uneven": None, "fingerprint": None},  # less than a second
        {"uneven": 0.05},
        dict.fromkeys(field.name for field in CONTENT_FIELDS),  # nobody looked
    ],
)
def test_legitimate_clips_raise_nothing_however_many(world: World, legitimate: dict[str, Any]) -> None:
    for row in world.recorded:
        row |= legitimate
    assert broken(world.gate("clips")) == {}


def test_what_was_not_measured_is_skipped_or_said(world: World) -> None:
    for row in world.recorded[2:]:
        row |= dict.fromkeys(field.name for field in CONTENT_FIELDS)
    assert "18 of 20 were not measured." in _checks(world)["clips.black"].sentence
    for row in world.recorded:
        row |= dict.fromkeys(field.name for field in CONTENT_FIELDS)
    skipped = {name for name, check in _checks(world).items() if "was not measured" in check.skipped}
    assert skipped == {*KINDS, "clips.near_copy"}


def test_silent_clips_where_none_has_a_track_or_none_is_wanted(world: World) -> None:
    for row in world.recorded:
        row["sound"] = "none"
    assert "no clip has a track" in _checks(world)["clips.silent"].skipped
    world.recorded[0]["sound"] = "heard"
    assert not _checks(world)["clips.silent"].success  # 19 of 20 lost theirs
    for row in world.recorded[:10]:
        row["sound"] = "heard"
    assert _checks(world)["clips.silent"].success  # a minority


def test_the_same_film_in_two_splits_is_told_with_its_window(world: World) -> None:
    train, val, test = (
        next(row for row in world.recorded if row["split"] == name) for name in ("train", "val", "test")
    )
    val["fingerprint"] = train["fingerprint"]
    found = _checks(world)["clips.near_copy"]
    assert (found.success, ids(found), found.checked) == (True, [val["item_id"]], 8)
    assert found.worst[0]["copy_of"] == f"{train['item_id']} ({seconds(train['start'])} to {seconds(train['end'])} s)"
    test["fingerprint"] = val["fingerprint"]
    assert ids(broken(world.gate("clips"))["clips.near_copy"]) == [val["item_id"], test["item_id"]]
    for row in (val, test):
        row["video_id"] = train["video_id"]  # windows of one video are another check's
    assert _checks(world)["clips.near_copy"].unexpected == 0


def test_copies_in_another_data_set_when_asked(world: World) -> None:
    for row in world.recorded:
        row["split"] = "train"
    assert _checks(world)["clips.near_copy"].skipped == "the clips are of one split"
    (world.data.private / "state").mkdir(parents=True)
    (world.run_dir / "recorded.parquet").rename(world.data.private / "state/other.parquet")
    for row in world.recorded:
        row["video_id"] = row["video_id"].replace("vid", "new")
    found = _checks(world, compare_with=("other",))["clips.near_copy"]
    assert (found.unexpected, found.success) == (20, False)
    assert found.worst[0]["copy_of"].startswith(f"other: {world.recorded[0]['item_id']} (")


def test_the_same_id_of_another_data_set_is_the_same_video_only_where_ids_mean_the_same(world: World) -> None:
    assert _checks(world)["clips.near_copy"].unexpected == 0
    (world.data.private / "state").mkdir(parents=True)
    (world.run_dir / "recorded.parquet").rename(world.data.private / "state/other.parquet")
    assert _checks(world, compare_with=("other",), same_ids=("other",))["clips.near_copy"].unexpected == 0
    assert _checks(world, compare_with=("other",))["clips.near_copy"].unexpected == 20, (
        "1 of Jester is not 1 of another"
    )


def test_images_of_another_clip_and_half_a_jpeg(world: World) -> None:
    assert world.frames is not None
    kept = world.recorded[0]["item_id"]
    world.recorded, world.frames, world.plan = world.recorded[:1], world.frames[:1], world.plan[:1]
    world.resized = None
    folder = world.root / world.frames[0]["path"]
    for old in folder.iterdir():
        old.unlink()
    content = draw(folder, "testsrc2=s=64x32:r=10", 20).columns()
    facts = {"frames": 20, "fps": 10.0, "source_duration": 2.0}
    world.frames[0] |= facts | content
    world.recorded[0] |= content

    def gate() -> dict[str, CheckResult]:
        return broken(world.gate("frames", GateParams(resize=False, frames=True)))

    assert gate() == {}
    image = folder / "img_00011.jpg"
    data = image.read_bytes()
    for half in (data[: len(data) // 2] + b"\xff\xd9", data[: len(data) // 2] + bytes(len(data) // 2) + b"\xff\xd9"):
        image.write_bytes(half)
        assert gate()["frames.on_disk"].worst[0]["disk"] == "img_00011.jpg does not decode to its end"
    other = draw(folder, "mandelbrot=s=64x32:r=10", 20).columns()
    found = gate()  # replaced on disk
    assert ids(found["frames.shown"]) == [kept] and "than were recorded" in found["frames.shown"].worst[0]["shows"]
    world.frames[0] |= other
    assert "than the clip has" in gate()["frames.shown"].worst[0]["shows"]
    world.recorded[0]["uneven"] = 0.5  # images lie elsewhere in time
    assert gate() == {}


def test_folders_whose_clips_were_not_looked_at_are_looked_at_themselves(world: World) -> None:
    assert world.frames is not None
    for row, folder in zip(world.recorded, world.frames, strict=True):
        row |= dict.fromkeys(field.name for field in CONTENT_FIELDS)
        folder |= shows(1) | {"fingerprint": None}
    assert broken(world.gate("frames")) == {}
    for folder in world.frames[:5]:
        folder |= BLACK
    found = broken(world.gate("frames"))
    assert list(found) == ["frames.content [black]"] and found["frames.content [black]"].severity == "warn"


def test_copies_are_found_among_many_without_comparing_all() -> None:
    from clipquarry import fingerprint
    from clipquarry.quality.near_copies import candidates

    random = np.random.default_rng(7)
    pictures = random.integers(1, 1 << 63, (4000, 8), dtype=np.uint64)
    steps, colours = np.ones((4000, 7), dtype=np.uint32), np.zeros((4000, 2), dtype=np.int16)
    rows = np.arange(4000)
    copies = pictures.copy()
    for picture in range(8):  # another encode flips a few bits of every picture
        for _ in range(4):
            copies[:, picture] ^= np.uint64(1) << random.integers(0, 64, 4000).astype(np.uint64)
    one = fingerprint.Prints(rows, pictures, steps, colours)
    other = fingerprint.Prints(rows, copies[::-1].copy(), steps, colours)
    mine, theirs = candidates(one, other)
    alike = fingerprint.alike(one, mine, other, theirs)
    assert len(mine) < 40_000  # of 16 million pairs
    assert (theirs[alike] == 3999 - mine[alike]).all() and alike.sum() >= 3960
