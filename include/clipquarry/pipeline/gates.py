"""The gates of a data set: the suites and the catalogue of checks are its family's.

::

    result = run_gate("clips", spec, run_dir, data, GateParams())
    if result.blocked:
        raise result.error()
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clipquarry.datasets.families import family_names, find_family
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.pipeline.family import Family, family_of, gates_of
from clipquarry.quality.check import Check
from clipquarry.quality.params import GateParams
from clipquarry.settings import DataRoot

if TYPE_CHECKING:
    from clipquarry.quality.own_rules import OwnRules
    from clipquarry.quality.results import GateResult


def run_gate(
    gate: str, spec: DatasetSpec, run_dir: Path, data: DataRoot, params: GateParams, own_checks: Sequence[Path] = ()
) -> GateResult:
    """Run one gate of a data set: see :func:`clipquarry.quality.gates.run_gate`. Raises :class:`UserError` for an unknown gate too.

    ``own_checks``: folders with suites of users.
    """
    from clipquarry.quality import gates

    known = gates_of(spec)
    if gate not in known:
        raise UserError(f"There is no gate '{gate}' for {spec.name}. Known: {', '.join(known)}.")
    return gates.run_gate(
        gate, spec, run_dir, data, params, suites=known[gate], checks={c.id: c for c in family_of(spec).checks()},
        own=_own(gate, spec, own_checks),
    )  # fmt: skip


def _own(gate: str, spec: DatasetSpec, folders: Sequence[Path]) -> OwnRules | None:
    from clipquarry.quality.own_files import read_own_suites
    from clipquarry.quality.own_rules import OwnRules

    found = read_own_suites(folders, spec.name, gate, tuple(gates_of(spec)))
    tables = family_of(spec).tables
    return OwnRules(gate, found, tuple(tables()[gate]) if tables else ("*",)) if found else None


def make_file_context(run_dir: Path, folder: Path) -> None:
    """Make a file context of Great Expectations: see :func:`clipquarry.quality.file_context.make_context`."""
    from clipquarry.quality.file_context import make_context

    make_context(run_dir, folder)


def catalogue() -> dict[str, Check]:
    """Every check of every family, by id."""
    families: list[Family] = [find_family(name) for name in family_names()]
    return {check.id: check for family in families for check in family.checks()}
