"""One run in one sentence and a few numbers: for the terminal, the notifier and the verdict."""

from __future__ import annotations

from typing import Any

from clipquarry.approvals import found_in
from clipquarry.pipeline.estimate_text import will_not_fit
from clipquarry.pipeline.failures import failures_of
from clipquarry.pipeline.record import counts_of
from clipquarry.reasons import Status
from clipquarry.run_documents import known_plan, verdicts
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot


def run_summary(data: DataRoot, dataset: str, run: str) -> dict[str, Any]:
    """Counts, reasons, gate verdicts and one sentence; works at any point of a run.

    Keys: ``expected, present, missing, rejected, failed`` (ints), ``reasons`` (reason to count), ``gates`` (name to verdict),
    ``blocked`` (bool; a gate about which a person is asked blocks too), ``report`` (path or None), ``sentence``.
    """
    folder = data.run(dataset, run)
    place = RunFolder(folder)
    gates = verdicts(place)
    blocked = [name for name, verdict in gates.items() if verdict in ("block", "asked", "stopped")]
    report = place.report_page
    summary: dict[str, Any] = {
        "gates": gates,
        "blocked": bool(blocked),
        "report": str(report) if report.exists() else None,
        "expected": 0, "present": 0, "missing": 0, "rejected": 0, "failed": 0, "reasons": {},
    }  # fmt: skip
    if place.recorded.exists():
        counts = counts_of(place.recorded)
        status = counts["status"]
        summary |= {
            "expected": counts["rows"],
            "present": status.get(Status.DONE, 0) + status.get(Status.KEPT, 0),
            "missing": status.get(Status.MISSING, 0),
            "rejected": status.get(Status.REJECTED, 0),
            "failed": status.get(Status.FAILED, 0),
            "reasons": counts["reasons"],
            "by_split": counts["by_split"],
        }
    summary["sentence"] = _sentence(place, dataset, summary, blocked)
    return summary


def _sentence(place: RunFolder, dataset: str, summary: dict[str, Any], blocked: list[str]) -> str:
    if (failed := failures_of(place.root)) and not blocked:
        return f"{dataset}: the run failed in '{failed[0].task}': {failed[0].sentence}"
    plan = known_plan(place)
    told = plan.get("estimate") if plan is not None else None  # a plan of an earlier version has none
    items = f"{told['noun'] if told else 'clip'}s"
    if plan is not None and plan["dry_run"]:
        counts = plan["counts"]
        asked = f"{dataset}: dry run; {counts['asked']} of {counts['selected']} selected {items} would be asked for."
        return " ".join([asked, *(will_not_fit(told) if told else ())])
    if not place.recorded.exists():
        return f"{dataset}: the run ended before anything was asked for."
    have = f"{dataset}: {summary['present']} of {summary['expected']} {items} are there"
    reasons = sorted(summary["reasons"].items(), key=lambda pair: (-pair[1], pair[0]))
    why = f" (not there: {', '.join(f'{count} {reason}' for reason, count in reasons[:4])})" if reasons else ""
    does = {"asked": "waits for an answer", "stopped": "was answered with stop"}
    stop = f"; the gate '{blocked[0]}' {does.get(summary['gates'][blocked[0]], 'blocks')}" if blocked else ""
    answers = "".join(f" The gate '{one.gate}' did not hold: {one.told}." for one in found_in(place, "approved"))
    return f"{have}{why}{stop}.{answers}"
