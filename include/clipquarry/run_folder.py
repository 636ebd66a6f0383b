"""The folder of a run: every file that all families know has its place here, and is named nowhere else.

What only one family writes has its place in that family's ``run_files.py``; what stands in the documents is in
:mod:`clipquarry.run_documents`.

::

    run.json                          what the run is: its parameters, its number, when it began and ended
    catalog.{parquet,json}            the items of the annotation files; where they come from
    labels.parquet                    the labels of the catalog's items, beside it
    plan.json                         what is asked for, and the jobs of each step
    plan/items/shard-00000.parquet    items that are asked for, one table a task of ``fetch`` (and of what follows it)
    plan/found/local-00000.parquet    items whose time has not come, but that were found on disk
    plan/archives/{source}/…          archive volumes, one table a task of ``unpack``
    plan/params/{step}-{prefix}.json  what a step is told
    plan/{wanted,held,known,absent}.parquet
                                      items asked for; left alone; asked of some sources only; that no source of the run can have
    {step}/part-00000.parquet         what a task of a step wrote; beside it its result, and until it is finished its journal
    results.parquet                   what the run learned, an item a row; ``recorded.parquet``: what it is judged by
    gates/{gate}.json                 what a gate found; ``{gate}.rows.csv`` (or ``.gz``): every row that broke a check
    failures/{task}.json              why a task failed
    lists.json                        the list files that were written; ``missing_{format}.{parquet,csv}``: what is in none
    stops.json                        when and why the breaker stopped the crawl
    report/…                          the page, the same as JSON, the line of the index, the table of what is missing
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Table = Literal["catalog", "labels", "recorded", "results"]
"""Manifests of a run that lie in its folder itself."""

RUN_FILE = "run.json"
REPORT, GATES, PAGE = "report", "gates", "index.html"
REPORT_JSON, REPORT_MISSING = "report.json", "missing.csv"
ROWS, PACKED = ".rows.csv", ".gz"
"""Suffixes of a gate's file of rows: ``{gate}.rows.csv``, with gzip ``{gate}.rows.csv.gz``."""
_RESULTS = "part-*.result.json"
_DOCUMENTS = "[!.]*.json"  # files that a killed writer left begin with a dot


def labels_beside(catalog: Path) -> Path:
    """Path of the labels of a catalog's items."""
    return catalog.with_name("labels.parquet")


def shard(folder: Path, prefix: str, number: int) -> Path:
    """Path of one of the tables that a table is divided into, from 0."""
    return folder / f"{prefix}-{number:05d}.parquet"


def result_path(out: Path) -> Path:
    """Path of the result of the step that writes ``out``."""
    return out.with_name(f"{out.stem}.result.json")


def journal_path(out: Path) -> Path:
    """Path of the journal: the finished rows of ``out`` until all are finished."""
    return out.with_name(f"{out.stem}.journal.jsonl")


def begun_runs(dataset: Path) -> list[Path]:
    """The folders of a data set's runs that began, by name; ``dataset`` is ``{data}/.clipquarry/runs/{dataset}``."""
    return [path.parent for path in sorted(dataset.glob(f"*/{RUN_FILE}"))]


def all_begun_runs(runs: Path) -> list[Path]:
    """The same of all data sets; ``runs`` is ``{data}/.clipquarry/runs``."""
    return [path.parent for path in sorted(runs.glob(f"*/*/{RUN_FILE}"))]


def gates_of_runs(dataset: Path, gate: str) -> list[Path]:
    """The stored results of a gate in all runs of a data set, by the runs' names."""
    return sorted(dataset.glob(f"*/{GATES}/{gate}.json"))


