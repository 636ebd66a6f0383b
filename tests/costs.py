"""What tests cost: CPU seconds of the process and of its children, and seconds by the clock (``pytest --costs=FILE``).

A child counts when somebody has waited for it; what a Docker engine or a server of its own session does is not seen.
"""

from __future__ import annotations

import csv
import re
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PHASES = ("setup", "call", "teardown")
COLUMNS = ("test", "worker", "clock", *(f"{who}_{phase}" for phase in PHASES for who in ("self", "children")))


def add_option(parser: pytest.Parser) -> None:
    parser.addoption("--costs", metavar="FILE", help="write what each test costs into a csv")


def register(config: pytest.Config) -> None:
    """Measure when ``--costs`` asks for it. A worker measures, the process above the workers writes."""
    if file := config.getoption("costs"):
        config.pluginmanager.register(Costs(Path(file), not hasattr(config, "workerinput")))


def _cpu() -> tuple[float, float]:
    spent = []
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        spent.append(usage.ru_utime + usage.ru_stime)
    return spent[0], spent[1]


@contextmanager
def _measured(item: pytest.Item, phase: str) -> Iterator[None]:
    start, (own, children) = time.monotonic(), _cpu()
    try:
        yield
    finally:
        now_own, now_children = _cpu()
        # Reports of a worker carry these to the process that writes the table.
        item.user_properties += [
            (f"self_{phase}", now_own - own),
            (f"children_{phase}", now_children - children),
            (f"clock_{phase}", time.monotonic() - start),
        ]


class Costs:
    """Measures each test where it runs; where all reports come together, each becomes a line of one csv at once."""

    def __init__(self, file: Path, writes: bool) -> None:
        self.handle = open(file, "w", newline="", buffering=1) if writes else None  # noqa: SIM115  open while the tests run
        if self.handle is not None:
            csv.DictWriter(self.handle, COLUMNS).writeheader()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        with _measured(item, "setup"):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        with _measured(item, "call"):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        with _measured(item, "teardown"):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.handle is None or report.when != "teardown":
            return
        found: dict[str, float] = defaultdict(float)
        for name, value in report.user_properties:
            if isinstance(value, float):
                found[name] += value
        row = {name: f"{found[name]:.2f}" for name in COLUMNS[3:]}
        row["test"] = re.sub(r"@[^]@]*\Z", "", report.nodeid)[:200]  # without the group, which xdist appends
        row["worker"] = getattr(report, "worker_id", "main")
        row["clock"] = f"{sum(found[f'clock_{phase}'] for phase in PHASES):.2f}"
        csv.DictWriter(self.handle, COLUMNS).writerow(row)

    def pytest_sessionfinish(self) -> None:
        if self.handle is not None:
            self.handle.close()


def summary(files: Iterable[Path]) -> Iterator[str]:
    """Lines of a table over csvs of ``--costs``: number of tests, CPU seconds and seconds by the clock of each folder."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    for file in files:
        with open(file, newline="") as handle:
            for row in csv.DictReader(handle):
                path = row["test"].partition("::")[0].split("/")
                for name in (path[1] if len(path) > 2 else "tests", "all"):
                    cpu = sum(float(row[column]) for column in COLUMNS[3:])
                    sums[name] = [a + b for a, b in zip(sums[name], (1, cpu, float(row["clock"])), strict=True)]
    yield "| tests of | number | CPU s | clock s |"
    yield "|---|---|---|---|"
    for name, (number, cpu, clock) in sorted(sums.items(), key=lambda one: one[1][1]):
        yield f"| {name} | {number:,.0f} | {cpu:,.0f} | {clock:,.0f} |"


if __name__ == "__main__":
    print(*summary(map(Path, sys.argv[1:])), sep="\n")
