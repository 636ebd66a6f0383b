"""One run in one sentence and a few numbers: for the terminal, the notifier and the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipquarry.files import read_json
from clipquarry.pipeline.failures import failures_of
from clipquarry.pipeline.record import counts_of
from clipquarry.reasons import Status
from clipquarry.settings import DataRoot

GATES = ("annotations", "clips", "frames", "boxes", "proposals", "merged", "lists")


def _gates(folder: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for name in GATES:
        path = folder / "gates" / f"{name}.json"
        if path.exists():
            found[name] = read_json(path)
    return found


def run_summary(data: DataRoot, dataset: str, run: str) -> dict[str, Any]:
    """Counts, reasons, gate verdicts and one sentence; works at any point of a run.

    Keys: ``expected, present, missing, rejected, failed`` (ints), ``reasons`` (reason to count), ``gates`` (name to verdict),
    ``blocked`` (bool), ``report`` (path or None), ``sentence``.
    """
    folder = data.run(dataset, run)
    gates = _gates(folder)
    verdicts = {name: str(gate["verdict"]) for name, gate in gates.items()}
    blocked = [name for name, verdict in verdicts.items() if verdict == "block"]
    report = folder / "report" / "index.html"
    summary: dict[str, Any] = {
        "gates": verdicts,
        "blocked": bool(blocked),
        "report": str(report) if report.exists() else None,
        "expected": 0, "present": 0, "missing": 0, "rejected": 0, "failed": 0, "reasons": {},
    }  # fmt: skip
    if (folder / "recorded.parquet").exists():
        counts = counts_of(folder / "recorded.parquet")
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
    summary["sentence"] = _sentence(folder, dataset, summary, blocked)
    return summary


def _sentence(folder: Path, dataset: str, summary: dict[str, Any], blocked: list[str]) -> str:
    if (failed := failures_of(folder)) and not blocked:
        return f"{dataset}: the run failed in '{failed[0].part}': {failed[0].sentence}"
    if (folder / "plan.json").exists() and (plan := read_json(folder / "plan.json"))["dry_run"]:
        counts = plan["counts"]
        return f"{dataset}: dry run; {counts['asked']} of {counts['selected']} selected clips would be asked for."
    if not (folder / "recorded.parquet").exists():
        return f"{dataset}: the run ended before any clip was asked for."
    have = f"{dataset}: {summary['present']} of {summary['expected']} clips are there"
    reasons = sorted(summary["reasons"].items(), key=lambda pair: (-pair[1], pair[0]))
    why = f" (not there: {', '.join(f'{count} {reason}' for reason, count in reasons[:4])})" if reasons else ""
    stop = f"; the gate '{blocked[0]}' blocks" if blocked else ""
    return f"{have}{why}{stop}."
