"""The step ``download`` that is cut off, killed, told to wait, run twice at once or out of disk: resumed by byte range, no byte fetched twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from clipquarry.errors import Exit
from clipquarry.files import sha256_of
from clipquarry.manifest import read_rows
from clipquarry.steps import download, whole_file
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import run_step
from download_world import Yard
from download_world import films as films
from download_world import yard as yard
from dying import dies_at


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
