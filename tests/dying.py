"""A process that is killed at a chosen line of ours: SIGKILL in a fork, just before or just behind a call."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


def dies_at(owner: Any, name: str, work: Callable[[], object], *, behind: bool = False) -> None:
    """Do ``work`` in a fork in which the call of ``owner.name`` is the last thing that happens (or that does not)."""
    real = getattr(owner, name)

    def last(*args: Any, **kwargs: Any) -> None:
        if behind:
            real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if not child:
        try:
            setattr(owner, name, last)
            work()
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, f"{name} was never called"
