from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Timer

import imageio_ffmpeg
import psutil
import pytest
from clipquarry.demo.videos import make_video
from clipquarry.errors import MachineError, RetryLater
from clipquarry.media.errors import MediaError
from clipquarry.media.run import run
from clipquarry.media.tools import Tool, ffmpeg
from clipquarry.reasons import Reason


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(0o755)
    return path


def endless(*more: str) -> list[str]:
    return [str(ffmpeg().path), "-v", "error", "-re", "-f", "lavfi", "-i", "color=s=16x16", *more, "-f", "null", "-"]


def test_without_a_system_ffmpeg_the_wheel_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CLIPQUARRY_FFMPEG", raising=False)
    tool = ffmpeg()
    assert tool.origin == "wheel"
    assert tool.path == Path(imageio_ffmpeg.get_ffmpeg_exe())
    assert tool.fps_mode_option == "fps_mode"


def test_a_system_ffmpeg_without_libx264_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script(tmp_path / "ffmpeg", "print('ffmpeg version 6.1 Copyright')")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CLIPQUARRY_FFMPEG", raising=False)
    assert ffmpeg().origin == "wheel"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("print('ffmpeg version 6.1 Copyright')", "was built without libx264"),
        ("print('hello')", "is not an ffmpeg"),
        ("raise SystemExit(3)", "ended with code 3"),
        (None, "which is not a program"),
    ],
)
def test_a_named_ffmpeg_must_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, sentence: str
) -> None:
    path = tmp_path / "ff"
    if content is not None:
        script(path, content)
    monkeypatch.setenv("CLIPQUARRY_FFMPEG", str(path))
    with pytest.raises(MachineError, match=sentence) as caught:
        ffmpeg()
    assert "CLIPQUARRY_FFMPEG" in str(caught.value)


@pytest.mark.parametrize(
    ("version", "option"),
    [("4.4.2-0ubuntu0.22.04.1", "vsync"), ("5.0.1", "vsync"), ("5.1.9-0+deb12u1", "fps_mode"), ("n9.0.2-17", "fps_mode"),
     ("N-113007-g8d24a28d06", "fps_mode")],
)  # fmt: skip
def test_the_option_that_was_renamed(version: str, option: str) -> None:
    assert Tool(Path("ffmpeg"), version, "system").fps_mode_option == option


def test_a_failure_has_the_end_of_what_ffmpeg_said() -> None:
    with pytest.raises(MediaError, match="No such file") as caught:
        run([str(ffmpeg().path), "-v", "error", "-i", "file:/nowhere.mp4", "-f", "null", "-"], timeout=20)
    assert caught.value.reason is Reason.TOOL_FAILED


def test_a_full_disk_means_retry() -> None:
    argv = [
        str(ffmpeg().path),
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        "testsrc=d=2",
        "-f",
        "mpegts",
        "file:/dev/full",
    ]
    with pytest.raises(RetryLater, match="disk is full"):
        run(argv, timeout=20)


def test_a_chatty_program_neither_blocks_nor_fills_memory(tmp_path: Path) -> None:
    chatty = script(tmp_path / "chatty", "import sys\nfor n in range(200_000): print('line', n, file=sys.stderr)")
    said = run([str(chatty)], timeout=60)
    assert len(said) <= 16 * 1024
    assert said.endswith("line 199999")


def test_time_is_limited() -> None:
    begun = time.monotonic()
    with pytest.raises(MediaError, match="stopped after 1 s"):
        run(endless(), timeout=1)
    assert time.monotonic() - begun < 30


def test_cancelling_stops_a_running_program() -> None:
    cancelled = Event()
    Timer(0.5, cancelled.set).start()
    begun = time.monotonic()
    with pytest.raises(RetryLater, match="told to stop"):
        run(endless(), timeout=60, cancelled=cancelled)
    assert time.monotonic() - begun < 30
    assert not [child for child in psutil.Process().children() if child.name().startswith("ffmpeg")]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_kill_9_of_the_step_ends_its_ffmpeg_and_leaves_no_clip(tmp_path: Path) -> None:
    source = make_video(tmp_path / "s.mp4", 20, size=(640, 360), tone=False)
    code = (
        "from pathlib import Path; from clipquarry.media.cut import cut_clip; from clipquarry.datasets.model import Recipe; "
        "from clipquarry.files import temporary_beside; import sys; source = Path(sys.argv[1]); "
        "cut_clip(source, temporary_beside(source.with_name('out.mp4')), start=0, duration=20, "
        "recipe=Recipe(preset='slow', crf=10), tolerance=0.5)"
    )
    step = subprocess.Popen([sys.executable, "-c", code, str(source)])
    try:
        children: list[psutil.Process] = []
        deadline = time.monotonic() + 30
        while not children and time.monotonic() < deadline:
            children = [c for c in psutil.Process(step.pid).children() if "ffmpeg" in " ".join(c.cmdline()[:1])]
            time.sleep(0.02)
        assert children, "ffmpeg did not start"
    finally:
        os.kill(step.pid, signal.SIGKILL)
        step.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert all(path.name == "s.mp4" or path.name.startswith(".clipquarry-tmp-") for path in tmp_path.iterdir())
