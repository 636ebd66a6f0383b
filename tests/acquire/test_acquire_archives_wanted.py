"""Archives of many clips: streamed, hostile, broken off."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from acquire.made_archives import KINDS, needs_libarchive
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.limits import ArchiveLimits
from clipquarry.acquire.archives.volume_list import list_volumes
from clipquarry.acquire.archives.wanted import clip_members, members
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.demo.origin import Origin
from clipquarry.errors import UserError
from clipquarry.reasons import Reason
from memory import traced_peak

pytestmark = needs_libarchive

NAMES = [f"-aBcDeFgH_{n}_000007_000017" for n in range(5)]
QUICK = Limits(attempts=2, connect=1, read=1, backoff=0.01)


def body(name: str) -> bytes:
    return name.encode() * 500


def tar_bytes(entries: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        for info, data in entries:
            info.size = len(data) if info.isreg() else info.size
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def entry(
    name: str, data: bytes | None = None, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, body(name) if data is None else data


def read(place: str, scratch: Path, wanted: set[str] | None = None) -> tuple[dict[str, bytes], FetchFailed | None]:
    found: dict[str, bytes] = {}
    names = set(NAMES) if wanted is None else wanted
    try:
        for member in clip_members(place, names.__contains__, scratch, Downloader(QUICK), Event()):
            found[member.stem] = member.path.read_bytes()
            member.path.unlink()
    except FetchFailed as error:
        return found, error
    return found, None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


@pytest.fixture
def origin(folder: Path) -> Iterator[Origin]:
    with Origin(folder) as server:
        yield server


def save(folder: Path, kind: str) -> Path:
    path = folder / f"part_0.{kind}"
    path.write_bytes(KINDS[kind]({f"val/{name}.mp4": body(name) for name in NAMES}))
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", ["path", "http"])
def test_wanted_clips_come_out_of_every_kind_of_archive(
    folder: Path, tmp_path: Path, origin: Origin, kind: str, where: str
) -> None:
    path = save(folder, kind)
    scratch = tmp_path / "scratch"
    found, error = read(str(path) if where == "path" else f"{origin.url}/{path.name}", scratch, {NAMES[1], NAMES[4]})
    assert error is None
    assert found == {name: body(name) for name in (NAMES[1], NAMES[4])}
    assert list(scratch.iterdir()) == []


def test_a_broken_connection_is_resumed(folder: Path, tmp_path: Path, origin: Origin) -> None:
    data = [entry(f"{name}.mp4", bytes((i * 7 + n) % 256 for i in range(300_000))) for n, name in enumerate(NAMES)]
    (folder / "part_0.tar").write_bytes(tar_bytes(data, "w"))
    origin.set_plan({"part_0.tar": {"do": "truncate", "times": 4}})
    found, error = read(f"{origin.url}/part_0.tar", tmp_path)
    assert error is None
    assert found == {name: content for name, (_, content) in zip(NAMES, data, strict=True)}


def test_archives_as_people_make_them(tmp_path: Path) -> None:
    """Not compressed whatever the name says, with a Mac's AppleDouble files, blanks, and suffixes in capitals."""
    entries = [
        entry(f"./riding a bike/._{NAMES[0]}.MP4", b"\x00\x05\x16\x07"),
        entry(f"./riding a bike/{NAMES[0]}.MP4", b"zero"),
        entry(f"__MACOSX/._{NAMES[1]}.mov", b"\x00\x05\x16\x07"),
        entry(f"a\\b\\ {NAMES[1]}.Mov ", b"one"),
        entry(f"{NAMES[2]}.mp4.part", b"two"),
        entry(f"{NAMES[3]}.m4v", b"three"),
    ]
    path = tmp_path / "part 0.tar.gz"
    path.write_bytes(tar_bytes(entries, "w"))
    found, error = read(str(path), tmp_path / "scratch")
    assert error is None
    assert found == {NAMES[0]: b"zero", NAMES[1]: b"one", NAMES[3]: b"three"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_as_people_make_them(tmp_path: Path, end: str) -> None:
    lines = ["", "  part 0.tar.gz\t", "sub\u2028folder/part 1.tar", "http://127.0.0.1:9/a part.tar.gz ", ""]
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbf" + end.join(lines).encode())
    assert list_volumes(str(tmp_path / "list.txt"), Downloader(QUICK), Event()) == [
        f"{tmp_path}/part 0.tar.gz", f"{tmp_path}/sub\u2028folder/part 1.tar", "http://127.0.0.1:9/a%20part.tar.gz",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
@pytest.mark.parametrize("share", [0.3, 0.75, 0.9])
def test_what_was_complete_before_an_archive_broke_off_is_kept(tmp_path: Path, kind: str, share: float) -> None:
    entries = [entry(f"{name}.mp4", random.Random(name).randbytes(20_000)) for name in NAMES]
    data = tar_bytes(entries, "w:gz" if kind == "tar.gz" else "w")
    path = tmp_path / "broken"
    path.write_bytes(data[: int(len(data) * share)])
    found, error = read(str(path), tmp_path / "scratch")
    assert error is not None
    assert error.reason is Reason.TRUNCATED
    whole = {name: content for name, (_, content) in zip(NAMES, entries, strict=True)}
    assert found.items() <= whole.items()
    assert len(found) >= int(5 * share) - 1
    assert [path.name for path in (tmp_path / "scratch").glob("*")] == []


def test_a_tar_that_ends_between_two_members_is_broken_off_too(tmp_path: Path) -> None:
    data = tar_bytes([entry(f"{name}.mp4", b"x" * 1024) for name in NAMES], "w")
    (tmp_path / "broken").write_bytes(data[: 3 * 1536])
    found, error = read(str(tmp_path / "broken"), tmp_path)
    assert len(found) == 3
    assert error is not None
    assert error.reason is Reason.TRUNCATED


def test_hostile_members_write_nothing_outside_and_nothing_at_all(tmp_path: Path) -> None:
    name = NAMES[0]
    hostile = [
        entry(f"../../{name}.mp4", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        entry(f"a/{name}.mp4", kind=tarfile.LNKTYPE, link="/etc/passwd"),
        entry(f"b/{name}.mp4", kind=tarfile.CHRTYPE),
        entry(f"c/{name}.mp4", kind=tarfile.FIFOTYPE),
        entry(f"d/{name}.mp4", kind=tarfile.DIRTYPE),
        entry(f"/{name}.exe"),
        entry("x\u202emp4"),
        entry(f"/../../../{NAMES[1]}.mp4", b"fine"),  # a bad path, but a good clip: only its base name is looked at
    ]
    path = tmp_path / "hostile.tar.gz"
    path.write_bytes(tar_bytes(hostile))
    scratch = tmp_path / "deep/er/scratch"
    found, error = read(str(path), scratch)
    assert error is None
    assert found == {NAMES[1]: b"fine"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "hostile.tar.gz"]


def test_hostile_zips(tmp_path: Path) -> None:
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo(f"{NAMES[0]}.mp4")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr(f"../../{NAMES[1]}.mp4", b"fine")
    assert read(str(path), tmp_path / "s")[0] == {NAMES[1]: b"fine"}
    data = bytearray(path.read_bytes())
    data[data.index(b"fine")] ^= 1
    path.write_bytes(data)
    error = read(str(path), tmp_path / "s")[1]
    assert error is not None
    assert error.reason is Reason.CORRUPT


def test_bombs_are_given_up(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(tar_bytes([entry(f"{name}.mp4", b"\0" * 3_000_000) for name in NAMES]))
    assert path.stat().st_size < 100_000
    one = members(
        str(path), lambda name: True, tmp_path / "s", Downloader(), Event(), limits=ArchiveLimits(member=1000)
    )
    assert list(one) == [], "members above the limit are left out"
    many = members(
        str(path), lambda name: False, tmp_path / "s", Downloader(), Event(), limits=ArchiveLimits(total=5_000_000)
    )
    with pytest.raises(FetchFailed, match="more than 5000000"):
        list(many)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "pax").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + b"\0" * 4096))
    error = read(str(tmp_path / "pax"), tmp_path / "s")[1]
    assert error is not None, "an extended header of a tebibyte is not read into memory"
    assert error.reason in (Reason.CORRUPT, Reason.TRUNCATED)


def test_a_wanted_member_above_the_limit_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes([entry(f"{NAMES[0]}.mp4", b"x" * 2000), entry("other.mp4", b"x" * 2000)], "w"))
    told: list[tuple[str, str]] = []
    found = members(
        str(path), lambda name: name.startswith(NAMES[0]), tmp_path / "s", Downloader(), Event(),
        limits=ArchiveLimits(member=1000), left_out=lambda *why: told.append(why),
    )  # fmt: skip
    assert list(found) == []
    assert told == [(NAMES[0], "its 2000 bytes are more than 1000")]


