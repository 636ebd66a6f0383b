"""What the family writes into a run's folder, besides what all families do (:mod:`clipquarry.run_folder`).

::

    packages/{package}.samples.parquet  each sample of a package, or entry of a file of boxes
    packages/{package}.splits.parquet   each split of a package, with its published size
    packages/{package}.faults.parquet   each sample, and each name of a split, with which something is wrong
    made/{package}.parquet              a package that was made here: what became of each file, and why; .json: the numbers
    pictures/{package}.{n}.png          some samples over time
    packages/{package}.json             what was read: path, sha256, numbers; written last
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_PACKAGES, _MADE = "packages", "made"
LEFT_BY_MAKE = f"{_MADE}/*.json"
LEFT_BY_SAMPLES = f"{_PACKAGES}/*.json"
"""Pattern of the task's files, by which the report knows that it ran."""


@dataclass(frozen=True)
class SkeletonFiles:
    """``root`` is the run's folder. Nothing is created here."""

    root: Path

    @property
    def packages(self) -> Path:
        return self.root / _PACKAGES

    def samples(self, package: str) -> Path:
        return self.packages / f"{package}.samples.parquet"

    def splits(self, package: str) -> Path:
        return self.packages / f"{package}.splits.parquet"

    def faults(self, package: str) -> Path:
        return self.packages / f"{package}.faults.parquet"

    def facts(self, package: str) -> Path:
        return self.packages / f"{package}.json"

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    def picture(self, package: str, number: int) -> Path:
        return self.pictures / f"{package}.{number}.png"

    def made(self, package: str) -> Path:
        return self.root / _MADE / f"{package}.parquet"

    def made_facts(self, package: str) -> Path:
        return self.root / _MADE / f"{package}.json"

    def read_packages(self) -> list[str]:
        """Packages that were read to their end, sorted."""
        return sorted(path.stem for path in self.packages.glob("[!.]*.json"))
