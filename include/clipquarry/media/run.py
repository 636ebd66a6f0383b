"""Runner for ffmpeg that leaves no child process after a kill, never waits for ever, and hides no error.

ffmpeg's message about one file is no proof of the machine's state: a damaged index makes it ask for a terabyte of
memory and report a lack of it. Therefore the machine is tested before it is blamed: can a file be written beside the
output, and can ffmpeg encode some frames of its own?
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import BinaryIO, cast

from clipquarry.errors import RetryLater
from clipquarry.files import temporary_beside
from clipquarry.media.errors import MediaError
from clipquarry.reasons import Reason

_TAIL = 16 * 1024
_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1
_TOO_MANY_ERRORS = 69
"""ffmpeg's exit code when -max_error_rate was exceeded."""

_FULL_DISK = ("No space left on device", "Disk quota exceeded")
_PIECE = bytes(1 << 18)
_ROOM = 4 << 20
"""Bytes that a disk accepts unless it is full."""
_OUT_OF_MEANS = ("Cannot allocate memory", "Too many open files", "Resource temporarily unavailable")
_CONTROL = ("-v", "error", "-f", "lavfi", "-i", "testsrc2=s=1280x720:d=0.2", "-c:v", "libx264", "-f", "null", "-")
_CONTROL_SECONDS = 120.0
_FIT_SECONDS = 20.0
"""Seconds for which a good result of the machine's test is reused, because a bad file is tried with several ways of
sound.
"""
_fit_until: dict[str, float] = {}
_LITTLE_MEMORY = 200 << 20
"""Bytes; an encode of 1080p takes about as much."""

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def tied_to_parent() -> Callable[[], None] | None:
    """A function for the child to call before it becomes ffmpeg: the kernel kills it when we die, by whatever
    signal.

    Linux only; elsewhere the child of a killed step ends with its current clip.
    """
    if _libc is None:
        return None
    parent, prctl = os.getpid(), _libc.prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # we died between fork and prctl
            os._exit(127)

    return tie


class Tail(threading.Thread):
    """Keeps the end of the child's output, so that much output neither blocks it nor fills the memory."""

    def __init__(self, pipe: object) -> None:
        super().__init__(daemon=True)
        self._pipe, self._kept = pipe, b""
        self.start()

    def run(self) -> None:
        read = self._pipe.read1  # type: ignore[attr-defined]
        while piece := read(_TAIL):
            self._kept = (self._kept + piece)[-_TAIL:]

    def text(self) -> str:
        """What was kept, once the child has closed its end."""
        self.join(timeout=5)
        return self._kept.decode("utf-8", "replace").strip()


def kill(child: subprocess.Popen[bytes]) -> None:
    """End a child and its process group, if it still lives."""
    if child.poll() is None:  # an ended child's number may belong to another process now
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _wait(child: subprocess.Popen[bytes], timeout: float, cancelled: Event | None) -> int | None:
    """The exit code, or None if the time was up. A set ``cancelled`` raises RetryLater."""
    until = time.monotonic() + timeout
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return None
        try:
            return child.wait(min(left, _POLL_SECONDS) if cancelled is not None else left)
        except subprocess.TimeoutExpired:
            if cancelled is not None and cancelled.is_set():
                raise RetryLater("The step was told to stop while ffmpeg was running: run it again to go on.") from None


def last_lines(text: str, count: int = 6) -> str:
    """The end of a tool's message, on one line."""
    return " | ".join(line.strip() for line in text.splitlines()[-count:] if line.strip())