def test_a_member_is_not_read_to_its_end_after_the_step_was_stopped(tmp_path: Path) -> None:
    path, cancelled, asked = tmp_path / "a.tar", Event(), []
    path.write_bytes(tar_bytes([entry(f"{NAMES[0]}.mp4", bytes(3_000_000))], "w"))

    def wanted(name: str) -> bool:
        asked.append(name)
        cancelled.set()  # while the member is copied
        return True

    with pytest.raises(FetchFailed, match="stopped while it read"):
        list(members(str(path), wanted, tmp_path / "s", Downloader(), cancelled))
    assert asked and not list((tmp_path / "s").iterdir())


def test_memory_does_not_grow_with_the_number_of_members(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.tar"
        with tarfile.open(path, "w") as tar:
            for n in range(count):
                tar.addfile(tarfile.TarInfo(f"member_{n}.mp4"))
        return traced_peak(lambda: list(clip_members(str(path), set().__contains__, tmp_path, Downloader(), Event())))

    small = peak(500)
    assert peak(3000) < small + 200_000


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><html>no</html>", b"\x1f\x8bgarbage", b"PK\x03\x04garbage", b"x" * 2000]
)
def test_what_is_no_archive_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "part").write_bytes(content)
    found, error = read(str(tmp_path / "part"), tmp_path / "s")
    assert found == {}
    assert error is not None
    assert error.reason in (Reason.CORRUPT, Reason.TRUNCATED)


