"""What becomes of a gate that did not hold: the run ends, or a person may release all the same.

A run asks only where its parameter ``approve_gates`` says so. What is damaged, or is not what its record says, is never asked
about (:attr:`clipquarry.quality.check.Check.may_be_approved`).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from clipquarry.approvals import RELEASE, Approval, ask, forget, read_approval
from clipquarry.errors import GateBlocked
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.params import RunParams
from clipquarry.quality.results import CheckResult, GateResult
from clipquarry.report.text import clean, plural

log = logging.getLogger(__name__)

_SHOWN = 5
"""Rows of a check in a question."""


def settle(ctx: RunContext, result: GateResult) -> str:
    """The verdict with which the run goes on: ``pass``, ``warn`` or ``approved``.

    Raises :class:`GateBlocked` where the gate blocks for good, and :class:`ApprovalWanted`, which is one, where a person may answer.
    """
    asked = asked_about(result, ctx.params)
    if not asked:
        forget(ctx.place, result.gate)
        if result.blocked:
            raise _blocked(result, ctx.params)
        return str(result.verdict)
    names = tuple(check.name for check in asked)
    before = read_approval(ctx.place, result.gate)
    if before is not None and before.answer == RELEASE and before.fingerprint == result.fingerprint:
        log.warning(f"The gate '{result.gate}' does not hold. {before.told}.")
        return "approved"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    told = ask(ctx.place, Approval(result.gate, result.fingerprint, names, result.sentence, now))
    raise told.error(
        f"{result.broken[0].cure} A person may release all the same: clipquarry approve {ctx.spec.name} {result.gate} --run {ctx.run} "
        "--because TEXT; then run it again under its name."
    )


def asked_about(result: GateResult, params: RunParams) -> tuple[CheckResult, ...]:
    """The checks that a person is asked about; none where the gate holds, may not be approved, or nobody is to be asked."""
    if params.approve_gates == "never" or not result.fingerprint:
        return ()
    errors = tuple(check for check in result.broken if check.severity == "error")
    if not all(check.approvable for check in errors):
        return ()
    if params.approve_gates == "blocked":
        return errors
    warned = (check for check in result.broken if check.severity == "warn")
    return (
        *errors,
        *(check for check in warned if (check.share or 0) > params.approve_above or not params.approve_above),
    )


def _blocked(result: GateResult, params: RunParams) -> GateBlocked:
    never = [check.name for check in result.broken if check.severity == "error" and not check.approvable]
    if params.approve_gates == "never" or not never:
        return result.error()
    return GateBlocked(
        f"{result.sentence} Nobody can approve this: {', '.join(never[:3])} would release what is damaged, or not what its record "
        f"says.{result.broken[0].cure}"
    )


def question(result: GateResult, asked: Approval) -> str:
    """The verdict for whoever answers, in Markdown: the checks, their counts and advice, and their worst rows."""
    lines = [_plain(result.sentence), ""]
    for check in result.broken:
        if check.name not in asked.checks:
            continue
        lines.append(
            f"- **{_plain(check.title)}** ({_code(check.name)}): {_plain(check.sentence)} {_plain(check.advice)}".rstrip()
        )
        lines += [f"    - {_code(str(row.get('item_id')))}" for row in check.worst[:_SHOWN]]
        if (more := (check.unexpected or 0) - _SHOWN) > 0:
            lines.append(f"    - and {plural(more, 'more row', 'more rows')}")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text in Markdown that stays text: labels and ids come from elsewhere."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]()<>#!|~&" else char for char in clean(text, 600))


def _code(text: str) -> str:
    return f"`{clean(text, 120).replace('`', chr(39))}`"
