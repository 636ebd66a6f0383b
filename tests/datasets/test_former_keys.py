"""YAMLs with keys of earlier versions: before families, and before splits and archive volumes had their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from clipquarry.datasets.former_keys import as_written, translated
from clipquarry.datasets.load import PACKAGED, load_spec
from clipquarry.datasets.model import DatasetSpec, Source
from clipquarry.errors import SpecError
from clipquarry.families.boxes.options import boxes_options
from clipquarry.families.clips.options import clips_options
from clipquarry.release.lock import spec_hash
from clipquarry.steps.source_clip import split_folder
from test_datasets_checks import BROKEN, GOOD
from test_datasets_load import BOXES, CLIPS

THEN = "family: crawl\n"


def old(text: str, format_: str, more: str = "") -> str:
    """A YAML of today with the keys of then."""
    text = text.replace("family: clips\n", THEN).replace("family: boxes\n", THEN)
    for options in ("options: {reader: kinetics_csv}\n", "options: {items: videos}\n"):
        text = text.replace(options, f"annotation_format: {format_}\n{more}")
    assert THEN in text and "options:" not in text
    return text


def test_labelled_clips(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(old(CLIPS, "kinetics_csv"))
    spec = load_spec(path)
    assert (spec.family, clips_options(spec).reader, clips_options(spec).frames.rate) == ("clips", "kinetics_csv", 0)
    path.write_text(old(CLIPS, "kinetics_csv", "arrangement: flat\n"))
    frames = clips_options(load_spec(path)).frames
    assert (frames.rate, frames.quality, frames.parity, frames.even) == (30, 1, False, True)


def test_person_boxes(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(old(BOXES, "ava_csv", "detection: {backend: hog, score: 0.5, proposals: detect}\n"))
    options = boxes_options(load_spec(path))
    assert (options.items, options.detection.score, options.detection.proposals) == ("videos", 0.5, "detect")
    flat = translated({"family": "crawl", "annotation_format": "ava_kinetics_csv", "arrangement": "flat"})
    assert flat == {"family": "boxes", "options": {"items": "key_frames"}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            old(BOXES, "ava_kinetics_csv"),
            "key 'annotation_format': 'ava_kinetics_csv' is of an older version: write 'family'",
        ),
        (
            CLIPS + "annotation_format: kinetics_csv\n",
            "key 'annotation_format': it is of an older version: leave it out",
        ),
        (CLIPS + "arrangement: flat\n", "key 'arrangement': it is of an older version: leave it out"),
        (
            CLIPS.replace("family: clips\n", f"{THEN}annotation_format: kinetics_csv\n"),
            "key 'annotation_format': it is of an older version: leave it out, because 'options' is there",
        ),
        (
            CLIPS.replace("options: {reader: kinetics_csv}\n", "detection: {backend: hog}\n"),
            "key 'detection': it is of an older version: write 'options' now",
        ),
        (
            old(CLIPS, "kinetics_csv", "arrangement: Flat\n"),
            "key 'arrangement': 'Flat' is neither 'windows' nor 'flat'",
        ),
        (old(CLIPS, "kinetics_csv", "detection: {backend: hog}\n"), "key 'detection': unknown key"),
        (old(BOXES, "ava_csv", "detection: {backend: hok}\n"), "key 'detection.backend': Input should be 'hog'"),
    ],
    ids=[
        "windows",
        "both",
        "arrangement",
        "crawl with options",
        "clips with detection",
        "misspelt arrangement",
        "detection of clips",
        "wrong detection",
    ],
)
def test_what_only_a_person_can_translate(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    sentence = str(caught.value)
    assert says in sentence and str(path) in sentence, sentence
    key = re.search(r"line (\d+): key '([\w.]+)'", sentence)
    assert key and key[2].rpartition(".")[2] in text.splitlines()[int(key[1]) - 1], sentence


@pytest.mark.parametrize("name", ["lab_a", "lab_b"])
def test_the_given_ones_go_on_working(name: str) -> None:
    path = Path(__file__).parents[3] / f"shared/cases/two_datasets_one_id/ds/{name}.yaml"
    if not path.is_file():
        pytest.skip("../shared/cases is not there")
    assert load_spec(path).family == "clips"


FORMER = (
    ("splits: {train: annotations/train.csv, val: annotations/val.csv}", "splits:\n  - parts: {train: annotations/train.csv, val: annotations/val.csv}"),
    ("volume_lists", "parts_list"),
    ("videos_{split}", "videos_{part}"),
    ("rawframes_{split}", "rawframes_{part}"),
    ("mine_{split}", "mine_{part}"),
)  # fmt: skip
"""What stands in ``GOOD`` now, and what stood there."""


def former(text: str) -> str:
    for now, then in FORMER:
        text = text.replace(now, then)
    return text


def read(tmp_path: Path, text: str) -> DatasetSpec:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_spec(path)


MORE = """\
default_splits: [train]
expected:
  rows: {train: {count: 5}}
  key_frames: {train: {count: 4}}
  videos: {train: {count: 3}}
  variants: {v1: {rows: {val: {count: 2}}, videos: {val: {count: 1}}}}
