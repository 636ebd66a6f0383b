"""Names of a folder: few bytes each, found by how they begin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clipquarry.acquire.listing import Listing
from clipquarry.store import Store, content_key


def test_names_are_found_by_how_they_begin(tmp_path: Path) -> None:
    long = "a" * 60
    for name in ("a.mp4", "a.MP4", "ab.mp4", "b", "a" * 200, f"{long}.mp4", "a\udcff.mp4", "ä.mp4"):
        (tmp_path / name).touch()
    listing = Listing()
    folder = str(tmp_path)
    assert listing.names(folder, "a.") == ["a.MP4", "a.mp4"]
    assert listing.names(folder, long) == [f"{long}.mp4", "a" * 200]
    assert listing.names(folder, "ä") == ["ä.mp4"]
    assert listing.names(folder, "a\udcff") == ["a\udcff.mp4"]
    assert listing.names(folder, "c") == []
    assert listing.names(str(tmp_path / "none"), "a") == listing.names(f"{folder}/b", "a") == []
    assert listing.names(f"{folder}/{'x' * 300}", "a") == []


def test_a_folder_is_read_again_when_it_changed_but_for_a_snapshot(tmp_path: Path) -> None:
    follows, snapshot = Listing(), Listing(snapshot=True)
    below = tmp_path / "later"
    assert follows.names(str(below), "a") == snapshot.names(str(below), "a") == []
    below.mkdir()
    assert follows.names(str(below), "a") == []
    os.utime(below, (1, 1))  # the clock of a file system may be coarse
    (below / "a").touch()
    assert follows.names(str(below), "a") == ["a"]
    assert snapshot.names(str(below), "a") == []


def test_names_of_the_stores_entries_are_kept_once_and_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    names = ["a.b.c", "a.b", "a", "v_ApplyEyeMakeup_g01_c01", "#437 (best)_ok", "1.mp4"]
    for name in names:
        file = store.unfinished()
        file.write_bytes(b"x")
        store.put("clips", name, content_key(of=name), file, {})
    listing = Listing(entries=True)
    found = [name for folder in (tmp_path / "clips").iterdir() for name in listing.names(str(folder), "")]
    assert sorted(found) == sorted(names)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    with pytest.raises(PermissionError):
        Listing().names(str(tmp_path / "x"), "a")