@dataclass(frozen=True)
class RunFolder:
    """``root`` is the run's folder. Nothing is created here."""

    root: Path

    @property
    def run_file(self) -> Path:
        """The facts of the run: see :class:`~clipquarry.run_documents.RunFacts`."""
        return self.root / RUN_FILE

    # The annotations

    def table(self, name: Table) -> Path:
        return self.root / f"{name}.parquet"

    @property
    def catalog(self) -> Path:
        """The items of the annotation files."""
        return self.table("catalog")

    @property
    def catalog_file(self) -> Path:
        """The files from which the catalog was made: see :class:`~clipquarry.run_documents.CatalogFacts`."""
        return self.root / "catalog.json"

    # The plan

    @property
    def plan_file(self) -> Path:
        """The requests, and the jobs: see :class:`~clipquarry.run_documents.PlanFacts`."""
        return self.root / "plan.json"

    @property
    def plan(self) -> Path:
        """The tables of the plan, and the parameters of the steps."""
        return self.root / "plan"

    @property
    def items(self) -> Path:
        """Shards of the requested items."""
        return self.plan / "items"

    @property
    def found(self) -> Path:
        """Shards of items that are not due, but were found on disk."""
        return self.plan / "found"

    def archive_table(self, source: str) -> Path:
        """The archive volumes of a source."""
        return self.plan / "archives" / f"{source}.parquet"

    def archive_shards(self, source: str) -> Path:
        """The same, cut into shards."""
        return self.plan / "archives" / source

    def params(self, step: str, prefix: str) -> Path:
        """Parameters of a step for the shards whose names begin with ``prefix``."""
        return self.plan / "params" / f"{step}-{prefix}.json"

    @property
    def wanted(self) -> Path:
        """Every requested item, in one table."""
        return self.plan / "wanted.parquet"

    @property
    def held(self) -> Path:
        """Items without a request, with the reason."""
        return self.plan / "held.parquet"

    @property
    def known(self) -> Path:
        """What the ledger knows of items that only some sources are asked for."""
        return self.plan / "known.parquet"

    @property
    def absent(self) -> Path:
        """Items that are due, but that no source of the run can have, with the reason."""
        return self.plan / "absent.parquet"

    def planned(self) -> list[Path]:
        """The shards of all planned items, in order."""
        # Files that a killed writer left begin with a dot.
        return [path for folder in (self.items, self.found) for path in sorted(folder.glob("[!.]*.parquet"))]

    # The steps

    def step(self, name: str) -> Path:
        """The folder of the tables that a step's tasks wrote."""
        return self.root / name

    def manifest(self, step: str, number: int) -> Path:
        """The table that task ``number`` (from 0) of a step writes."""
        return shard(self.step(step), "part", number)

    def manifests(self, step: str) -> list[Path]:
        """The finished tables of a step, in order."""
        return sorted(self.step(step).glob("part-*.parquet"))

    def results_of(self, step: str = "*") -> list[Path]:
        """The results of a step's tasks, in order; of all steps if none is named."""
        return sorted(self.root.glob(f"{step}/{_RESULTS}"))

    # What came of them

    @property
    def results(self) -> Path:
        """The results of this run, one row per requested item; the ledger reads it."""
        return self.table("results")

    @property
    def recorded(self) -> Path:
        """The input of the gates: the run's results, and in a refresh also those of earlier runs."""
        return self.table("recorded")

    @property
    def stops(self) -> Path:
        """Times and reasons of the breaker's stops of the crawl during the run; absent if there were none."""
        return self.root / "stops.json"

    @property
    def lists(self) -> Path:
        """The written list files: see :class:`~clipquarry.run_documents.ListFacts`."""
        return self.root / "lists.json"

    def missing(self, form: str) -> Path:
        """Items without a line in the lists of a format (``videos``, ``rawframes``), with the reason; beside it the
        same as csv.
        """
        return self.root / f"missing_{form}.parquet"

    def missing_csv(self, form: str) -> Path:
        """The same for people."""
        return self.missing(form).with_suffix(".csv")

    @property
    def missing_of_all(self) -> Path:
        """The one table of all formats, which earlier versions wrote."""
        return self.root / "missing.parquet"

    def failure(self, task: str) -> Path:
        """The error message of a failed task."""
        return self.root / "failures" / f"{task}.json"

    def failures(self) -> list[Path]:
        """All error messages, in no order."""
        return list((self.root / "failures").glob(_DOCUMENTS))

    # The gates

    def gate(self, name: str) -> Path:
        """Results of a gate."""
        return self.root / GATES / f"{name}.json"

    def gates(self) -> list[Path]:
        """Results of the gates that ran, by name."""
        return sorted((self.root / GATES).glob(_DOCUMENTS))

    def gate_rows(self, name: str) -> Path:
        """Every row that broke a check of a gate; a large file has the suffix :data:`PACKED`."""
        return self.root / GATES / f"{name}{ROWS}"

    # The report

    @property
    def report(self) -> Path:
        return self.root / REPORT

    @property
    def report_page(self) -> Path:
        return self.report / PAGE

    @property
    def report_json(self) -> Path:
        """The page's content, for programs."""
        return self.report / REPORT_JSON

    @property
    def report_summary(self) -> Path:
        """The run's line in the index, and its point in the trend of later runs."""
        return self.report / "summary.json"

    @property
    def report_missing(self) -> Path:
        """Every missing item, with the reason."""
        return self.report / REPORT_MISSING
