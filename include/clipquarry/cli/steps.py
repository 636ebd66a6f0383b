"""``clipquarry step``: the command that every runtime runs for a step."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

import click

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 3.0


def _die_with_parent() -> None:
    """End this process when its worker is killed with -9 (Linux; elsewhere nothing is done).

    ``CLIPQUARRY_DIE_WITH_PARENT`` is the worker's process id: it may have died while Python was still starting.
    """
    parent = os.environ.get("CLIPQUARRY_DIE_WITH_PARENT")
    if parent and sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if str(os.getppid()) != parent:
            sys.exit(1)


def _terminate(*_: object) -> None:
    """End in an orderly way, but soon: a thread may wait in a read without an end, and a kill does no harm."""
    timer = threading.Timer(_GRACE_SECONDS, os._exit, (128 + signal.SIGTERM,))
    timer.daemon = True
    timer.start()
    sys.exit(128 + signal.SIGTERM)


@click.command()
@click.argument("name")
@click.option(
    "--items",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="Manifest with the items of the shard; `start` and `end` in microseconds (in seconds in tables of earlier versions).",
)
@click.option("--params", metavar="JSON", default="{}", help="JSON object, or `@FILE`. Default: `{}`.")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), required=True, help="Manifest to write.")
@click.option(
    "--data",
    metavar="ROOT",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The data root. It has no default here.",
)
@click.option("--jobs", metavar="N", default=1, type=click.IntRange(1, 64), help="Items in parallel. Default: 1.")
def step(name: str, items: Path, params: str, out: Path, data: Path, jobs: int) -> None:
    """Run one step over one shard.

    Ends with 0 (done), 2 (wrong input), 10 (the machine is not fit), 11 (try again soon) or 12 (wait); OUT's
    '.result.json' says it in words.
    """
    from clipquarry.errors import Exit
    from clipquarry.steps.registry import make_step
    from clipquarry.steps.runner import run_step

    _die_with_parent()
    signal.signal(signal.SIGTERM, _terminate)
    result = run_step(make_step(name), items=items, params=params, out=out, data=data, jobs=jobs)
    if result.exit is not Exit.OK:
        click.echo(f"clipquarry: {result.sentence}", err=True)
    sys.exit(int(result.exit))
