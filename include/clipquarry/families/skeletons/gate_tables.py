"""The tables that the gates of packages of skeletons check, for people who bring checks of their own: what a row is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "annotations": {
        "usable": "a package",
        "splits": "a chosen package",
        "catalog": "a package",
        "listed": "a package, with its name",
    },
    "clips": {
        "recorded": "a package with a result",
        "selected": "a chosen package",
        "clips_results": "a package that was asked for, or has a result",
        "coverage_*": "the package `*`; `coverage_all`: all packages",
        "losses": "a package",
        "clips": "a package that is there",
    },
    "packages": {
        "packages": "a package that is there, with what was read of it",
        "*_made": "a file of which the package `*` is made",
        "*_samples": "a sample of the package `*`, or an entry of a file of boxes",
        "*_splits": "a split of the package `*`",
        "*_benchmarks": "a benchmark of the package `*`: two splits",
        "*_files": "a file of key points of the package `*` that was read",
        "*_of_samples": "a sample that should have boxes in the package `*`",
    },
}
