"""The step ``fetch`` that is killed, stopped, told to wait, run twice at once or out of disk: nothing half done, nothing asked for twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from clipquarry.acquire.breaker import Breaker
from clipquarry.errors import Exit
from clipquarry.manifest import read_rows
from clipquarry.media.probe import probe
from clipquarry.reasons import Reason
from clipquarry.steps.runner import StepResult
from clipquarry.store import Store
from dying import dies_at
from fetch_world import VIDEO, Yard
from fetch_world import films as films
from fetch_world import yard as yard


@pytest.mark.parametrize("content", ["clip", "video"])
def test_a_clip_that_came_before_a_kill_is_told_once(yard: Yard, content: str) -> None:
    name = yard.want()
    yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    sources = [yard.params()["sources"][0] if content == "clip" else yard.whole()]
    dies_at(Store, "put", lambda: yard.run(sources=sources), behind=True)
    yard.run(sources=sources)
    assert sum(yard.origin.asked.values()) == 1, "what is in the store is not asked for again"
    (attempt,) = yard.only()["attempts"]
    assert (attempt["reason"], attempt["source"]) == ("ok", sources[0]["id"])
    assert [path for path in (yard.data / ".clipquarry/scratch/work").rglob("*") if path.is_file()] == []


def test_a_shard_goes_on_where_it_was_interrupted(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [yard.want(video=f"bbbbbbbbbb{n}") for n in range(4)]
    for name in names:
        yard.serve(f"clips/val/juggling_balls/{name}.mp4")
    yard.origin.set_plan({f"*{names[1]}.mp4": {"do": "500", "times": 1}, f"*{names[3]}.mp4": "404"})
    from clipquarry.steps.fetch import FetchStep

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FetchStep, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            yard.run(jobs=1)
    assert not yard.out.exists()
    yard.run(jobs=1)
    rows = list(yard.result().values())
    assert [row["status"] for row in rows] == ["done", "done", "done", "missing"]
    assert [a["reason"] for a in rows[1]["attempts"]] == ["http_5xx", "ok"], "attempts of both tries"
    assert yard.origin.asked[f"clips/val/juggling_balls/{names[0]}.mp4"] == 1
    assert yard.origin.asked[f"clips/val/juggling_balls/{names[3]}.mp4"] == 1, "a settled no is not asked again"


def test_while_the_breaker_is_open_the_rest_is_done_and_the_step_waits(yard: Yard) -> None:
    there, absent = yard.want(video="ccccccccccc"), yard.want(video="ddddddddddd")
    yard.serve(f"clips/val/juggling_balls/{there}.mp4")
    breaker = Breaker(yard.data / ".clipquarry/egress/default")
    opened = breaker.open(Reason.BOT_CHECK, "Sign in to confirm you're not a bot")
    assert opened is not None
    youtube = {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video"}
    sources = [*yard.params()["sources"], youtube]
    result = yard.run(sources=sources)
    assert (result.exit, result.reason) == (Exit.WAIT, "bot_check")
    assert result.resume_at is not None
    assert abs(datetime.fromisoformat(result.resume_at) - opened.resume_at).total_seconds() < 2
    assert not yard.out.exists(), "not finished: no manifest"
    assert yard.file(0).exists(), "what did not need YouTube is done"
    assert yard.run(sources=sources, wait=False).exit is Exit.OK
    rows = yard.result()
    assert rows[f"val/juggling_balls/{absent}"]["reason"] == "waiting"
    assert [a["reason"] for a in rows[f"val/juggling_balls/{absent}"]["attempts"]][-2:] == ["not_found", "waiting"]


def test_two_data_sets_that_want_the_same_video_at_once_fetch_it_once(yard: Yard) -> None:
    yard.serve(f"videos/{VIDEO}.mp4", "whole")
    yard.origin.set_plan({"videos/*": {"do": "slow", "seconds": 0.5}})
    yard.want()
    results: list[StepResult] = []
    threads = [
        threading.Thread(
            target=lambda n=n: results.append(  # type: ignore[misc]
                yard.run(sources=[yard.whole()], root=f"set{n}", out=yard.data / f"out{n}.parquet")
            )
        )
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.exit for result in results] == [Exit.OK] * 3
    statuses = sorted(yard.only_of(f"out{n}.parquet")["status"] for n in range(3))
    assert statuses == ["done", "kept", "kept"]
    assert yard.origin.asked == {f"videos/{VIDEO}.mp4": 1}


RUN = (
    "import sys; from pathlib import Path; from clipquarry.steps.registry import make_step; "
    "from clipquarry.steps.runner import run_step; "
    "run_step(make_step('fetch'), items=Path(sys.argv[1]), params=sys.argv[2], out=Path(sys.argv[3]), "
    "data=Path(sys.argv[4]), jobs=2)"
)


def test_a_killed_step_that_is_run_again_equals_an_undisturbed_one(yard: Yard, tmp_path: Path) -> None:
    """Takes some seconds: the step is a program of its own, so that it can be killed for real."""
    for n in range(6):
        yard.serve(f"videos/eeeeeeeeee{n}.mp4", "whole")
        for start in (0, 5, 11):
            yard.want(video=f"eeeeeeeeee{n}", start=start, end=start + 3)
    yard.want(video="fffffffffff")
    undisturbed, data = yard.data, tmp_path / "killed"
    yard.run(sources=[yard.whole()])
    data.mkdir()
    argv = [sys.executable, "-c", RUN, str(undisturbed / "items.parquet")]
    argv += [json.dumps(yard.params(sources=[yard.whole()])), str(data / "out.parquet"), str(data)]
    moments = random.Random(7)
    for _ in range(2):
        child = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not list((data / ".clipquarry/store").rglob("*.mp4")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.5))
        child.send_signal(signal.SIGKILL)
        child.wait()
        for path in (data / "k").rglob("*.mp4"):
            assert probe(path).frames == 30, "whatever is in the layout is whole"
    subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)
    columns = ("item_id", "reason", "sha256", "bytes", "frames", "path", "source")
    there = [
        [{name: row[name] for name in columns} for row in read_rows(out)] for out in (yard.out, data / "out.parquet")
    ]
    assert there[0] == there[1]
    assert sorted(p.relative_to(data) for p in (data / "k").rglob("*")) == sorted(
        p.relative_to(undisturbed) for p in (undisturbed / "k").rglob("*")
    )


def test_too_little_disk_is_a_sentence_that_says_retry(yard: Yard) -> None:
    yard.want()
    result = yard.run(min_free_gb=1e9)
    assert result.exit is Exit.RETRY
    assert "free some space" in result.sentence


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/shm").exists(), reason="needs root to mount a small file system"
)
def test_a_disk_that_fills_up_stops_the_step_and_leaves_nothing_half_done(yard: Yard) -> None:
    yard.data.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(yard.data)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this sandbox does not let root mount a tmpfs")
    try:
        yard.serve(f"videos/{VIDEO}.mp4", "whole")
        for start in range(16):
            yard.want(start=start, end=start + 3)
        filler = yard.data / "filler"
        filler.write_bytes(b"x" * 400_000)
        result = yard.run(sources=[yard.whole()])
        assert result.exit is Exit.RETRY, result.sentence
        assert "free some space" in result.sentence
        filler.unlink()
        assert yard.run(sources=[yard.whole()], source_cache_gb=0).exit in (Exit.OK, Exit.RETRY)
        for path in (yard.data / "k").rglob("*.mp4"):
            assert probe(path).frames == 30
    finally:
        subprocess.run(["umount", str(yard.data)], check=True)
