"""Settings from the environment: paths and options (all documented in ``docs/operating.md``)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipquarry import former
from clipquarry.errors import UserError
from clipquarry.files import inside, known_object

PRIVATE = ".clipquarry"
LEDGER = "ledger.sqlite"
RUNS, RELEASES, SET_ASIDE, MODELS, SCRATCH = "runs", "releases", "set-aside", "models", "scratch"
LABELLING = "labelling"
"""Names in the private folder; :class:`DataRoot` has them as paths."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~:+ -]{0,149}", re.ASCII)
"""Characters that Airflow accepts in a run id, and blanks."""


def slug(text: str) -> str:
    """A run id of Airflow (``manual__2026-11-21T01:02:03+00:00``) as a folder name.

    Raises UserError for any text that would change its meaning as a folder name.
    """
    if not _NAME.fullmatch(text):
        raise UserError(
            f"{text[:200]!r} cannot name a run: use letters, digits, '-', '_' or '.', begin with none of '-' and '.', "
            "and take 150 characters at most."
        )
    return re.sub(r"[~:+ ]", "_", text)


@dataclass(frozen=True)
class DataRoot:
    """The folder that holds every data set; our own files are in ``.clipquarry`` below it, and named here alone.

    The files of a run are in :mod:`clipquarry.run_folder`. Methods that take a name raise UserError where it cannot be one.
    """

    root: Path

    @property
    def private(self) -> Path:
        """Manifests, store, reports and everything else outside the reference layouts."""
        return self.root / PRIVATE

    def dataset(self, root: str, *parts: str) -> Path:
        """A path in a data set's own (reference) layout."""
        return inside(self.root, root, *parts)

    # Runs and releases

    @property
    def all_runs(self) -> Path:
        """The runs of all data sets."""
        return self.private / RUNS

    def runs(self, dataset: str) -> Path:
        return self.all_runs / slug(dataset)

    def run(self, dataset: str, run: str) -> Path:
        """Everything one run wrote; see :class:`~clipquarry.run_folder.RunFolder`."""
        return self.runs(dataset) / slug(run)

    def release(self, dataset: str) -> Path:
        """The releases of a data set, one folder a run."""
        return self.private / RELEASES / slug(dataset)

    def latest_release(self, dataset: str) -> Path:
        """The file that names the run of the newest release."""
        return self.release(dataset) / "latest"

    # Labelling

    @property
    def all_labelling(self) -> Path:
        """The labelling projects of all data sets."""
        return self.private / LABELLING

    def labelling(self, dataset: str, project: str) -> Path:
        """A labelling project; see :mod:`clipquarry.labelling.project`."""
        return self.all_labelling / slug(dataset) / slug(project)

    # What a data set keeps over all runs

    @property
    def states(self) -> Path:
        return self.private / "state"

    def state(self, dataset: str, kind: str = "") -> Path:
        """The last known result of every item that was ever asked for. ``kind``: a table of one family beside it."""
        return self.states / f"{slug(dataset)}{kind and f'.{kind}'}.parquet"

    def has_state(self, dataset: str) -> bool:
        """Whether anything of a data set was ever asked for; False too for a text that names none."""
        try:
            return self.state(dataset).is_file()
        except UserError:
            return False

    def data_sets_with_state(self) -> list[str]:
        """Their names, sorted."""
        return sorted(path.stem for path in self.states.glob("*.parquet") if "." not in path.stem)

    def last_params(self, dataset: str) -> Path:
        """The parameters of the last full run, for refreshes."""
        return self.states / f"{slug(dataset)}.params.json"

    def had_full_run(self, dataset: str) -> bool:
        """Whether a full run of a data set that was no trial recorded its results. An earlier version did not note it,
        and a planned one counts.
        """
        told = known_object(self.last_params(dataset))  # empty: there is none, or a damaged one
        return bool(told) and told.get("recorded", True) is True

    def full_release(self, dataset: str) -> dict[str, Any] | None:
        """The last full run that was no trial and came to its release: ``run`` and ``params``; None: there is none.

        An earlier version did not note it, and the last planned one counts.
        """
        told = known_object(self.last_params(dataset))
        made = told.get("released", told)
        return made if isinstance(made, dict) and made else None

    def data_sets_released_in_full(self) -> list[str]:
        """Their names, sorted."""
        names = (path.name.removesuffix(".params.json") for path in self.states.glob("*.params.json"))
        return sorted(name for name in names if self.full_release(name) is not None)

    def release_note(self, dataset: str) -> Path:
        """The fingerprint of the newest release, and whether it covers the whole data set."""
        return self.states / f"{slug(dataset)}.release.json"

    def followed(self, dataset: str) -> Path:
        """The last run that started because what the data set is made of had changed."""
        return self.states / f"{slug(dataset)}.follows.json"

    def pins(self, dataset: str) -> Path:
        """Checksums of the annotation files when they were first seen."""
        return self.states / f"{slug(dataset)}.pins.json"

    def annotation_origins(self, dataset: str) -> Path:
        """Which source each annotation file came from."""
        return self.private / "annotations" / f"{slug(dataset)}.json"

    def announced(self, dataset: str) -> Path:
        """The last event of each asset."""
        return self.private / "announced" / f"{slug(dataset)}.json"

    # What all data sets share

    @property
    def ledger(self) -> Path:
        """The ledger, unless ``CLIPQUARRY_LEDGER`` names another."""
        return self.private / LEDGER

    @property
    def store(self) -> Path:
        """Shared clips and their metadata."""
        return self.private / "store"

    @property
    def checks(self) -> Path:
        """Suites that users bring, unless ``CLIPQUARRY_CHECKS`` names other folders."""
        return self.private / "checks"

    @property
    def archives(self) -> Path:
        """What was unpacked out of each archive, and what was refused."""
        return self.private / "archives"

    @property
    def scratch(self) -> Path:
        """Unfinished downloads; same file system as the store, so that finishing is a rename."""
        return self.private / SCRATCH

    @property
    def models(self) -> Path:
        """Weights of detectors."""
        return self.private / MODELS

    @property
    def set_aside(self) -> Path:
        """Files of people that lay in the place of ours; never deleted."""
        return self.private / SET_ASIDE

    @property
    def egresses(self) -> list[str]:
        """Names of the egresses that were used so far."""
        return sorted(path.name for path in self.private.glob("egress/*/") if path.is_dir())

    def egress(self, name: str) -> Path:
        """State of one egress (network path to the internet): the breaker and the request budget."""
        return self.private / "egress" / slug(name)

    @property
    def written_by_all(self) -> tuple[Path, ...]:
        """Folders that the runs of all data sets write small files into."""
        return self.states, self.announced("x").parent, self.annotation_origins("x").parent, self.models


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise UserError(f"{name} is '{text}'; it must be a number that is not negative.")
    return value


