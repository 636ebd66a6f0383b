"""The step ``unpack``: archive parts into the store, from where ``fetch`` takes the clips."""

from __future__ import annotations

import io
import json
import random
import shutil
import sys
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from acquire.made_archives import needs_libarchive, zipped
from clipquarry.acquire.archives.limits import ArchiveLimits
from clipquarry.acquire.archives.native import library
from clipquarry.acquire.connection import Nearness
from clipquarry.datasets.model import Recipe, Source
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.errors import Exit
from clipquarry.files import TEMPORARY_PREFIX, sweep_unfinished
from clipquarry.ids import clip_id
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.settings import DataRoot
from clipquarry.steps.clips import Clips, Window
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step
from clipquarry.steps.unpack import VOLUME_FIELDS, WantedClips, write_volumes
from dying import dies_anywhere, took

pytestmark = needs_libarchive

NAMES = [clip_id(f"-aBcDeFgH_{n}", 7, 10) for n in range(4)]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("films")
    good = make_video(folder / "good.mp4", 3, 10, (64, 48)).read_bytes()
    return {"good": good, "short": make_video(folder / "short.mp4", 1, 10, (64, 48)).read_bytes()}


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    (tmp_path / "served").mkdir()
    with Origin(tmp_path / "served") as server:
        yield server


def save(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))


def wanted_rows(names: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "item_id": f"val/yoga/{name}", "video_id": name[:11], "clip_id": name, "split": "val", "label": "yoga",
            "class_dir": "yoga", "label_index": 0, "start": of(7), "end": of(10), "row": 2,
        }
        for name in names
    ]  # fmt: skip


def cvdf(origin: Origin) -> Source:
    archive = {"into": "videos"}
    lists = {"val": f"{origin.url}/val_path.txt", "train": f"{origin.url}/absent.txt"}
    return Source.model_validate(
        {
            "id": "cvdf",
            "kind": "http",
            "provides": "items",
            "content": "clip",
            "volume_lists": lists,
            "archive": archive,
            "attempts": 1,
        }
    )


def run(data: Path, parts: Path, out: Path) -> StepResult:
    params = json.dumps({"source": "cvdf", "wanted": "wanted.parquet", "attempts": 1, "timeout_s": 2})
    return run_step(make_step("unpack"), items=parts, params=params, out=out, data=data, jobs=2)


def prepare(origin: Origin, tmp_path: Path, films: dict[str, bytes]) -> tuple[Path, Path]:
    data, served = tmp_path / "data", tmp_path / "served"
    write_rows(data / "wanted.parquet", schema_of(ITEM_FIELDS, "plan"), wanted_rows(NAMES))
    other = clip_id("unwanted_id", 1, 4)
    save(
        served / "part_0.tar.gz",
        {f"val/{NAMES[0]}.mp4": films["good"], f"{NAMES[1]}.mp4": films["short"], f"{other}.mp4": films["good"]},
    )
    save(served / "part_1.tar.gz", {f"../../{NAMES[2]}.mp4": films["good"], "readme.txt": b"x"})
    save(served / "part_2.tar.gz", {f"{other}.mp4": films["good"]})
    (served / "part_3.tar.gz").write_bytes((served / "part_0.tar.gz").read_bytes()[:200])
    names = [*(f"part_{n}.tar.gz" for n in range(4)), "part_4.tar.gz"]
    (served / "val_path.txt").write_text("".join(f"{origin.url}/{name}\n" for name in names))
    parts = data / "parts.parquet"
    count, problems = write_volumes(cvdf(origin), ["val", "train", "test"], parts, DataRoot(data), environ={})
    assert count == 5
    assert problems["train"].startswith("not_found")
    assert set(problems) == {"train", "test"}
    return data, parts


