"""The step ``download`` against a real web server: whole files, resumed by byte range whatever dies, verified, kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.errors import Exit
from clipquarry.files import sha256_of
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from clipquarry.steps import download, whole_file
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step
from clipquarry.steps.source_clip import find_video
from clipquarry.store import Store
from dying import dies_at

FPS = 10


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("films")
    whole = make_video(folder / "whole.mp4", 6, FPS, (64, 48), label="whole").read_bytes()
    return {
        "whole": whole,
        "mkv": make_video(folder / "other.mkv", 4, FPS, (64, 48), label="other").read_bytes(),
        # 3 MB more in a box that every player skips: large enough to be worth resuming.
        "large": whole + (3 << 20).to_bytes(4, "big") + b"free" + os.urandom((3 << 20) - 8),
    }


class Yard:
    def __init__(self, folder: Path, films: dict[str, bytes], origin: Origin) -> None:
        self.data, self.films, self.origin, self.served = folder / "data", films, origin, folder / "served"
        self.rows: list[dict[str, Any]] = []
        self.out = self.data / "out/part-00000.parquet"
        self.sent: list[tuple[int, int]] = []
        """First byte and length of every body that the server began to send."""
        self.stall = threading.Event()
        self.stall.set()
        yard, handler = self, origin._server.RequestHandlerClass

        class Watched(handler):  # type: ignore[misc, valid-type]
            def _send(self, read: Any, length: int, *, trickle: bool) -> None:
                yard.sent.append((read.__self__.tell(), length))
                if yard.stall.is_set():
                    super()._send(read, length, trickle=trickle)
                    return
                super()._send(read, length // 2, trickle=trickle)
                self.wfile.flush()
                yard.stall.wait(30)

        origin._server.RequestHandlerClass = Watched

    def serve(self, name: str, film: str = "whole") -> Path:
        path = self.served / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.films[film])
        return path

    def want(self, name: str = "-5KQ66BBWC4.mp4", split: str = "train", **more: Any) -> None:
        self.rows.append(
            {
                "item_id": f"{split}/{name}", "video_id": Path(name).stem, "clip_id": name, "split": split,
                "label": None, "class_dir": None, "label_index": -1, "start": of(900), "end": of(1801), "row": 1, **more,
            }
        )  # fmt: skip

    def http(self, id_: str = "cvdf", **more: Any) -> dict[str, Any]:
        return {
            "id": id_, "kind": "http", "provides": "items", "content": "video", "attempts": 1,
            "url": f"{self.origin.url}/{id_}/{{split}}/{{clip}}", **more,
        }  # fmt: skip

    def params(self, **more: Any) -> dict[str, Any]:
        return {
            "root": "ava", "sources": [self.http()], "min_free_gb": 0,
            "split_names": {"train": "trainval", "val": "trainval"}, **more,
        }  # fmt: skip

    def items(self) -> Path:
        items = self.data / "items.parquet"
        write_rows(items, schema_of(ITEM_FIELDS, "plan"), self.rows)
        return items

    def run(self, **more: Any) -> StepResult:
        params = json.dumps(self.params(**more))
        return run_step(make_step("download"), items=self.items(), params=params, out=self.out, data=self.data, jobs=2)

    def result(self) -> dict[str, dict[str, Any]]:
        return {row["item_id"]: row for row in read_rows(self.out)}

    def only(self) -> dict[str, Any]:
        (row,) = self.result().values()
        return row

    def file(self, name: str = "-5KQ66BBWC4.mp4") -> Path:
        return self.data / "ava/videos" / name

    def scratch(self) -> list[str]:
        return sorted(path.name for path in (self.data / ".clipquarry/scratch").rglob("*") if path.is_file())


@pytest.fixture
def yard(tmp_path: Path, films: dict[str, bytes]) -> Iterator[Yard]:
    (tmp_path / "served").mkdir()
    with Origin(tmp_path / "served") as origin:
        yield Yard(tmp_path, films, origin)


def test_a_film_comes_whole_with_its_facts_and_is_kept_the_next_time(yard: Yard) -> None:
    yard.want()
    yard.want("0f39OWEqJ24.mkv", "val")
    yard.want("_aBcDeFgH-1.mp4", "test")
    served = yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.serve("cvdf/trainval/0f39OWEqJ24.mkv", "mkv")
    yard.serve("cvdf/test/_aBcDeFgH-1.mp4")
    assert yard.run().exit is Exit.OK
    row, other, test = yard.result().values()
    assert [one["status"] for one in (row, other, test)] == ["done"] * 3
    assert (row["path"], row["source"]) == ("ava/videos/-5KQ66BBWC4.mp4", "cvdf")
    assert row["sha256"] == sha256_of(served) == sha256_of(yard.data / row["path"])
    assert (row["frames"], row["fps"], row["width"], row["height"], row["has_audio"]) == (60, 10.0, 64, 48, True)
    assert row["duration"] == pytest.approx(6.0)
    assert row["bytes"] == served.stat().st_size
    assert [(a["source"], a["reason"], a["bytes"]) for a in row["attempts"]] == [("cvdf", "ok", row["bytes"])]
    assert (other["path"], other["frames"]) == ("ava/videos/0f39OWEqJ24.mkv", 40)
    assert yard.scratch() == []
    found = find_video(Store(DataRoot(yard.data).store), "-5KQ66BBWC4.mp4", yard.file())
    assert found is not None
    assert found.sha256 == row["sha256"]
    asked, before = sum(yard.origin.asked.values()), yard.file().stat()
    yard.file().write_bytes(b"x" * before.st_size)
    os.utime(yard.file(), ns=(before.st_atime_ns, before.st_mtime_ns))
    yard.run()
    assert [one["status"] for one in yard.result().values()] == ["kept"] * 3
    again = yard.result()["train/-5KQ66BBWC4.mp4"]
    columns = ("bytes", "sha256", "duration", "frames", "fps", "width", "height", "has_audio", "path", "source")
    assert {name: again[name] for name in columns} == {name: row[name] for name in columns}, "no byte was read again"
    assert again["attempts"] == []
    assert sum(yard.origin.asked.values()) == asked


def test_facts_are_about_the_file_that_lies_there(yard: Yard) -> None:
    yard.want()
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.run()
    yard.file().write_bytes(yard.films["mkv"])
    yard.run()
    row = yard.only()
    assert (row["status"], row["source"], row["frames"]) == ("kept", "existing", 40)
    assert row["sha256"] == sha256_of(yard.file())
    yard.file().unlink()
    yard.run()
    assert (yard.only()["status"], yard.only()["source"]) == ("done", "cvdf")


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        ("404", Reason.NOT_FOUND), ("403", Reason.FORBIDDEN_MEDIA), ("503", Reason.HTTP_5XX),
        ("html", Reason.NOT_A_VIDEO), ("truncate", Reason.TRUNCATED), ("cut", Reason.TRUNCATED),
        ("garbage", Reason.NOT_A_VIDEO), ({"do": "slow", "seconds": 20}, Reason.TRANSPORT),
    ],
)  # fmt: skip
def test_every_dead_link_has_its_reason_and_leaves_nothing(yard: Yard, plan: Any, reason: Reason) -> None:
    yard.want()
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.origin.set_plan({"cvdf/*": plan})
    assert yard.run(sources=[yard.http(timeout_s=0.5)]).exit is Exit.OK
    row = yard.only()
    assert (row["status"], row["reason"], row["path"]) == ("missing", str(reason), None)
    assert row["evidence"].startswith("cvdf: ")
    assert [a["reason"] for a in row["attempts"]] == [str(reason)]
    assert not yard.file().exists()
    assert yard.scratch() == []
    yard.origin.set_plan({})
    yard.run()
    assert yard.only()["status"] == "done", "a link that came back"


def test_a_bad_answer_makes_the_next_source_be_asked(yard: Yard) -> None:
    yard.want()
    yard.serve("mirror/trainval/-5KQ66BBWC4.mp4")
    yard.origin.set_plan({"mirror/*": "cut"})
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.run(sources=[yard.http("mirror"), yard.http()])
    row = yard.only()
    assert (row["status"], row["source"]) == ("done", "cvdf")
    assert [(a["source"], a["reason"]) for a in row["attempts"]] == [("mirror", "truncated"), ("cvdf", "ok")]


def test_broken_connections_are_resumed_until_the_film_is_whole(yard: Yard) -> None:
    yard.want()
    served = yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4", "large")
    yard.origin.set_plan({"cvdf/*": {"do": "truncate", "times": 3, "share": 0.4}})
    yard.run(sources=[yard.http(attempts=5)])
    assert yard.only()["sha256"] == sha256_of(served)
    assert sum(length for _, length in yard.sent) == served.stat().st_size, "no byte was sent twice"


RUN = (
    "import sys; from pathlib import Path; from clipquarry.steps.registry import make_step; "
    "from clipquarry.steps.runner import run_step; "
    "run_step(make_step('download'), items=Path(sys.argv[1]), params=sys.argv[2], out=Path(sys.argv[3]), "
    "data=Path(sys.argv[4]))"
)


def _killed(yard: Yard, until: Any) -> None:
    """Run the step as a program of its own, and kill it when ``until`` says so."""
    argv = [sys.executable, "-c", RUN, str(yard.items()), json.dumps(yard.params()), str(yard.out), str(yard.data)]
    child = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not until() and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.02)
    assert child.poll() is None, "it was still at work"
    child.send_signal(signal.SIGKILL)
    child.wait()


def test_a_download_survives_the_death_of_its_process_and_no_byte_is_fetched_twice(yard: Yard) -> None:
    """Takes some seconds: the step is a program of its own, so that it can be killed for real."""
    yard.want()
    served = yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4", "large")
    total = served.stat().st_size
    work = yard.data / ".clipquarry/scratch/work/download--5KQ66BBWC4.mp4"

    def half() -> bool:
        return sum(part.stat().st_size for part in work.glob("*.part.mp4")) >= total // 2

    yard.stall.clear()
    _killed(yard, half)
    assert not yard.file().exists()
    assert not list(yard.data.glob("ava/**/*.mp4")), "nothing half-made in the layout"
    (part,) = work.glob("*.part.mp4")
    had = part.stat().st_size
    assert had == total // 2
    yard.stall.set()
    yard.run()
    row = yard.only()
    assert (row["status"], row["sha256"]) == ("done", sha256_of(served))
    assert yard.sent == [(0, total), (had, total - had)], "the second question was for the rest"
    assert yard.scratch() == []


def test_a_file_that_had_arrived_when_the_process_died_is_not_fetched_again(yard: Yard) -> None:
    yard.want()
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    work = yard.data / ".clipquarry/scratch/work/download--5KQ66BBWC4.mp4"
    work.mkdir(parents=True)
    (work / "arrived.part.mp4").write_bytes(yard.films["whole"])
    (work / "arrived.part.json").write_text('{"source": "cvdf", "evidence": "host, 1 byte", "seconds": 2.5}')
    yard.run()
    row = yard.only()
    assert (row["status"], row["source"], yard.sent) == ("done", "cvdf", [])
    assert [(a["source"], a["reason"], a["seconds"]) for a in row["attempts"]] == [("cvdf", "ok", 2.5)]
    assert yard.scratch() == []
    yard.file().unlink()
    work.mkdir(parents=True, exist_ok=True)
    (work / "arrived.part.mp4").write_bytes(b"nobody knows")
    (work / "arrived.part.json").write_text("[")
    yard.run()
    assert (yard.only()["status"], len(yard.sent)) == ("done", 1)


@pytest.mark.parametrize(("where", "behind"), [("link_or_copy", False), ("publish", False), ("publish", True)])
def test_a_film_that_came_before_a_kill_is_told_once(yard: Yard, where: str, behind: bool) -> None:
    yard.want()
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    dies_at(whole_file, where, yard.run, behind=behind)
    dies_at(download, "media_columns", yard.run)  # and once more, before its row is in the journal
    yard.run()
    (attempt,) = yard.only()["attempts"]
    assert (attempt["source"], attempt["reason"]) == ("cvdf", "ok")
    assert sum(yard.origin.asked.values()) == 1
    assert yard.scratch() == []
    assert yard.file().exists()


def test_local_folders_are_read_in_the_usual_forms_and_never_changed(yard: Yard, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    names = {"aaaaaaaaaa1.mp4": "", "aaaaaaaaaa2.mp4": "trainval/", "aaaaaaaaaa3.mp4": "train/", "aaaaaaaaaa4.mp4": "videos/",
             "aaaaaaaaaa5.mp4": "videos_train/"}  # fmt: skip
    for name, folder in names.items():
        yard.want(name)
        (mine / folder).mkdir(parents=True, exist_ok=True)
        (mine / folder / name).write_bytes(yard.films["whole"])
    yard.want("aaaaaaaaaa6.mkv")
    (mine / "aaaaaaaaaa6.mp4").write_bytes(yard.films["whole"])
    before = {path: (path.stat().st_mtime_ns, sha256_of(path)) for path in mine.rglob("*.mp4")}
    local = {"id": "local", "kind": "local", "provides": "items", "content": "video", "path": str(mine)}
    yard.run(sources=[local])
    rows = list(yard.result().values())
    assert [row["status"] for row in rows] == ["done"] * 5 + ["missing"], "another container is another file"
    assert {row["source"] for row in rows[:5]} == {"local"}
    assert rows[5]["reason"] == "not_found"
    assert yard.file("aaaaaaaaaa1.mp4").samefile(mine / "aaaaaaaaaa1.mp4"), "linked, not copied"
    assert {path: (path.stat().st_mtime_ns, sha256_of(path)) for path in mine.rglob("*.mp4")} == before


def test_a_good_file_that_lies_there_is_adopted_untouched_whatever_its_row_says(yard: Yard) -> None:
    yard.want()
    yard.file().parent.mkdir(parents=True)
    yard.file().write_bytes(yard.films["mkv"])
    before = yard.file().stat()
    yard.run()
    row = yard.only()
    assert (row["status"], row["source"], row["attempts"]) == ("kept", "existing", [])
    assert (yard.file().stat().st_ino, yard.file().stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert yard.sent == []


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>", "half"])
def test_a_bad_file_that_lies_there_is_set_aside_never_deleted(yard: Yard, content: Any) -> None:
    yard.want()
    data = yard.films["whole"][: len(yard.films["whole"]) // 2] if content == "half" else content
    yard.file().parent.mkdir(parents=True)
    yard.file().write_bytes(data)
    yard.run()
    row = yard.only()
    assert (row["status"], row["reason"]) == ("missing", "not_found")
    assert "was moved to" in row["evidence"]
    assert not yard.file().exists()
    assert (yard.data / ".clipquarry/set-aside/ava/videos/-5KQ66BBWC4.mp4").read_bytes() == data
    yard.file().symlink_to(yard.data / "unmounted.mp4")
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.run()
    assert yard.only()["status"] == "done"
    assert "was moved to" in yard.only()["evidence"]
    assert (yard.data / ".clipquarry/set-aside/ava/videos/-5KQ66BBWC4+.mp4").is_symlink()


def test_a_server_that_wants_a_pause_makes_the_step_wait_and_the_rest_is_done(yard: Yard) -> None:
    for n in range(3):
        yard.want(f"aaaaaaaaaa{n}.mp4")
    yard.serve("cvdf/trainval/aaaaaaaaaa2.mp4")
    yard.origin.set_plan(
        {f"cvdf/trainval/aaaaaaaaaa{n}.mp4": {"do": "429", "retry_after": 3600, "times": 1} for n in range(2)}
    )
    result = yard.run()
    assert (result.exit, result.reason) == (Exit.WAIT, "http_429")
    assert result.resume_at is not None
    assert 3500 < (datetime.fromisoformat(result.resume_at) - datetime.now(UTC)).total_seconds() <= 3600
    assert not yard.out.exists()
    assert yard.file("aaaaaaaaaa2.mp4").exists()
    for n in range(2):
        yard.serve(f"cvdf/trainval/aaaaaaaaaa{n}.mp4")
    assert yard.run().exit is Exit.OK
    assert [row["status"] for row in yard.result().values()] == ["done"] * 3
    assert [a["reason"] for a in yard.result()["train/aaaaaaaaaa0.mp4"]["attempts"]] == ["http_429", "ok"]
    yard.want("aaaaaaaaaa9.mp4")
    yard.origin.set_plan({"cvdf/*": {"do": "429", "retry_after": 3600}})
    assert yard.run(wait=False).exit is Exit.OK
    assert yard.result()["train/aaaaaaaaaa9.mp4"]["reason"] == "http_429"


def test_too_large_files_and_sources_of_other_kinds_are_said(yard: Yard) -> None:
    yard.want()
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    youtube = {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video"}
    yard.run(sources=[yard.http(), youtube], max_bytes=1000)
    assert "more than the limit of 1000" in yard.only()["evidence"]
    yard.run(sources=[youtube])
    row = yard.only()
    assert row["reason"] == "no_source"
    assert "whole files cannot be fetched from a source of kind 'youtube'" in row["evidence"]
    assert yard.run(order=["nope"]).exit is Exit.USAGE


@pytest.mark.parametrize(
    "change",
    [
        {"clip_id": "../../x.mp4"}, {"clip_id": "..mp4"}, {"clip_id": ".mp4"}, {"clip_id": "-5KQ66BBWC4.exe"},
        {"clip_id": "-5KQ66BBWC4"}, {"clip_id": None}, {"clip_id": "-5KQ66BBWC4.mp4\n"}, {"clip_id": "a/-5KQ66BBWC4.mp4"},
        {"video_id": "0f39OWEqJ24"}, {"video_id": None}, {"split": "../.."}, {"split": ".."}, {"class_dir": ".."},
        {"class_dir": "a/b"}, {"split": ".clipquarry"}, {"clip_id": "x" * 200 + ".mp4"},
    ],
)  # fmt: skip
def test_hostile_rows_are_rejected_and_the_others_go_on(yard: Yard, change: dict[str, Any]) -> None:
    yard.want(**change)
    yard.want("0f39OWEqJ24.mp4")
    yard.rows[0]["item_id"] = "bad"
    yard.serve("cvdf/trainval/0f39OWEqJ24.mp4")
    yard.run()
    rows = list(yard.result().values())
    assert [row["status"] for row in rows] == ["rejected", "done"]
    assert rows[0]["reason"] in ("bad_id", "bad_label")


def test_two_tasks_that_want_the_same_film_fetch_it_once(yard: Yard) -> None:
    yard.want()
    yard.serve("cvdf/trainval/-5KQ66BBWC4.mp4")
    yard.origin.set_plan({"cvdf/*": {"do": "slow", "seconds": 0.5}})
    items = yard.items()
    results: list[str] = []

    def one(n: int) -> None:
        out = yard.data / f"out{n}.parquet"
        run_step(make_step("download"), items=items, params=json.dumps(yard.params()), out=out, data=yard.data)
        results.extend(row["status"] for row in read_rows(out))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["done", "kept", "kept"]
    assert len(yard.sent) == 1


def test_an_interrupted_shard_goes_on_where_it_was(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    from clipquarry.steps.download import DownloadStep

    for n in range(2):
        yard.want(f"aaaaaaaaaa{n}.mp4")
        yard.serve(f"cvdf/trainval/aaaaaaaaaa{n}.mp4")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(DownloadStep, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            yard.run()
    yard.file("aaaaaaaaaa1.mp4").unlink()
    yard.run()
    assert [row["status"] for row in yard.result().values()] == ["done", "done"]
    assert len(yard.sent) == 3, "only the one that went was fetched again"


def test_too_little_disk_is_a_sentence_that_says_retry(yard: Yard) -> None:
    yard.want()
    result = yard.run(min_free_gb=1e9)
    assert result.exit is Exit.RETRY
    assert "free some space" in result.sentence
