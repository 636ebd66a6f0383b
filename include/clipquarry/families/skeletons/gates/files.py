"""Suites of the gates ``annotations`` and ``clips`` of packages: their list, and the files (C01)."""

from __future__ import annotations

from collections.abc import Iterator

from clipquarry.datasets.model import DatasetSpec
from clipquarry.quality import clip_suites, disk
from clipquarry.quality.catalog_suites import COLUMNS, all_rows, not_empty, source_rules
from clipquarry.quality.declared import split_rows
from clipquarry.quality.engine import Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, looked_up, pick, present
from clipquarry.settings import DataRoot

STEP = "collect_packages"


def catalog_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``annotations``."""
    catalog = run.load("catalog", COLUMNS)
    usable = pick(catalog, catalog["status"] != REJECTED)
    yield not_empty(usable)
    yield split_rows(usable, params)
    yield all_rows(catalog, catalog["status"] != REJECTED, params)
    yield Suite("listed", usable, source_rules(spec))


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``clips``: the results, and every package that is there."""
    recorded = run.load("recorded", (*clip_suites.TEXT, "bytes", "source"))
    yield from clip_suites.result_suites(spec, run, recorded, params, step=STEP)
    files = pick(recorded, present(recorded))
    places = {split: f"{spec.root}/{path}" for split, path in spec.splits.items()}
    files["wanted_path"] = looked_up(files["split"], places).astype("str")
    files["videos_with_these_bytes"] = clip_suites.same_bytes(files)
    looked = disk.look(files, data.root, run.seed)
    files["disk"] = looked.problems
    yield Suite("clips", files, clip_suites.file_rules(("bytes",), looked.said, timed=False))
