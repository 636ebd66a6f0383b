"""A disk that fills up in a gate, a report or the ledger: one sentence that says so, nothing half-written, and whole with space."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from clipquarry.errors import Exit, GateBlocked, RetryLater
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.manifest import read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.record import record
from clipquarry.pipeline.stage import begin
from clipquarry.pipeline.stages import run_stage
from pipeline_world import World

PAGE = 4096


class SmallDisk:
    """A data root on a file system of its own, which can be filled."""

    def __init__(self, root: Path) -> None:
        self.root, self.filler = root, root / "filler"

    def leave(self, pages: int) -> None:
        """Fill it but for so many pages."""
        with open(self.filler, "wb", buffering=0) as handle:
            try:
                while True:
                    handle.write(b"x" * PAGE)
            except OSError:
                handle.truncate(max(0, handle.tell() - pages * PAGE))

    def empty(self) -> None:
        self.filler.unlink(missing_ok=True)

    def unfinished(self) -> list[Path]:
        return [path for path in self.root.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    root = tmp_path / "data"
    root.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(root)]
    if os.geteuid() != 0 or subprocess.run(made, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system, and not in every sandbox")
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


@pytest.fixture
def ready(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> tuple[SmallDisk, World, RunContext]:
    """A run whose clips are fetched."""
    monkeypatch.setenv("CLIPQUARRY_DEMO_URL", "http://127.0.0.1:9")
    world = World(disk.root)
    ctx = world.context()
    begin(ctx)
    world.plan(ctx)
    world.fetch(ctx, missing=world.clips_of(0, "removed"))
    return disk, world, ctx


def tried(disk: SmallDisk, pages: list[int], work: Callable[[], object]) -> list[str]:
    """The sentences of tries with so much room; nothing else may arise, and nothing unfinished be left."""
    told = []
    for room in pages:
        disk.leave(room)
        try:
            work()
        except RetryLater as error:
            assert error.exit_code is Exit.RETRY
            told.append(str(error))
        finally:
            disk.empty()
        assert disk.unfinished() == []
    assert told
    for sentence in told:
        assert "full" in sentence and "free some space" in sentence, sentence
    return told


def test_the_ledger(ready: tuple[SmallDisk, World, RunContext]) -> None:
    disk, _, ctx = ready
    tried(disk, [0, 1, 2, 4, 8, 16, 32], lambda: record(ctx))
    assert record(ctx) == {"done": 58, "missing": 2}
    with ctx.ledger() as ledger:
        assert len(ledger.history("vid00000000")) == 2, "one attempt for each of its clips, in spite of all tries"
    assert len(list(read_rows(ctx.recorded))) == 60


def test_a_gate(ready: tuple[SmallDisk, World, RunContext]) -> None:
    disk, _, ctx = ready
    record(ctx)

    def gate() -> None:
        with suppress(GateBlocked):  # the clips are made up
            run_stage("gate_clips", ctx)

    tried(disk, [0, 1, 3, 6], gate)
    result = ctx.folder / "gates/clips.json"
    gate()
    whole = sorted(path.name for path in result.parent.iterdir())
    assert "clips.json" in whole


def test_a_report(ready: tuple[SmallDisk, World, RunContext]) -> None:
    disk, _, ctx = ready
    record(ctx)

    def report() -> None:
        run_stage("report", ctx)

    tried(disk, [0, 1, 4, 12, 30], report)
    report()
    assert {"index.html", "report.json", "summary.json", "missing.csv"} <= {
        path.name for path in (ctx.folder / "report").iterdir()
    }
    assert "</html>" in (ctx.folder / "report/index.html").read_text()