def test_parts_are_read_once_and_fetch_finds_the_clips(origin: Origin, tmp_path: Path, films: dict[str, bytes]) -> None:
    data, parts = prepare(origin, tmp_path, films)
    out = data / "unpack.parquet"
    assert run(data, parts, out).exit is Exit.OK
    rows = list(read_rows(out))
    assert [(r["status"], r["reason"], r["found"], r["stored"]) for r in rows] == [
        ("done", "ok", 2, 1), ("done", "ok", 1, 1), ("missing", "no_source", 0, 0),
        ("missing", "truncated", 0, 0), ("missing", "not_found", 0, 0),
    ]  # fmt: skip
    (bad,) = rows[0]["unusable"]
    assert (bad["clip_id"], bad["reason"]) == (NAMES[1], "too_short")
    assert rows[0]["bytes"] == len(films["good"])
    store = sorted(path.name.split(".")[0] for path in (data / ".clipquarry/store").rglob("*.mp4"))
    assert store == sorted([NAMES[0], NAMES[2]])
    left = [path for path in (data / ".clipquarry/scratch").rglob("*") if path.is_file()]
    assert left == []
    params = {
        "root": "k",
        "sources": [{"id": "local", "kind": "local", "provides": "items", "content": "clip", "path": "${NOT_SET}"}],
        "min_free_gb": 0,
    }
    run_step(
        make_step("fetch"), items=data / "wanted.parquet", params=json.dumps(params), out=data / "f.parquet", data=data
    )
    fetched = list(read_rows(data / "f.parquet"))
    assert [r["status"] for r in fetched] == ["kept", "missing", "kept", "missing"]
    assert fetched[0]["source"] == "cvdf"
    assert (data / "k/videos_val/yoga" / f"{NAMES[0]}.mp4").read_bytes() == films["good"]
    assert run(data, parts, out).exit is Exit.OK
    again = list(read_rows(out))
    assert [(r["status"], r["stored"], r["kept"]) for r in again[:2]] == [("kept", 0, 1), ("kept", 0, 1)]