def _row(environ: Mapping[str, str]) -> int:
    row = _number(environ, "CLIPQUARRY_BREAKER_ROW", 20)
    if row < 1 or row != int(row):
        raise UserError(
            f"CLIPQUARRY_BREAKER_ROW is '{environ['CLIPQUARRY_BREAKER_ROW']}'; it must be a whole number from 1."
        )
    return int(row)


def _switch(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name) or "on"
    if text not in ("on", "off"):
        raise UserError(f"{name} is '{text}'; it must be on or off.")
    return text == "on"


def _split(text: str) -> tuple[Path, ...]:
    return tuple(Path(part) for part in text.split(os.pathsep) if part)


def only_of(environ: Mapping[str, str]) -> frozenset[str]:
    """The data sets that get DAGs, by ``CLIPQUARRY_ONLY``; empty: all."""
    return frozenset(environ.get("CLIPQUARRY_ONLY", "").replace(",", " ").split())


@dataclass(frozen=True)
class Settings:
    """The deployment's settings. ``from_env`` reads ``CLIPQUARRY_*``."""

    data: DataRoot
    ledger_url: str
    egress: str = "default"
    dataset_folders: tuple[Path, ...] = field(default=())
    own_checks: tuple[Path, ...] = ()
    """Folders with suites that users bring; see :attr:`check_folders`."""
    only: frozenset[str] = frozenset()
    """The data sets that get DAGs; empty: all."""
    cookies: Path | None = None
    budget_per_hour: int | None = None
    """Requests to YouTube per hour; None: the number that YouTube is known to allow (more with cookies)."""
    budget_pause: float = 2.0
    source_cache_gb: float = 10.0
    breaker_row: int = 20
    """Requests to YouTube in a row without bytes after which the breaker opens."""
    canary: str | None = None
    """Id of a video that is known to be available; empty: none; None: the built-in one."""
    ytdlp_plugins: tuple[str, ...] = ()
    ytdlp_args: tuple[str, ...] = ()
    keep_runs: int = 0
    """Run folders of a data set that are kept; 0: all."""
    chains: bool = True
    """Data sets that are made of others follow them."""

    @property
    def check_folders(self) -> tuple[Path, ...]:
        """``CLIPQUARRY_CHECKS``, else the folder in the data root, which may be absent. Raises UserError for another that is absent."""
        for folder in self.own_checks:
            if not folder.is_dir():
                raise UserError(
                    f"CLIPQUARRY_CHECKS names {folder}, which is no folder: make it, or take it out of the variable."
                )
        return self.own_checks or (self.data.checks,)

    @property
    def has_ledger(self) -> bool:
        """False for a SQLite ledger that no run has created yet, because reading must not create it."""
        kind, _, path = self.ledger_url.partition(":///")
        return kind != "sqlite" or Path(path).exists()

    @staticmethod
    def root_of(environ: Mapping[str, str], data: Path | None = None) -> Path:
        """The data root: ``data``, else the environment's, else ``./data``."""
        return (data or Path(environ.get("CLIPQUARRY_DATA") or "data")).absolute()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ, *, data: Path | None = None) -> Settings:
        former.refuse_old_settings(environ)
        root = cls.root_of(environ, data)
        former.refuse_old_folder(root, PRIVATE)
        cookies = environ.get("CLIPQUARRY_COOKIES")
        return cls(
            data=DataRoot(root),
            ledger_url=environ.get("CLIPQUARRY_LEDGER") or f"sqlite:///{DataRoot(root).ledger}",
            egress=environ.get("CLIPQUARRY_EGRESS") or "default",
            dataset_folders=_split(environ.get("CLIPQUARRY_DATASETS", "")),
            own_checks=_split(environ.get("CLIPQUARRY_CHECKS", "")),
            only=only_of(environ),
            cookies=Path(cookies) if cookies else None,
            budget_per_hour=int(_number(environ, "CLIPQUARRY_BUDGET_PER_HOUR", 0)) or None,
            budget_pause=_number(environ, "CLIPQUARRY_BUDGET_PAUSE", 2.0),
            source_cache_gb=_number(environ, "CLIPQUARRY_SOURCE_CACHE_GB", 10.0),
            breaker_row=_row(environ),
            canary=environ.get("CLIPQUARRY_CANARY"),
            ytdlp_plugins=tuple(environ.get("CLIPQUARRY_YTDLP_PLUGINS", "").replace(",", " ").split()),
            ytdlp_args=tuple(environ.get("CLIPQUARRY_YTDLP_ARGS", "").split()),
            keep_runs=int(_number(environ, "CLIPQUARRY_KEEP_RUNS", 0)),
            chains=_switch(environ, "CLIPQUARRY_CHAINS"),
        )
