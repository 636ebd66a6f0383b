"""The first screen of a report: how complete the data set is, what is wrong, and what happens next."""

from __future__ import annotations

from collections.abc import Iterable

from clipquarry.report.data import Check, Gate, Level, Report, Verdict
from clipquarry.report.reason_texts import reason_text
from clipquarry.report.text import clean, day, moment, number, plural, share

_MAX_SENTENCES = 5
_DOES = {"bad": "blocks", "warn": "warns"}


def verdict_of(report: Report) -> Verdict:
    """Judge a report; its own verdict is not used.

    Red: a gate blocked, a stage or step failed, or the run ended before anything was recorded. Amber: something is
    missing, or a gate warned. Green: everything that was asked for is here, and every check held.
    """
    return Verdict(*_level(report), wrong=tuple(_wrong(report)), next=tuple(_next(report)))


def _level(report: Report) -> tuple[Level, str, str]:
    items, blocked = report.items, [gate for gate in report.gates if gate.level == "bad"]
    for word, said in (("stopped", "Stopped"), ("asked", "Asks")):
        if (gate := next((one for one in blocked if one.verdict == word), None)) is not None:
            check = _heaviest([gate])
            why = f" {_said(check, 200)}" if check is not None else ""
            return (
                "bad",
                said,
                f"Not released, the gate “{clean(gate.name, 60)}” did not hold:{why} {clean(gate.answer, 300)}",
            )
    if blocked:
        names = " and ".join(f"“{clean(gate.name, 60)}”" for gate in blocked[:3])
        what = "the gate" if len(blocked) == 1 else "the gates"
        check = _heaviest(blocked)
        why = _said(check, 260) if check is not None else ""
        if not why and report.items_from == "recorded":
            why = f"{_present(report)}."
        return "bad", "Blocked", f"Not usable yet, {what} {names} blocked the run{f': {why}' if why else '.'}"
    if report.failures:
        first = report.failures[0]
        return "bad", "Failed", f"“{clean(first.part, 40)}” failed: {clean(first.sentence, 360)}"
    if report.dry_run:
        return "warn", "Dry run", "This run only planned: nothing was asked for."
    if items is None or report.items_from != "recorded":
        return (
            "bad",
            "Unfinished",
            f"The run ended before its {report.noun}s were recorded; what it had done by then is below.",
        )
    total = items.total
    if approved := [gate for gate in report.gates if gate.verdict == "approved"]:
        names = " and ".join(f"“{clean(gate.name, 60)}”" for gate in approved[:3])
        what = "the gate" if len(approved) == 1 else "the gates"
        return "warn", "Approved", f"{_present(report)}; {what} {names} did not hold. {clean(approved[0].answer, 300)}"
    if not total.expected:
        return "warn", "Empty", f"This run had nothing to do: no {report.noun} was selected."
    if not total.present:
        return "bad", "Nothing here", f"None of the {plural(total.expected, report.noun)} of this run is here."
    if total.absent and report.nothing_due and report.gave_way:
        return (
            "warn",
            "Nothing asked",
            "What is due waits for another data set's full run, whose first questions bring more "
            f"({plural(report.gave_way, report.noun)}); nothing changed since the newest release: {_present(report)}.",
        )
    if total.absent and report.nothing_due:
        return (
            "warn",
            "Nothing due",
            f"Nothing was due, and nothing changed since the newest release: {_present(report)}.",
        )
    if total.absent:
        return "warn", "Incomplete", f"Usable, but not complete: {_present(report)}."
    if any(gate.level == "warn" for gate in report.gates):
        return "warn", "Check the warnings", f"All {plural(total.expected, report.noun)} are here, with warnings."
    if not report.gates and not report.nothing_due:
        return "warn", "Unchecked", f"All {plural(total.expected, report.noun)} are here, but no gate has checked them."
    return "good", "Complete", f"All {plural(total.expected, report.noun)} are here, and every check held."


def _present(report: Report) -> str:
    assert report.items is not None
    total = report.items.total
    what = f"{number(total.present)} of {plural(total.expected, report.noun)}"
    return f"{what} are here ({share(total.present, total.expected)})"


