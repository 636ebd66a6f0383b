"""The step ``unpack``: archive parts into the store, from where ``fetch`` takes the clips."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clipquarry.acquire.connection import Nearness
from clipquarry.datasets.model import Source
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.errors import Exit
from clipquarry.ids import clip_id
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.settings import DataRoot
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step
from clipquarry.steps.unpack import PART_FIELDS, WantedClips, write_parts

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
            "class_dir": "yoga", "label_index": 0, "start": 7, "end": 10, "row": 2,
        }
        for name in names
    ]  # fmt: skip


def cvdf(origin: Origin) -> Source:
    archive = {"format": "tar.gz", "into": "videos"}
    lists = {"val": f"{origin.url}/val_path.txt", "train": f"{origin.url}/absent.txt"}
    return Source.model_validate(
        {
            "id": "cvdf",
            "kind": "http",
            "provides": "items",
            "content": "clip",
            "parts_list": lists,
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
    count, problems = write_parts(cvdf(origin), ["val", "train", "test"], parts, DataRoot(data), environ={})
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


def test_an_interrupted_shard_does_not_read_finished_parts_again(
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
    rows = ({"item_id": f"{n}", "split": "train", "clip_id": clip_id(f"{n:011d}", n, n + 10)} for n in range(20_000))
    write_rows(tmp_path / "w.parquet", schema_of(ITEM_FIELDS, "plan"), rows)
    wanted = WantedClips(tmp_path / "w.parquet")
    assert clip_id(f"{777:011d}", 777, 787) in wanted
    assert clip_id(f"{777:011d}", 777, 788) not in wanted
    assert "zzz" not in wanted
    assert wanted._names.nbytes < 20_000 * 32
    write_rows(tmp_path / "none.parquet", schema_of(ITEM_FIELDS, "plan"), [])
    assert NAMES[0] not in WantedClips(tmp_path / "none.parquet")


def test_a_part_without_address_is_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_rows(data / "wanted.parquet", schema_of(ITEM_FIELDS, "plan"), wanted_rows(NAMES))
    run(data, data / "wanted.parquet", data / "out.parquet")
    assert "write_parts" in next(iter(read_rows(data / "out.parquet")))["evidence"]


def test_a_list_leads_no_nearer_than_who_served_it(origin: Origin, tmp_path: Path, films: dict[str, bytes]) -> None:
    data, parts = prepare(origin, tmp_path, films)
    rows = list(read_rows(parts))
    assert {row["led_by"] for row in rows} == {int(Nearness.LOCAL)}, "this machine's list may name this machine"
    before = sum(origin.asked.values())
    write_rows(parts, schema_of(PART_FIELDS, "parts"), [{**row, "led_by": int(Nearness.PUBLIC)} for row in rows])
    run(data, parts, data / "unpack.parquet")
    told = list(read_rows(data / "unpack.parquet"))
    assert {(row["status"], row["reason"]) for row in told} == {("missing", "not_found")}
    assert all("a public address led to" in row["evidence"] for row in told)
    assert sum(origin.asked.values()) == before
    here = cvdf(origin).model_copy(update={"parts_list": {"val": str(tmp_path / "served/val_path.txt")}})
    write_parts(here, ["val"], parts, DataRoot(data), environ={})
    assert {row["led_by"] for row in read_rows(parts)} == {None}, "a list on disk is the user's own"
