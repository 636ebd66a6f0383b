"""Processes that cut: real ones, killed, hung and crashed for real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import read_frame_numbers
from clipquarry.errors import MachineError, RetryLater
from clipquarry.media import cut, cutters
from clipquarry.media.cutters import cut_clip
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MediaFacts
from clipquarry.media.tools import VARIABLE, ffmpeg
from clipquarry.reasons import Reason

RECIPE = Recipe(fps=30)
PATIENCE = 60.0
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel ends the children of a dead process on Linux only"
)


def clip(source: Path, out: Path, *, recipe: Recipe = RECIPE, duration: float = 2) -> MediaFacts:
    return cut_clip(source, out, start=3, duration=duration, recipe=recipe, tolerance=0.5)


def alive(parent: int) -> set[int]:
    """The cutters of a process."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = path.read_text().rsplit(")", 1)[1].split()[:2]
            command = path.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(ppid) == parent and state != "Z" and b"clipquarry.media.cutter" in command:
            found.add(int(path.parent.name))
    return found


def until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def none_left() -> Iterator[None]:
    """Every test begins and ends without cutters."""
    cutters._cutters.end()
    yield
    cutters._cutters.end()
    until(lambda: not alive(os.getpid()))


@pytest.fixture
def in_thread() -> Iterator[Callable[..., Future[MediaFacts]]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit


@linux
def test_one_process_cuts_clip_after_clip(plain: Path, tmp_path: Path) -> None:
    facts = clip(plain, tmp_path / "a.mp4")
    first = alive(os.getpid())
    assert len(first) == 1
    assert clip(plain, tmp_path / "b.mp4") == facts
    assert alive(os.getpid()) == first
    assert facts == cut.cut_clip(plain, tmp_path / "c.mp4", start=3, duration=2, recipe=RECIPE, tolerance=0.5)
    assert read_frame_numbers(tmp_path / "b.mp4") == list(range(90, 150))


@linux
def test_there_are_as_many_as_are_at_work(plain: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(clip, plain, tmp_path / f"{n}.mp4") for n in range(4)]
    assert {future.result().frames for future in made} == {60}
    assert 1 <= len(alive(os.getpid())) <= 2


def test_errors_are_those_of_a_cut(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.mp4").write_text("<html>gone</html>")
    with pytest.raises(MediaError, match="html") as caught:
        clip(tmp_path / "page.mp4", tmp_path / "out.mp4")
    assert caught.value.reason is Reason.NOT_A_VIDEO
    with pytest.raises(MediaError) as caught:
        cut_clip(plain, tmp_path / "out.mp4", start=11, duration=4, recipe=RECIPE, tolerance=0.5)
    assert caught.value.reason is Reason.TOO_SHORT
    with pytest.raises(FileNotFoundError):
        clip(tmp_path / "none.mp4", tmp_path / "out.mp4")
    with pytest.raises(MediaError, match="ValueError: a window needs"):
        cut_clip(plain, tmp_path / "out.mp4", start=-1, duration=4, recipe=RECIPE, tolerance=0.5)
    monkeypatch.setenv(VARIABLE, "/no/ffmpeg")
    with pytest.raises(MachineError, match="/no/ffmpeg"):
        clip(plain, tmp_path / "out.mp4", recipe=Recipe(audio="aac"))
    assert not (tmp_path / "out.mp4").exists()


@linux
def test_a_cutter_that_is_killed_at_work_is_replaced_and_its_clip_is_made(
    plain: Path, tmp_path: Path, in_thread: Callable[..., Future[MediaFacts]]
) -> None:
    out = tmp_path / "out.mp4"
    made = in_thread(clip, plain, out, duration=8)
    until(out.exists)
    (victim,) = alive(os.getpid())
    os.kill(victim, signal.SIGSEGV)
    assert made.result().frames == 240
    assert read_frame_numbers(out) == list(range(90, 330))
    assert len(alive(os.getpid())) == 1
    assert victim not in alive(os.getpid())


@linux
def test_a_cutter_that_died_while_it_waited_costs_nothing(plain: Path, tmp_path: Path) -> None:
    clip(plain, tmp_path / "a.mp4")
    (victim,) = alive(os.getpid())
    os.kill(victim, signal.SIGKILL)
    until(lambda: not alive(os.getpid()))
    assert clip(plain, tmp_path / "b.mp4").frames == 60


def crashing(folder: Path) -> Path:
    """An ffmpeg that encodes nothing but takes the cutter with it: what a codec does that crashes on a file."""
    program = folder / "ffmpeg"
    program.write_text(f'#!/bin/sh\ncase "$*" in *"-i "*) kill -SEGV $PPID;; *) exec "{ffmpeg().path}" "$@";; esac\n')
    program.chmod(0o755)
    return program


@linux
def test_a_file_that_ends_two_cutters_has_its_reason_and_costs_only_itself(
    plain: Path, sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(crashing(tmp_path)))
    for _ in range(2):
        with pytest.raises(MediaError, match="killed by signal 11, twice") as caught:
            clip(sources["variable rate"], tmp_path / "out.mp4", recipe=Recipe())
        assert caught.value.reason is Reason.TOOL_FAILED
        assert not (tmp_path / "out.mp4").exists()
        assert clip(plain, tmp_path / "good.mp4").frames == 60


@pytest.fixture
def hanging(tmp_path: Path) -> Path:
    """A file that is never read to its end, because nobody writes it."""
    os.mkfifo(tmp_path / "hangs.mp4")
    return tmp_path / "hangs.mp4"


@linux
def test_a_file_that_hangs_costs_its_time_and_nothing_else(hanging: Path, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="stopped after 1 s, twice") as caught:
        cut_clip(hanging, tmp_path / "out.mp4", start=0, duration=2, recipe=RECIPE, tolerance=0.5, look_seconds=1.0)
    assert caught.value.reason is Reason.TOOL_FAILED
    assert not alive(os.getpid())
    assert clip(plain, tmp_path / "good.mp4").frames == 60


@linux
def test_a_step_that_is_told_to_stop_does_not_wait(hanging: Path, tmp_path: Path) -> None:
    cancelled = Event()
    threading.Timer(0.5, cancelled.set).start()
    with pytest.raises(RetryLater, match="told to stop"):
        cut_clip(hanging, tmp_path / "out.mp4", start=0, duration=2, recipe=RECIPE, tolerance=0.5, cancelled=cancelled)
    assert not alive(os.getpid())


@linux
def test_nothing_outlives_a_parent_that_is_killed(hanging: Path, plain: Path, tmp_path: Path) -> None:
    script = (
        "import sys, threading; from pathlib import Path; from clipquarry.datasets.model import Recipe\n"
        "from clipquarry.media.cutters import cut_clip\n"
        "def one(source, out):\n"
        "    cut_clip(Path(source), Path(out), start=0, duration=2, recipe=Recipe(fps=30), tolerance=0.5)\n"
        "one(sys.argv[1], sys.argv[3] + '/a.mp4')\n"
        "threading.Thread(target=one, args=(sys.argv[2], sys.argv[3] + '/b.mp4')).start()\n"
        "one(sys.argv[2], sys.argv[3] + '/c.mp4')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(plain), str(hanging), str(tmp_path)])
    try:
        until(lambda: len(alive(parent.pid)) == 2)
        children = alive(parent.pid)
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


@linux
def test_a_child_of_a_fork_has_cutters_of_its_own(plain: Path, tmp_path: Path) -> None:
    clip(plain, tmp_path / "a.mp4")
    child = os.fork()
    if not child:
        try:
            clip(plain, tmp_path / "b.mp4")
            os._exit(0 if len(alive(os.getpid())) == 1 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert clip(plain, tmp_path / "c.mp4").frames == 60
    assert len(alive(os.getpid())) == 1