class _Reader(threading.Thread):
    """Passes the child's stdout to a function, and keeps what that raised."""

    def __init__(self, reads: Callable[[BinaryIO], None], pipe: BinaryIO) -> None:
        super().__init__(daemon=True)
        self._reads, self._pipe = reads, pipe
        self._raised: BaseException | None = None

    def run(self) -> None:
        try:
            self._reads(self._pipe)
        except BaseException as error:  # noqa: BLE001  raised again by the thread that waits
            self._raised = error
        finally:
            self._pipe.close()  # a child that goes on writing ends

    def end(self, *, child_failed: bool) -> None:
        """Wait for the function, and raise what it raised. The failure of a child explains a broken stream better."""
        self.join()
        if self._raised is not None and not (child_failed and isinstance(self._raised, MediaError)):
            raise self._raised


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    cancelled: Event | None = None,
    cwd: Path | None = None,
    reads: Callable[[BinaryIO], None] | None = None,
) -> str:
    """Run a program to its end and return the last 16 KB of its stderr.

    ``reads`` is called with the child's stdout in another thread, again if the program is tried a second time; what
    it raises is raised here. The child has its own process group, no stdin and otherwise no stdout. It is killed when we raise, when ``timeout`` seconds
    are over, when ``cancelled`` is set, and by the kernel when this process dies. Raises RetryLater for a full disk
    or too little memory, if the machine itself shows it, and when cancelled. Raises MediaError for every other
    failure: CORRUPT if the file asks for more than a healthy machine has, else TOOL_FAILED.
    """
    code, said = _once(argv, timeout, cancelled, cwd, reads)
    if any(text in said for text in _FULL_DISK) and _is_full(argv, cwd):
        raise RetryLater(
            f"The disk is full ({last_lines(said, 1)}): free some space, then run this again; finished work is kept."
        )
    if code and any(text in said for text in _OUT_OF_MEANS):
        _judge_the_machine(argv[0], said, cancelled)
        # The machine can encode now, but may have been short of memory a moment ago. A second try shows whether the
        # file is the cause.
        code, said = _once(argv, timeout, cancelled, cwd, reads)
        if code and any(text in said for text in _OUT_OF_MEANS):
            raise MediaError(Reason.CORRUPT, f"ffmpeg cannot read it, and reads others: {last_lines(said)}")
    if code == 0:
        return said
    if code is None:
        raise MediaError(Reason.TOOL_FAILED, f"ffmpeg was stopped after {timeout:.0f} s: {last_lines(said)}")
    if code == _TOO_MANY_ERRORS:
        raise MediaError(Reason.CORRUPT, f"too much of it does not decode: {last_lines(said)}")
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    if code == -signal.SIGKILL:
        how += " (out of memory?)"  # nobody else sends it: the kernel does, also in a container with a limit
    raise MediaError(Reason.TOOL_FAILED, f"ffmpeg: {how}: {last_lines(said)}")


def _once(
    argv: Sequence[str],
    timeout: float,
    cancelled: Event | None,
    cwd: Path | None = None,
    reads: Callable[[BinaryIO], None] | None = None,
) -> tuple[int | None, str]:
    """The exit code (None if the time was up) and the end of the output."""
    child = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if reads is None else subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        process_group=0,
        preexec_fn=tied_to_parent(),
    )
    tail = Tail(child.stderr)
    reader = None if reads is None or child.stdout is None else _Reader(reads, cast(BinaryIO, child.stdout))
    if reader is not None:
        reader.start()
    try:
        code = _wait(child, timeout, cancelled)
    finally:
        kill(child)
        said = tail.text()
        if child.stderr is not None:
            child.stderr.close()
        if reader is not None:
            reader.join()  # nothing may go on writing into a folder that the caller deletes
    if reader is not None and code is not None:
        reader.end(child_failed=code != 0)
    return code, said


def _judge_the_machine(tool: str, said: str, cancelled: Event | None) -> None:
    """RetryLater unless memory is left and ``tool`` encodes some frames of its own, under the file's limits."""
    free = _free_memory()
    if free < _LITTLE_MEMORY:
        raise RetryLater(f"Only {free >> 20} MiB of memory are free ({last_lines(said, 1)}): use fewer jobs.")
    if time.monotonic() < _fit_until.get(tool, 0.0):
        return
    code, about_itself = _once([tool, *_CONTROL], _CONTROL_SECONDS, cancelled)
    if code != 0:
        why = last_lines(about_itself, 1) or last_lines(said, 1)
        raise RetryLater(f"The machine has too little memory or too few handles for ffmpeg ({why}): use fewer jobs.")
    _fit_until[tool] = time.monotonic() + _FIT_SECONDS


def _free_memory(meminfo: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory left to us: on the machine, and in our container. A very large number if nothing tells."""
    left = [1 << 60]
    with suppress(OSError, ValueError, IndexError):
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        left.append(int(lines.get("MemAvailable", "x").split()[0]) << 10)
    with suppress(OSError, ValueError):  # "max": no limit
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        left.append(limit - used + int(stat.get("inactive_file", "0")))
    return min(left)


def _is_full(argv: Sequence[str], cwd: Path | None) -> bool:
    """True if nothing can be written beside one of the outputs."""
    outputs = [
        Path(text.removeprefix("file:"))
        for before, text in zip(["", *argv], argv, strict=False)
        if text.startswith("file:") and before != "-i"
    ]
    return any(not _takes_bytes(place) for place in (*outputs, *([cwd / "output"] if cwd is not None else [])))


def _takes_bytes(output: Path) -> bool:
    probe = output if output.is_char_device() else temporary_beside(output)
    try:
        with open(probe, "wb", buffering=0) as handle:
            for _ in range(_ROOM // len(_PIECE)):
                handle.write(_PIECE)
            if probe is not output:
                os.fsync(handle.fileno())
    except OSError as error:
        return error.errno not in (errno.ENOSPC, errno.EDQUOT)  # a quota too
    finally:
        if probe is not output:
            probe.unlink(missing_ok=True)
    return True