def test_an_archive_that_cannot_be_had(tmp_path: Path, origin: Origin) -> None:
    for place in (f"{origin.url}/none.tar.gz", str(tmp_path / "none.tar.gz")):
        error = read(place, tmp_path)[1]
        assert error is not None
        assert error.reason is Reason.NOT_FOUND


def test_lists_of_parts(folder: Path, tmp_path: Path, origin: Origin) -> None:
    (folder / "list.txt").write_text("http://h/part_0.tar.gz\n\n  https://h/part_1.tar.gz\r\n")
    wanted = ["http://h/part_0.tar.gz", "https://h/part_1.tar.gz"]
    assert list_volumes(f"{origin.url}/list.txt", Downloader(), Event()) == wanted
    (folder / "local.txt").write_text("part_0.tar.gz\n")
    assert list_volumes(str(folder / "local.txt"), Downloader(), Event()) == [str(folder / "part_0.tar.gz")]
    for bad in ("file:///etc/passwd", "/etc/passwd", "part_0.tar.gz"):
        (folder / "bad.txt").write_text(f"http://h/x\n{bad}\n")
        with pytest.raises(UserError, match="line 2"):
            list_volumes(f"{origin.url}/bad.txt", Downloader(), Event())
    (folder / "page.txt").write_text("<!DOCTYPE html><html>")
    with pytest.raises(FetchFailed, match="not a list"):
        list_volumes(f"{origin.url}/page.txt", Downloader(), Event())


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_damaged_archives_end_with_a_reason_and_leave_nothing(folder: Path, tmp_path: Path, kind: str) -> None:
    good = save(folder, kind).read_bytes()
    dice = random.Random(kind)
    for _ in range(120):
        bad = bytearray(good)
        for _ in range(dice.choice((1, 3, 20))):
            bad[dice.randrange(min(len(bad), dice.choice((600, len(bad)))))] = dice.randrange(256)
        del bad[dice.randrange(len(bad)) if dice.random() < 0.3 else len(bad) :]
        (tmp_path / "bad").write_bytes(bad)
        error = read(str(tmp_path / "bad"), tmp_path / "s")[1]
        # A damaged byte of a zip may name a compression that libarchive does not know.
        assert error is None or error.reason in (Reason.CORRUPT, Reason.TRUNCATED, Reason.TOOL_FAILED)
        assert not list((tmp_path / "s").glob("*"))


def test_a_zip_whose_directory_is_elsewhere_is_damaged(folder: Path, tmp_path: Path) -> None:
    """Its end says that the directory lies ten bytes further."""
    path = save(folder, "zip")
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\x05\x06")
    data[end + 16 : end + 20] = (int.from_bytes(data[end + 16 : end + 20], "little") + 10).to_bytes(4, "little")
    path.write_bytes(data)
    found, error = read(str(path), tmp_path / "scratch")
    assert found == {}
    assert error is not None and error.reason is Reason.CORRUPT
    assert "is not where its end says" in error.evidence
    assert not list((tmp_path / "scratch").glob("*")) if (tmp_path / "scratch").exists() else True


def test_a_scratch_folder_that_takes_nothing_is_not_the_archives_fault(folder: Path, tmp_path: Path) -> None:
    from clipquarry.acquire.archives import reader
    from clipquarry.errors import RetryLater

    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(RetryLater):
        reader.write(full, b"x", tmp_path / "x")
