"""A release verifies what it lists."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from clipquarry.errors import GateBlocked
from clipquarry.release.lock import LockHeader, LockRow, write_lock
from clipquarry.release.verify import verified, verify_copies


def rows(root: Path, count: int = 30) -> list[LockRow]:
    made = []
    for number in range(count):
        content = b"clip %03d" % number
        (root / f"clip{number:03d}.mp4").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        made.append(LockRow(f"clip{number:03d}.mp4", f"clip{number:03d}", "train", 0, digest, len(content), 1.0, 30))
    return made


def test_whole_files_pass(tmp_path: Path) -> None:
    listed = rows(tmp_path)
    assert list(verified(listed, tmp_path, "mini, run a,")) == listed
    assert list(verified([], tmp_path, "mini, run a,")) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "it is empty"), (b"longer than it was", "18 bytes, recorded were 8"), (None, "it is not there")],
)
def test_a_file_that_was_emptied_replaced_or_removed_stops_the_release(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    listed, file = rows(tmp_path), tmp_path / "clip007.mp4"
    file.unlink() if content is None else file.write_bytes(content)
    lock = tmp_path / "mini.lock"
    sentence = rf"^mini, run a, is not released: 1 of 30 files .*clip007\.mp4 \({said}\)"
    with pytest.raises(GateBlocked, match=sentence):
        write_lock(lock, LockHeader("mini", "spec"), verified(listed, tmp_path, "mini, run a,"))
    assert not lock.exists()


def test_contents_of_a_sample_are_read(tmp_path: Path) -> None:
    listed = rows(tmp_path, 20)
    (tmp_path / "clip003.mp4").write_bytes(b"clip 999")
    with pytest.raises(GateBlocked, match=r"clip003\.mp4 \(other contents"):
        list(verified(listed, tmp_path, "mini"))
    for row in rows(tmp_path, 200):
        (tmp_path / row.path).write_bytes(b"clip 999")
    with pytest.raises(GateBlocked, match="20 of 200 files"):
        list(verified(rows_as_before(tmp_path), tmp_path, "mini"))


def rows_as_before(root: Path) -> list[LockRow]:
    """The rows of :func:`rows`, of files that were all replaced since."""
    other = root / "before"
    other.mkdir()
    return rows(other, 200)


def test_copies_are_held_against_what_was_recorded(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a 0\n")
    digest = hashlib.sha256(b"a 0\n").hexdigest()
    verify_copies(tmp_path, {"list.txt": digest, "absent.pkl": digest}, "mini")
    (tmp_path / "list.txt").write_text("a 1\n")
    with pytest.raises(GateBlocked, match=r"^mini is not released: list\.txt was changed after it was written"):
        verify_copies(tmp_path, {"list.txt": digest}, "mini")
