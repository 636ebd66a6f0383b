"""An artefact is done when its facts match the file, never because a file of that name exists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clipquarry import store as store_module
from clipquarry.errors import UserError
from clipquarry.store import Store, content_key

KEY = content_key(a=1)


def _put(store: Store, tmp_path: Path, body: bytes = b"abc") -> dict[str, object]:
    made = tmp_path / "store/made.mp4"
    made.parent.mkdir(exist_ok=True)
    made.write_bytes(body)
    folder = store.path("clips", "x", KEY).parent
    folder.mkdir(parents=True, exist_ok=True)
    return store.put("clips", "x", KEY, made.rename(folder / ".clipquarry-tmp-1.mp4"), {"frames": 3})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_keys_are_stable_and_tell_values_apart() -> None:
    assert content_key(b=2, a=1) == content_key(a=1, b=2)
    assert len(KEY) == 32
    assert len({content_key(a=1), content_key(a=2), content_key(a="1"), content_key(a=None), content_key(b=1)}) == 5
    with pytest.raises(ValueError, match="not JSON compliant"):
        content_key(a=float("nan"))


def test_put_and_get(store: Store, tmp_path: Path) -> None:
    assert store.get("clips", "x", KEY) is None
    facts = _put(store, tmp_path)
    assert facts["bytes"] == 3
    assert facts["frames"] == 3
    assert store.get("clips", "x", KEY) == facts
    assert store.get("clips", "x", KEY, full=True) == facts
    assert store.get("clips", "x", content_key(a=2)) is None
    assert store.path("clips", "x", KEY).read_bytes() == b"abc"


def test_a_file_without_facts_is_not_done(store: Store, tmp_path: Path) -> None:
    _put(store, tmp_path)
    store.path("clips", "x", KEY, ".json").unlink()
    assert store.get("clips", "x", KEY) is None


def test_facts_without_a_file_are_not_done(store: Store, tmp_path: Path) -> None:
    _put(store, tmp_path)
    store.path("clips", "x", KEY).unlink()
    assert store.get("clips", "x", KEY) is None


@pytest.mark.parametrize("damage", [b"", b"{half", b"\xff", b"[]", b"null", b'"text"', b"{}"])
def test_damaged_facts_are_not_done(damage: bytes, store: Store, tmp_path: Path) -> None:
    _put(store, tmp_path)
    store.path("clips", "x", KEY, ".json").write_bytes(damage)
    assert store.get("clips", "x", KEY) is None


@pytest.mark.parametrize("damage", [b"", b"{half", b"[]", b"null", b"[[1,2,3]]"])
def test_damaged_notes_are_no_notes(damage: bytes, store: Store) -> None:
    store.note("frames", "x", KEY, {"frames": 9})
    noted = store.noted("frames", "x", KEY)
    assert noted == {"frames": 9, "key": KEY, "name": "x"}
    store.path("frames", "x", KEY, ".json").write_bytes(damage)
    assert store.noted("frames", "x", KEY) is None


def test_a_changed_file_is_not_done(store: Store, tmp_path: Path) -> None:
    _put(store, tmp_path)
    path = store.path("clips", "x", KEY)
    stat = path.stat()
    path.write_bytes(b"abcd")
    assert store.get("clips", "x", KEY) is None, "another size"
    path.write_bytes(b"abX")
    assert store.get("clips", "x", KEY) is None, "another time"
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.get("clips", "x", KEY) is not None, "same size and time: trusted"
    assert store.get("clips", "x", KEY, full=True) is None, "but not when its sum is asked for"


def test_a_file_put_again_replaces_the_first(store: Store, tmp_path: Path) -> None:
    _put(store, tmp_path)
    facts = _put(store, tmp_path, b"other")
    assert store.get("clips", "x", KEY, full=True) == facts


def test_forget(store: Store, tmp_path: Path) -> None:
    _put(store, tmp_path)
    store.forget("clips", "x", KEY)
    store.forget("clips", "x", KEY)
    assert store.get("clips", "x", KEY) is None
    assert not store.path("clips", "x", KEY).exists()


def test_names_stay_inside(store: Store) -> None:
    assert store.path("clips", "-abc", KEY).is_relative_to(store.root)
    for name in ("../x", "a/../../../x", "a\x00"):
        with pytest.raises(UserError):
            store.path("clips", name, KEY)


def test_facts_are_never_about_what_another_run_put_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store_module.publish

    def other_run_comes_next(temporary: Path, target: Path) -> None:
        real(temporary, target)
        if target.suffix == ".mp4":
            monkeypatch.undo()
            _put(store, tmp_path, b"another")

    monkeypatch.setattr(store_module, "publish", other_run_comes_next)
    _put(store, tmp_path)
    assert store.get("clips", "x", KEY) is None, "our facts came last, and the file is theirs: it is made again"
