"""What the steps that can ask YouTube do alike (``fetch`` of windows, ``collect`` of whole files): limits, a look at the tools, and the
end when YouTube stopped us.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clipquarry.acquire.preflight import preflight_youtube
from clipquarry.acquire.shared_answers import SharedAnswers
from clipquarry.acquire.sources import Egress, Sources
from clipquarry.errors import MachineError, ToolOutdated
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason, Trait, with_trait
from clipquarry.settings import DataRoot
from clipquarry.steps.asking import wait_until
from clipquarry.steps.base import now

if TYPE_CHECKING:
    from clipquarry.steps.fetch import FetchParams


def egress_of(params: FetchParams, data: DataRoot, *, whole: bool = False) -> Egress:
    """The network path of a step. ``whole``: videos are never fetched in sections."""
    return Egress(
        data.egress(params.egress),
        pause=params.budget_pause,
        per_hour=params.budget_per_hour,
        cookies=Path(params.cookies) if params.cookies else None,
        cool_down_factor=params.breaker_factor,
        row=params.breaker_row,
        canary=params.canary,
        plugins=params.plugins,
        extractor_args=params.extractor_args,
        ffmpeg=ffmpeg().path,
        answers=shared_answers(params, data),
        youtube=replace(params.youtube, sections="never") if whole else params.youtube,
    )


def shared_answers(params: FetchParams, data: DataRoot) -> SharedAnswers | None:
    """What other runs heard from this egress; None where the plan does not say since when."""
    if (told := params.answers) is None:
        return None
    folder = data.egress(params.egress)
    return SharedAnswers(
        folder, run=told.run, since=told.since, waits=told.waits, unrecorded=told.unrecorded,
        first_waits=told.first_waits,
    )  # fmt: skip


def check_tools(sources: Sources, egress: Egress) -> None:
    """Raise MachineError if a source is YouTube, and this machine lacks what that needs."""
    if sources.has_youtube:
        for finding in preflight_youtube(cookies=egress.cookies):
            if finding.level == "fail":
                raise MachineError(f"{finding.sentence} (Or leave the source 'youtube' out of this run.)")


def end_waiting(
    reasons: Counter[Reason],
    noun: str,
    sources: Sources,
    egress: Egress,
    resume_at: datetime | None,
    also: Collection[Reason] = (),
) -> None:
    """While rows wait for YouTube: raise ToolOutdated when only an upgrade helps, else WaitUntil. ``also``: further reasons of rows that
    wait; ``resume_at``: when a source said that it may be asked again.
    """
    stopped = egress.breaker.peek() if sources.has_youtube else None
    waiting = sum(
        reasons[reason] for reason in {*with_trait(Trait.STOPPED), *also, *({stopped.reason} if stopped else ())}
    )
    if not waiting:
        return
    if stopped and stopped.reason is Reason.TOOL_STALE:
        raise ToolOutdated(
            f"{waiting} {noun} wait for a newer yt-dlp; everything else is done. Upgrade yt-dlp, yt-dlp-ejs and deno, "
            f"then start this again. The last error was: {stopped.evidence}"
        )
    times = [when for when in (resume_at, stopped.resume_at if stopped else None) if when is not None]
    reason = stopped.reason if stopped else Reason.WAITING
    raise wait_until(f"{waiting} {noun}", f"YouTube ({reason})", max(times, default=now()), reason)
