"""Operations on disk: what was confirmed is there after any end of a server."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from clipquarry.errors import UserError
from clipquarry.labelling import journal as module
from clipquarry.labelling.journal import Journal
from clipquarry.labelling.operations import Operation
from labelling_world import clip_of, operation

CLIP = clip_of()


def labels(count: int, begin: int = 0) -> list[Operation]:
    return [
        operation(
            [f"image{n % 7 + 1}_{n % 3 + 1}", "labels/1", [str(n % 2)]], client=f"window-{n}", base=n, op=f"key-{n:06d}"
        )
        for n in range(begin, begin + count)
    ]


def kept(folder: Path) -> list[str]:
    with Journal(folder, "shared", CLIP).opened() as opened:
        return list(opened._known.names)


def test_what_was_written_is_read_by_another_server(tmp_path: Path) -> None:
    one, other = Journal(tmp_path, "shared", CLIP), Journal(tmp_path, "shared", CLIP)
    for n, journal in enumerate((one, other, one, one, other)):
        with journal.opened() as opened:
            (written,) = opened.append(labels(1, n), "anna")
            assert written.seq == n + 1 == opened.state.seq
    with other.opened() as opened:
        assert [one.seq for one in opened.since(2) or []] == [3, 4, 5]
        assert opened.seq_of("key-000003") == 4 and opened.seq_of("key-000009") is None
    lines = [json.loads(line) for line in (tmp_path / "shared.jsonl").read_text().splitlines()]
    assert [(line["seq"], line["by"]) for line in lines] == [(n, "anna") for n in range(1, 6)]


def test_half_a_line_at_the_end_is_cut_off_wherever_it_ends(tmp_path: Path) -> None:
    with Journal(tmp_path, "shared", CLIP).opened() as opened:
        opened.append(labels(3), "änna")
    whole = (tmp_path / "shared.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    for end in range(len(lines[0]) + len(lines[1]), len(whole)):
        folder = tmp_path / "cut"
        folder.mkdir()
        (folder / "shared.jsonl").write_bytes(whole[:end])
        with Journal(folder, "shared", CLIP).opened() as opened:
            assert opened.state.seq == 2
            opened.append(labels(1, 7), "anna")
        assert kept(folder) == ["key-000000", "key-000001", "key-000007"]
        shutil.rmtree(folder)


def test_a_damaged_line_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    with Journal(tmp_path, "shared", CLIP).opened() as opened:
        opened.append(labels(3), "anna")
    path = tmp_path / "shared.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (b"".join([lines[0], b"{}\n", lines[2]]), b"".join([lines[0], lines[2]])):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="restore"), Journal(tmp_path, "shared", CLIP).opened() as opened:
            opened.append(labels(1, 5), "anna")
        assert path.read_bytes() == damaged


class Killed(BaseException):
    pass


def test_a_kill_at_any_moment_of_the_compaction_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call that changes the disk is the last one once, before or after its work."""
    names = ("write_json", "sync_folder")
    moments = [(name, number, late) for name in names for number in (0, 1) for late in (False, True)]
    moments += [("replace", 0, late) for late in (False, True)]
    for moment, (name, number, late) in enumerate(moments):
        folder = tmp_path / str(moment)
        folder.mkdir()
        journal = Journal(folder, "shared", CLIP)
        with journal.opened() as opened:
            opened.append(labels(9), "anna")
            expected = opened.state.plain()
        calls = [0]
        real = os.replace if name == "replace" else getattr(module, name)

        def dying(
            *given: object, calls: list[int] = calls, real: object = real, number: int = number, late: bool = late
        ) -> None:
            calls[0] += 1
            if calls[0] - 1 != number:
                real(*given)  # type: ignore[operator]
                return
            if late:
                real(*given)  # type: ignore[operator]
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(os if name == "replace" else module, name, dying)
            try:
                with journal.opened() as opened:
                    opened.compact(0)
            except Killed:
                pass
        with Journal(folder, "shared", CLIP).opened() as opened:
            assert opened.state.plain() == expected
            assert opened.seq_of("key-000008") == 9
            opened.append(labels(1, 9), "anna")
            opened.compact(0)
        assert len(kept(folder)) == 10


def test_a_compacted_journal_goes_on_and_its_snapshot_can_be_lost(tmp_path: Path) -> None:
    journal, other = Journal(tmp_path, "shared", CLIP), Journal(tmp_path, "shared", CLIP)
    for begin in (0, 5, 10):
        with (other if begin == 5 else journal).opened() as opened:
            opened.append(labels(5, begin), "anna")
            assert opened.compact(0)
            assert opened.since(begin) is None and opened.since(begin + 5) == []
    with journal.opened() as opened:
        opened.append(labels(2, 15), "anna")
        expected = opened.state.plain()
    assert len(kept(tmp_path)) == 17
    for damage in ("", "{", '{"version": 1, "state": 3, "operations": {}}', None):
        snapshot = tmp_path / "shared.snapshot.json"
        snapshot.unlink() if damage is None else snapshot.write_text(damage)
        with Journal(tmp_path, "shared", CLIP).opened() as opened:
            assert opened.state.plain() == expected
            assert opened.seq_of("key-000000") == 1


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, "shared", CLIP)
    with journal.opened() as opened:
        opened.append(labels(2), "anna")
    before = (tmp_path / "shared.jsonl").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(module.ClipquarryError, match="full"), journal.opened() as opened:
            opened.append(labels(1, 2), "anna")
    assert (tmp_path / "shared.jsonl").read_bytes() == before
    with journal.opened() as opened:
        assert opened.state.seq == 2
        opened.append(labels(1, 2), "anna")
    assert len(kept(tmp_path)) == 3


WRITER = """
import sys
from pathlib import Path
sys.path.append(sys.argv[3])
from labelling_world import clip_of, operation
from clipquarry.labelling.journal import Journal
journal = Journal(Path(sys.argv[1]), "shared", clip_of())
n = 0
while True:
    name = f"{sys.argv[2]}-{n:06d}"
    with journal.opened() as opened:
        opened.append([operation(["image1_1", "labels/1", [str(n % 2)]], client=sys.argv[2], op=name)], "anna")
        opened.compact(3_000)
    print(name, flush=True)
    n += 1
"""


def test_kill_two_servers_at_once_and_everything_confirmed_is_there(tmp_path: Path) -> None:
    confirmed: list[str] = []
    here = str(Path(__file__).parent)
    for turn in range(3):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, f"server-{turn}-{n}", here], stdout=subprocess.PIPE, text=True)
            for n in (0, 1)
        ]  # fmt: skip
        for writer in writers:
            assert writer.stdout is not None
            confirmed += [writer.stdout.readline().strip() for _ in range(12 + turn)]
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            confirmed += writer.communicate()[0].split()[:-1]
    names = set(kept(tmp_path))
    assert len(confirmed) > 70 and set(confirmed) <= names
    with Journal(tmp_path, "shared", CLIP).opened() as opened:
        assert sorted(opened._known.names.values()) == list(range(1, len(names) + 1))


def test_an_operation_is_what_it_was_after_a_round_through_the_file(tmp_path: Path) -> None:
    made = replace(operation(["image1_1", "box", [1.5, 2, 30, 40], True], what="box"), undoes="key-000001")
    with Journal(tmp_path, "shared", CLIP).opened() as opened:
        (written,) = opened.append([made], "anna")
    with Journal(tmp_path, "shared", CLIP).opened() as opened:
        assert opened.since(0) == [written]
