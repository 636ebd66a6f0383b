"""The reference's own cases: parts that are merged, zips that are flattened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from acquire.made_archives import needs_libarchive
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.extract import Placement, extract
from clipquarry.acquire.archives.reader import Reading
from clipquarry.acquire.archives.volumes import in_order
from clipquarry.files import sha256_of
from clipquarry.settings import DataRoot
from pydantic import SecretStr

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not ORACLES.is_dir(), reason="the folder with the reference cases is not there"),
    needs_libarchive,
]


def test_merged_parts(tmp_path: Path) -> None:
    case = ORACLES / "merge_parts_jester"
    parts = in_order(sorted((case / "inputs/data/jester").iterdir(), reverse=True))
    data = DataRoot(tmp_path)
    extract(parts, data.dataset("jester", "merged"), data, Reading(data.scratch))
    found = {
        path.relative_to(tmp_path / "jester/merged").as_posix(): sha256_of(path)
        for path in (tmp_path / "jester/merged").rglob("*.jpg")
    }
    assert found == json.loads((case / "expected/manifest_sha256.json").read_text())
    with pytest.raises(FetchFailed, match="gap"):
        in_order([parts[0], *parts[2:]])


def test_flattened_zips(tmp_path: Path) -> None:
    case, data = ORACLES / "zip_flatten_thumos_ucf101", DataRoot(tmp_path)
    inputs = case / "inputs/data/thumos14"
    reading = Reading(data.scratch, password=SecretStr("THUMOS14_REGISTERED"))
    for name, run, folder in (
        ("TH14_Temporal_annotations_validation.zip", "annotations", "annotations_val"),
        ("TH14_Test_set_mp4.zip", "test_videos_password", "videos/test"),
    ):
        into = data.dataset("thumos14", folder)
        extract([inputs / name], into, data, reading, Placement(flatten=True))
        expected = case / "expected" / run / "data/thumos14" / folder
        assert {path.name: path.read_bytes() for path in into.iterdir()} == {
            path.name: path.read_bytes() for path in expected.iterdir()
        }
