"""Extraction of whole archives: hostile members, files of other people, kills, and what is not done twice."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import unicodedata
from pathlib import Path

import pytest
from acquire.made_archives import KINDS, Files, needs_libarchive, rar4, save, tar, zipped
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.extract import Placement, extract
from clipquarry.acquire.archives.limits import ArchiveLimits
from clipquarry.acquire.archives.names import Names, Seen
from clipquarry.acquire.archives.reader import Reading
from clipquarry.acquire.archives.record import Unpacked
from clipquarry.errors import RetryLater, UserError
from clipquarry.manifest import read_rows
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot

pytestmark = needs_libarchive

FILES: Files = {f"top/{n % 7}/{n:05}.jpg": random.Random(n).randbytes(n + 1) for n in range(300)}


class World:
    def __init__(self, root: Path) -> None:
        self.data = DataRoot(root / "data")
        self.into = self.data.root / "set" / "frames"
        self.reading = Reading(self.data.scratch)

    def run(self, *volumes: Path, reading: Reading | None = None, **placement: object) -> Unpacked:
        place = Placement(**placement)  # type: ignore[arg-type]
        return extract(volumes, self.into, self.data, reading or self.reading, place)

    def tree(self) -> Files:
        """Everything below the folder; links would show as what they are."""
        found = {}
        for place, folders, names in os.walk(self.into):
            for name in (*names, *(one for one in folders if Path(place, one).is_symlink())):
                path = Path(place, name)
                found[path.relative_to(self.into).as_posix()] = b"LINK" if path.is_symlink() else path.read_bytes()
        return found

    def refused(self, result: Unpacked) -> dict[str, tuple[str, str]]:
        return {row["member"]: (row["reason"], row["evidence"]) for row in read_rows(result.refused_table)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_archive_comes_out_once(kind: str, world: World, tmp_path: Path) -> None:
    archive = save(tmp_path / "a", KINDS[kind](FILES))
    first = world.run(archive, strip_top="top")
    assert world.tree() == {name.removeprefix("top/"): data for name, data in FILES.items()}
    assert (first.files, first.kept, first.refused, first.was_finished) == (300, 0, 0, False)
    assert first.bytes == sum(map(len, FILES.values()))
    assert [row["bytes"] for row in read_rows(first.files_table)] == list(map(len, FILES.values()))
    archive.chmod(0)  # who is not root cannot read it now
    before = {path: path.stat().st_mtime_ns for path in world.into.rglob("*")}
    again = world.run(archive, strip_top="top")
    assert again.was_finished and (again.files, again.bytes) == (first.files, first.bytes)
    assert {path: path.stat().st_mtime_ns for path in world.into.rglob("*")} == before
    archive.chmod(0o600)
    (world.into / "3/00003.jpg").unlink()
    third = world.run(archive, strip_top="top")
    assert (third.was_finished, third.files, third.kept) == (False, 300, 299)
    assert world.tree() == {name.removeprefix("top/"): data for name, data in FILES.items()}


def test_hostile_members_are_refused_one_by_one(world: World, tmp_path: Path) -> None:
    hostile = {
        "/etc/passwd": "an absolute path",
        "C:/x": "an absolute path",
        "../x": "'..'",
        "a/../../x": "'..'",
        "a\\..\\x": "a backslash",
        "a\nb": "a control character",
        "x" * 300: "too long",
        "/".join("d" * 80): "too long",
        ".clipquarry/ledger.sqlite": "Clipquarry's own",
        "a/.clipquarry-tmp-x": "Clipquarry's own",
    }
    alike = {
        "Good/ONE.jpg": "differs only in case",
        "good/ſix": "differs only",
        unicodedata.normalize("NFD", "good/é"): "differs only",
    }
    links = {
        "out": (tarfile.SYMTYPE, "../../../etc/passwd"),
        "abs": (tarfile.SYMTYPE, "/etc/passwd"),
        "hard": (tarfile.LNKTYPE, "/etc/passwd"),
        "folder": (tarfile.SYMTYPE, "good"),
        "loop": (tarfile.SYMTYPE, "loop"),
        "nowhere": (tarfile.SYMTYPE, "good/none"),
        "dev": (tarfile.CHRTYPE, ""),
        "disk": (tarfile.BLKTYPE, ""),
        "pipe": (tarfile.FIFOTYPE, ""),
    }
    good = {"good/one.jpg": b"1", "good/six": b"6", unicodedata.normalize("NFC", "good/é"): b"e", "./good//two": b"2"}
    data = tar({**good, **dict.fromkeys([*hostile, *alike], b"evil")}, links=links)
    result = world.run(save(tmp_path / "a.tar", gzip.compress(data)))
    assert world.tree() == {"good/one.jpg": b"1", "good/six": b"6", "good/é": b"e", "good/two": b"2"}
    refused = world.refused(result)
    assert set(refused) == {*hostile, *alike, *links} and result.refused == len(refused)
    for name, what in {**hostile, **alike}.items():
        assert what in refused[name][1]
    assert {refused[name][0] for name in hostile} == {"bad_id"}
    assert {refused[name][0] for name in alike} == {"duplicate"}
    assert {refused[name][0] for name in links} == {"bad_row"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "data"]
    assert sorted(path.name for path in world.data.root.iterdir()) == [".clipquarry", "set"]


def test_a_link_and_then_a_file_through_it(world: World, tmp_path: Path) -> None:
    data = tar({}, links={"up": (tarfile.SYMTYPE, "../..")}).rstrip(b"\0").ljust(512, b"\0") + tar({"up/pwned": b"x"})
    result = world.run(save(tmp_path / "a", data))
    assert world.tree() == {"up/pwned": b"x"}
    assert not (world.into.parent.parent / "pwned").exists()
    assert set(world.refused(result)) == {"up"}


def test_links_inside_become_the_same_file(world: World, tmp_path: Path) -> None:
    links = {
        "b/hard": (tarfile.LNKTYPE, "a/one"), "b/soft": (tarfile.SYMTYPE, "../a/one"), "c": (tarfile.SYMTYPE, "b/soft"),
    }  # fmt: skip
    archive = save(tmp_path / "a", tar({"a/one": b"1" * 99}, links=links))
    result = world.run(archive)
    assert world.tree() == dict.fromkeys(("a/one", "b/hard", "b/soft", "c"), b"1" * 99)
    assert (result.files, result.refused) == (4, 0)
    (world.into / "c").unlink()
    assert world.run(archive).kept == 3
    assert world.tree() == dict.fromkeys(("a/one", "b/hard", "b/soft", "c"), b"1" * 99)


def test_links_do_not_take_a_persons_file(world: World, tmp_path: Path) -> None:
    """The first link to it must not make it a file of the archive for the second."""
    save(world.into / "private.avi", b"mine")
    links = dict.fromkeys(("a.avi", "b.avi", "c.avi"), (tarfile.SYMTYPE, "private.avi"))
    result = world.run(save(tmp_path / "a", tar({"d.avi": b"1"}, links=links)))
    assert world.tree() == {"private.avi": b"mine", "d.avi": b"1"}
    assert set(world.refused(result)) == set(links)
    assert (world.into / "private.avi").stat().st_nlink == 1


def test_files_of_other_people_stay(world: World, tmp_path: Path) -> None:
    save(world.into / "top/0/00000.jpg", FILES["top/0/00000.jpg"])
    save(world.into / "top/1/00001.jpg", b"mine")
    save(world.into / "top/2/extra", b"mine")
    save(world.into / "top/3", b"a file in the place of a folder")
    (world.into / "top/4/00004.jpg").mkdir(parents=True)
    elsewhere = save(tmp_path / "elsewhere", b"theirs")
    (world.into / "top/5").mkdir()
    (world.into / "top/5/00005.jpg").symlink_to(elsewhere)
    result = world.run(save(tmp_path / "a", tar(FILES)))
    tree, refused = world.tree(), world.refused(result)
    assert tree["top/1/00001.jpg"] == b"mine" and tree["top/2/extra"] == b"mine" and elsewhere.read_bytes() == b"theirs"
    assert tree["top/3"] == b"a file in the place of a folder" and tree["top/5/00005.jpg"] == b"LINK"
    below = {name for name in FILES if name.startswith("top/3/")}
    taken = {"top/1/00001.jpg", "top/4/00004.jpg", "top/5/00005.jpg"}
    assert set(refused) == below | taken
    assert {reason for reason, _ in refused.values()} == {"duplicate"}
    rest = {name: data for name, data in FILES.items() if name not in refused}
    assert rest.items() <= tree.items() and (result.files, result.kept) == (len(rest), 1)


def test_a_name_twice_and_flattened_names(world: World, tmp_path: Path) -> None:
    result = world.run(save(tmp_path / "a", zipped({"x/1": b"1", "y/2": b"2", "y/1": b"other"})), flatten=True)
    assert world.tree() == {"1": b"1", "2": b"2"}
    assert world.refused(result) == {"y/1": ("duplicate", "the archive holds the same path already")}


def test_a_member_above_the_limit_is_refused_and_the_rest_comes(world: World, tmp_path: Path) -> None:
    reading = Reading(tmp_path, limits=ArchiveLimits(member=100))
    result = world.run(save(tmp_path / "a", rar4({"a": b"x" * 101, "b": b"y" * 100})), reading=reading)
    assert world.tree() == {"b": b"y" * 100}
    assert world.refused(result)["a"] == ("corrupt", "its 101 bytes are more than 100")
    with pytest.raises(FetchFailed, match="more than 3 of its members"):
        many = tar(dict.fromkeys([f"../{n}" for n in range(5)], b""))
        world.run(save(tmp_path / "b", many), reading=Reading(tmp_path, limits=ArchiveLimits(rejected=3)))


@pytest.mark.parametrize("kind", KINDS)
def test_of_an_archive_that_breaks_off_nothing_lands(kind: str, world: World, tmp_path: Path) -> None:
    data = KINDS[kind](FILES).rstrip(b"\0") if kind == "tar" else KINDS[kind](FILES)
    save(world.into / "mine", b"mine")
    with pytest.raises(FetchFailed) as failed:
        world.run(save(tmp_path / "a", data[:-30]))
    assert failed.value.reason is Reason.TRUNCATED
    assert world.tree() == {"mine": b"mine"}
    assert world.run(save(tmp_path / "a", KINDS[kind](FILES))).files == 300


def test_the_checksum_is_compared_first(world: World, tmp_path: Path) -> None:
    data = gzip.compress(tar(FILES))
    parts = [save(tmp_path / "0", data[:500]), save(tmp_path / "1", data[500:])]
    with pytest.raises(FetchFailed, match="download it again"):
        extract(parts, world.into, world.data, world.reading, sha256="0" * 64)
    assert not world.into.exists()
    assert extract(parts, world.into, world.data, world.reading, sha256=hashlib.sha256(data).hexdigest()).files == 300


def test_a_folder_of_the_data_root_only(world: World, tmp_path: Path) -> None:
    archive = save(tmp_path / "a", tar(FILES))
    for into in (tmp_path / "x", world.data.root, world.data.private / "x", world.into / ".." / "x"):
        with pytest.raises(UserError, match="folder of a data set"):
            extract([archive], into, world.data, world.reading)
    save(world.into, b"a file")
    with pytest.raises(UserError, match="is not a folder"):
        world.run(archive)


def test_a_full_disk_is_told_and_leaves_nothing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = save(tmp_path / "a", tar(FILES))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(RetryLater, match="full"):
            world.run(archive)
    assert world.tree() == {} and world.run(archive).files == 300


CHILD = """
import os, signal, sys
from pathlib import Path
from clipquarry.acquire.archives import extract as module
from clipquarry.acquire.archives.reader import Reading
from clipquarry.settings import DataRoot

