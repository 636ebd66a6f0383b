"""The lock file and the comparison of two."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
from dataclasses import replace
from pathlib import Path

import clipquarry.release.lock as lock_module
import pytest
from click.testing import CliRunner
from clipquarry import former
from clipquarry.cli import main
from clipquarry.datasets.load import find_spec
from clipquarry.errors import GateBlocked, UserError
from clipquarry.release.diff import diff_locks
from clipquarry.release.lock import LockHeader, LockRow, open_lock, spec_hash, write_lock
from clipquarry.release.verify import verified
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory import traced_peak

HEADER = LockHeader(
    dataset="kinetics400",
    spec="s1",
    annotations={"train": "a" * 64, "val": "b" * 64},
    tools={"ffmpeg": "6.1", "clipquarry": "0.1.0"},
    settings={"crf": 20},
)


def clip(number: int, **changes: object) -> LockRow:
    name = f"{number:011d}_000000_000010"
    row = LockRow(f"kinetics400/videos_train/zumba/{name}.mp4", name, "train", 3, f"{number:064x}", 1000, 10.0, 300)
    return row._replace(**changes)


def written(tmp_path: Path, name: str, rows: list[LockRow], header: LockHeader = HEADER) -> Path:
    write_lock(tmp_path / name, header, rows)
    return tmp_path / name


def rows_of(path: Path) -> list[LockRow]:
    with open_lock(path) as lock:
        return list(lock)


APPROVED = {
    "gate": "clips", "checks": ["clips.coverage [val]"], "by": "Ada (ada)", "because": "7 % are gone for good", "at": "2026-11-30T19:00:00+00:00",
}  # fmt: skip


def test_who_released_although_a_gate_did_not_hold(tmp_path: Path) -> None:
    plain = written(tmp_path, "plain.lock", [clip(1)])
    released = written(tmp_path, "released.lock", [clip(1)], replace(HEADER, approved=[APPROVED]))
    with open_lock(released) as lock:
        assert list(lock.header.approved) == [APPROVED]
    without = json.loads(released.read_text().splitlines()[0])
    assert without.pop("approved") == [APPROVED]
    assert without == json.loads(plain.read_text().splitlines()[0]), "other locks stay as they were"
    diff = diff_locks(plain, released)
    assert diff.is_equal and list(diff.header) == ["approved"]
    assert (
        "clips (clips.coverage [val]), released by Ada (ada) at 2026-11-30T19:00:00+00:00, because “7 % are gone for good”"
        in diff.text()
    )
    assert diff_locks(released, released).header == {}


@pytest.mark.parametrize(
    "wrong",
    ["Ada", [1], [{}], [APPROVED | {"by": None}], [APPROVED | {"because": "\x1b[31m"}], [APPROVED | {"checks": "a"}]],
)
def test_a_damaged_approval_is_one_sentence(tmp_path: Path, wrong: object) -> None:
    path = written(tmp_path, "a.lock", [clip(1)])
    header, *rows = path.read_text().splitlines(keepends=True)
    path.write_text(json.dumps(json.loads(header) | {"approved": wrong}) + "\n" + "".join(rows))
    with pytest.raises(UserError, match="'approved' is no list of gates"), open_lock(path):
        pass


def test_exact_text(tmp_path: Path) -> None:
    path = written(tmp_path, "a.lock", [clip(2, duration=9.966_666_7), clip(1)])
    header, first, second = path.read_text().splitlines()
    assert json.loads(header) == {
        "version": 2, "namespace": "kinetics400", "dataset": "kinetics400", "spec": "s1", "clips": 2, "settings": {"crf": 20},
        "annotations": {"train": "a" * 64, "val": "b" * 64}, "tools": {"ffmpeg": "6.1", "clipquarry": "0.1.0"},
    }  # fmt: skip
    assert first == (
        '{"path":"kinetics400/videos_train/zumba/00000000001_000000_000010.mp4","clip_id":"00000000001_000000_000010",'
        f'"split":"train","label_index":3,"sha256":"{1:064x}","bytes":1000,"duration":10.0,"frames":300}}'
    )
    assert json.loads(second)["duration"] == 9.967


def hand_made(path: Path, rows: list[LockRow], **header: object) -> Path:
    """A lock of version 1, as the program of the former name wrote it."""
    values = {
        "annotations": {"train": "a" * 64, "val": "b" * 64}, "clips": len(rows), "dataset": "kinetics400",
        "settings": {"crf": 20}, "spec": "another way to hash", "tools": {former.NAME: "0.1.0", "ffmpeg": "6.1"}, "version": 1,
        **header,
    }  # fmt: skip
    path.write_text(json.dumps(values, sort_keys=True) + "\n" + "".join(row.line() for row in sorted(rows)))
    return path


def test_a_lock_of_version_1_says_the_same(tmp_path: Path) -> None:
    rows = [clip(1), clip(2)]
    old, new = hand_made(tmp_path / "old.lock", rows), written(tmp_path, "new.lock", rows)
    for a, b in ((old, new), (new, old), (old, old)):
        diff = diff_locks(a, b)
        assert diff.is_equal and diff.same == 2 and diff.header == {}
    changed = hand_made(tmp_path / "changed.lock", [clip(1, sha256="f"), clip(2, clip_id="x")], settings={"crf": 23})
    diff = diff_locks(changed, new)
    assert diff.header == {"settings.crf": (23, 20)} and diff.differing == 2
    assert diff.aspects["content"] == diff.aspects["identity"] == 1


def test_a_lock_of_version_1_is_verified(tmp_path: Path) -> None:
    data = b"clip"
    row = clip(1, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    file = tmp_path / row.path
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    with open_lock(hand_made(tmp_path / "old.lock", [row])) as lock:
        assert list(verified(lock, tmp_path, "it")) == [row]
    file.write_bytes(b"clap")
    with open_lock(tmp_path / "old.lock") as lock, pytest.raises(GateBlocked, match="other contents"):
        list(verified(lock, tmp_path, "it"))


def test_the_same_ids_of_two_data_sets_are_two(tmp_path: Path) -> None:
    a, b = (
        written(tmp_path, f"{name}.lock", [clip(1)], replace(HEADER, dataset=name, namespace=name))
        for name in ("lab_a", "lab_b")
    )
    diff = diff_locks(a, b)
    assert diff.header["namespace"] == ("lab_a", "lab_b") and diff.aspects["identity"] == 1
    shown = diff.examples["identity"][0]
    assert (shown.a, shown.b) == (f"train lab_a:{clip(1).clip_id}", f"train lab_b:{clip(1).clip_id}")
    world = [
        written(tmp_path, f"{name}.lock", [clip(1)], replace(HEADER, dataset=name, namespace="youtube"))
        for name in ("k400", "k600")
    ]
    assert diff_locks(*world).is_equal


def test_what_is_as_by_default_is_no_other_yaml() -> None:
    spec = find_spec("kinetics_demo")
    told = type(spec).model_validate(spec.model_dump(by_alias=True))  # every key is written out
    assert spec_hash(told) == spec_hash(spec)
    assert spec_hash(spec.model_copy(update={"title": "Another"})) != spec_hash(spec)


def test_any_order_of_rows_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [clip(number) for number in range(1000)]
    a = written(tmp_path, "a.lock", rows)
    monkeypatch.setattr(lock_module, "_CHUNK", 7)  # many sorted pieces
    random.Random(1).shuffle(rows)
    swapped = replace(HEADER, tools=dict(reversed(HEADER.tools.items())))
    b = written(tmp_path, "b.lock", rows, swapped)
    assert a.read_bytes() == b.read_bytes()
    assert rows_of(a) == [clip(number) for number in range(1000)]
    assert sorted(tmp_path.iterdir()) == [a, b]


def test_an_empty_lock(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, "a.lock", [])) == []


def test_a_path_twice_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Two clips have the path"):
        written(tmp_path, "a.lock", [clip(1), clip(2), clip(1, sha256="f")])
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_splits_that_number_classes_of_their_own(tmp_path: Path) -> None:
    """One file, a class of each release: no single number is right."""
    one = clip(1)
    numbered = [one._replace(split="k400_train", label_index=3), one._replace(split="k600_train", label_index=5)]
    (row,) = rows_of(written(tmp_path, "a.lock", numbered))
    assert (row.split, row.label_index) == ("k400_train,k600_train", -1)
    (row,) = rows_of(written(tmp_path, "b.lock", [one._replace(label_index=5) for one in numbered]))
    assert row.label_index == 5
    with pytest.raises(UserError, match="Two clips have the path"):
        written(tmp_path, "c.lock", [numbered[0], numbered[1]._replace(frames=7)])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lines: [lines[0].replace('"version": 2', '"version": 3'), *lines[1:]], "lock format 3.*upgrade"),
        (lambda lines: [lines[0].replace('"version": 2', '"version": "x"'), *lines[1:]], "not a lock file"),
        (lambda lines: [lines[0].replace('"version": 2', '"version": true'), *lines[1:]], "not a lock file"),
        (
            lambda lines: [lines[0].replace('"namespace": "kinetics400"', '"namespace": 7'), *lines[1:]],
            "'namespace' is no text",
        ),
        (lambda lines: [lines[0].replace('"namespace": "kinetics400", ', ""), *lines[1:]], "'namespace' is no text"),
        (lambda lines: [lines[0].replace('"spec": "s1"', '"spec": ["s1"]'), *lines[1:]], "'spec' is no text"),
        (lambda lines: [lines[0].replace('{"crf": 20}', "[20]"), *lines[1:]], "'settings' is no object"),
        (lambda lines: [lines[0].replace('"clips": 3', '"clips": "3"'), *lines[1:]], "'clips' is no whole number"),
        (
            lambda lines: [lines[0].replace('"version": 2', f'"version": {"9" * 400}'), *lines[1:]],
            "lock format 9{40}, this",
        ),
        (
            lambda lines: [*lines[:3], lines[3].replace('"label_index":3', '"label_index":3.5')],
            "'label_index' is no whole",
        ),
        (lambda lines: [*lines[:3], lines[3].replace(',"frames":300', "")], "it has no 'frames'"),
        (lambda lines: [*lines[:3], lines[3].replace('"frames"', '"more":1,"frames"')], "the unknown key 'more'"),
        (lambda lines: lines[1:], "not a lock file"),
        (lambda lines: [], "not a lock file"),
        (lambda lines: ["<html>", *lines], "not a lock file"),
        (lambda lines: ['{"version": 1}', *lines[1:]], "not complete"),
        (lambda lines: lines[:-1], "holds 2 clips where its header says 3"),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], "line 3: the paths are not in order"),
        (lambda lines: [*lines[:3], lines[3][:40]], "line 4 is not a clip"),
        (lambda lines: [*lines[:3], lines[3].replace("10.0", "NaN")], "line 4 is not a clip"),
        (lambda lines: [*lines[:3], lines[3].replace("300", '"x"')], "line 4 is not a clip"),
        (lambda lines: [*lines[:3], lines[3].replace("zumba", "\\u001b[31m")], "line 4 is not a clip"),
        (lambda lines: [*lines[:3], "[" * 100_000], "line 4 is not a clip"),
    ],
)
def test_a_damaged_lock_is_one_sentence(tmp_path: Path, change: object, sentence: str) -> None:
    path = written(tmp_path, "a.lock", [clip(number) for number in range(3)])
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))  # type: ignore[operator]
    with pytest.raises(UserError, match=sentence):
        rows_of(path)


@given(st.binary(max_size=200))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_break_the_reader(tmp_path: Path, junk: bytes) -> None:
    path = written(tmp_path, "a.lock", [clip(1)])
    path.write_bytes(path.read_bytes() + junk)
    if junk:
        with pytest.raises(UserError):
            rows_of(path)


def test_the_hash_of_a_spec_follows_its_content() -> None:
    spec = find_spec("kinetics400")
    assert spec_hash(spec) == spec_hash(find_spec("kinetics400"))
    assert spec_hash(spec) != spec_hash(spec.model_copy(update={"title": "another"}))


def test_what_differs_is_counted_by_aspect(tmp_path: Path) -> None:
    a = written(tmp_path, "a.lock", [clip(number) for number in range(10)])
    others = [
        clip(1, sha256="f" * 64, duration=9.5, frames=285), clip(2, label_index=4), clip(3, frames=299),
        clip(4, duration=10.0004), clip(5, split="val"), *[clip(n) for n in range(6, 12)],
    ]  # fmt: skip
    header = replace(HEADER, tools={"ffmpeg": "7.0"}, annotations={**HEADER.annotations, "val": "c" * 64}, spec="s2")
    b = written(tmp_path, "b.lock", others, header)
    diff = diff_locks(a, b, full=tmp_path / "all.csv")
    assert (diff.only_a, diff.only_b, diff.same, diff.differing) == (1, 2, 5, 4)
    assert diff.aspects == {"content": 1, "duration": 1, "frames": 2, "label": 1, "identity": 1}
    assert diff.header == {
        "annotations.val": ("b" * 64, "c" * 64),
        "spec": ("s1", "s2"),
        "tools.clipquarry": ("0.1.0", None),
        "tools.ffmpeg": ("6.1", "7.0"),
    }
    assert not diff.is_equal
    text = diff.text()
    assert "5 clips are the same, 4 differ." in text
    assert "tools.ffmpeg: a has '6.1', b has '7.0'" in text
    assert "frames differs: 2\n  kinetics400/videos_train/zumba/00000000001_000000_000010.mp4: 300 / 285" in text
    assert json.loads(json.dumps(diff.as_json()))["only_b"] == 2
    with open(tmp_path / "all.csv", newline="") as handle:
        table = list(csv.DictReader(handle))
    assert len(table) == 9
    assert table[0] == {"path": clip(0).path, "what": "only in a", "a": clip(0).sha256, "b": ""}


def test_equal_copies(tmp_path: Path) -> None:
    rows = [clip(number) for number in range(3)]
    diff = diff_locks(written(tmp_path, "a.lock", rows), written(tmp_path, "b.lock", rows))
    assert diff.is_equal
    assert diff.text().endswith("The clips are the same: 3 in both.")
    assert diff.header == {}


def test_memory_does_not_grow_with_the_clips(tmp_path: Path) -> None:
    def rows(count: int, sha: str) -> list[LockRow]:
        return [clip(number, sha256=sha) for number in range(count)]

    a, b = written(tmp_path, "a.lock", rows(20_000, "a")), written(tmp_path, "b.lock", rows(20_000, "b")[:15_000])
    diff = diff_locks(a, b, full=tmp_path / "all.csv")
    assert (diff.differing, diff.only_a, len(diff.examples["content"])) == (15_000, 5_000, 5)
    assert "and 14995 more" in diff.text()
    assert traced_peak(lambda: diff_locks(a, b, full=tmp_path / "again.csv")) < 3_000_000


def test_a_damaged_lock_leaves_no_list_of_differences(tmp_path: Path) -> None:
    a = written(tmp_path, "a.lock", [clip(1), clip(2)])
    b = tmp_path / "b.lock"
    b.write_text("".join(a.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match="holds 1 clips"):
        diff_locks(a, b, full=tmp_path / "all.csv")
    assert not (tmp_path / "all.csv").exists()
    with pytest.raises(UserError, match="cannot be read"):
        diff_locks(a, tmp_path / "absent.lock")


def test_the_csv_never_replaces_a_lock(tmp_path: Path) -> None:
    a, b = written(tmp_path, "a.lock", [clip(1)]), written(tmp_path, "b.lock", [clip(2)])
    (tmp_path / "link.csv").hardlink_to(b)
    before = a.read_bytes(), b.read_bytes()
    for full in (a, tmp_path / "link.csv"):
        with pytest.raises(UserError, match="is one of the two lock files"):
            diff_locks(a, b, full=full)
    assert (a.read_bytes(), b.read_bytes()) == before


def test_a_pipe_is_no_lock(tmp_path: Path) -> None:
    """Reading it would never end."""
    os.mkfifo(tmp_path / "a.lock")
    with pytest.raises(UserError, match="is a pipe"):
        diff_locks(tmp_path / "a.lock", tmp_path / "a.lock")


def test_an_error_of_a_rename_names_the_target(tmp_path: Path) -> None:
    a = written(tmp_path, "a.lock", [clip(1)])
    (tmp_path / "folder").mkdir()
    done = CliRunner().invoke(main, ["diff", str(a), str(a), "--csv", str(tmp_path / "folder")])
    told = f"clipquarry: {tmp_path}/folder is a folder where a file belongs: move it away, then run this again.\n"
    assert (done.exit_code, done.output) == (2, told)
