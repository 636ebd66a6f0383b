"""Where things are, from the environment (all of it documented in ``docs/operating.md``)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clipquarry import former
from clipquarry.errors import UserError
from clipquarry.files import inside

PRIVATE = ".clipquarry"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.~:+ -]{0,149}", re.ASCII)
"""What Airflow takes for a run, and blanks."""


def slug(text: str) -> str:
    """A run id of Airflow (``manual__2026-11-21T01:02:03+00:00``) as a folder name.

    Raises UserError for whatever else would become another name than was given.
    """
    if not _NAME.fullmatch(text):
        raise UserError(
            f"{text[:200]!r} cannot name a run: use letters, digits, '-', '_' or '.', begin with none of '-' and '.', "
            "and take 150 characters at most."
        )
    return re.sub(r"[~:+ ]", "_", text)


@dataclass(frozen=True)
class DataRoot:
    """The folder that holds every data set; what is ours lives under ``.clipquarry`` in it."""

    root: Path

    @property
    def private(self) -> Path:
        """Manifests, store, reports and the rest that no reference layout knows."""
        return self.root / PRIVATE

    def dataset(self, root: str, *parts: str) -> Path:
        """A path in a data set's own (reference) layout."""
        return inside(self.root, root, *parts)

    def run(self, dataset: str, run: str) -> Path:
        """Everything one run wrote: ``{step}/part-00000.parquet``, gates, report."""
        return self.private / "runs" / slug(dataset) / slug(run)

    def runs(self, dataset: str) -> Path:
        return self.private / "runs" / slug(dataset)

    @property
    def store(self) -> Path:
        """Shared clips and the facts about them."""
        return self.private / "store"

    @property
    def scratch(self) -> Path:
        """Unfinished downloads; same file system as the store, so that finishing is a rename."""
        return self.private / "scratch"

    def egress(self, name: str) -> Path:
        """State of one way out to the internet: the breaker and the request budget."""
        return self.private / "egress" / slug(name)

    def release(self, dataset: str) -> Path:
        return self.private / "releases" / slug(dataset)


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


def _split(text: str) -> tuple[Path, ...]:
    return tuple(Path(part) for part in text.split(os.pathsep) if part)


@dataclass(frozen=True)
class Settings:
    """The deployment's settings. ``from_env`` reads ``CLIPQUARRY_*``."""

    data: DataRoot
    ledger_url: str
    egress: str = "default"
    dataset_folders: tuple[Path, ...] = field(default=())
    only: frozenset[str] = frozenset()
    """The data sets that get DAGs; empty: all."""
    cookies: Path | None = None
    budget_per_hour: int | None = None
    """Questions to YouTube in an hour; None: what YouTube is known to bear (more with cookies)."""
    budget_pause: float = 2.0
    source_cache_gb: float = 10.0
    breaker_row: int = 20
    """Questions to YouTube in a row without bytes after which nothing more is asked of it."""
    canary: str | None = None
    """Id of a video that is known to be good; empty: none; None: the built-in one."""
    ytdlp_plugins: tuple[str, ...] = ()
    ytdlp_args: tuple[str, ...] = ()
    keep_runs: int = 0
    """Run folders of a data set that are kept; 0: all."""

    @property
    def has_ledger(self) -> bool:
        """False for a SQLite ledger that no run has made yet: to look must not make it."""
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
            ledger_url=environ.get("CLIPQUARRY_LEDGER") or f"sqlite:///{root / PRIVATE / 'ledger.sqlite'}",
            egress=environ.get("CLIPQUARRY_EGRESS") or "default",
            dataset_folders=_split(environ.get("CLIPQUARRY_DATASETS", "")),
            only=frozenset(environ.get("CLIPQUARRY_ONLY", "").replace(",", " ").split()),
            cookies=Path(cookies) if cookies else None,
            budget_per_hour=int(_number(environ, "CLIPQUARRY_BUDGET_PER_HOUR", 0)) or None,
            budget_pause=_number(environ, "CLIPQUARRY_BUDGET_PAUSE", 2.0),
            source_cache_gb=_number(environ, "CLIPQUARRY_SOURCE_CACHE_GB", 10.0),
            breaker_row=_row(environ),
            canary=environ.get("CLIPQUARRY_CANARY"),
            ytdlp_plugins=tuple(environ.get("CLIPQUARRY_YTDLP_PLUGINS", "").replace(",", " ").split()),
            ytdlp_args=tuple(environ.get("CLIPQUARRY_YTDLP_ARGS", "").split()),
            keep_runs=int(_number(environ, "CLIPQUARRY_KEEP_RUNS", 0)),
        )
