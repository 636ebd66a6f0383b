"""Error output of failed tasks: first what to do, then what happened, in short lines without Python frames.

Airflow logs every failure with its traceback. The frames of an error with a sentence of ours tell nothing; those of
a defect are kept.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import quote

WIDTH = 100
_PIECES = re.compile(r"(?<=[.;:])\s+")
_VERBS = frozenset(
    [
        "add",
        "ask",
        "call",
        "check",
        "choose",
        "clear",
        "correct",
        "delete",
        "download",
        "fix",
        "free",
        "get",
        "give",
        "install",
        "keep",
        "leave",
        "look",
        "make",
        "mount",
        "move",
        "name",
        "place",
        "put",
        "remove",
        "repair",
        "restart",
        "restore",
        "run",
        "save",
        "set",
        "start",
        "take",
        "try",
        "unset",
        "upgrade",
        "use",
        "wait",
        "write",
    ]
)
"""Words with which the advice begins in our sentences."""


def advice_first(sentence: str) -> tuple[str, str]:
    """What to do, and what happened. The advice is the end of the sentence, from the first clause that asks for
    something.
    """
    _, mark, after = sentence.partition(" What to do: ")
    if mark:
        return after.strip(), sentence[: -len(mark + after)].strip()
    pieces = _PIECES.split(sentence.strip())
    for index, piece in enumerate(pieces):
        word = re.match(r"[A-Za-z]+", piece)
        before = " ".join(pieces[:index])
        if before and before.count("(") == before.count(")") and word and word[0].lower() in _VERBS:
            cure = " ".join(pieces[index:])
            return cure[:1].upper() + cure[1:], " ".join(pieces[:index]).rstrip(";:") + (
                "" if pieces[index - 1].endswith(".") else "."
            )
    return "", sentence


def lines_of(sentence: str) -> list[str]:
    """The lines that a task logs."""
    cure, why = advice_first(sentence)
    paragraphs = ([f"What to do: {cure}"] if cure else []) + [f"What happened: {why}" if cure else why]
    return [
        line
        for paragraph in paragraphs
        for line in textwrap.wrap(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
    ]


def explain(say: Callable[..., None], error: BaseException) -> None:
    """Log an error of ours in lines, and keep Airflow from logging its frames. ``say`` is a logger's ``error``."""
    for line in lines_of(str(error)):
        say("%s", line)
    error.clipquarry_plain = True  # type: ignore[attr-defined]
    _leave_out_frames()


def _leave_out_frames() -> None:
    """Register :func:`_without_frames` before Airflow's processors, once in this process."""
    import structlog

    processors = structlog.get_config()["processors"]
    if isinstance(processors, list) and _without_frames not in processors:
        processors.insert(0, _without_frames)


def _without_frames(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that reduces an explained exception to one line."""
    info = event.get("exc_info")
    error = (
        info
        if isinstance(info, BaseException)
        else info[1]
        if isinstance(info, tuple)
        else sys.exc_info()[1]
        if info
        else None
    )
    if getattr(error, "clipquarry_plain", False):
        del event["exc_info"]
        event["event"] = "The task failed; the lines above say what to do."
    return event


def report_address(dataset: str, run_id: str) -> str:
    """URL of a run's report, below the address of Airflow's own pages."""
    from clipquarry.settings import slug

    return f"{_base()}/clipquarry/report/{dataset}/{slug(run_id)}"


def gate_address(dag_id: str, gate: str, run_id: str) -> str:
    """URL of the page of a gate in a run."""
    return f"{_base()}/clipquarry/dag/{quote(dag_id)}/gate/{quote(gate)}/run/{quote(run_id, safe='~:+')}"


def page_address(path: str) -> str:
    """URL of one of our pages, of its path below Airflow's address."""
    return f"{_base()}{path}"


def _base() -> str:
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
