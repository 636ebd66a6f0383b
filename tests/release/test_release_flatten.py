"""Class folders into one flat folder."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.errors import UserError
from clipquarry.release.flatten import flatten
from dying import dies_anywhere, took

CLIP = "-wR5jVB-WPk_000417_000427.mp4"


def put(path: Path, text: str, born: int = 1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (born, born))
    return path


def test_clips_move_and_other_files_stay(tmp_path: Path) -> None:
    put(tmp_path / f"kv/it's (a)/{CLIP}", "one")
    other = put(tmp_path / "kv/it's (a)/notes.txt", "two")
    loose = put(tmp_path / "kv/loose.mp4", "three")
    assert flatten(tmp_path / "kv", tmp_path / "flat") == {"moved": 1}
    assert [path.name for path in (tmp_path / "flat").iterdir()] == [CLIP]
    assert other.exists() and loose.exists()
    assert flatten(tmp_path / "kv", tmp_path / "flat") == {}


def test_clips_of_every_suffix_and_name_move(tmp_path: Path) -> None:
    names = ["v_Yo_g01_c01.avi", "1.WEBM", "a.b.c.mkv", "#437 (best).mov", "a.mp4.webm"]
    others = ["a.txt", "a.mp4.part", "a", ".hidden.mp4"]
    for name in (*names, *others):
        put(tmp_path / "kv/a" / name, name)
    assert flatten(tmp_path / "kv", tmp_path / "flat") == {"moved": len(names)}
    assert sorted(path.name for path in (tmp_path / "flat").iterdir()) == sorted(names)
    assert sorted(path.name for path in (tmp_path / "kv/a").iterdir()) == sorted(others)


@pytest.mark.parametrize(("first", "second", "kept"), [(1000, 2000, "first"), (2000, 1000, "second")])
def test_the_older_file_has_the_name_and_the_other_is_not_lost(
    tmp_path: Path, first: int, second: int, kept: str
) -> None:
    put(tmp_path / f"kv/a/{CLIP}", "first", first)
    put(tmp_path / f"kv/b/{CLIP}", "second", second)
    assert flatten(tmp_path / "kv", tmp_path / "flat") == {"moved": 1, "older": 1}
    assert (tmp_path / "flat" / CLIP).read_text() == kept
    other = f"kv/b/{CLIP}" if kept == "first" else f"kv/b/{CLIP}.newer"
    assert (tmp_path / other).read_text() == {"first": "second", "second": "first"}[kept]


def test_the_same_bytes_are_kept_once(tmp_path: Path) -> None:
    for folder in "ab":
        put(tmp_path / f"kv/{folder}/{CLIP}", "one")
    assert flatten(tmp_path / "kv", tmp_path / "flat") == {"moved": 1, "same": 1}
    assert not list((tmp_path / "kv").rglob("*.mp4"))


def test_links_leave_the_class_folders_alone(tmp_path: Path) -> None:
    file = put(tmp_path / f"kv/a/{CLIP}", "one")
    assert flatten(tmp_path / "kv", tmp_path / "flat", link=True) == {"linked": 1}
    assert file.samefile(tmp_path / "flat" / CLIP)
    assert flatten(tmp_path / "kv", tmp_path / "flat", link=True) == {"same": 1}
    assert file.exists()


def test_what_is_wrong_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder"):
        flatten(tmp_path / "none", tmp_path / "flat")
    (tmp_path / "kv").mkdir()
    with pytest.raises(UserError, match="among the class folders"):
        flatten(tmp_path / "kv", tmp_path / "kv/flat")


def test_the_command(tmp_path: Path) -> None:
    put(tmp_path / f"kv/a/{CLIP}", "one")
    done = CliRunner().invoke(main, ["flatten", str(tmp_path / "kv"), str(tmp_path / "flat")])
    assert done.exit_code == 0, done.output
    assert "1 moved" in done.output


def test_a_persons_file_in_the_flat_folder_is_not_lost_to_a_link(tmp_path: Path) -> None:
    put(tmp_path / f"kv/a/{CLIP}", "ours", 1000)
    put(tmp_path / f"flat/{CLIP}", "a person's", 2000)
    assert flatten(tmp_path / "kv", tmp_path / "flat", link=True) == {"older": 1}
    assert (tmp_path / "flat" / CLIP).read_text() == "ours"
    assert (tmp_path / f"kv/a/{CLIP}.newer").read_text() == "a person's"


@pytest.mark.parametrize("link", [False, True])
def test_killed_anywhere_and_started_again_nothing_is_lost(tmp_path: Path, link: bool) -> None:
    def make(root: Path) -> Path:
        for number in range(120):
            put(root / f"kv/{'abc'[number % 3]}/v{number:03d}_000001_000002.mp4", f"film {number}" * 50, number)
        for number in range(0, 120, 4):  # the same name in another class: older, younger, and the same bytes
            text = f"film {number}" * 50 if number % 8 else "another"
            put(root / f"kv/d/v{number:03d}_000001_000002.mp4", text, number + (-1 if number % 3 else 1))
        return root

    def left(root: Path) -> dict[str, bytes]:
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    calm, disturbed = make(tmp_path / "calm"), make(tmp_path / "disturbed")
    seconds = took(lambda: flatten(calm / "kv", calm / "flat", link=link))
    rng = random.Random(11)
    died = dies_anywhere(lambda: flatten(disturbed / "kv", disturbed / "flat", link=link), seconds / 2, rng, 8)
    assert died >= 3
    flatten(disturbed / "kv", disturbed / "flat", link=link)
    assert left(disturbed) == left(calm)
