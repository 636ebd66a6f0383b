"""One bad file, or one source that goes wrong in its own way, costs neither its shard nor the other sources."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clipquarry.acquire.answer import ClipRequest, Fetched, FetchFailed
from clipquarry.acquire.sources import Asked
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.errors import Exit, MachineError, RetryLater
from clipquarry.ids import clip_id
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.media.tools import VARIABLE, ffmpeg
from clipquarry.microseconds import of
from clipquarry.reasons import Reason
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step

VIDEOS = ("aaaaaaaaaaa", "bbbbbbbbbbb", "ccccccccccc", "ddddddddddd")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_video(tmp_path_factory.mktemp("film") / "film.mp4", 4, 10, (64, 48), label="film").read_bytes()


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    (tmp_path / "served").mkdir()
    with Origin(tmp_path / "served") as server:
        yield server


def huge_index(film: bytes) -> bytes:
    at = film.rindex(b"stco")
    return film[: at + 8] + struct.pack(">I", 0x3FFFFFFF) + film[at + 12 :]


def fetch(data: Path, sources: list[dict[str, Any]], **more: Any) -> tuple[StepResult, dict[str, dict[str, Any]]]:
    rows = [
        {"item_id": video, "video_id": video, "clip_id": clip_id(video, 0, 2), "split": "val", "label": "a",
         "class_dir": "a", "label_index": 0, "start": 0, "end": of(2), "row": 2}
        for video in VIDEOS
    ]  # fmt: skip
    write_rows(data / "items.parquet", schema_of(ITEM_FIELDS, "plan"), rows)
    params = json.dumps({"root": "k", "sources": sources, "min_free_gb": 0, **more})
    out = data / "out.parquet"
    result = run_step(make_step("fetch"), items=data / "items.parquet", params=params, out=out, data=data, jobs=2)
    return result, {row["item_id"]: row for row in read_rows(out)}


@pytest.mark.parametrize("audio", ["aac", "copy"])
def test_one_file_that_asks_for_all_memory_does_not_stop_its_shard(film: bytes, audio: str, tmp_path: Path) -> None:
    folder = tmp_path / "local"
    folder.mkdir()
    for video in VIDEOS:
        (folder / f"{video}.mp4").write_bytes(huge_index(film) if video == VIDEOS[1] else film)
    local = {"id": "local", "kind": "local", "provides": "items", "content": "video", "path": str(folder)}
    result, rows = fetch(tmp_path / "data", [local], recipe={"audio": audio})
    assert result.exit is Exit.OK, result.sentence
    bad = rows.pop(VIDEOS[1])
    # Libraries that are newer than the system's ffmpeg find all frames of this file, and the clip is right.
    assert bad["reason"] == "corrupt" or (bad["reason"], bad["frames"], audio) == ("ok", 20, "copy")
    assert {row["reason"] for row in rows.values()} == {"ok"}


def test_one_file_that_crashes_what_cuts_it_does_not_stop_its_shard(
    film: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "local"
    folder.mkdir()
    times = [n / 10 + 0.03 * (n % 2) for n in range(40)]
    odd = make_video(tmp_path / "odd.mp4", 4, 10, (64, 48), label="odd", times=times).read_bytes()
    for video in VIDEOS:
        (folder / f"{video}.mp4").write_bytes(odd if video == VIDEOS[1] else film)
    crash = tmp_path / "ffmpeg"  # only the odd rate needs the program, which takes with it who started it
    crash.write_text(f'#!/bin/sh\ncase "$*" in *"-i "*) kill -SEGV $PPID;; *) exec "{ffmpeg().path}" "$@";; esac\n')
    crash.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(crash))
    local = {"id": "local", "kind": "local", "provides": "items", "content": "video", "path": str(folder)}
    result, rows = fetch(tmp_path / "data", [local])
    assert result.exit is Exit.OK, result.sentence
    bad = rows.pop(VIDEOS[1])
    assert (bad["status"], bad["reason"]) == ("failed", "tool_failed")
    assert "killed by signal 11, twice" in bad["evidence"]
    assert {row["reason"] for row in rows.values()} == {"ok"}


@pytest.mark.parametrize("to", ["http://[::1", "http://h:x/", "//", "http://\udcff/"])
def test_one_mirror_that_answers_nonsense_leaves_the_question_to_the_next(
    to: str, film: bytes, origin: Origin, tmp_path: Path
) -> None:
    for video in VIDEOS:
        (tmp_path / "served" / f"{video}.mp4").write_bytes(film)
    origin.set_plan({"bad/*": {"do": "redirect", "to": to.replace("\udcff", "\xff")}})
    sources = [
        {"id": id_, "kind": "http", "provides": "items", "content": "video", "attempts": 1, "url": f"{origin.url}{path}"}
        for id_, path in (("bad", "/bad/{id}.mp4"), ("good", "/{id}.mp4"))
    ]  # fmt: skip
    result, rows = fetch(tmp_path / "data", sources)
    assert result.exit is Exit.OK, result.sentence
    assert {(row["reason"], row["source"]) for row in rows.values()} == {("ok", "good")}
    assert all(len(row["attempts"]) == 2 for row in rows.values()), "what the first one said is on record"


class _Odd:
    """A source that raises."""

    id = "odd"

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def fetch(self, *_: Any) -> Fetched:
        raise self._error


def _av_error() -> BaseException:
    import av.error

    return av.error.PermissionError(13, "Permission denied", "x")


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (OSError(22, "Invalid argument"), FetchFailed), (_av_error(), FetchFailed), (ValueError("x"), FetchFailed),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), FetchFailed), (RecursionError(), FetchFailed), (KeyError("x"), FetchFailed),
        (OSError(28, "No space left on device"), RetryLater), (OSError(24, "Too many open files"), RetryLater),
        (MachineError("no ffmpeg"), MachineError), (FetchFailed(Reason.GONE, "gone"), FetchFailed),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)  # fmt: skip
def test_whatever_a_source_raises_is_an_answer(
    error: BaseException, becomes: type[BaseException], tmp_path: Path
) -> None:
    from threading import Event

    with pytest.raises(becomes) as caught:
        Asked(_Odd(error), "clip").fetch(ClipRequest("x", 0, 1), tmp_path, Event())
    if isinstance(caught.value, FetchFailed) and caught.value is not error:
        assert caught.value.reason is Reason.TOOL_FAILED
        assert type(error).__name__ in caught.value.evidence
