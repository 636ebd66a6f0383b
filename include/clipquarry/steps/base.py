"""Base class of a step: a verb over a table, one row in and one row out.

A step declares its name, its version (raise it whenever its output changes), its parameters (a pydantic model that
refuses unknown ones) and the columns that it adds. The runner (:mod:`clipquarry.steps.runner`) does the rest: order,
journal, threads, progress, the result file.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock
from typing import Any, ClassVar, Generic, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from clipquarry.errors import RetryLater
from clipquarry.manifest import RESULT_FIELDS, Row, schema_of
from clipquarry.microseconds import in_key
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot
from clipquarry.store import Store, content_key


class StepParams(BaseModel):
    """Base of every step's parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


_MOMENTS = ("start", "end")
_IN_KEY = ("item_id", "video_id", "clip_id", "split", "label", "class_dir", "label_index", *_MOMENTS, "row")
"""Columns that identify an item. The annotation's own text of its times is not one of them."""

P = TypeVar("P", bound=StepParams)
K = TypeVar("K")


@dataclass(frozen=True)
class StepContext(Generic[P]):
    """Everything that a step may use. ``cancelled`` is set when the step must stop soon.

    ``note`` writes an attempt (for an item id) to disk before the item has a result, so that it survives a kill.
    """

    data: DataRoot
    params: P
    jobs: int = 1
    cancelled: Event = field(default_factory=Event)
    note: Callable[[str, dict[str, Any]], None] = lambda item_id, attempt: None

    @property
    def store(self) -> Store:
        return Store(self.data.store)


@dataclass(frozen=True)
class Outcome:
    """How one item ended; ``columns`` are the step's own columns (see :attr:`Step.fields`)."""

    status: Status
    reason: Reason = Reason.OK
    evidence: str = ""
    columns: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def missing(cls, reason: Reason, evidence: str, **columns: Any) -> Outcome:
        return cls(Status.MISSING, reason, evidence, columns)

    @classmethod
    def failed(cls, reason: Reason, evidence: str, **columns: Any) -> Outcome:
        return cls(Status.FAILED, reason, evidence, columns)


class Step(ABC, Generic[P]):
    """A step. Steps hold no state of items: everything is in the context and the rows."""

    name: ClassVar[str]
    version: ClassVar[int]
    fields: ClassVar[tuple[pa.Field, ...]] = ()
    params_model: type[P]

    def preflight(self, ctx: StepContext[P]) -> None:
        """Raise MachineError or RetryLater when the machine cannot do this step."""

    def group_of(self, row: Row) -> str:
        """Group of a row. Neighbouring rows of one group are passed together, so that one video is fetched once."""
        return str(row["item_id"])

    @abstractmethod
    def run_group(self, rows: Sequence[Row], ctx: StepContext[P]) -> list[Outcome]:
        """Do the work for the rows of one group; one outcome per row, in order.

        An exception other than those of :mod:`clipquarry.errors` is a defect; the runner records the rows as
        ``failed`` / ``tool_failed`` with its text and goes on. MachineError, RetryLater and WaitUntil stop the step.
        """

    def merge(self, previous: Row, outcome: Outcome) -> Outcome:
        """Combine a journalled result that is tried again with the new outcome (to keep every attempt)."""
        return outcome

    def finish(self, reasons: Counter[Reason], ctx: StepContext[P]) -> None:
        """Called after the last row and before the manifest appears; may raise WaitUntil or RetryLater."""

    def still_holds(self, row: Row, result: Row, ctx: StepContext[P]) -> bool:
        """True when the journal's ``result`` for ``row`` (done or kept) still verifies after a restart."""
        return False

    def key(self, row: Row, ctx: StepContext[P]) -> str:
        """Hash of the row, the params and the step's version. Params that do not change the output may be left out."""
        item = {name: row.get(name) for name in _IN_KEY}
        item |= {name: in_key(row[name]) for name in _MOMENTS if row.get(name) is not None}
        if row.get("parent") is not None:  # left out otherwise, so that existing keys do not change
            item["parent"] = row["parent"]
        return content_key(step=self.name, version=self.version, item=item, params=self.key_params(ctx.params))

    def key_params(self, params: P) -> dict[str, Any]:
        """The parameters that belong in the key."""
        return params.model_dump(mode="json")

    def schema(self) -> pa.Schema:
        """Schema of the step's manifest."""
        return schema_of((*RESULT_FIELDS, *self.fields), self.name)


class PerRun(Generic[K]):
    """Objects that all groups of one run of a step share, such as connections: made once per data root and parameters."""

    def __init__(self, make: Callable[[StepContext[Any]], K]) -> None:
        self._make, self._made = make, dict[str, K]()
        self._lock = Lock()

    def __call__(self, ctx: StepContext[Any]) -> K:
        name = content_key(root=str(ctx.data.root), params=ctx.params.model_dump(mode="json"))
        with self._lock:
            if name not in self._made:
                self._made[name] = self._make(ctx)
            return self._made[name]


TOLD_TO_STOP = "The step was told to stop: run it again to go on; finished work is kept."
"""The sentence of a step whose ``cancelled`` is set."""


def require_space(data: DataRoot, gigabytes: float) -> None:
    """Raise RetryLater when the data root has less free space than ``gigabytes``. Creates its private folder."""
    data.private.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(data.private).free
    if free < gigabytes * 1e9:
        raise RetryLater(
            f"Only {free / 1e9:.1f} GB are free at {data.root}, the step needs {gigabytes:g} GB: "
            "free some space, then run this again; finished work is kept."
        )


def now() -> datetime:
    """The current time, aware, UTC."""
    return datetime.now(UTC)
