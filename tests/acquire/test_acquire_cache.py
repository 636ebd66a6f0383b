"""One lock per video, and a cache of source videos that stays within its bounds."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from threading import Event

import pytest
from clipquarry.acquire.cache import CachedVideo, SourceCache
from clipquarry.errors import RetryLater, UserError

ID = "-aBcDeFgH_1"


def put(cache: SourceCache, video_id: str, size: int, offset: float = 0.0, seconds: float = 100.0) -> CachedVideo:
    with cache.video(video_id, Event()) as work:
        file = work / "download.mp4"
        file.write_bytes(b"x" * size)
        return cache.put(video_id, file, offset, seconds, "youtube")


def used(video: CachedVideo, seconds_ago: float) -> None:
    os.utime(video.path, (time.time() - seconds_ago, video.path.stat().st_mtime))


def test_what_was_put_covers_its_windows_and_no_others(tmp_path: Path) -> None:
    cache = SourceCache(tmp_path, 1000)
    assert cache.get(ID, 0, 10) is None
    put(cache, ID, 100, offset=20.5, seconds=30)
    found = cache.get(ID, 21, 50)
    assert found is not None
    assert (found.offset, found.seconds, found.source, found.path.read_bytes()) == (20.5, 30, "youtube", b"x" * 100)
    assert cache.get(ID, 20, 30) is None
    assert cache.get(ID, 40, 51) is None
    assert cache.get(ID, 40, 51, slack=0.5) is not None
    assert cache.get("-aBcDeFgH_2", 21, 50) is None
    cache.forget(found)
    assert cache.get(ID, 21, 50) is None
    assert list((tmp_path / "sources").iterdir()) == []


def test_a_changed_or_half_gone_entry_does_not_count(tmp_path: Path) -> None:
    cache = SourceCache(tmp_path, 1000)
    found = put(cache, ID, 100)
    found.path.write_bytes(b"short")
    assert cache.get(ID, 0, 10) is None
    found.path.unlink()
    assert cache.get(ID, 0, 10) is None
    found.path.with_suffix(".json").write_text("[1]")
    assert cache.get(ID, 0, 10) is None


def test_the_least_recently_used_goes_first_and_never_what_is_in_use(tmp_path: Path) -> None:
    cache = SourceCache(tmp_path, 350)
    for n in range(3):
        used(put(cache, f"video-{n:05d}", 100), 30 - n)
    assert cache.get("video-00000", 0, 1) is not None  # used again: now the youngest
    put(cache, "video-00003", 100)
    assert [cache.get(f"video-{n:05d}", 0, 1) is not None for n in range(4)] == [True, False, True, True]
    oldest = cache.get("video-00002", 0, 1)
    assert oldest is not None
    used(oldest, 10)
    with cache.video("video-00002", Event()):
        put(cache, "video-00004", 100)
        assert cache.get("video-00002", 0, 1) is not None, "its lock is held"


def test_a_video_larger_than_the_cache_stays_where_it_is(tmp_path: Path) -> None:
    cache = SourceCache(tmp_path, 0)
    with cache.video(ID, Event()) as work:
        file = work / "download.mp4"
        file.write_bytes(b"x")
        assert cache.put(ID, file, 0, 10, "youtube").path == file
        assert file.exists()
    assert not work.exists()


def test_the_work_folder_is_emptied_but_for_parts_that_can_be_resumed(tmp_path: Path) -> None:
    cache = SourceCache(tmp_path, 0)
    with cache.video(ID, Event()) as work:
        (work / "a.done.mp4").touch()
        (work / "b.part.mp4").touch()
        (work / "b.part.mp4.json").touch()
        (work / "folder").mkdir()
        (work / "folder/c").touch()
    assert sorted(path.name for path in work.iterdir()) == ["b.part.mp4", "b.part.mp4.json"]
    assert not list((tmp_path / "locks").iterdir())


def _hold(root: str, counter: str, rounds: int) -> None:
    cache = SourceCache(Path(root), 0)
    for _ in range(rounds):
        with cache.video(ID, Event()):
            value = int(Path(counter).read_text())
            time.sleep(0.002)
            Path(counter).write_text(str(value + 1))


def test_only_one_works_on_a_video_over_threads_and_processes(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("fork")
    workers: list[threading.Thread | multiprocessing.process.BaseProcess] = [
        context.Process(target=_hold, args=(str(tmp_path), str(counter), 5)) for _ in range(3)
    ]
    workers += [threading.Thread(target=_hold, args=(str(tmp_path), str(counter), 5)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert counter.read_text() == "30"


def test_waiting_for_another_ends_when_cancelled(tmp_path: Path) -> None:
    cache, cancelled = SourceCache(tmp_path, 0), Event()
    with cache.video(ID, Event()):
        threading.Timer(0.2, cancelled.set).start()
        with pytest.raises(RetryLater), cache.video(ID, cancelled):
            pass


def test_what_a_killed_task_left_is_swept_only_when_nobody_works_on_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from threading import Event\n"
        "from clipquarry.acquire.cache import SourceCache\n"
        "with SourceCache(Path(sys.argv[1]), 0).video('killed-abcd', Event()) as work:\n"
        "    (work / 'half.mp4').write_bytes(b'x'); print('ready', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    cache = SourceCache(tmp_path, 1000)
    assert cache.sweep(older_than=-1) == 0, "its lock is held"
    child.kill()
    child.wait()
    child.stdout.close()
    assert (tmp_path / "work/killed-abcd/half.mp4").exists()
    put(cache, ID, 10)
    (tmp_path / "sources/orphan@1.mp4").write_bytes(b"x")
    assert cache.sweep(older_than=3600) == 1, "nobody holds its lock"
    assert not (tmp_path / "work/killed-abcd").exists()
    assert cache.sweep(older_than=-1) >= 1
    assert not (tmp_path / "sources/orphan@1.mp4").exists()
    assert cache.get(ID, 0, 1) is not None
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_download_that_can_be_resumed_is_swept_much_later_than_other_leftovers(tmp_path: Path) -> None:
    for name in ("begun", "rubbish"):
        (tmp_path / "work" / name).mkdir(parents=True)
    (tmp_path / "work/begun/1.part.mkv").write_bytes(b"x")
    (tmp_path / "work/rubbish/half.mp4").write_bytes(b"x")
    week = time.time() - 7 * 86400
    for path in (tmp_path / "work").rglob("*"):
        os.utime(path, (week, week))
    cache = SourceCache(tmp_path, 0)
    assert cache.sweep() == 1
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["begun"]
    assert cache.sweep(parts_older_than=86400) == 1


def test_hostile_ids_stay_inside(tmp_path: Path) -> None:
    with pytest.raises(UserError), SourceCache(tmp_path, 0).video("../../x", Event()):
        pass
