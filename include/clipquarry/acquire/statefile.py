"""Small JSON document that several processes share through a folder (breaker, budget).

Every read-and-write happens under the lock of a separate file, and a rename replaces the document. A process that is
killed at any moment leaves the old document or the new one, and the kernel releases its lock. A document that cannot
be read (after a power cut, or damaged by an editor) counts as absent and is written anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipquarry.file_lock import FileLock
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
        """The document, to be changed in place; written when the block ends without error and the document differs."""
        with FileLock.take(self._lock):
            state = self.read()
            before = json.dumps(state, sort_keys=True)
            yield state
            after = json.dumps(state, sort_keys=True, allow_nan=False)
            if after != before or not self.path.exists():
                with disk_errors(self.path):
                    # One fixed name: only the holder of the lock writes it, and a kill leaves no litter.
                    self._new.write_text(after + "\n", encoding="utf-8")
                    publish(self._new, self.path)


def number(value: Any, default: float = 0.0) -> float:
    """``value`` as a finite number, else ``default``: the document may have been edited by hand."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if ok else default
