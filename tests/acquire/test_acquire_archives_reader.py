"""The streaming reader: every kind of archive, whole, cut off, damaged, nested, split, encrypted."""

from __future__ import annotations

import gzip
import io
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest
from acquire.made_archives import KINDS, Files, needs_libarchive, rar4, rar5, save, sparse, tar, zip_crypto, zipped
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives import native
from clipquarry.acquire.archives.limits import ArchiveLimits
from clipquarry.acquire.archives.native import Kind
from clipquarry.acquire.archives.obtain import ArchiveWanted, obtain
from clipquarry.acquire.archives.reader import Reading, members_of
from clipquarry.acquire.archives.volumes import in_order
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.acquire.stream import HttpStream
from clipquarry.datasets.model import Archive
from clipquarry.demo.origin import Origin
from clipquarry.errors import MachineError
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from pydantic import SecretStr

pytestmark = needs_libarchive

FILES: Files = {f"top/é {n}/#1 (a);&'[b].jpg": random.Random(n).randbytes(900 * n + 1) for n in range(6)}
QUICK = Limits(attempts=2, connect=1, read=1, backoff=0.01)


def read(
    source: Sequence[Path] | bytes, tmp_path: Path, stream: object = None, **options: object
) -> tuple[Files, FetchFailed | None]:
    found: Files = {}
    reading = Reading(tmp_path / "scratch", **options)  # type: ignore[arg-type]
    try:
        for member in members_of(io.BytesIO(source) if isinstance(source, bytes) else source, reading):
            if member.kind is Kind.FILE:
                found[member.name] = b"".join(member.blocks())
    except FetchFailed as error:
        return found, error
    finally:
        left = list((tmp_path / "scratch").glob("*")) if (tmp_path / "scratch").exists() else []
        assert left == [], "scratch is empty again"
    return found, None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["file", "volumes", "http"])
def test_every_kind_whatever_its_name(kind: str, how: str, tmp_path: Path) -> None:
    data = KINDS[kind](FILES)
    if how == "file":
        assert read([save(tmp_path / "a.bin", data)], tmp_path) == (FILES, None)
    elif how == "volumes":
        cuts = [0, 1, 700, 701, len(data) - 3, len(data)]
        parts = [save(tmp_path / f"part-{n:02}", data[a:b]) for n, (a, b) in enumerate(pairwise(cuts))]
        assert read(parts, tmp_path) == (FILES, None)
    else:
        save(tmp_path / "served/a", data)
        with Origin(tmp_path / "served") as origin:
            origin.set_plan({"a": {"do": "truncate", "times": 1}})
            found: Files = {}
            with io.BufferedReader(HttpStream(Downloader(QUICK), f"{origin.url}/a", Event()), 1 << 16) as stream:
                for member in members_of(stream, Reading(tmp_path / "scratch")):
                    if member.kind is Kind.FILE:
                        found[member.name] = b"".join(member.blocks())
        assert found == FILES


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lost", [1, 0.02, 0.4, 0.9])
def test_an_archive_that_is_cut_off_is_told(kind: str, lost: float, tmp_path: Path) -> None:
    data = KINDS[kind](FILES)
    if kind == "tar":  # its end mark, and zeros up to 10 KiB, are no loss
        data = data.rstrip(b"\0")
    count = max(1, int(lost * len(data)))
    found, error = read([save(tmp_path / "a", data[:-count])], tmp_path)
    assert error is not None and error.reason is Reason.TRUNCATED, error
    assert found.items() <= FILES.items()


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_told_or_harmless(kind: str, tmp_path: Path) -> None:
    data, dice = KINDS[kind](FILES), random.Random(kind)
    told = 0
    for _ in range(60):
        bad = bytearray(data)
        bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
        found, error = read(bytes(bad), tmp_path)
        told += error is not None
        if error is None and kind not in ("tar", "tar.zst"):  # a tar has no checksum of its members, nor has this zst
            assert set(found.values()) <= set(FILES.values())
    assert told > {"tar": 3, "tar.zst": -1}.get(kind, 20)


def test_a_gzip_whose_checksum_is_wrong(tmp_path: Path) -> None:
    """libarchive does not compare it."""
    bad = bytearray(gzip.compress(tar(FILES), compresslevel=0))
    bad[bad.index(FILES["top/é 5/#1 (a);&'[b].jpg"][:50])] ^= 1
    error = read(bytes(bad), tmp_path)[1]
    assert error is not None and error.reason is Reason.CORRUPT and "data check" in error.evidence


def test_gzips_one_behind_the_other_are_one(tmp_path: Path) -> None:
    data = tar(FILES)
    assert read(gzip.compress(data[:3000]) + gzip.compress(data[3000:]) + bytes(300), tmp_path) == (FILES, None)
    error = read(gzip.compress(data) + b"something else", tmp_path)[1]
    assert error is not None and error.reason is Reason.CORRUPT