def test_an_interrupted_shard_does_not_read_finished_shards_again(
    origin: Origin, tmp_path: Path, films: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipquarry.steps.unpack import UnpackStep

    data, parts = prepare(origin, tmp_path, films)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(UnpackStep, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            run(data, parts, data / "unpack.parquet")
    run(data, parts, data / "unpack.parquet")
    assert origin.asked["part_0.tar.gz"] == 1
    assert origin.asked["part_3.tar.gz"] == 2, "a broken part is tried again"


def test_the_wanted_clips_are_exact_and_small(tmp_path: Path) -> None:
    rows = (
        {"item_id": f"{n}", "split": "train", "clip_id": clip_id(f"{n:011d}", n, n + 10), "video_id": f"{n:011d}", "start": of(n),
         "end": of(n + 10)}
        for n in range(20_000)
    )  # fmt: skip
    write_rows(tmp_path / "w.parquet", schema_of(ITEM_FIELDS, "plan"), rows)
    wanted = WantedClips(tmp_path / "w.parquet")
    assert clip_id(f"{777:011d}", 777, 787) in wanted
    assert clip_id(f"{777:011d}", 777, 788) not in wanted
    assert "zzz" not in wanted
    assert wanted.window(clip_id(f"{777:011d}", 777, 787)) == Window(f"{777:011d}", of(777), of(787))
    assert wanted._hashes.nbytes + wanted._order.nbytes + wanted._table.nbytes < 20_000 * 100
    write_rows(tmp_path / "none.parquet", schema_of(ITEM_FIELDS, "plan"), [])
    assert NAMES[0] not in WantedClips(tmp_path / "none.parquet")


OWN = ("v_ApplyEyeMakeup_g01_c01", "1", "1.5", "a.b.c", "#437 (best)_[ok]", "a.mp4")


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_clips_have_names_of_their_own(tmp_path: Path, films: dict[str, bytes], form: str) -> None:
    """The row says which window a clip is; neither a dot nor ``_`` in its name means anything."""
    data = tmp_path / "data"
    rows = [
        {**row, "item_id": f"val/yoga/{name}", "clip_id": name, "video_id": name, "start": 0, "end": of(3)}
        for name, row in zip(OWN, wanted_rows(list(OWN)), strict=True)
    ]
    double = [{**rows[0], "item_id": f"val/b/{n}", "clip_id": "twice", "video_id": n} for n in ("one", "two")]
    other = {
        **rows[0],
        "item_id": "val/c/x",
        "clip_id": "of_000007_000010",
        "video_id": "another",
        "start": 0,
        "end": of(3),
    }
    write_rows(data / "wanted.parquet", schema_of(ITEM_FIELDS, "plan"), [*rows, *double, other])
    suffixes = (".mp4", ".AVI", ".webm", ".mp4", ".mov", ".mkv")  # told by the bytes
    members = {f"videos/{name}{suffix}": films["good"] for name, suffix in zip(OWN, suffixes, strict=True)}
    unwanted = ("a.b.mp4", "a.mp4", "1.5.5.mp4", "11.mp4", "of_000007_000010.5.mp4", "1", "1.txt")
    members |= dict.fromkeys((*unwanted, "b/twice.mp4", "of_000007_000010.mp4"), films["good"])
    if form == "tar":
        save(tmp_path / "part", members)
    else:
        with zipfile.ZipFile(tmp_path / "part", "w") as archive:
            for name, body in members.items():
                archive.writestr(name, body)
    part = {"item_id": "val/part", "split": "val", "url": str(tmp_path / "part"), "led_by": None}
    write_rows(data / "parts.parquet", schema_of(VOLUME_FIELDS, "parts"), [part])
    params = {"source": "disk", "wanted": "wanted.parquet", "namespace": "ucf101"}
    out = data / "unpack.parquet"
    run_step(make_step("unpack"), items=data / "parts.parquet", params=json.dumps(params), out=out, data=data, jobs=1)
    (row,) = read_rows(out)
    assert (row["status"], row["found"], row["stored"]) == ("done", len(OWN) + 2, len(OWN) + 1)
    assert [(one["clip_id"], one["reason"], one["evidence"]) for one in row["unusable"]] == [
        ("twice", "bad_id", "2 windows have this name")
    ]
    clips = Clips(DataRoot(data), Recipe())
    assert all(clips.get(Window(name, 0, of(3), "ucf101")) for name in (*OWN, "another"))
    assert clips.get(Window("of", of(7), of(10), "ucf101")) is None, "what a name looks like means nothing"


def test_a_name_in_another_normal_form_is_the_clips(tmp_path: Path, films: dict[str, bytes]) -> None:
    """libarchive composes the names of zip; annotations may be written by a Mac, which takes them apart."""
    data, name = tmp_path / "data", unicodedata.normalize("NFD", "café_é")
    short = unicodedata.normalize("NFD", "kürz")
    rows = [
        {**row, "item_id": f"val/yoga/{one}", "clip_id": one, "video_id": one, "start": 0, "end": of(3)}
        for one, row in zip((name, short), wanted_rows([name, short]), strict=True)
    ]
    write_rows(data / "wanted.parquet", schema_of(ITEM_FIELDS, "plan"), rows)
    (tmp_path / "part").write_bytes(zipped({f"{name}.mp4": films["good"], f"{short}.mp4": films["short"]}))
    part = {"item_id": "val/part", "split": "val", "url": str(tmp_path / "part"), "led_by": None}
    write_rows(data / "parts.parquet", schema_of(VOLUME_FIELDS, "parts"), [part])
    params = {"source": "disk", "wanted": "wanted.parquet", "namespace": "own"}
    out = data / "unpack.parquet"
    run_step(make_step("unpack"), items=data / "parts.parquet", params=json.dumps(params), out=out, data=data, jobs=1)
    (row,) = read_rows(out)
    assert (row["found"], row["stored"]) == (2, 1)
    assert [one["clip_id"] for one in row["unusable"]] == [short], "by the name that the catalog has"
    assert Clips(DataRoot(data), Recipe()).get(Window(name, 0, of(3), "own"))


def test_a_wanted_clip_above_the_limit_is_in_the_table(
    tmp_path: Path, films: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ArchiveLimits(member=len(films["good"]) - 1)
    monkeypatch.setattr("clipquarry.acquire.archives.wanted.ArchiveLimits", lambda: small)
    data = tmp_path / "data"
    write_rows(data / "wanted.parquet", schema_of(ITEM_FIELDS, "plan"), wanted_rows(NAMES))
    save(tmp_path / "part", {f"{NAMES[0]}.mp4": films["good"]})
    part = {"item_id": "val/part", "split": "val", "url": str(tmp_path / "part"), "led_by": None}
    write_rows(data / "parts.parquet", schema_of(VOLUME_FIELDS, "parts"), [part])
    assert run(data, data / "parts.parquet", data / "out.parquet").exit is Exit.OK
    (row,) = read_rows(data / "out.parquet")
    assert (row["status"], row["found"], row["stored"]) == ("kept", 1, 0)
    (bad,) = row["unusable"]
    assert (bad["clip_id"], bad["reason"]) == (NAMES[0], "corrupt") and "are more than" in bad["evidence"]


def test_a_machine_without_libarchive_is_a_sentence_before_anything_is_read(
    origin: Origin, tmp_path: Path, films: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, parts = prepare(origin, tmp_path, films)
    before = sum(origin.asked.values())
    monkeypatch.setitem(sys.modules, "libarchive.ffi", None)
    library.cache_clear()
    try:
        done = run(data, parts, data / "out.parquet")
    finally:
        library.cache_clear()
    assert done.exit is Exit.FAIL and "libarchive" in done.sentence
    assert sum(origin.asked.values()) == before


def test_a_part_without_address_is_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_rows(data / "wanted.parquet", schema_of(ITEM_FIELDS, "plan"), wanted_rows(NAMES))
    run(data, data / "wanted.parquet", data / "out.parquet")
    assert "write_volumes" in next(iter(read_rows(data / "out.parquet")))["evidence"]


def test_a_list_leads_no_nearer_than_who_served_it(origin: Origin, tmp_path: Path, films: dict[str, bytes]) -> None:
    data, parts = prepare(origin, tmp_path, films)
    rows = list(read_rows(parts))
    assert {row["led_by"] for row in rows} == {int(Nearness.LOCAL)}, "this machine's list may name this machine"
    before = sum(origin.asked.values())
    write_rows(parts, schema_of(VOLUME_FIELDS, "parts"), [{**row, "led_by": int(Nearness.PUBLIC)} for row in rows])
    run(data, parts, data / "unpack.parquet")
    told = list(read_rows(data / "unpack.parquet"))
    assert {(row["status"], row["reason"]) for row in told} == {("missing", "not_found")}
    assert all("a public address led to" in row["evidence"] for row in told)
    assert sum(origin.asked.values()) == before
    here = cvdf(origin).model_copy(update={"volume_lists": {"val": str(tmp_path / "served/val_path.txt")}})
    write_volumes(here, ["val"], parts, DataRoot(data), environ={})
    assert {row["led_by"] for row in read_rows(parts)} == {None}, "a list on disk is the user's own"


def test_killed_anywhere_and_started_again_the_store_is_the_same(
    origin: Origin, tmp_path: Path, films: dict[str, bytes]
) -> None:
    calm, parts = prepare(origin, tmp_path, films)
    disturbed, again = tmp_path / "disturbed", tmp_path / "again"
    for copy in (disturbed, again):
        shutil.copytree(calm, copy)
    run(calm, parts, calm / "unpack.parquet")
    seconds = took(lambda: run(again, again / "parts.parquet", again / "unpack.parquet"))
    work = partial(run, disturbed, disturbed / "parts.parquet", disturbed / "unpack.parquet")
    assert dies_anywhere(work, seconds * 0.8, random.Random(11), 6) >= 3
    sweep_unfinished(disturbed)  # as every stage of a run begins
    assert work().exit is Exit.OK

    def left(data: Path) -> dict[str, bytes]:
        store = data / ".clipquarry/store"
        return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*.mp4")}

    def found(data: Path) -> list[tuple[Any, ...]]:
        rows = read_rows(data / "unpack.parquet")
        return [
            (row["item_id"], row["reason"], row["found"], row["stored"] + row["kept"], row["unusable"]) for row in rows
        ]

    assert left(disturbed) == left(calm)
    assert found(disturbed) == found(calm)
    names = [path.name for path in disturbed.rglob("*") if path.is_file()]
    assert not [name for name in names if name.startswith(TEMPORARY_PREFIX) or ".journal." in name or ".part" in name]
    assert list((disturbed / ".clipquarry/scratch").rglob("*.mp4")) == []
