"""Runs ffmpeg so that nothing is left behind: no child after a kill, no waiting without an end, no error swallowed."""

from __future__ import annotations

import ctypes
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

from clipyard.errors import RetryLater
from clipyard.media.errors import MediaError
from clipyard.reasons import Reason

_TAIL = 16 * 1024
_POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1
_TOO_MANY_ERRORS = 69
"""ffmpeg's exit code when -max_error_rate was exceeded."""

_FULL_DISK = ("No space left on device", "Disk quota exceeded")
_OUT_OF_MEANS = ("Cannot allocate memory", "Too many open files", "Resource temporarily unavailable")

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _tied_to_parent() -> Callable[[], None] | None:
    """What the child does before it becomes ffmpeg: ask the kernel to be killed when we die, by whatever signal.

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


class _Tail(threading.Thread):
    """Keeps the end of what the child says, so that a chatty child neither blocks nor fills the memory."""

    def __init__(self, pipe: object) -> None:
        super().__init__(daemon=True)
        self._pipe, self._kept = pipe, b""
        self.start()

    def run(self) -> None:
        read = self._pipe.read1  # type: ignore[attr-defined]
        while piece := read(_TAIL):
            self._kept = (self._kept + piece)[-_TAIL:]

    def text(self) -> str:
        self.join(timeout=5)
        return self._kept.decode("utf-8", "replace").strip()


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:  # an ended child's number may already be another's
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _wait(child: subprocess.Popen[bytes], timeout: float, cancelled: Event | None) -> int | None:
    """The exit code, or None when the time was up. A set ``cancelled`` raises RetryLater."""
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


def run(argv: Sequence[str], *, timeout: float, cancelled: Event | None = None, cwd: Path | None = None) -> str:
    """Run a program to its end and return the last 16 KB of its stderr.

    The child has its own process group, no stdin and no stdout; it is killed when we raise, when ``timeout`` seconds
    are over, when ``cancelled`` is set, and by the kernel when this process dies. Raises RetryLater for a full disk
    or too little memory and when cancelled; MediaError(TOOL_FAILED) for every other failure.
    """
    child = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=cwd,
        process_group=0,
        preexec_fn=_tied_to_parent(),
    )
    tail = _Tail(child.stderr)
    try:
        code = _wait(child, timeout, cancelled)
    finally:
        _kill(child)
        said = tail.text()
        if child.stderr is not None:
            child.stderr.close()
    if any(text in said for text in _FULL_DISK):
        raise RetryLater(
            f"The disk is full ({last_lines(said, 1)}): free some space, then run this again; finished work is kept."
        )
    if code == 0:
        return said
    if any(text in said for text in _OUT_OF_MEANS):
        raise RetryLater(
            f"The machine has too little memory or too few handles for ffmpeg ({last_lines(said, 1)}): use fewer jobs."
        )
    if code is None:
        raise MediaError(Reason.TOOL_FAILED, f"ffmpeg was stopped after {timeout:.0f} s: {last_lines(said)}")
    if code == _TOO_MANY_ERRORS:
        raise MediaError(Reason.CORRUPT, f"too much of it does not decode: {last_lines(said)}")
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    if code == -signal.SIGKILL:
        how += " (out of memory?)"  # nobody else sends it: the kernel does, also in a container with a limit
    raise MediaError(Reason.TOOL_FAILED, f"ffmpeg: {how}: {last_lines(said)}")
