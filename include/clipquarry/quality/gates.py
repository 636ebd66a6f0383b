"""Runs a gate over a run's folder and stores its result."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from clipquarry import __version__
from clipquarry.datasets.model import DatasetSpec
from clipquarry.files import write_json
from clipquarry.quality.check import Check
from clipquarry.quality.engine import Engine, Suite, plain, versions
from clipquarry.quality.own_rules import OwnRules
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import CheckResult, GateResult
from clipquarry.quality.rows_file import rows_file
from clipquarry.quality.stored_suites import stored_suites
from clipquarry.quality.tables import RunTables
from clipquarry.settings import DataRoot

Suites = Callable[[DatasetSpec, RunTables, DataRoot, GateParams], Iterator[Suite]]
"""Makes the suites of a gate over the tables of a run."""


def run_gate(
    gate: str,
    spec: DatasetSpec,
    run_dir: Path,
    data: DataRoot,
    params: GateParams,
    *,
    suites: Suites,
    checks: Mapping[str, Check],
    own: OwnRules | None = None,
) -> GateResult:
    """Run the checks of one gate over ``{data}/.clipquarry/runs/{dataset}/{run}`` and store the result there.

    Writes ``gates/{gate}.json`` and ``gates/{gate}.rows.csv`` (every unexpected row, ``item_id`` first; compressed
    if it is large, see :mod:`clipquarry.quality.rows_file`), each whole or not at all, and the suites with their
    tables (:mod:`clipquarry.quality.stored_suites`). Bad data never raise here;
    the caller raises ``result.error()`` if the result is ``blocked``. ``checks`` is the catalogue, by id. ``own``:
    suites that users bring. Raises :class:`ManifestError` for a table that is absent or damaged, and
    :class:`UserError` for a suite of a user that cannot be run.
    """
    _give_memory_back()
    started, begun = datetime.now(UTC), time.monotonic()
    run = RunTables(run_dir)
    path = run.place.gate(gate)
    found: list[CheckResult] = []
    rows, failures = 0, _Failures()
    with rows_file(run.place.gate_rows(gate)) as (file, write), stored_suites(run.place.gx(gate)) as keep:
        engine = Engine({**checks, **own.checks()}, keep) if own else Engine(checks, keep)
        if own:
            own.refuse_wrong(engine.build)
        made = suites(spec, run, data, params)
        for suite in _with_own(made, own) if own else made:
            for finding in engine.run(suite):
                found.append(finding.result)
                failures.add(finding.result)
                if finding.rows is not None:
                    write(failures.noted(finding.result, _csv_rows(finding.result, finding.rows)))
                    rows += len(finding.rows)
    result = GateResult(
        gate=gate, dataset=spec.name, run=run_dir.name, started=started.isoformat(timespec="seconds"),
        ended=datetime.now(UTC).isoformat(timespec="seconds"), seconds=round(time.monotonic() - begun, 3),
        checks=tuple(found), rows=rows, rows_file=file.path.name, path=path, params=params.model_dump(mode="json"),
        tables=run.read, versions={"clipquarry": __version__, **versions()}, fingerprint=failures.digest,
    )  # fmt: skip
    write_json(path, result.as_json())
    return result


class _Failures:
    """The fingerprint of a gate's failures, while its rows pass by. What is only told does not count."""

    def __init__(self) -> None:
        self._hash, self._any = hashlib.sha256(), False

    def add(self, result: CheckResult) -> None:
        if not result.success and result.severity != "info":
            self._any = True
            self._note([result.name, result.severity, result.checked, result.unexpected, plain(result.observed)])

    def noted(self, result: CheckResult, rows: Iterator[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
        """The rows of a check, unchanged."""
        counts = not result.success and result.severity != "info"
        for row in rows:
            if counts:
                self._note(row)
            yield row

    def _note(self, value: Any) -> None:
        self._hash.update(f"{json.dumps(value)}\n".encode())

    @property
    def digest(self) -> str:
        return self._hash.hexdigest() if self._any else ""


def _with_own(suites: Iterator[Suite], own: OwnRules) -> Iterator[Suite]:
    for suite in suites:
        yield suite
        yield from own.over(suite)
    yield from own.left()


def _give_memory_back() -> None:
    """Take the allocator that returns freed tables to the system: the default one holds 150 MB more over a run's gates.

    A person's own choice (``ARROW_DEFAULT_MEMORY_POOL``) stays.
    """
    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ and "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())


def _csv_rows(result: CheckResult, rows: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    # JSON keeps line breaks and control characters out of the file, and a cell that begins with '{' is no formula.
    names = [name for name in rows.columns if name != "item_id"]
    columns = [rows[name].tolist() for name in names]
    for item_id, *values in zip(rows["item_id"].tolist(), *columns, strict=True):
        cell = json.dumps(dict(zip(names, map(plain, values), strict=True)), ensure_ascii=False)
        yield str(plain(item_id)), result.id, result.scope, result.severity, cell
