"""The catalogue of checks: every check a gate can report, with its weight and the reason for it.

``docs/checks.md`` documents each one; a test holds the page against this catalogue. The ``invariant`` names the rules that
the check stands for: of the Kinetics family (``K-I*``), of AVA (``A-I*``), of AVA-Kinetics (``AK-I*``), or general ones (``C*``).
"""

from __future__ import annotations

from typing import Final

from clipquarry.quality import box_checks, kinetics_checks
from clipquarry.quality.check import GATES, GATES_OF, Check, Gate, Severity

__all__ = ["CATALOGUE", "GATES", "GATES_OF", "Check", "Gate", "Severity"]

CATALOGUE: Final[dict[str, Check]] = {check.id: check for check in (*kinetics_checks.CHECKS, *box_checks.CHECKS)}
"""Every check by id."""