where, left = sys.argv[3], int(sys.argv[4])
def dying(function):
    def wrapped(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return wrapped
for owner, name in {"write": [(module.os, "write")], "place": [(module, "place_new"), (module, "_renamed")],
                    "end": [(module, "sync_file_system")], "record": [(module.Record, "finish")]}[where]:
    setattr(owner, name, dying(getattr(owner, name)))
root = Path(sys.argv[2])
module.extract([Path(sys.argv[1])], root / "set/frames", DataRoot(root), Reading(root / "scratch"))
"""


@pytest.mark.parametrize(
    ("where", "after"),
    [("write", 0), ("write", 120), ("end", 0), ("place", 2), ("place", 9), ("end", 1), ("record", 0)],
)
def test_a_kill_at_any_moment(where: str, after: int, world: World, tmp_path: Path) -> None:
    archive = save(
        tmp_path / "a", gzip.compress(tar({**FILES, "../x": b""}, links={"l": (tarfile.LNKTYPE, "top/1/00001.jpg")}))
    )
    calm = World(tmp_path / "calm")
    undisturbed = calm.run(archive)
    mine = save(world.into / "top/2/00002.jpg", b"mine")
    save(calm.into / "top/2/00002.jpg", b"mine")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(archive), str(world.data.root), where, str(after)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    there = {name: data for name, data in world.tree().items() if not name.startswith(".clipquarry-tmp-")}
    assert there.items() <= {**calm.tree(), "top/2/00002.jpg": b"mine"}.items(), "whole files only"
    result = world.run(archive)
    assert not result.was_finished and mine.read_bytes() == b"mine"
    assert world.tree() == {**calm.tree(), "top/2/00002.jpg": b"mine"}
    refused = world.refused(result)
    assert refused.pop("top/2/00002.jpg")[0] == "duplicate"
    assert refused == calm.refused(undisturbed)


def test_a_kill_from_outside(world: World, tmp_path: Path) -> None:
    archive = save(tmp_path / "a", tar({f"{n % 50}/{n}": bytes(2000) for n in range(6000)}))
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(archive), str(world.data.root), "record", "9"])
    deadline = time.monotonic() + 60
    while not any(world.into.glob(".clipquarry-tmp-*/*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert world.run(archive).files == 6000
    assert len(world.tree()) == 6000


def test_names_are_known_by_what_other_file_systems_make_of_them() -> None:
    names = Names()
    for n in range(5000):
        assert names.add([f"folder {n % 13}", f"{n}.jpg"]) is Seen.NEW
    for n in range(5000):
        assert names.add([f"folder {n % 13}", f"{n}.jpg"]) is Seen.SAME
        assert names.add([f"folder {n % 13}", f"{n}.JPG"]) is Seen.ALIKE
    assert names.add(["Folder 1", "new.jpg"]) is Seen.ALIKE
    assert names.add(["straße"]) is Seen.NEW and names.add(["STRASSE"]) is Seen.ALIKE


def test_a_mac_s_names_come_in_the_usual_normal_form(world: World, tmp_path: Path) -> None:
    """libarchive composes the names of zip; two that differ only so are one."""
    composed, apart = "é", unicodedata.normalize("NFD", "é")
    result = world.run(save(tmp_path / "a", zipped({f"{apart}/1": b"1", f"{composed}/1": b"2"})))
    assert world.tree() == {f"{composed}/1": b"1"}
    assert world.refused(result) == {f"{composed}/1": ("duplicate", "the archive holds the same path already")}
