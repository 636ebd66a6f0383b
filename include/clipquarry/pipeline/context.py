"""One run: the data set, its parameters, and where everything it writes lies."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.files import read_json, write_json
from clipquarry.pipeline.inherit import inherited, last_params
from clipquarry.pipeline.param_checks import parse_run_params
from clipquarry.pipeline.params import RunParams
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot, Settings, slug

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger

Kind = Literal["full", "refresh"]
P = TypeVar("P", bound=RunParams)


@dataclass(frozen=True)
class RunContext:
    """Everything a stage needs. Cheap to make; every task makes its own."""

    settings: Settings
    spec: DatasetSpec
    run: str
    kind: Kind
    params: RunParams
    in_process: bool = False
    """Steps run in this process (the command line), whatever runtime is configured."""
    problem: str = ""
    """What is wrong with the parameters that the run was started with; ``params`` are then the defaults."""
    given: dict[str, Any] | None = None
    """The wrong parameters, for the report."""
    inherited: dict[str, Any] = field(default_factory=dict)
    """What a refresh took over from the last full run; ``params`` has it."""

    @property
    def data(self) -> DataRoot:
        return self.settings.data

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.data.run(self.spec.name, self.run)

    @property
    def place(self) -> RunFolder:
        """What lies where in it."""
        return RunFolder(self.folder)

    @property
    def catalog(self) -> Path:
        return self.folder / "catalog.parquet"

    @property
    def plan_file(self) -> Path:
        return self.folder / "plan.json"

    @property
    def results(self) -> Path:
        """What this run learned, one row per item it was asked for; the ledger reads it."""
        return self.folder / "results.parquet"

    @property
    def recorded(self) -> Path:
        """What this run is judged by: its results, and in a refresh also what earlier runs left."""
        return self.folder / "recorded.parquet"

    @property
    def state(self) -> Path:
        """The last known result of every item that was ever asked for, over all runs."""
        return self.data.private / "state" / f"{self.spec.name}.parquet"

    @property
    def splits(self) -> list[str]:
        """Chosen splits, in the data set's order; a refresh looks at those that were ever asked for."""
        chosen = self.params.splits or self._asked_before() or self.spec.default_parts or list(self.spec.parts)
        return [part for part in self.spec.parts if part in chosen]

    def _asked_before(self) -> list[str]:
        from clipquarry.pipeline.state import splits_of

        return splits_of(self.state) if self.kind == "refresh" else []

    def chosen(self, kind: type[P]) -> P:
        """The parameters as those of the data set's annotation format."""
        assert isinstance(self.params, kind), f"{self.spec.name} has no {kind.__name__}"
        return self.params

    def now(self) -> datetime:
        """The time at which things are due: now, or what the run pretends."""
        return self.params.as_of or datetime.now(UTC)

    def ledger(self) -> Ledger:
        """The ledger, migrated."""
        from clipquarry.ledger import Ledger

        return Ledger.open(self.settings.ledger_url)

    def annotation_csvs(self, parts: list[str] | None = None) -> dict[str, Path]:
        """Part to csv, for those that are on disk; all parts unless ``parts`` narrows it."""
        found = {}
        for part, path in self.spec.parts.items():
            csv = self.data.dataset(self.spec.root, path)
            if (parts is None or part in parts) and csv.exists():
                found[part] = csv
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "dataset": self.spec.name,
            "run": self.run,
            "kind": self.kind,
            "egress": self.settings.egress,
            "params": self.params.model_dump(mode="json") if self.given is None else self.given,
            "inherited": self.inherited,
        }


def make_context(
    dataset: str,
    run: str,
    params: dict[str, Any],
    *,
    kind: Kind = "full",
    settings: Settings | None = None,
    in_process: bool = False,
    started: bool = False,
) -> RunContext:
    """Load the data set and validate the parameters.

    Wrong parameters raise UserError. Of a run that has ``started`` they make a context with a ``problem``, which the report is written with.
    """
    settings = settings or Settings.from_env()
    spec = find_spec(dataset, settings.dataset_folders)
    if not spec.is_runnable:
        raise UserError(
            f"{spec.name} is of family '{spec.family}', which this version of Clipquarry describes but cannot run yet."
        )
    name = slug(run)
    try:
        taken = _taken_over(spec, settings.data, name, params) if kind == "refresh" else {}
        return RunContext(
            settings, spec, name, kind, parse_run_params({**params, **taken}, spec), in_process, inherited=taken
        )
    except UserError as error:
        if not started:
            raise
        return RunContext(settings, spec, name, kind, parse_run_params({}, spec), in_process, str(error), dict(params))


def _taken_over(spec: DatasetSpec, data: DataRoot, run: str, params: dict[str, Any]) -> dict[str, Any]:
    """What a refresh inherits; once it has begun that stays, whatever full run comes after."""
    try:
        told = read_json(data.run(spec.name, run) / "run.json")
        last = dict(told["inherited"])
    except (UserError, OSError, KeyError, TypeError, ValueError):
        last = last_params(spec, data)
    return inherited(spec, params, last)


def update_run_file(ctx: RunContext, **values: Any) -> dict[str, Any]:
    """Merge values into ``run.json`` (made when absent)."""
    path = ctx.folder / "run.json"
    content: dict[str, Any] = read_json(path) if path.exists() else {}
    content = {**content, **ctx.as_json(), **values}
    write_json(path, content)
    return content
