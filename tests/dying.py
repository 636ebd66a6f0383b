"""A process that is killed: SIGKILL in a fork, just before or just behind a call of ours, or at moments that a seed chooses."""

from __future__ import annotations

import os
import random
import signal
import time
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


def dies_anywhere(work: Callable[[], object], within: float, rng: random.Random, kills: int) -> int:
    """Begin ``work`` in a fork ``kills`` times; -9 to it and all that it started after a part of ``within`` seconds.

    How many of them were in the middle of their work. A try that came to its end makes the next ones shorter: what is left to
    do is less, and on a busy machine the time it was measured by was too long.
    """
    died = 0
    for _ in range(kills):
        child = os.fork()
        if not child:
            code = 1
            try:
                os.setsid()
                work()
                code = 0
            finally:
                os._exit(code)
        time.sleep(rng.uniform(0, within))
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:  # it has not come to its own group yet, or is done
            os.kill(child, signal.SIGKILL)
        ended = os.waitpid(child, 0)[1]
        assert ended in (0, signal.SIGKILL), "a second try ended badly"
        if ended == signal.SIGKILL:
            died += 1
        else:
            within /= 2
    return died


def took(work: Callable[[], object]) -> float:
    """The seconds that the work takes."""
    begun = time.monotonic()
    work()
    return time.monotonic() - begun
