"""A cutter process: reads cut jobs from its input, one line of JSON each, and writes one answer per job.

Started by :mod:`clipquarry.media.cutters` as ``python -m clipquarry.media.cutter``. It ends when its input ends. It
uses JSON instead of pickle because a hostile file may have taken control of the process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipquarry.errors import ClipquarryError
from clipquarry.media.cut import cut_clip
from clipquarry.media.errors import MediaError
from clipquarry.media.nested import Outer


@dataclass(frozen=True)
class CutRecipe:
    """The parts of a recipe that affect a cut."""

    preset: str
    crf: int
    audio: str
    fps: int | None


def _done(job: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The answer to a job; ``say`` is called with messages that precede it."""
    os.environ.update(job["environment"])
    try:
        facts = cut_clip(
            Path(job["source"]),
            Path(job["out"]),
            start=job["start"],
            duration=job["duration"],
            recipe=CutRecipe(**job["recipe"]),
            tolerance=job["tolerance"],
            in_process=job["in_process"],
            takes=lambda seconds: say({"takes": seconds}),
            edges=job["edges"],
            outer=None if job["outer"] is None else Outer(Path(job["outer"][0]), job["outer"][1]),
        )
    except MediaError as error:
        return {"media": [str(error.reason), error.evidence]}
    except ClipquarryError as error:
        return {"ours": [type(error).__name__, str(error)]}
    except OSError as error:
        return {"system": [error.errno, error.strerror or str(error), str(error.filename or job["source"])]}
    except Exception as error:  # noqa: BLE001  told to the process that asked
        return {"other": f"{type(error).__name__}: {error}"}
    return {"facts": asdict(facts)}


def main() -> None:
    """Answer jobs until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # output that libraries print is no answer

    def say(what: dict[str, Any]) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    for line in sys.stdin:
        say(_done(json.loads(line), say))


if __name__ == "__main__":
    main()