@pytest.mark.parametrize("make", [rar4, rar5])
def test_a_rar_cut_between_two_members(make: object, tmp_path: Path) -> None:
    """libarchive ends there without a word."""
    error = read(make(FILES, end=False), tmp_path)[1]  # type: ignore[operator]
    assert error is not None and error.reason is Reason.TRUNCATED and "end mark" in error.evidence


@pytest.mark.parametrize(("flags", "what"), [(0x10, "solid"), (0x04, "encryption")])
def test_a_rar_that_libarchive_cannot_read_says_what_to_do(flags: int, what: str, tmp_path: Path) -> None:
    found, error = read(rar4(FILES, flags=flags), tmp_path)
    assert found == {} and error is not None and error.reason is Reason.TOOL_FAILED
    assert what in error.evidence and "unar" in error.evidence


def test_an_archive_of_archives(tmp_path: Path) -> None:
    one, two = {"run/1 (x).avi": b"a" * 3000}, {"walk/2.avi": b"b"}
    whole = {"run/1 (x).avi": b"a" * 3000, "walk/2.avi": b"b", "readme.txt": b"r"}
    for make in (rar4, rar5):
        data = make({"run.rar": make(one), "walk.rar": make(two), "readme.txt": b"r"})
        assert read([save(tmp_path / "a", data)], tmp_path, nested=("*.rar",)) == (whole, None)
        assert set(read(data, tmp_path)[0]) == {"run.rar", "walk.rar", "readme.txt"}
    data = gzip.compress(tar({"deep/in.tar": tar({"x/1": b"1", "y.tar": tar({"2": b"2"})})}))
    assert read(data, tmp_path, nested=("*.tar",)) == ({"deep/x/1": b"1", "deep/2": b"2"}, None)
    assert set(read(data, tmp_path, nested=("*.tar",), depth=1)[0]) == {"deep/x/1", "deep/y.tar"}
    error = read(tar({"in.tar": tar(one)[:1000]}), tmp_path, nested=("*.tar",))[1]
    assert error is not None and error.reason is Reason.TRUNCATED


def test_parts_that_came_in_zips(tmp_path: Path) -> None:
    data = gzip.compress(tar(FILES))
    half = len(data) // 2
    zips = [
        save(tmp_path / f"p{n}.zip", zipped({f"set-{n:02}": part})) for n, part in enumerate((data[:half], data[half:]))
    ]
    assert read(zips, tmp_path) == (FILES, None)


def test_the_order_of_parts(tmp_path: Path) -> None:
    paths = [tmp_path / f"set-v1-{n:02}" for n in (2, 0, 1, 10, *range(3, 10))]
    assert [path.name[-2:] for path in in_order(paths)] == [f"{n:02}" for n in range(11)]
    with pytest.raises(FetchFailed, match="number 1 of 0 to 10") as failed:
        in_order([path for path in paths if not path.name.endswith("01")])
    assert failed.value.reason is Reason.TRUNCATED
    with pytest.raises(FetchFailed, match="same part"):
        in_order([tmp_path / "a-1", tmp_path / "a-01"])


def test_the_password_opens_and_is_never_shown(tmp_path: Path) -> None:
    data = zip_crypto(FILES, b"Sesame!")
    reading = Reading(tmp_path, password=SecretStr("Sesame!"))
    assert "Sesame" not in repr(reading) + str(reading)
    assert read(data, tmp_path, password=SecretStr("Sesame!")) == (FILES, None)
    for password in (None, SecretStr("Sesame?")):
        found, error = read(data, tmp_path, password=password)
        assert found == {} and error is not None and error.reason is Reason.CORRUPT
        assert "password is missing or wrong" in error.evidence and "Sesame" not in error.evidence


@pytest.mark.parametrize(
    ("data", "reason", "what"),
    [
        (b"", Reason.TRUNCATED, "empty"),
        (b"<!DOCTYPE html><html><form action=login>", Reason.CORRUPT, "page"),
        (b"\xef\xbb\xbf <html>", Reason.CORRUPT, "page"),
        (b'{"error": "login required"}', Reason.CORRUPT, "begins"),
        (gzip.compress(b"<!DOCTYPE html>", mtime=0), Reason.CORRUPT, "page"),
        (gzip.compress(b"x" * 4000, mtime=0), Reason.CORRUPT, "not a tar"),
        (b"x" * 4000, Reason.CORRUPT, "not a tar"),
        (b"\x1f\x8bgarbage", Reason.CORRUPT, "gzip"),
        (b"PK\x03\x04garbage", Reason.TRUNCATED, "directory"),
    ],
    ids=["empty", "page", "page with a mark", "json", "packed page", "packed text", "text", "gzip", "zip"],
)
def test_what_is_no_archive(data: bytes, reason: Reason, what: str, tmp_path: Path) -> None:
    for source in (data, [save(tmp_path / "a", data)]):
        error = read(source, tmp_path)[1]
        assert error is not None and error.reason is reason and what in error.evidence, error


