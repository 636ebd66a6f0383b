"""mmaction2's own readers, pipelines and training, with the configs of its wheel as they are, over a release that our writers made."""

from __future__ import annotations

import math
from typing import Any

import pytest
from clipquarry.annotations.ava_time import FPS, Reader, frame_of
from clipquarry.ids import parse_clip_id
from real_readers import prove, skip_without_readers
from release_world import build

WHOLE_PICTURE = [[0, 0, 1, 1]]
KINETICS_STARTS = {"AAAAAAAAAAA": 12, "BBBBBBB_-_B": 0, "DDDDDDDDDDD": 12452, "EEEEEEEEEEE": 50}
"""Where the clips of Kinetics-700 begin that the windows were cut from: number 0 of their frames."""


@pytest.fixture(scope="session")
def proof(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What mmaction2 saw."""
    skip_without_readers()
    folder = tmp_path_factory.mktemp("readers")
    data = build(folder / "release")
    names = ["ava_v2.2", "ava_kinetics"]
    return prove(data, folder, boxes=names, lists=["kinetics700"], train="ava_kinetics", numbers=True)


def by_key(part: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {told["img_key"]: told for told in part["told"]}


def test_ava_dataset_reads_people_actions_and_proposals(proof: dict[str, Any]) -> None:
    train, val = proof["boxes"]["ava_v2.2"]["train"], proof["boxes"]["ava_v2.2"]["val"]
    assert (train["class"], train["samples"], val["samples"]) == ("AVADataset", 3, 2)
    told = by_key(train)
    assert list(told) == ["-5KQ66BBWC4,0902", "-5KQ66BBWC4,0903", "_ab-cdefghi,0905"], "0904 is excluded"
    first, second, third = told.values()
    assert first["path"] == "data/ava/rawframes/-5KQ66BBWC4"
    assert first["gt_bboxes"] == [[0.077, 0.151, 0.283, 0.811], [0.226, 0.032, 0.366, 0.497]]
    assert (first["actions"], first["entity_ids"]) == ([[9, 80], [12]], [1, 0])
    assert first["proposals"] == [[0.080, 0.150, 0.280, 0.810], [0.230, 0.030, 0.370, 0.500]], "of three, two reach 0.9"
    assert first["scores"] == [0.991234, 0.95]
    assert (second["proposals"], second["scores"]) == ([[0.330, 0.190, 0.480, 0.890]], [0.6]), (
        "none reaches 0.9: the best"
    )
    assert (third["proposals"], third["scores"]) == (WHOLE_PICTURE, [1]), "no proposals: the whole picture"
    assert (third["actions"], third["entity_ids"]) == ([[8, 12]], [3]), "equal boxes of two people become one person"
    assert list(by_key(val)) == ["0f39OWEqJ24,0902", "0f39OWEqJ24,0904"], "0903 is excluded"


def test_ava_kinetics_dataset_reads_clips_and_linked_videos(proof: dict[str, Any]) -> None:
    train, val = proof["boxes"]["ava_kinetics"]["train"], proof["boxes"]["ava_kinetics"]["val"]
    assert (train["class"], train["samples"], val["samples"]) == ("AVAKineticsDataset", 8, 2)
    told = by_key(train)
    assert list(told) == [
        "AAAAAAAAAAA_000015_000019,0017", "EEEEEEEEEEE_000057_000060,0059", "BBBBBBB_-_B_000000_000007,0001",
        "BBBBBBB_-_B_000000_000007,0005", "DDDDDDDDDDD_012455_012459,12457",
        "-5KQ66BBWC4,0902", "-5KQ66BBWC4,0903", "_ab-cdefghi,0905",
    ]  # fmt: skip
    first = told["AAAAAAAAAAA_000015_000019,0017"]
    assert first["path"] == "data/ava_kinetics/rawframes/AAAAAAAAAAA_000015_000019"
    assert first["gt_bboxes"] == [[0.1, 0.2, 0.3, 0.401], [0.5, 0.2, 0.9, 0.9]]
    assert (first["actions"], first["entity_ids"]) == ([[12, 80], [3]], [-1, -1])
    proposals = {key: (sample["proposals"], sample["scores"]) for key, sample in told.items()}
    assert proposals == {
        "AAAAAAAAAAA_000015_000019,0017": ([[0.1, 0.2, 0.31, 0.4]], [0.95]),
        "EEEEEEEEEEE_000057_000060,0059": (WHOLE_PICTURE, [1]),
        "BBBBBBB_-_B_000000_000007,0001": ([[0.25, 0.1, 0.75, 0.9]], [0.98]),
        "BBBBBBB_-_B_000000_000007,0005": ([[0.3, 0.1, 0.8, 0.9]], [0.8]),
        "DDDDDDDDDDD_012455_012459,12457": ([[0.2, 0.2, 0.6, 0.8]], [0.93]),
        **{key: (sample["proposals"], sample["scores"]) for key, sample in by_key(proof["boxes"]["ava_v2.2"]["train"]).items()},
    }  # fmt: skip


@pytest.mark.parametrize(("name", "reader", "late"), [("ava_v2.2", "ava", 1), ("ava_kinetics", "ava_kinetics", -1)])
@pytest.mark.parametrize("split", ["train", "val"])
def test_readers_take_the_images_that_ava_time_says(
    proof: dict[str, Any], name: str, reader: Reader, late: int, split: str
) -> None:
    for told in proof["boxes"][name][split]["told"]:
        second, folder = told["timestamp"], told["path"].rsplit("/", 1)[1]
        # Where the images begin, and where the source video does whose frames are numbered.
        if len(folder) == 11:
            start = began = 900
        else:
            clip = parse_clip_id(folder)
            start, began = clip.start, KINETICS_STARTS[clip.video_id]
        assert told["key_image"] == frame_of(second, start=start, reader=reader)
        assert told["key_image"] == frame_of(second, start=start) + late
        assert told["key_number"] == FPS * (second - began) + late, "the picture itself: one frame late, or early"
        assert told["numbers"] == [FPS * (start - began) + image - 1 for image in told["frame_inds"]]


@pytest.mark.parametrize("name", ["ava_v2.2", "ava_kinetics"])
def test_every_published_sampling_finds_its_images(proof: dict[str, Any], name: str) -> None:
    for split in ("train", "val"):
        files = proof["boxes"][name][split]["files"]
        assert files["wanted"] > 100
        assert files["absent"] == []


def test_pipelines_pack_clips_boxes_and_labels(proof: dict[str, Any]) -> None:
    for name, frames in (("ava_v2.2", 32), ("ava_kinetics", 4)):
        for told in proof["boxes"][name]["train"]["told"]:
            assert told["inputs"] == [3, frames, 256, 256]
            assert told["packed"]["labels"] == [len(told["gt_bboxes"]), 81]
        for told in proof["boxes"][name]["val"]["told"]:
            assert told["inputs"] == [3, frames, 256, 341]
            for key, packed in (("gt_bboxes", "boxes"), ("proposals", "proposals")):
                pixels = [value * size for value, size in zip(told[key][0], (341, 256) * 2, strict=True)]
                assert told["packed"][packed][0] == pytest.approx(pixels, rel=1e-3)


@pytest.mark.parametrize("decoder", ["Decord", "PyAV", "OpenCV"])
def test_video_dataset_reads_the_list_with_every_decoder(proof: dict[str, Any], decoder: str) -> None:
    lists = proof["lists"]["kinetics700"]
    train, val = lists["train"][decoder], lists["val"][decoder]
    assert (train["class"], train["samples"], val["samples"]) == ("VideoDataset", 5, 1)
    paths = {told["path"].removeprefix("data/kinetics700/videos_train/"): told["label"] for told in train["told"]}
    assert paths == {
        "abseiling/AAAAAAAAAAA_000012_000022.mp4": 0,
        "massaging_person's_head/BBBBBBB_-_B_000000_000010.mp4": 1,
        "abseiling/CCCCCCCCCCC_000100_000110.mp4": 0,
        "zumba/DDDDDDDDDDD_012452_012462.mp4": 2,
        "zumba/EEEEEEEEEEE_000050_000060.mp4": 2,
    }
    assert (val["told"][0]["label"], val["told"][0]["packed"]) == (2, {"label": [2]})
    for told in (*train["told"], *val["told"]):
        assert (told["total_frames"], len(told["frame_inds"])) == (300, 4)
        assert told["numbers"] == told["frame_inds"], "frames of a video count from 0"
        assert told["inputs"] == [1, 3, 4, 224, 224]


def test_rawframe_dataset_reads_the_list_of_frames(proof: dict[str, Any]) -> None:
    lists = proof["lists"]["kinetics700"]
    for split, count in (("train", 5), ("val", 1)):
        frames, videos = lists[split]["rawframes"], lists[split]["Decord"]
        assert (frames["class"], frames["samples"]) == ("RawframeDataset", count)
        for told, video in zip(frames["told"], videos["told"], strict=True):
            assert told["path"] == video["path"].replace("videos_", "rawframes_").removesuffix(".mp4")
            assert (told["total_frames"], told["label"]) == (300, video["label"])
            assert told["numbers"] == [image - 1 for image in told["frame_inds"]], "images count from 1"
            assert told["numbers"] == video["numbers"], "the same pictures as from the video"


def test_the_train_pipeline_of_the_config_runs(proof: dict[str, Any]) -> None:
    told = proof["lists"]["kinetics700"]["train"]["train pipeline"]["told"]
    assert [sample["inputs"] for sample in told] == [[1, 3, 4, 224, 224]] * 5


def test_a_model_trains_on_the_release_and_is_evaluated(proof: dict[str, Any]) -> None:
    training = proof["training"]
    assert (training["iterations"], len(training["losses"])) == (2, 2)
    assert all(math.isfinite(loss) and loss > 0 for loss in training["losses"])
    # Every class of an untrained model fires on every proposal. Stand has two people, both found: 1. Carry has one, in the excluded second,
    # which counts as missed: 0. The other classes have nobody in val.
    assert training["metrics"]["val/mAP/overall"] == pytest.approx(0.5)
    assert training["metrics"]["val/mAP/person_movement"] == pytest.approx(1.0)
