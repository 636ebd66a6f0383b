"""Pool of long-lived processes that cut clips; each is replaced when it crashes, hangs or has made many clips.

Starting a process costs as much as two windows of four seconds. A file that crashes a codec costs only its own
cutter. The job of a cutter that ended is tried once more, by the ffmpeg program in a new cutter; if that fails too,
the clip gets a reason.

A cutter is killed when we raise, when its time is over, when ``cancelled`` is set, and by the kernel when this
process dies (Linux; elsewhere it ends with its current clip). There are as many cutters as clips are cut at once.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from threading import Event, Lock
from typing import Any

from clipquarry import errors
from clipquarry.errors import ClipquarryError, MachineError, RetryLater
from clipquarry.media.content import Content
from clipquarry.media.encoding import Recipe
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import MediaFacts
from clipquarry.media.run import Tail, kill, last_lines, tied_to_parent
from clipquarry.media.tools import VARIABLE
from clipquarry.reasons import Reason

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 600.0
_OLD = 1000
"""Clips after which a cutter is replaced, to free memory that its libraries have leaked."""
_LONGEST = 1 << 20
"""Bytes of an answer; a longer one is refused."""


class _Lost(Exception):
    """The cutter ended, or was ended, before it answered."""


class _Cutter:
    """One process, and the pipe to it."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "clipquarry.media.cutter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
            preexec_fn=tied_to_parent(),
        )
        self._said = Tail(self._child.stderr)
        self._done, self._read = 0, b""

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def serves(self) -> bool:
        """Whether it may get another clip."""
        return self._done < _OLD and self._child.poll() is None

    def ask(self, job: dict[str, Any], seconds: float, cancelled: Event | None) -> dict[str, Any]:
        """Send a job and return the answer.

        Raises _Lost if there is none within ``seconds`` (or the limit that the cutter asks for when it begins the
        next operation); RetryLater when cancelled.
        """
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(job).encode() + b"\n")
            self._child.stdin.flush()
        except BrokenPipeError:
            raise _Lost(self._how_it_ended()) from None
        while True:
            line = self._line(seconds, cancelled)
            try:
                answer = json.loads(line)
            except ValueError:
                raise _Lost(f"the cutter answered {line[:40]!r}") from None
            if not isinstance(answer, dict):
                raise _Lost(f"the cutter answered {line[:40]!r}")
            if "takes" not in answer:
                self._done += 1
                return answer
            seconds = float(answer["takes"])

    def _line(self, seconds: float, cancelled: Event | None) -> bytes:
        assert self._child.stdout is not None
        pipe, until = self._child.stdout.fileno(), time.monotonic() + seconds
        ready = select.poll()
        ready.register(pipe, select.POLLIN)
        while b"\n" not in self._read:
            left = until - time.monotonic()
            if left <= 0:
                raise _Lost(f"the cutter was stopped after {seconds:.0f} s")
            if not ready.poll(1000 * min(left, _POLL_SECONDS)):
                if cancelled is not None and cancelled.is_set():
                    raise RetryLater("The step was told to stop while a clip was cut: run it again to go on.")
                continue
            piece = os.read(pipe, _LONGEST)
            self._read += piece
            if not piece or len(self._read) > _LONGEST:
                raise _Lost(self._how_it_ended())
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _how_it_ended(self) -> str:
        self.end()
        code = self._child.returncode
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        if code == -signal.SIGKILL:
            how += " (out of memory?)"
        said = last_lines(self._said.text(), 1)
        return f"the cutter ended, {how}{f': {said}' if said else ''}"

    def end(self) -> None:
        """Kill the process if it still runs, and close its pipes."""
        kill(self._child)
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # a job that was never read


class _Cutters:
    """The cutters that wait for a clip. Any thread may ask."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start anew: in the child of a fork, the cutters belong to the parent."""
        self._lock, self._idle = Lock(), list[_Cutter]()
        # The kernel kills a child when the thread that started it ends. Therefore one thread that never ends starts
        # them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="cutters")

    def take(self) -> _Cutter:
        with self._lock:
            while self._idle:
                cutter = self._idle.pop()
                if cutter.serves:
                    return cutter
                cutter.end()
        return self._starter.submit(_Cutter).result()

    def give(self, cutter: _Cutter) -> None:
        with self._lock:
            self._idle.append(cutter)

    def end(self) -> None:
        """End the waiting cutters."""
        with self._lock:
            idle, self._idle = self._idle, []
        for cutter in idle:
            cutter.end()

    def ask(self, job: dict[str, Any], seconds: float, cancelled: Event | None) -> dict[str, Any]:
        cutter = self.take()
        try:
            answer = cutter.ask(job, seconds, cancelled)
        except BaseException:
            cutter.end()
            raise
        if answer.keys() & {"ours", "system"}:
            cutter.end()  # PyAV leaves a file open that a full disk cut off: its space is free when the process ends
        else:
            self.give(cutter)
        return answer


_cutters = _Cutters()
atexit.register(_cutters.end)
os.register_at_fork(after_in_child=_cutters.forget)


def _facts(answer: dict[str, Any], source: Path) -> MediaFacts:
    """The facts in the answer; raises the error that it holds."""
    told = answer.get("facts")
    if isinstance(told, dict) and told.keys() == {field.name for field in fields(MediaFacts)}:
        return MediaFacts(**{**told, "content": Content(**told["content"])})
    if "media" in answer:
        reason, evidence = answer["media"]
        raise MediaError(Reason(reason), evidence)
    if "ours" in answer:
        name, text = answer["ours"]
        kinds: dict[str, Callable[[str], ClipquarryError]] = {
            kind.__name__: kind for kind in (errors.UserError, MachineError, RetryLater)
        }
        raise kinds.get(name, ClipquarryError)(text)
    if "system" in answer:
        raise OSError(*answer["system"])
    raise MediaError(Reason.TOOL_FAILED, f"{source.name}: the cutter answered {str(answer.get('other', answer))[:500]}")


def cut_clip(
    source: Path,
    out: Path,
    *,
    start: float,
    duration: float,
    recipe: Recipe,
    tolerance: float,
    cancelled: Event | None = None,
    look_seconds: float = _LOOK_SECONDS,
    edges: Sequence[float] = (),
    outer: tuple[Path, float] | None = None,
) -> MediaFacts:
    """:func:`clipquarry.media.cut.cut_clip` in a process of its own, which may take ``look_seconds`` to read the
    source; encoding has its own limits.

    A file that ends two cutters, or takes all their time, is MediaError TOOL_FAILED.
    """
    source, out = Path(source).absolute(), Path(out).absolute()
    job: dict[str, Any] = {
        "source": str(source), "out": str(out), "start": start, "duration": duration, "tolerance": tolerance,
        "recipe": {"preset": recipe.preset, "crf": recipe.crf, "audio": recipe.audio, "fps": recipe.fps},
        "edges": list(edges), "outer": None if outer is None else [str(outer[0]), outer[1]],
        "environment": {name: os.environ.get(name, "") for name in (VARIABLE, "PATH")},
    }  # fmt: skip
    try:
        lost = ""
        for in_process in (True, False):
            try:
                return _facts(_cutters.ask(job | {"in_process": in_process}, look_seconds, cancelled), source)
            except _Lost as error:
                lost = str(error)
        raise MediaError(Reason.TOOL_FAILED, f"{lost}, twice")
    except BaseException:
        out.unlink(missing_ok=True)
        raise
