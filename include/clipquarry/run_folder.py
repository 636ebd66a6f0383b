"""The folder of a run: every file that all families know has its place here, and is named nowhere else.

What only one family writes has its place in that family's ``run_files.py``; what stands in the documents is in
:mod:`clipquarry.run_documents`.

::

    run.json                          what the run is: its parameters, its number, when it began and ended
    made_of.json                      the releases of other data sets that the run takes from
    catalog.{parquet,json}            the items of the annotation files; where they come from
    labels.parquet                    the labels of the catalog's items, beside it
    plan.json                         what is asked for, and the jobs of each step
    plan/items/shard-00000.parquet    items that are asked for, one table a task of ``fetch`` (and of what follows it)
    plan/found/local-00000.parquet    items whose time has not come, but that were found on disk
    plan/samples/shard-00000.parquet  the same without the items of which nothing else is made, where there are such
    plan/archives/{source}/…          archive volumes, one table a task of ``unpack``
    plan/params/{step}-{prefix}.json  what a step is told
    plan/{wanted,held,known,absent}.parquet
                                      items asked for; left alone; asked of some sources only; that no source of the run can have
    {step}/part-00000.parquet         what a task of a step wrote; beside it its result, and until it is finished its journal
    results.parquet                   what the run learned, an item a row; ``recorded.parquet``: what it is judged by
    gates/{gate}.json                 what a gate found; ``{gate}.rows.csv`` (or ``.gz``): every row that broke a check
    approvals/{gate}.json             what a person was asked about a gate, and the answer
    gx/{gate}/{suite}.{json,parquet}  a gate's suites as Great Expectations writes them, each beside the table that it ran on
    failures/{task}.json              why a task failed
    waiting/{task}.json               what a task waits for until a person places it
    lists.json                        the list files that were written; ``missing_{format}.{parquet,csv}``: what is in none
    stops.json                        when and why the breaker stopped the crawl
    report/…                          the page, the same as JSON, the line of the index, the table of what is missing
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Table = Literal["catalog", "labels", "recorded", "results", "named_files"]
"""Manifests of a run that lie in its folder itself."""

RUN_FILE = "run.json"
REPORT, GATES, GX, PAGE = "report", "gates", "gx", "index.html"
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


def table_of_suite(suite: Path) -> Path:
    """Path of the table that a stored suite ran on."""
    return suite.with_name(f"{suite.name.removesuffix('.json')}.parquet")


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

    @property
    def made_of(self) -> Path:
        """The releases of other data sets that the run takes from: data set to fingerprint."""
        return self.root / "made_of.json"

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
    def named_files(self) -> Path:
        """Which file of a person's folder belongs to which item; only of data sets whose files have names of their own."""
        return self.table("named_files")

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

    @property
    def samples(self) -> Path:
        """The shards without the items of which nothing else is made; absent where there are none of these."""
        return self.plan / "samples"

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

    @property
    def others(self) -> Path:
        """Windows that other data sets lack of the requested videos."""
        return self.plan / "others.parquet"

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

    def waiting(self, task: str) -> Path:
        """What a task waits for: see :mod:`clipquarry.waiting`."""
        return self.root / "waiting" / f"{task}.json"

    def waits(self) -> list[Path]:
        """The notes of all tasks that wait, by name."""
        return sorted((self.root / "waiting").glob(_DOCUMENTS))

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

    def approval(self, gate: str) -> Path:
        """What a person was asked about a gate, and the answer: see :mod:`clipquarry.approvals`."""
        return self.root / "approvals" / f"{gate}.json"

    def approvals(self) -> list[Path]:
        """The same of all gates, by name."""
        return sorted((self.root / "approvals").glob(_DOCUMENTS))

    def gx(self, gate: str) -> Path:
        """The suites of a gate for plain Great Expectations, and their tables."""
        return self.root / GX / gate

    def gx_gates(self) -> list[str]:
        """The gates whose suites are stored, by name."""
        return sorted(path.name for path in (self.root / GX).glob("[!.]*"))

    def gx_suites(self, gate: str) -> list[Path]:
        """The suites of a gate that ran, by name; beside each its table, see :func:`table_of_suite`."""
        return sorted(self.gx(gate).glob(_DOCUMENTS))

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