"""


def test_splits_and_volumes_under_their_former_names(tmp_path: Path) -> None:
    then = (
        MORE.replace("default_splits", "default_parts")
        .replace("rows:", "parts:")
        .replace("videos: {train: {count: 3}}", "videos: {parts: {train: {count: 3}}}")
        .replace("videos: {val: {count: 1}}", "videos: {parts: {val: {count: 1}}}")
    )
    assert then.count("parts") == 5
    spec = read(tmp_path, former(GOOD) + then)
    assert spec == read(tmp_path, GOOD + MORE)
    assert (spec.folder("videos", "val"), spec.list_name("videos", "val")) == ("videos_val", "mine_val_videos.txt")
    assert spec.splits == {"train": "annotations/train.csv", "val": "annotations/val.csv"}
    assert spec.expected.variants["v1"].videos["val"].counts == [1]


def test_a_split_each_in_an_entry_of_its_own(tmp_path: Path) -> None:
    entries = "splits:\n  - parts: {train: annotations/train.csv}\n  - parts: {val: annotations/val.csv}"
    assert list(read(tmp_path, GOOD.replace(FORMER[0][0], entries)).splits) == ["train", "val"]


@pytest.mark.parametrize(("old_text", "new", "key", "says"), BROKEN, ids=[f"{b[2]}-{b[1][:30]!r}" for b in BROKEN])
def test_an_error_names_the_key_as_it_was_written(old_text: str, new: str, key: str, says: str, tmp_path: Path) -> None:
    """Every wrong value of ``test_datasets_checks``, in a YAML with the former keys."""
    text = former(GOOD).replace(former(old_text), former(new), 1)
    if key == "lists.rawframes":
        text = text.replace("lists:\n", "lists:\n  rawframes: frames_{part}.txt\n")
    key = re.sub(r"^splits\.", "splits.0.parts.", key).replace("volume_lists", "parts_list")
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text)
    sentence = str(caught.value)
    assert f"key '{key}'" in sentence and says in sentence, sentence
    line = int(re.search(r"line (\d+)", sentence)[1])  # type: ignore[index]
    assert key.rpartition(".")[2] in text.splitlines()[line - 1] or key.rpartition(".")[2].isdigit() or not new


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + "default_parts: [train]\ndefault_splits: [val]\n", "line 26: key 'default_parts': it is the former name of 'default_splits'"),
        (GOOD.replace("volume_lists:", "parts_list: {val: x}, volume_lists:"), "key 'sources.2.parts_list': it is the former name of 'volume_lists'"),
        (GOOD + "expected: {rows: {}, parts: {}}\n", "line 26: key 'expected.parts': it is the former name of 'rows'"),
        (GOOD.replace(FORMER[0][0], "splits: [{name: a, parts: {train: a.csv}}]"), "line 16: key 'splits.0.name': unknown key"),
        (GOOD.replace(FORMER[0][0], "splits: [{}]"), "line 16: key 'splits.0': it names no annotation file"),
        (GOOD.replace(FORMER[0][0], "splits: [{parts: {a: a.csv}}, {parts: {b: b.csv}}, {parts: {a: c.csv}}]"),
         "key 'splits.2.parts.a': the split 'a' is given twice"),
        (GOOD + "expected: {parts: {train: {count: x}}}\n", "line 26: key 'expected.parts.train.count': "),
        (GOOD + "expected: {variants: {v1: {parts: {train: {n: 1}}}}}\n", "key 'expected.variants.v1.parts.train.n': unknown key"),
        (GOOD + "expected: {videos: {parts: {train: {n: 1}}}}\n", "key 'expected.videos.parts.train.n': unknown key"),
        (GOOD + "default_parts: [test]\n", "line 26: key 'default_parts': it names 'test', which is no split of the data set"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_former_keys(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read(tmp_path, text)
    assert says in str(caught.value), str(caught.value)


def test_a_split_may_be_called_parts() -> None:
    now: dict[str, Any] = {"expected": {"videos": {"parts": {"count": 3}}}}
    assert translated(now) == now and as_written(now, ("expected", "videos", "parts", "count"))[-1] == "count"


def _as_it_was(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a packaged YAML with the keys of then."""
    rename: Callable[[Any], Any] = lambda text: text.replace("{split}", "{part}")  # noqa: E731
    for key in ("layout", "lists"):
        content[key] = {name: rename(path) for name, path in content[key].items()}
    content["splits"] = [{"parts": content["splits"]}]
    content["default_parts"] = content.pop("default_splits")
    for one in content["sources"]:
        if "volume_lists" in one:
            one["parts_list"] = one.pop("volume_lists")
    for one in (content["expected"], *content["expected"].get("variants", {}).values()):
        if "rows" in one:
            one["parts"] = one.pop("rows")
        if "videos" in one:
            one["videos"] = {"parts": one["videos"]}
    return content


@pytest.mark.parametrize("name", ["ava", "ava_kinetics", "kinetics400", "kinetics_demo"])
def test_the_hash_of_a_data_set_is_that_of_its_former_keys(name: str, tmp_path: Path) -> None:
    now = load_spec(PACKAGED / f"{name}.yaml")
    content = yaml.safe_load((PACKAGED / f"{name}.yaml").read_text())
    then = read(tmp_path, yaml.safe_dump(_as_it_was(content)))
    assert then == now and spec_hash(then) == spec_hash(now)


def test_lock_files_hash_what_they_always_hashed(tmp_path: Path) -> None:
    """The number was made by the version before the keys had their names of today."""
    assert spec_hash(read(tmp_path, GOOD + MORE)) == "c04d798e19bf35e345f086fc2bdaed93"


def test_a_plan_of_an_earlier_version_names_its_sources_as_it_did() -> None:
    """A run that was stopped before an upgrade goes on with its files of parameters."""
    then = {
        "id": "boxed", "kind": "http", "provides": "items", "content": "clip", "parts_list": {"val": "/a.txt"},
    }  # fmt: skip
    source = Source.model_validate(then)
    assert source.volume_lists == {"val": "/a.txt"} and "parts_list" not in source.model_dump()
    assert split_folder("videos_{part}_256p", "val") == split_folder("videos_{split}_256p", "val") == "videos_val_256p"
