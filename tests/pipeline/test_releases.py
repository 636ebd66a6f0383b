"""What is known of a newest release that another data set is made of: whole or not, changed or not, damaged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from chain_fixture import LEFT, asked, change, lock
from chain_fixture import world as world
from chain_world import DERIVED, ChainWorld
from clipquarry.errors import UserError
from clipquarry.files import write_json
from clipquarry.pipeline.chains import made_of
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.releases import made_of_in, standing
from odd_places import put_odd

pytestmark = pytest.mark.timeout(600)


def test_the_standing_of_a_release_is_known_without_its_note_or_its_run(world: ChainWorld) -> None:
    before = standing(LEFT, world.settings)
    assert before.whole
    note = world.settings.data.release_note(LEFT)
    kept = note.read_bytes()
    note.unlink()
    assert standing(LEFT, world.settings) == before, "a release of an earlier version"
    shutil.rmtree(world.data / f".clipquarry/runs/{LEFT}")
    assert not standing(LEFT, world.settings).whole, "nobody knows any more"
    note.write_bytes(kept)
    assert standing(LEFT, world.settings) == before
    write_json(note, {"run": "l1", "lock": [1, 2], "fingerprint": "other", "whole": True})
    assert not standing(LEFT, world.settings).whole, "the note is of another lock"
    lock(world, LEFT).write_text("damaged")
    assert standing(LEFT, world.settings).why == (
        "the lock file of left_part's release l1 cannot be read, so run left_part once in full"
    )


def test_a_newer_tool_or_other_parts_alone_are_no_change(world: ChainWorld) -> None:
    before = standing(DERIVED, world.settings)
    path = lock(world)
    head, _, rows = path.read_text().partition("\n")
    path.write_text(
        head.replace('"yt-dlp": "', '"yt-dlp": "9').replace('"left_part": "', '"left_part": "0') + "\n" + rows
    )
    assert standing(DERIVED, world.settings).fingerprint == before.fingerprint
    path.write_text(head.replace('"clips": 2', '"clips": 3') + "\n" + rows)
    assert standing(DERIVED, world.settings).fingerprint != before.fingerprint


def test_a_standing_that_nobody_knows_is_told_and_a_refresh_finds_it_out(world: ChainWorld) -> None:
    world.make(LEFT, "l2", 1, 2, 3, 4)
    data, before = world.settings.data, standing(LEFT, world.settings)
    shutil.rmtree(data.runs(LEFT))
    os.utime(lock(world, LEFT), (1e9, 1e9))
    assert standing(LEFT, world.settings) == before, "the note is of this lock, which was restored"
    data.release_note(LEFT).unlink()
    assert asked(world)[1].endswith(
        "is whole: nobody knows any more whether the newest release of left_part, l2, is of all of it, so run left_part once in full."
    )
    told = world("refresh", LEFT, "--run", "again").output
    assert "Nothing of left_part is due" in told
    assert standing(LEFT, world.settings) == before


LOCK_DAMAGES: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "cut off": lambda text: "".join(text.splitlines(keepends=True)[:-1]),
    "cut in a line": lambda text: text[:-30],
    "twice": lambda text: text + text.splitlines(keepends=True)[-1],
    "of another data set": lambda text: text.replace('"dataset": "', '"dataset": "other_', 1),
    "of a newer version": lambda text: text.replace('"version": 2', '"version": 3', 1),
    "deep": lambda text: "[" * 100_000,
    "bytes": lambda text: "\x00\ufffd",
}


@pytest.mark.parametrize("how", [*LOCK_DAMAGES, "pipe", "folder", "nowhere", "gone"])
def test_a_damaged_lock_starts_nothing_and_is_named(world: ChainWorld, how: str) -> None:
    before, path, note = standing(LEFT, world.settings), lock(world, LEFT), world.settings.data.release_note(LEFT)
    text = path.read_text()
    path.unlink()
    if how in LOCK_DAMAGES:
        path.write_text(LOCK_DAMAGES[how](text))
    elif how != "gone":
        put_odd(path, how)
    why = "the lock file of left_part's release l1 cannot be read, so run left_part once in full"
    for _ in range(2):
        told = standing(LEFT, world.settings)
        assert told.damaged and not told.fingerprint and told.why == why
        assert asked(world) == (False, f"both_parts waits until all that it is made of is whole: {why}.")
        note.unlink(missing_ok=True)
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    path.write_text(text)
    assert standing(LEFT, world.settings) == before and asked(world)[1].startswith("Nothing changed"), "restored"


@pytest.mark.parametrize("how", ["empty", "of another data set", "pipe", "gone"])
def test_a_damaged_lock_of_its_own_is_no_reason_to_start(world: ChainWorld, how: str) -> None:
    before, path = made_of_in(lock(world)), lock(world)
    text = path.read_text()
    path.unlink()
    if how in LOCK_DAMAGES:
        path.write_text(LOCK_DAMAGES[how](text))
    elif how == "pipe":
        put_odd(path, how)
    for _ in range(2):
        assert asked(world) == (
            False,
            "both_parts does not start by itself, because nobody knows what it is made of: the lock file of both_parts's "
            "release b1 cannot be read, so run both_parts once in full.",
        )
        change(world, LEFT)
    refresh = make_context(DERIVED, "again", {}, kind="refresh", settings=world.settings)
    assert made_of(refresh) == before, "as the last full run noted: a release that is made of nothing would be wrong"
    (world.settings.data.run(DERIVED, "b1") / "made_of.json").unlink()
    with pytest.raises(UserError, match=r"Nobody knows any more what both_parts is made of.*once in full"):
        made_of(refresh)


def test_a_damaged_name_of_the_newest_release_is_told(world: ChainWorld) -> None:
    latest = world.settings.data.latest_release(LEFT)
    latest.write_bytes(b"")
    told = standing(LEFT, world.settings)
    assert told.damaged and told.why == f"{latest} names no release, so run left_part once in full"
    assert not asked(world)[0]


@pytest.mark.parametrize("how", ["empty", "pipe beside", "gone"])
def test_a_damaged_release_is_published_anew(world: ChainWorld, how: str) -> None:
    path = lock(world, LEFT)
    if how == "empty":
        path.write_text("")
    elif how == "gone":
        path.unlink()
    else:
        put_odd(path.with_name("pipe"), "pipe")
    world.run(LEFT, "l2")
    assert lock(world, LEFT).parent.name == "l2"
    now = standing(LEFT, world.settings)
    assert now.whole and not now.damaged
    assert asked(world) == (True, "both_parts is due: left_part changed since its newest release."), "its YAML did"
