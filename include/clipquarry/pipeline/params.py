"""The run parameters: the trigger form of the DAG, and the options of ``clipquarry run``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from clipquarry.datasets.model import DatasetSpec

APPROVING = frozenset({"approve_gates", "approve_above"})
"""Parameters that say whether a person may release although a gate does not hold."""
MAX_SHARDS = 1000
"""Airflow maps a task at most 1,024 times; shards are mapped, never items."""


class Named(NamedTuple):
    """A file that a parameter names. ``by_step``: a step reads it, wherever that runs."""

    parameter: str
    path: str
    by_step: bool = False


class Only(NamedTuple):
    """Items that a run chooses by values of a column of the catalog. ``noun`` and ``advice`` are for the error about
    a value that no row has.
    """

    column: str
    values: frozenset[str]
    noun: str
    advice: str


class RunParams(BaseModel):
    """Parameters of every run. Every description is shown in Airflow's trigger form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to prepare": ("splits", "limit"),
        "Where it comes from": ("sources", "annotation_sources", "local_folder", "mirror_url"),
        "How to run": ("shards", "jobs", "wait_days", "dry_run"),
        "What is missing": ("retry_all", "as_of"),
        "Checks": ("annotation_counts", "approve_gates", "approve_above"),
    }
    """Sections of the trigger form with their fields. A subclass places its own fields (:func:`sections_of`)."""

    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("sources", "local_folder", "mirror_url"),
        ("annotation_sources",),
        ("annotation_counts",),
    )
    """Groups of parameters that only make sense together, and that a refresh inherits: if one of a group is given,
    the whole group is kept.
    """
    trial: ClassVar[tuple[str, ...]] = ("dry_run", "limit")
    """Parameters of a trial, from which refreshes inherit nothing: it only plans, or takes only some items."""
    partial: ClassVar[tuple[str, ...]] = ("limit",)
    """Parameters with which the report says little about the whole data set."""
    steers: ClassVar[frozenset[str]] = frozenset(
        {
            "limit",
            "sources",
            "annotation_sources",
            "local_folder",
            "mirror_url",
            "shards",
            "jobs",
            "retry_all",
            "as_of",
            "splits",
            "wait_days",
            "approve_gates",
            "approve_above",
        }
    )
    """Parameters that decide which items and sources are requested, but not what is made from them."""

    splits: list[str] = Field(default=[], description="Splits to prepare. Empty: the data set's default splits.")
    limit: int | None = Field(
        default=None, ge=1, description="At most this many items of each split, in the order of the csv. Empty: all."
    )
    sources: list[str] = Field(
        default=[], description="Sources in the order to try. Empty: the order of the data set's YAML."
    )
    annotation_sources: list[str] = Field(
        default=[],
        description="Sources of the annotation files: only these are asked, in this order. Empty: all, in the order of the data set's YAML.",
    )
    local_folder: str = Field(default="", description="A folder with clips or whole videos that you already have.")
    mirror_url: str = Field(
        default="",
        description="A mirror as http(s) URL template with {split}, {class}, {clip} or {id}, such as http://host/{clip}.mp4",
    )
    shards: int | None = Field(
        default=None, ge=1, le=MAX_SHARDS, description="Into how many tasks the work is cut. Empty: by size."
    )
    jobs: int = Field(default=2, ge=1, le=64, description="Parallel downloads or encodes inside one task.")
    wait_days: float = Field(
        default=0, ge=0, le=365,
        description="Days to wait for annotation files and archives that no source gives, until a person places them. "
        "The wait occupies no worker. 0: the run ends, and says what to place.",
    )  # fmt: skip
    dry_run: bool = Field(default=False, description="Only plan: say what would be fetched and why, and stop.")
    retry_all: bool = Field(default=False, description="Ask again for everything missing, also what is not due yet.")
    as_of: datetime | None = Field(
        default=None, description="Pretend that it is this time (with time zone) when deciding what is due."
    )
    annotation_counts: Literal["strict", "warn"] = Field(
        default="strict", description="Row counts other than the published ones: stop (strict) or only warn."
    )

    approve_gates: Literal["never", "blocked", "warned"] = Field(
        default="never",
        description="Whether a person may release all the same: where a gate blocks (blocked), or also where one warns (warned). "
        "The run then waits for an answer with a reason, and occupies no worker. The release names who answered. "
        "never: a gate that blocks ends the run.",
    )  # fmt: skip
    approve_above: float = Field(
        default=0, ge=0, le=1,
        description="With warned: ask only where more than this share of the rows breaks a check, such as 0.05. 0: at every warning.",
    )  # fmt: skip

    @property
    def is_trial(self) -> bool:
        """Whether the run only plans, or takes only some items."""
        return any(getattr(self, name) for name in self.trial)

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        """Sentences on parameters that were ``chosen`` (with other values than the defaults) and would have no
        effect in this run.

        An option that is accepted and dropped costs days, so it is refused instead.
        """
        if self.as_of is not None and self.as_of.tzinfo is None:
            yield "as_of needs a time zone: write 2026-11-21T00:00:00+00:00."
        if self.retry_all and "as_of" in chosen:
            yield "retry_all asks for everything that is missing, so that as_of decides nothing: leave one of them out."
        if self.approve_gates != "warned" and "approve_above" in chosen:
            yield "Parameter 'approve_above' does nothing in this run: set approve_gates=warned, or leave 'approve_above' out."
        for name in ("splits", "sources", "annotation_sources", "compare_with"):
            values = getattr(self, name, [])
            if twice := next((value for value in values if values.count(value) > 1), None):
                yield f"Parameter '{name}' names '{twice}' twice: leave one out."

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        """Sentences on values that this data set cannot have, such as the name of a video."""
        yield from ()

    def names(self) -> Iterator[Named]:
        """Files that the run names and needs."""
        yield from ()

    def in_lock(self) -> dict[str, Any]:
        """Parameters that a release's lock names beside the recipe: they say how what is in it came to be."""
        return {}

    def only(self) -> Iterator[Only]:
        """The run's choice from the catalog, besides splits and ``limit``."""
        yield from ()


def idle(names: Collection[str], chosen: Collection[str], what: str) -> Iterator[str]:
    """A sentence if one of ``names`` was chosen although ``what`` it belongs to is not made."""
    if idle := next((name for name in names if name in chosen), None):
        yield f"Parameter '{idle}' does nothing in this run: {what}, or leave '{idle}' out."


SECTIONS = (
    "What to prepare",
    "Where it comes from",
    "What to make",
    "People",
    "How to run",
    "What is missing",
    "Checks",
)
"""Their order in the form; others follow."""


def sections_of(model: type[RunParams]) -> dict[str, list[str]]:
    """Sections of the form with the fields of a model, each in order. A field that no class placed is under "More"."""
    found: dict[str, list[str]] = {name: [] for name in SECTIONS}
    for kind in reversed(model.__mro__):
        for name, fields in vars(kind).get("sections", {}).items():
            found.setdefault(name, []).extend(field for field in fields if field not in found.get(name, []))
    placed = {field for fields in found.values() for field in fields}
    found["More"] = [field for field in model.model_fields if field not in placed]
    return {name: fields for name, fields in found.items() if fields}
