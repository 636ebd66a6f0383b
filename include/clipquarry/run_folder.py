"""The folder of a run: the places of its tables, each with one writer, so that no pattern of names has to tell them apart.

::

    plan/items/shard-00000.parquet    items that are asked for, one table a task of ``fetch`` (and of what follows it)
    plan/found/local-00000.parquet    items whose time has not come, but that were found on disk
    plan/archives/{source}/…          archive parts, one table a task of ``unpack``
    plan/params/{step}-{shard}.json   what a step is told
    plan/{wanted,held,known,absent}.parquet
                                      items asked for; left alone; asked of some sources only; that no source of the run can have
    detection/items/detect-00000.parquet
    {step}/part-00000.parquet         what a task of a step wrote
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunFolder:
    """``root`` is the run's folder. Nothing is made here."""

    root: Path

    @property
    def plan(self) -> Path:
        return self.root / "plan"

    @property
    def items(self) -> Path:
        """Shards of what is asked for."""
        return self.plan / "items"

    @property
    def found(self) -> Path:
        """Shards of what is not due and lies on disk all the same."""
        return self.plan / "found"

    @property
    def archives(self) -> Path:
        """Archive parts, a folder for each source."""
        return self.plan / "archives"

    @property
    def params(self) -> Path:
        return self.plan / "params"

    @property
    def wanted(self) -> Path:
        """Every item that is asked for, in one table."""
        return self.plan / "wanted.parquet"

    @property
    def held(self) -> Path:
        """Items that are left alone, with the reason."""
        return self.plan / "held.parquet"

    @property
    def known(self) -> Path:
        """What the ledger knows of items for which only some sources are asked."""
        return self.plan / "known.parquet"

    @property
    def absent(self) -> Path:
        """Items that are due, but that no source of the run can have, with the reason."""
        return self.plan / "absent.parquet"

    @property
    def stops(self) -> Path:
        """When and why the breaker stopped the crawl during the run; absent when it did not."""
        return self.root / "stops.json"

    @property
    def detection_items(self) -> Path:
        """Shards of the pictures in which people are looked for."""
        return self.root / "detection" / "items"

    def part(self, step: str, number: int) -> Path:
        """The table that task ``number`` (from 0) of a step writes."""
        return self.root / step / f"part-{number:05d}.parquet"

    def parts(self, step: str) -> list[Path]:
        """The finished tables of a step, in order."""
        return sorted((self.root / step).glob("part-*.parquet"))

    def planned(self) -> list[Path]:
        """The shards of all items that tasks were planned for, in order."""
        # What a killed writer left begins with a dot.
        return [path for folder in (self.items, self.found) for path in sorted(folder.glob("[!.]*.parquet"))]
