"""A small JSON document that several processes share through a folder (breaker, budget).

Every read-and-write happens under ``flock`` on a file of its own, and the document is replaced by a rename: a process
that is killed at any moment leaves the old document or the new one, and its lock is gone with it. A document that
cannot be read (an older power cut, an editor) counts as absent and is written anew.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipquarry.files import disk_errors, publish

State = dict[str, Any]


class StateFile:
    """A JSON object at ``path``; ``{path}.lock`` beside it is the lock and stays. Safe for threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path.with_name(f"{path.name}.lock")
        self._new = path.with_name(f"{path.name}.new")

    def read(self) -> State:
        """The document without taking the lock (a rename is atomic); ``{}`` when absent or unreadable."""
        try:
            value = json.loads(self.path.read_bytes())
            json.dumps(value, allow_nan=False)  # NaN and infinity could not be written again
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    @contextmanager
    def locked(self) -> Iterator[State]:
        """The document, to be changed in place; written when the block ends well and it differs."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with disk_errors(self.path):
            fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            state = self.read()
            before = json.dumps(state, sort_keys=True)
            yield state
            after = json.dumps(state, sort_keys=True, allow_nan=False)
            if after != before or not self.path.exists():
                with disk_errors(self.path):
                    # One fixed name: only the holder of the lock writes it, and a kill leaves no litter.
                    self._new.write_text(after + "\n", encoding="utf-8")
                    publish(self._new, self.path)
        finally:
            os.close(fd)


def number(value: Any, default: float = 0.0) -> float:
    """A finite number of a document that anyone may have edited."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if ok else default
