"""What a person put into a layout is never overwritten; what we left there is."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any

import pytest
from clipquarry import layout
from clipquarry.layout import drop_link, place_link, placing, remove_ours, set_aside
from clipquarry.settings import DataRoot


def write(root: Path, text: str, name: str = "k/list.txt") -> Path | None:
    with placing(DataRoot(root), root / name) as new:
        new.path.write_text(text)
    assert (root / name).read_text() == text
    assert not [path for path in (root / name).parent.iterdir() if path.name.startswith(".")]
    return new.aside


def asides(root: Path) -> dict[str, str]:
    folder = root / ".clipquarry/set-aside"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_ours_is_replaced_and_a_persons_file_is_kept(tmp_path: Path) -> None:
    assert write(tmp_path, "one") is None
    assert write(tmp_path, "two") is None
    (tmp_path / "k/list.txt").write_text("edited by hand")
    assert write(tmp_path, "three") == tmp_path / ".clipquarry/set-aside/k/list.txt"
    (tmp_path / "k/list.txt").write_text("edited again")
    write(tmp_path, "three")
    assert asides(tmp_path) == {"k/list.txt": "edited by hand", "k/list+.txt": "edited again"}
    assert write(tmp_path, "four") is None, "the file is ours again"


def test_a_file_that_is_as_it_should_be_is_adopted(tmp_path: Path) -> None:
    (tmp_path / "k").mkdir()
    (tmp_path / "k/list.txt").write_text("one")
    before = (tmp_path / "k/list.txt").stat()
    assert write(tmp_path, "one") is None
    assert (tmp_path / "k/list.txt").stat().st_ino == before.st_ino
    assert write(tmp_path, "two") is None
    assert asides(tmp_path) == {}


@pytest.mark.parametrize("kind", ["folder", "link", "dead link"])
def test_folders_and_links_are_moved_away(tmp_path: Path, kind: str) -> None:
    target, elsewhere = tmp_path / "k/list.txt", tmp_path / "elsewhere.txt"
    target.parent.mkdir()
    elsewhere.write_text("on another disk")
    if kind == "folder":
        target.mkdir()
        (target / "mine").write_text("mine")
    else:
        target.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    aside = write(tmp_path, "one")
    assert aside is not None
    assert os.path.lexists(aside)
    assert elsewhere.read_text() == "on another disk"
    assert kind != "folder" or (aside / "mine").read_text() == "mine"


def test_a_kill_before_the_rename_leaves_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "ours")
    for before, expected in (("ours", {}), ("a person's", {"k/list.txt": "a person's"})):
        (tmp_path / "k/list.txt").write_text(before)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("clipquarry.layout.publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            write(tmp_path, "new")
        assert (tmp_path / "k/list.txt").read_text() == before
        assert write(tmp_path, "new") == (tmp_path / ".clipquarry/set-aside/k/list.txt" if expected else None)
        assert asides(tmp_path) == expected


def test_nothing_is_moved_when_the_new_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("mine")
    with pytest.raises(ZeroDivisionError), placing(DataRoot(tmp_path), tmp_path / "list.txt") as new:
        new.path.write_text("half")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["list.txt"]
    assert (tmp_path / "list.txt").read_text() == "mine"


def test_a_dead_link_in_set_aside_is_not_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / "x").symlink_to("/nowhere")
        set_aside(DataRoot(tmp_path), tmp_path / "x")
    assert sorted(path.name for path in (tmp_path / ".clipquarry/set-aside").iterdir()) == ["x", "x+"]


def test_a_second_name_is_a_relative_link_and_a_persons_file_is_moved_away(tmp_path: Path) -> None:
    data = DataRoot(tmp_path)
    target, link = tmp_path / "toy/annotations/list.txt", tmp_path / "toy/list_of_configs.txt"
    target.parent.mkdir(parents=True)
    target.write_text("a 1\n")
    assert place_link(data, link, target) == ""
    assert (str(link.readlink()), link.read_text()) == ("annotations/list.txt", "a 1\n")
    before = link.lstat().st_ino
    assert place_link(data, link, target) == "" and link.lstat().st_ino == before
    link.unlink()
    link.write_text("mine")
    told = place_link(data, link, target)
    assert Path(told.rpartition(" ")[2]).read_text() == "mine" and link.is_symlink()


def test_only_a_file_of_ours_is_removed(tmp_path: Path) -> None:
    data = DataRoot(tmp_path)
    path = tmp_path / "k/list.csv"
    assert not remove_ours(data, path), "nothing is there"
    with placing(data, path) as new:
        new.path.write_text("ours")
    path.write_text("changed by a person")
    assert not remove_ours(data, path) and path.exists()
    with placing(data, path) as new:
        new.path.write_text("ours")
    assert remove_ours(data, path) and not path.exists()


def test_a_person_who_writes_at_this_moment_loses_neither_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, aside = tmp_path / "k/list.txt", tmp_path / ".clipquarry/set-aside/k/list.txt"
    for folder in (target.parent, aside.parent):
        folder.mkdir(parents=True)
    target.write_text("mine")
    aside.hardlink_to(target)  # by a run that was killed before its file took the place
    find = layout._aside

    def person_comes_next(*args: Any) -> Path:
        found = find(*args)
        monkeypatch.undo()
        (tmp_path / "new").write_text("newer")
        (tmp_path / "new").replace(target)
        return found

    monkeypatch.setattr(layout, "_aside", person_comes_next)
    write(tmp_path, "ours")
    assert asides(tmp_path) == {"k/list.txt": "mine", "k/list+.txt": "newer"}


def test_what_two_runs_write_at_once_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, publish, noted, done = layout._noted, layout.publish, Event(), Event()
    other = Thread(target=write, args=(tmp_path, "theirs"), daemon=True)

    def other_run_notes_too(*args: Any) -> list[str]:
        found = read(*args)
        if not other.ident:
            other.start()
            noted.wait(0.3)  # or it waits for us
        return found

    def other_run_comes_last(*args: Any) -> None:
        if current_thread() is other:
            noted.set()
            assert done.wait(5)
        publish(*args)

    monkeypatch.setattr(layout, "_noted", other_run_notes_too)
    monkeypatch.setattr(layout, "publish", other_run_comes_last)
    with placing(DataRoot(tmp_path), tmp_path / "k/list.txt") as new:
        new.path.write_text("ours")
    done.set()
    other.join()
    assert (tmp_path / "k/list.txt").read_text() == "theirs"
    assert write(tmp_path, "last") is None
    assert not list((tmp_path / ".clipquarry").rglob("*.lock"))


def test_the_same_link_of_another_run_is_not_moved_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, target = tmp_path / "k/also.txt", tmp_path / "k/list.txt"
    make = Path.mkdir

    def other_run_comes_first(path: Path, *args: Any, **how: Any) -> None:
        make(path, *args, **how)
        monkeypatch.undo()
        assert place_link(DataRoot(tmp_path), link, target) == ""

    monkeypatch.setattr(Path, "mkdir", other_run_comes_first)
    assert place_link(DataRoot(tmp_path), link, target) == ""
    assert link.readlink() == Path("list.txt")
    assert asides(tmp_path) == {}


def test_two_runs_move_a_persons_file_away_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, target = tmp_path / "also.txt", tmp_path / "list.txt"
    link.write_text("mine")
    move = layout.set_aside

    def other_run_comes_first(*args: Any) -> Path:
        monkeypatch.undo()
        move(*args)
        return move(*args)

    monkeypatch.setattr(layout, "set_aside", other_run_comes_first)
    place_link(DataRoot(tmp_path), link, target)
    assert link.readlink() == Path("list.txt")
    assert asides(tmp_path) == {"also.txt": "mine"}


def test_two_runs_drop_a_link_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, target = tmp_path / "also.txt", tmp_path / "list.txt"
    place_link(DataRoot(tmp_path), link, target)
    remove = Path.unlink

    def other_run_comes_first(path: Path, *args: Any, **how: Any) -> None:
        remove(path)
        remove(path, *args, **how)

    monkeypatch.setattr(Path, "unlink", other_run_comes_first)
    drop_link(link, [target])
    assert not os.path.lexists(link)