def test_a_page_in_the_place_of_a_later_part(tmp_path: Path) -> None:
    data = tar(FILES)
    parts = [
        save(tmp_path / "p-0", data[:5000]),
        save(tmp_path / "p-1", b"<!DOCTYPE html>"),
        save(tmp_path / "p-2", data[5000:]),
    ]
    error = read(parts, tmp_path)[1]
    assert error is not None and error.reason is Reason.CORRUPT and "p-1 is not an archive but a page" in error.evidence


@pytest.mark.parametrize("kind", ["tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip", "7z"])
def test_bombs(kind: str, tmp_path: Path) -> None:
    data = KINDS[kind]({f"{n}": bytes(3_000_000) for n in range(3)})
    assert len(data) < 100_000
    for limits, what in (
        (ArchiveLimits(total=5_000_000), "more than 5000000 bytes"),
        (ArchiveLimits(ratio_from=1_000_000, ratio=20), "20 times"),
        (ArchiveLimits(members=2), "more than 2 members"),
    ):
        error = read([save(tmp_path / "a", data)], tmp_path, limits=limits)[1]
        assert error is not None and error.reason is Reason.CORRUPT and what in error.evidence


def test_the_holes_of_sparse_members_count(tmp_path: Path) -> None:
    """A tar of some kilobytes may hold any number of zeros."""
    data = b"".join(sparse(f"{n}", 3_000_000) for n in range(3)) + bytes(1024)
    assert read([save(tmp_path / "a", data)], tmp_path)[0] == {f"{n}": bytes(3_000_000) for n in range(3)}
    for limits in (ArchiveLimits(total=5_000_000), ArchiveLimits(ratio_from=1_000_000, ratio=20)):
        error = read([save(tmp_path / "a", data)], tmp_path, limits=limits)[1]
        assert error is not None and error.reason is Reason.CORRUPT and "unpacks to more than" in error.evidence


def test_downloads_go_on_where_they_were_and_pages_are_refused(tmp_path: Path) -> None:
    data = gzip.compress(tar(FILES))
    save(tmp_path / "served/a-00", data[:4000]), save(tmp_path / "served/a-01", data[4000:])
    save(tmp_path / "served/login", b"<!DOCTYPE html><html>")
    with Origin(tmp_path / "served") as origin:
        origin.set_plan({"a-01": {"do": "truncate", "times": 1}})
        urls = [f"{origin.url}/a-00", f"{origin.url}/a-01"]
        whole, page = (
            ArchiveWanted("toy", "toy", Archive(into="videos"), tuple(one), limits=QUICK)
            for one in (urls, [f"{origin.url}/login"])
        )
        root = DataRoot(tmp_path / "data")
        done = obtain(whole, root, Event())
        paths = [root.dataset("toy", name) for name in ("a-00", "a-01")]
        assert read(paths, tmp_path) == (FILES, None)
        with pytest.raises(FetchFailed):
            obtain(page, root, Event())
    again = obtain(whole, root, Event())
    assert (again.files, again.was_finished) == (done.files, True), "nothing is fetched twice"


def test_a_machine_without_libarchive(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from clipquarry.acquire.archives.native import library\ntry: library()\nexcept Exception as e: print(e.exit_code, e)"
    for value in ("/none/libarchive.so", "libc.so.6"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "LIBARCHIVE": value},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith("10 ") and "libarchive13" in done.stdout, done
    monkeypatch.setitem(sys.modules, "libarchive.ffi", None)
    native.library.cache_clear()
    with pytest.raises(MachineError, match="libarchive-c"):
        native.library()
    monkeypatch.undo()
    native.library.cache_clear()


def test_names_in_the_locale_c(tmp_path: Path) -> None:
    """libarchive converts names through the locale; in C those of zip would be lost."""
    path = save(tmp_path / "a.zip", zipped({"é/日本": b"x"}))
    code = (
        "import sys\nfrom pathlib import Path\nfrom clipquarry.acquire.archives.reader import Reading, members_of\n"
        "print(ascii([m.name for m in members_of([Path(sys.argv[1])], Reading(Path('x')))]))"
    )
    env = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii(["é/日本"])


def test_the_format_is_the_only_one_that_is_switched_on(tmp_path: Path) -> None:
    """mtree, cpio, ar and the other readers of libarchive never run."""
    for data in (
        b"#mtree\n./a type=file\n",
        b"070701" + b"0" * 104,
        b"!<arch>\nx",
        b"MSCF" + bytes(60),
        bytes(32769) + b"CD001",
    ):
        error = read(data + bytes(2000), tmp_path)[1]
        assert error is not None and error.reason is Reason.CORRUPT and "not a tar" in error.evidence
