"""Progress output: a bar on a terminal, one line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TextIO

from tqdm import tqdm


def human_seconds(seconds: float) -> str:
    """``3725`` gives ``1:02:05``."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Counts items by status; prints at most one line every ``every`` seconds, and one at the end."""

    def __init__(self, what: str, total: int, *, every: float = 5.0, stream: TextIO | None = None) -> None:
        self._what, self._total, self._every = what, total, every
        self._stream = stream or sys.stderr
        self._begun = self._printed = time.monotonic()
        self.counts: Counter[str] = Counter()
        self._bar = tqdm(total=total, desc=what, unit="item", file=self._stream) if self._stream.isatty() else None

    def add(self, status: str) -> None:
        """Count one finished item."""
        self.counts[status] += 1
        if self._bar is not None:
            self._bar.update()
            self._bar.set_postfix(self.counts)
        elif time.monotonic() - self._printed >= self._every:
            self._print()

    def line(self) -> str:
        """``fetch: 120/500 (24 %), 3.1/s, 2:03 left, 7 missing``"""
        done = self.counts.total()
        rate = done / max(1e-9, time.monotonic() - self._begun)
        left = human_seconds((self._total - done) / rate) if rate > 0 and done else "?"
        share = 100 * done // self._total if self._total else 100
        rest = "".join(f", {n} {status}" for status, n in sorted(self.counts.items()) if status not in ("done", "kept"))
        return f"{self._what}: {done}/{self._total} ({share} %), {rate:.1f}/s, {left} left{rest}"

    def _print(self) -> None:
        self._printed = time.monotonic()
        print(self.line(), file=self._stream, flush=True)

    def close(self) -> None:
        """Print the last line."""
        if self._bar is not None:
            self._bar.close()
        else:
            self._print()
