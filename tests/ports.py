"""Ports for servers of tests: each process of a test run has a block of its own, outside the range that the kernel gives away.

Asking the kernel for a free port and closing it again, for a server to open it later, loses a race now and then: another test's
connection may get that number meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import IO

FIRST, SIZE, BLOCKS = 20_000, 100, 120
"""Ports 20,000 to 31,999; Linux takes those of outgoing connections from 32,768 on."""


@cache
def _block() -> tuple[IO[str], cycle[int]]:
    """The lock that keeps the block for as long as this process lives, and the block's ports in turn."""
    folder = Path(tempfile.gettempdir()) / f"clipquarry-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for number in range(BLOCKS):
        handle = open(folder / str(number), "w")  # noqa: SIM115  it is closed when the process ends
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            continue
        return handle, cycle(range(FIRST + number * SIZE, FIRST + (number + 1) * SIZE))
    raise RuntimeError(f"all {BLOCKS} blocks of ports are taken; do other test runs hang? Their locks are in {folder}")


def free_port() -> int:
    """A port that nobody listens on and that no other test gets; a hundred calls later it may come again."""
    _, ports = _block()
    for _ in range(SIZE):
        port = next(ports)
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"no port of this process's block is free ({port - SIZE + 1} to {port})")
