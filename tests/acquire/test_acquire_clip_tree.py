"""Clips in folders of any name are found by their video and times."""

from __future__ import annotations

from pathlib import Path

from clipquarry.acquire.clip_tree import ClipTree

ID = "-aBc_eFgH_1"


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"clip")


def found(tree: ClipTree, root: Path, start: float, end: float, video: str = ID) -> list[str]:
    return [str(one.path.relative_to(root)) for one in tree.holding(video, start, end)]


def test_clips_that_hold_a_window_are_found_in_every_folder(tmp_path: Path) -> None:
    names = (
        f"{ID}_000010_000020.mp4", f"train/it's (a)/{ID}_000011_000021.MKV", f"a/b/c/{ID}_000009_000019.webm",
        f"a/b/c/d/{ID}_000010_000020.mp4", f"a/{ID}_000010_000020.txt", f"a/{ID}_x_000010_000020.mp4",
        f".hidden/{ID}_000010_000020.mp4", f"a/{ID}_000030_000040.mp4", f"a/x{ID}_000010_000020.mp4",
        f"a/{ID}_10_20.mp4",
    )  # fmt: skip
    for name in names:
        put(tmp_path / name)
    tree = ClipTree(tmp_path)
    assert set(found(tree, tmp_path, 12.25, 18.5)) == set(names[:3])
    assert found(tree, tmp_path, 11, 21) == [names[1]]
    assert found(tree, tmp_path, 10, 21) == []
    assert found(tree, tmp_path, 30.0, 40) == [names[7]]
    assert found(tree, tmp_path, 12, 18, video="*") == []
    best = min(tree.holding(ID, 12, 18), key=lambda one: one.preference)
    assert best.path == tmp_path / names[2], "equally long: the earliest"


def test_a_folder_that_is_absent_or_came_later(tmp_path: Path) -> None:
    tree, later = ClipTree(tmp_path / "none"), ClipTree(tmp_path / "later")
    assert found(tree, tmp_path, 1, 2) == []
    put(tmp_path / f"later/{ID}_000000_000010.mp4")
    assert found(later, tmp_path, 1, 2) == [f"later/{ID}_000000_000010.mp4"]


def test_links_that_go_in_circles_end(tmp_path: Path) -> None:
    put(tmp_path / f"a/{ID}_000000_000010.mp4")
    (tmp_path / "a/again").symlink_to(tmp_path)
    assert f"a/{ID}_000000_000010.mp4" in found(ClipTree(tmp_path), tmp_path, 1, 2)
