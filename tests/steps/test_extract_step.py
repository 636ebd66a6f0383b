"""The step ``extract``: volumes are found or downloaded, checked, and unpacked into the layout."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acquire.made_archives import needs_libarchive, rar4, tar, zip_crypto, zipped
from clipquarry.acquire.archives import obtain
from clipquarry.demo.origin import Origin
from clipquarry.manifest import read_rows, schema_of, write_rows
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import run_step
from clipquarry.steps.unpack import VOLUME_FIELDS
from dying import dies_at

pytestmark = needs_libarchive

FILES = {"top/run/a.avi": b"first", "top/run/b.avi": b"second" * 1000}
UNPACKED = {"videos/run/a.avi": FILES["top/run/a.avi"], "videos/run/b.avi": FILES["top/run/b.avi"]}


class Yard:
    def __init__(self, folder: Path, origin: Origin) -> None:
        self.folder, self.data, self.served, self.origin = folder, folder / "data", folder / "served", origin
        self.root = self.data / "toy"
        self.said = ""
        """The sentence of the last run."""

    def serve(self, name: str, data: bytes) -> str:
        (self.served / name).write_bytes(data)
        return f"{self.origin.url}/{name}"

    def run(self, *urls: str, archive: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        items, out = self.data / "items.parquet", self.data / "out/part-00000.parquet"
        row = {"item_id": "archive/toy", "split": "train", "url": "toy"}
        write_rows(items, schema_of(VOLUME_FIELDS, "parts"), [row])
        params = {
            "source": "toy", "root": "toy", "urls": list(urls), "attempts": 1, "timeout_s": 5, "min_free_gb": 0,
            "archive": {"into": "videos", "strip_top": "top", **(archive or {})}, **more,
        }  # fmt: skip
        out.unlink(missing_ok=True)
        step = make_step("extract")
        self.said = run_step(step, items=items, params=json.dumps(params), out=out, data=self.data, jobs=1).sentence
        return next(iter(read_rows(out)), {}) if out.exists() else {}

    def layout(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    (tmp_path / "served").mkdir()
    with Origin(tmp_path / "served") as origin:
        yield Yard(tmp_path, origin)


@pytest.mark.parametrize("keep", [True, False])
def test_a_downloaded_archive_stays_or_goes_as_asked(yard: Yard, keep: bool) -> None:
    rar = rar4(FILES)
    row = yard.run(yard.serve("toy.rar", rar), archive={"keep": keep})
    assert (row["status"], row["files"], row["refused"]) == ("done", 2, 0)
    assert yard.layout() == UNPACKED | ({"toy.rar": rar} if keep else {})
    assert list((yard.data / ".clipquarry/archives").glob("*.rar")) == []


def test_an_archive_in_a_folder_of_the_user_is_only_read(yard: Yard) -> None:
    mine = yard.folder / "mine"
    mine.mkdir()
    (mine / "toy.rar").write_bytes(rar4(FILES))
    before = (mine / "toy.rar").stat().st_mtime_ns
    row = yard.run(f"{yard.origin.url}/toy.rar", archive={"keep": False}, folders=[str(mine)])
    assert row["status"] == "done" and yard.layout() == UNPACKED
    assert (mine / "toy.rar").stat().st_mtime_ns == before and (mine / "toy.rar").read_bytes() == rar4(FILES)
    assert not yard.origin.asked


def test_volumes_are_joined_in_the_order_of_their_numbers(yard: Yard) -> None:
    whole = gzip.compress(tar(FILES))
    urls = [yard.serve(f"toy.tgz.{n}", whole[n * 40 : (n + 1) * 40] if n < 2 else whole[80:]) for n in range(3)]
    row = yard.run(urls[2], urls[0], urls[1], archive={"keep": False})
    assert row["status"] == "done", row["evidence"]
    assert yard.layout() == UNPACKED


def test_a_gap_between_placed_volumes_is_told_and_nothing_is_unpacked(yard: Yard) -> None:
    whole = gzip.compress(tar(FILES))
    yard.root.mkdir(parents=True)
    for number in (0, 2):
        (yard.root / f"toy.tgz.{number:02d}").write_bytes(whole[number * 40 :])
    row = yard.run(patterns=["toy.tgz.*"])
    assert (row["status"], row["reason"]) == ("missing", "truncated")
    assert "number 1" in row["evidence"]
    assert set(yard.layout()) == {"toy.tgz.00", "toy.tgz.02"}


@pytest.mark.parametrize("where", ["placed", "served"])
@pytest.mark.parametrize(
    ("declared", "sizes", "reason", "says"),
    [
        ({"volumes": 3, "volume_bytes": 5000}, [5000, 5000, None], None, ""),
        ({"volumes": 3, "volume_bytes": {"toy.tgz.01": 40}}, [50, 40, None], None, ""),
        ({"volumes": 4}, [40, 40, None], "truncated", "3 of 4 parts are there, the last is toy.tgz.02"),
        ({"volumes": 2}, [40, 40, None], "duplicate", "3 of 2 parts"),
        ({"volume_bytes": 40}, [40, 30, None], "truncated", "toy.tgz.01 has 30 bytes, the data set's YAML says 40"),
        ({"volume_bytes": 40}, [40, 50, None], "corrupt", "toy.tgz.01 has 50 bytes"),
        ({"volume_bytes": 10}, [10, 10, None], "corrupt", "toy.tgz.02 has"),
        ({"volume_bytes": {"toy.tgz.00": 41}}, [40, 40, None], "truncated", "toy.tgz.00 has 40 bytes"),
    ],
)
def test_declared_parts_are_compared_before_anything_is_unpacked(
    yard: Yard, where: str, declared: dict[str, Any], sizes: list[int | None], reason: str | None, says: str
) -> None:
    whole, place, names = gzip.compress(tar(FILES), compresslevel=0), 0, []
    yard.root.mkdir(parents=True)
    for number, size in enumerate(sizes):
        name = f"toy.tgz.{number:02d}"
        piece = whole[place : None if size is None else place + size]
        names.append(yard.serve(name, piece))
        if where == "placed":
            (yard.root / name).write_bytes(piece)
        place += len(piece)
    row = yard.run(*(names if where == "served" else ()), patterns=["toy.tgz.*"], archive=declared)
    assert (row["status"], row["reason"]) == (("missing", reason) if reason else ("done", "ok")), row["evidence"]
    assert says in row["evidence"]
    assert {name for name in yard.layout() if name.startswith("videos")} == (set() if reason else set(UNPACKED))


def test_one_declared_size_says_nothing_of_parts_in_zips(yard: Yard) -> None:
    whole = gzip.compress(tar(FILES))
    yard.root.mkdir(parents=True)
    for number in range(2):
        part = whole[number * 40 : None if number else 40]
        (yard.root / f"toy-{number:02d}.zip").write_bytes(zipped({f"toy-{number:02d}": part}))
    row = yard.run(patterns=["toy-*"], archive={"volumes": 2, "volume_bytes": 40})
    assert row["status"] == "done", row["evidence"]


@pytest.mark.parametrize("of", ["the whole", "each"])
def test_a_checksum_that_is_wrong_refuses_the_archive(yard: Yard, of: str) -> None:
    url = yard.serve("toy.rar", rar4(FILES))
    wrong = hashlib.sha256(b"another").hexdigest()
    row = yard.run(url, sha256=wrong if of == "the whole" else {"toy.rar": wrong})
    assert (row["status"], row["reason"]) == ("missing", "corrupt")
    assert wrong in row["evidence"]
    assert "videos/run/a.avi" not in yard.layout()


def test_the_data_set_may_lie_on_another_file_system(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.replace

    def replace(source: str | Path, target: str | Path) -> None:
        if (".clipquarry/scratch" in str(source)) != (".clipquarry/scratch" in str(target)):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    rar = rar4(FILES)
    assert yard.run(yard.serve("toy.rar", rar))["status"] == "done"
    assert yard.layout() == UNPACKED | {"toy.rar": rar}


def test_the_checksum_of_a_placed_volume_is_compared_too(yard: Yard) -> None:
    yard.root.mkdir(parents=True)
    (yard.root / "toy.rar").write_bytes(rar4(FILES))
    wrong = hashlib.sha256(b"another").hexdigest()
    assert yard.run(patterns=["*.rar"], sha256={"toy.rar": wrong})["reason"] == "corrupt"
    assert yard.run(patterns=["*.rar"])["status"] == "done"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<!DOCTYPE html><title>Sign in</title><form>", "corrupt"),
        (rar4(FILES)[:-3000], "truncated"),
        (b"just some text, which is no archive at all", "corrupt"),
    ],
)
def test_what_is_no_whole_archive_is_told_with_what_to_do(yard: Yard, data: bytes, reason: str) -> None:
    row = yard.run(yard.serve("toy.rar", data))
    assert (row["status"], row["reason"]) == ("missing", reason)
    assert row["evidence"].endswith(f"whoever has toy.rar puts it into {yard.root}, and runs this again")
    assert not (yard.root / "videos").exists() or list((yard.root / "videos").rglob("*.avi")) == []


def test_the_password_comes_from_the_environment_and_stands_nowhere(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "open sesame 7"
    url = yard.serve("toy.zip", zip_crypto(FILES, secret.encode()))
    assert yard.run(url, archive={"password_env": "TOY_PASSWORD"}) == {}
    assert "TOY_PASSWORD with its password is not set" in yard.said
    monkeypatch.setenv("TOY_PASSWORD", "wrong")
    assert yard.run(url, archive={"password_env": "TOY_PASSWORD"})["status"] == "missing"
    monkeypatch.setenv("TOY_PASSWORD", secret)
    assert yard.run(url, archive={"password_env": "TOY_PASSWORD"})["status"] == "done"
    assert {name: data for name, data in yard.layout().items() if name != "toy.zip"} == UNPACKED
    written = [path for path in yard.data.rglob("*") if path.is_file() and path.name != "toy.zip"]
    assert written and not any(secret.encode() in path.read_bytes() for path in written)


def test_members_that_leave_the_folder_are_refused_and_named(yard: Yard) -> None:
    row = yard.run(yard.serve("toy.zip", zipped({**FILES, "../up.avi": b"x", "/abs.avi": b"y"})))
    assert (row["status"], row["files"], row["refused"]) == ("done", 2, 2)
    told = {one["member"] for one in read_rows(yard.data / row["refused_table"])}
    assert told == {"../up.avi", "/abs.avi"}
    assert not (yard.root / "up.avi").exists()


@pytest.mark.parametrize("where", ["publish_new", "extract"])
def test_a_kill_leaves_what_the_next_run_goes_on_with(yard: Yard, where: str) -> None:
    url = yard.serve("toy.rar", rar4(FILES))
    dies_at(obtain, where, lambda: yard.run(url))
    assert yard.run(url)["status"] == "done"
    assert {name: data for name, data in yard.layout().items() if name != "toy.rar"} == UNPACKED
    if where == "extract":
        assert sum(yard.origin.asked.values()) == 1, "the archive was there"


def test_an_archive_that_a_person_places_during_the_download_stays_theirs(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, theirs = yard.serve("toy.rar", rar4(FILES)), rar4({"top/run/c.avi": b"theirs"})
    real = obtain.check_volume

    def meanwhile(path: Path) -> int:
        (yard.root / "toy.rar").write_bytes(theirs)
        return real(path)

    yard.root.mkdir(parents=True)
    monkeypatch.setattr(obtain, "check_volume", meanwhile)
    assert yard.run(url)["status"] == "done"
    assert yard.layout() == {"toy.rar": theirs, "videos/run/c.avi": b"theirs"}
