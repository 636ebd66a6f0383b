"""The context of a run: the data set, its parameters, and its paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.namespace import namespace_of
from clipquarry.files import write_json
from clipquarry.pipeline.ledgers import open_ledger
from clipquarry.pipeline.params import RunParams
from clipquarry.run_documents import read_run_facts
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot, Settings

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger

Kind = Literal["full", "refresh"]
P = TypeVar("P", bound=RunParams)


@dataclass(frozen=True)
class RunContext:
    """Everything that a stage needs. Cheap to make; every task makes its own."""

    settings: Settings
    spec: DatasetSpec
    run: str
    kind: Kind
    params: RunParams
    in_process: bool = False
    """Steps run in this process (the command line), whatever runtime is configured."""
    problem: str = ""
    """What is wrong with the parameters with which the run was started; ``params`` are then the defaults."""
    given: dict[str, Any] | None = None
    """The wrong parameters, for the report."""
    inherited: dict[str, Any] = field(default_factory=dict)
    """What a refresh, or a run that started by itself, inherited from the last full run; ``params`` contains it."""
    automatic: bool = False
    """The run started by itself, because something that the data set is made of had changed."""

    @property
    def data(self) -> DataRoot:
        return self.settings.data

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.data.run(self.spec.name, self.run)

    @property
    def place(self) -> RunFolder:
        """The paths in the run's folder."""
        return RunFolder(self.folder)

    @property
    def catalog(self) -> Path:
        return self.place.catalog

    @property
    def plan_file(self) -> Path:
        return self.place.plan_file

    @property
    def results(self) -> Path:
        """The results of this run, one row per requested item; the ledger reads it."""
        return self.place.results

    @property
    def recorded(self) -> Path:
        """The input of the gates: the run's results, and in a refresh also those of earlier runs."""
        return self.place.recorded

    @property
    def state(self) -> Path:
        """The last known result of every item that was ever asked for, over all runs."""
        return self.data.state(self.spec.name)

    @property
    def splits(self) -> list[str]:
        """Chosen splits, in the data set's order; a refresh covers those that were ever requested."""
        chosen = self.params.splits or self._asked_before() or self.spec.default_splits or list(self.spec.splits)
        return [split for split in self.spec.splits if split in chosen]

    def _asked_before(self) -> list[str]:
        from clipquarry.pipeline.state import splits_of

        return splits_of(self.state) if self.kind == "refresh" else []

    def chosen(self, kind: type[P]) -> P:
        """The parameters, as those of the family ``kind``."""
        assert isinstance(self.params, kind), f"{self.spec.name} has no {kind.__name__}"
        return self.params

    def now(self) -> datetime:
        """The time at which things are due: now, or the run's ``as_of``."""
        return self.params.as_of or datetime.now(UTC)

    def ledger(self) -> Ledger:
        """The ledger, migrated."""
        return open_ledger(self.settings)

    def annotation_csvs(self, splits: list[str] | None = None) -> dict[str, Path]:
        """Split to csv, for those that are on disk; all splits unless ``splits`` narrows it."""
        found = {}
        for split, path in self.spec.splits.items():
            csv = self.data.dataset(self.spec.root, path)
            if (splits is None or split in splits) and csv.exists():
                found[split] = csv
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "dataset": self.spec.name,
            "namespace": namespace_of(self.spec),
            "run": self.run,
            "kind": self.kind,
            "egress": self.settings.egress,
            "params": self.params.model_dump(mode="json") if self.given is None else self.given,
            "inherited": self.inherited,
        }


def update_run_file(ctx: RunContext, **values: Any) -> None:
    """Merge values, which are of :class:`RunFacts`, into ``run.json`` (created if absent)."""
    path = ctx.place.run_file
    content = read_run_facts(ctx.folder) if path.exists() else {}
    write_json(path, {**content, **ctx.as_json(), **values})
