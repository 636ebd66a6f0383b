"""Run a gate over a run's folder and store what it found."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pandas as pd

from clipquarry import __version__
from clipquarry.datasets.model import AnnotationFormat, DatasetSpec
from clipquarry.errors import UserError
from clipquarry.files import write_json
from clipquarry.quality import (
    box_annotations,
    box_clips,
    box_frames,
    kinetics_annotations,
    kinetics_clips,
    kinetics_frames,
    kinetics_lists,
    merged,
    prepared,
    proposals,
)
from clipquarry.quality.checks import GATES_OF, Gate
from clipquarry.quality.engine import Engine, Suite, plain, versions
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import CheckResult, GateResult
from clipquarry.quality.rows_file import rows_file
from clipquarry.quality.tables import RunTables
from clipquarry.settings import DataRoot

Suites = Callable[[DatasetSpec, RunTables, DataRoot, GateParams], Iterator[Suite]]

_SUITES: Final[dict[AnnotationFormat, dict[Gate, Suites]]] = {
    "kinetics_csv": {
        "annotations": kinetics_annotations.suites,
        "clips": kinetics_clips.suites,
        "frames": kinetics_frames.suites,
        "lists": kinetics_lists.suites,
    },
    "ava_csv": {
        "annotations": box_annotations.suites,
        "clips": box_clips.videos,
        "frames": box_frames.excerpts,
        "proposals": proposals.suites,
    },
    "ava_kinetics_csv": {
        "annotations": box_annotations.suites,
        "clips": box_clips.windows,
        "frames": box_frames.windows,
        "boxes": prepared.suites,
        "proposals": proposals.suites,
        "merged": merged.suites,
    },
}


def run_gate(gate: str, spec: DatasetSpec, run_dir: Path, data: DataRoot, params: GateParams) -> GateResult:
    """Run the checks of one gate over ``{data}/.clipquarry/runs/{dataset}/{run}`` and store the result there.

    Writes ``gates/{gate}.json`` and ``gates/{gate}.rows.csv`` (every unexpected row, ``item_id`` first; with gzip where it
    is large, see :mod:`clipquarry.quality.rows_file`), each whole or not at all. Whatever the data look like, the result tells it; the caller raises ``result.error()`` when it is
    ``blocked``. Raises :class:`UserError` for an unknown gate or a data set without checks, :class:`ManifestError`
    for a table that is absent or damaged.
    """
    if not spec.is_runnable or spec.annotation_format is None:
        raise UserError(
            f"{spec.name}: this version has no checks for family '{spec.family}' and its annotation format."
        )
    known = GATES_OF[spec.annotation_format]
    name = next((one for one in known if one == gate), None)
    if name is None:
        raise UserError(f"There is no gate '{gate}' for {spec.name}. Known: {', '.join(known)}.")
    started, begun = datetime.now(UTC), time.monotonic()
    run, engine = RunTables(run_dir), Engine()
    path = run_dir / "gates" / f"{gate}.json"
    checks: list[CheckResult] = []
    rows = 0
    with rows_file(path.with_name(f"{gate}.rows.csv")) as (file, write):
        for suite in _SUITES[spec.annotation_format][name](spec, run, data, params):
            for finding in engine.run(suite):
                checks.append(finding.result)
                if finding.rows is not None:
                    write(_csv_rows(finding.result, finding.rows))
                    rows += len(finding.rows)
    result = GateResult(
        gate=gate, dataset=spec.name, run=run_dir.name, started=started.isoformat(timespec="seconds"),
        ended=datetime.now(UTC).isoformat(timespec="seconds"), seconds=round(time.monotonic() - begun, 3),
        checks=tuple(checks), rows=rows, rows_file=file.path.name, path=path, params=params.model_dump(mode="json"),
        tables=run.read, versions={"clipquarry": __version__, **versions()},
    )  # fmt: skip
    write_json(path, result.as_json())
    return result


def _csv_rows(result: CheckResult, rows: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    # JSON keeps line breaks and control characters out of the file, and a cell that begins with '{' is no formula.
    names = [name for name in rows.columns if name != "item_id"]
    columns = [rows[name].tolist() for name in names]
    for item_id, *values in zip(rows["item_id"].tolist(), *columns, strict=True):
        cell = json.dumps(dict(zip(names, map(plain, values), strict=True)), ensure_ascii=False)
        yield str(plain(item_id)), result.id, result.scope, result.severity, cell
