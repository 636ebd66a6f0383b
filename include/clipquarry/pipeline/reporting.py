"""A run's report, with the settings of the data set's family."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.family import family_of, gates_of, params_model, steps_of, tasks_of
from clipquarry.report.data import Report
from clipquarry.report.section import Told
from clipquarry.settings import DataRoot

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger


def told_by(spec: DatasetSpec) -> Told:
    """The family's settings for the report."""
    family = family_of(spec)
    return Told(
        noun=family.noun(spec),
        steps=tuple(steps_of(spec)),
        leaves=tuple((task.name, task.leaves) for task in tasks_of(spec) if task.leaves),
        gates=tuple(gates_of(spec)),
        partial=params_model(spec).partial,
        lists=bool(spec.lists),
        section=family.section() if family.section else None,
    )


def collect(spec: DatasetSpec, data: DataRoot, run: str, ledger: Ledger | None, now: datetime) -> Report:
    """See :func:`clipquarry.report.collect.collect`."""
    from clipquarry.report.collect import collect as do_collect

    return do_collect(spec, data, run, ledger, now, told_by(spec))


def write_report(spec: DatasetSpec, data: DataRoot, run: str, ledger: Ledger | None, now: datetime) -> Path:
    """See :func:`clipquarry.report.page.write_report`."""
    from clipquarry.report.page import write_report as do_write

    return do_write(spec, data, run, ledger, now, told_by(spec))