def _wrong(report: Report) -> list[str]:
    blocked = any(gate.level == "bad" for gate in report.gates)
    # The first failure is the headline, unless a gate is.
    failures = report.failures if blocked else report.failures[1:]
    said = [f"“{clean(one.part, 40)}” failed: {clean(one.sentence, 300)}" for one in failures]
    if report.failures and not blocked and report.items_from == "recorded":
        said.append(f"{_present(report)}, as far as the run came.")
    said += [f"Gate “{clean(g.name, 40)}”: {clean(g.problem, 300)}" for g in report.gates if g.problem]
    said += _broken(report, "bad")
    said += _stopped(report)
    if report.items is not None and report.items_from == "recorded":
        for row in report.items.reasons[:3]:
            about = reason_text(row.reason, report.noun)
            said.append(f"{plural(row.count, report.noun)}: {clean(about.title, 60)}. {about.means}")
    if report.unverified:
        names = ", ".join(clean(name, 40) for name in report.unverified)
        said.append(f"Nobody checked who the servers of {names} are: 'verify_certificate' is false in the YAML.")
    said += _broken(report, "warn")
    if report.history.problem and not (report.failures and report.items is None):  # then the ledger was not told yet
        said.append(report.history.problem)
    said += report.history.notes
    if len(said) > _MAX_SENTENCES:
        said[_MAX_SENTENCES - 1 :] = [f"… and {number(len(said) - _MAX_SENTENCES + 1)} more, below."]
    return said


def _stopped(report: Report) -> list[str]:
    """The breaker's last stop, and the number of stops."""
    if not report.stops:
        return []
    stop, more = report.stops[-1], len(report.stops) - 1
    ended = f"asked again at {moment(stop.closed)}" if stop.closed else f"not before {moment(stop.until)}"
    left = f"; {plural(report.left_unasked, report.noun)} were left unasked" if report.left_unasked else ""
    again = f" (the last of {more + 1} stops)" if more else ""
    return [f"{clean(stop.why, 120)}: the crawl stopped at {moment(stop.at)}, {ended}{again}{left}."]


def _heaviest(gates: Iterable[Gate]) -> Check | None:
    """The check that blocks, which the headline names; of a gate about which a person was asked, else one that warns."""
    broken = [(gate, check) for gate in gates for check in gate.broken]
    return next((check for _, check in broken if check.level == "bad"), None) or next(
        (check for gate, check in broken if check.level == "warn" and gate.verdict in ("asked", "stopped")), None
    )


def _said(check: Check, limit: int) -> str:
    return clean(check.sentence or check.title, limit)


def _rule(check: Check) -> str:
    """The check's id: a check that is used on several splits is one rule."""
    return check.name.partition(" [")[0]


def _broken(report: Report, level: Level) -> list[str]:
    """Checks that did not hold, each once. Coverage is checked for every split, but the first line says enough here,
    and the headline's check is left out.
    """
    told = _heaviest(gate for gate in report.gates if gate.level == "bad")
    seen = {_rule(told)} if told is not None else set()
    said: list[str] = []
    for gate in report.gates:
        for check in gate.broken:
            if check.level == level and _rule(check) not in seen:
                seen.add(_rule(check))
                what = clean(f"{check.title}: {check.sentence}" if check.sentence else check.title, 240)
                said.append(f"Gate “{clean(gate.name, 40)}” {_DOES[level]}: {what}")
    return said


def _next(report: Report) -> list[str]:
    said: list[str] = []
    if any(gate.level == "bad" for gate in report.gates):
        check = _heaviest(report.gates)
        if any(gate.verdict == "asked" for gate in report.gates):
            said.append(
                "Answer in Airflow (the gate's task, Required Actions), or with 'clipquarry approve' and the run again."
            )
        if check is not None and check.advice:
            said.append(clean(check.advice, 400))
        said.append("Correct what the gate names, then clear the run's failed task: finished work is kept.")
    elif report.failures:
        said.append("Do what the first line says, then clear the run's failed task: finished work is kept.")
    elif report.dry_run:
        said += [clean(sentence, 400) for sentence in report.estimate]
        said.append("Trigger the DAG without “dry run” to fetch.")
    elif report.items is None or report.items_from != "recorded":
        said.append("Clear the run's failed task, or trigger the DAG again: finished work is kept.")
    if report.stops and report.stops[-1].closed is None:
        stop = report.stops[-1]
        said.append(f"{clean(stop.todo, 200)} (nobody is asked before {moment(stop.until)}).")
    history = report.history
    now, soon, later = (
        sum(retry.count for retry in history.retries if retry.bucket in buckets)
        for buckets in (("now",), ("week",), ("month", "later"))
    )
    if now:
        said.append(f"Due now: {plural(now, report.noun)}; the next refresh asks for them.")
    if soon:
        said.append(f"Due within 7 days: {plural(soon, report.noun)}.")
    if later:
        said.append(f"Due later: {plural(later, report.noun)}.")
    if history.next_day is not None and not now:
        said.append(f"The first falls due on {day(history.next_day)}.")
    if report.items is not None and report.items.total.absent and not report.expires:
        said.append(
            "Nothing of it expires: put what is missing into a folder or archive of its sources, and start another run."
        )
    elif report.items is not None and report.items.total.absent:
        said.append(
            f"The refresh DAG runs {clean(report.refresh, 40)}."
            if report.refresh
            else "The data set has no refresh schedule: trigger its refresh DAG by hand."
        )
    return said or [f"Nothing: there is no {report.noun} left to fetch."]
