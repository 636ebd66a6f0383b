"""Runs of samples of families, made by the product itself: the small THUMOS'14 with proposals, frames and flow, the small JHMDB, and packages of skeletons."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.demo.origin import Origin
from clipquarry.families.segments.sample import SAMPLE
from clipquarry.families.skeletons.sample import SAMPLE as SKELETONS
from clipquarry.families.tubes.sample import SAMPLE as TUBES
from clipquarry.pipeline.sample import Sample
from clipquarry.settings import DataRoot


@dataclass
class SegmentsWorld:
    """A finished run."""

    root: Path
    spec: DatasetSpec
    run: str = "run1"

    @property
    def data(self) -> DataRoot:
        return DataRoot(self.root)

    @property
    def run_dir(self) -> Path:
        return self.data.run(self.spec.name, self.run)

    def write(self) -> None:
        """Nothing: its tables are there."""


def run_sample(root: Path, sample: Sample, **more: object) -> SegmentsWorld:
    """Run a family's sample below ``root``; ``more`` are parameters besides its own."""
    world = SegmentsWorld(root / "data", find_spec(sample.dataset))
    served = sample.make(root / "origin")
    served.place(world.data.dataset(sample.dataset))
    params = {**sample.params, **more}
    arguments = [part for name, value in params.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CLIPQUARRY_")}
    with Origin(served.folder, served.plan) as origin:
        env = {**unset, "NO_PROXY": "127.0.0.1", "CLIPQUARRY_DATA": str(world.root), "CLIPQUARRY_DEMO_URL": origin.url}
        done = CliRunner().invoke(main, ["run", sample.dataset, "--run", world.run, *arguments], env=env)
    assert done.exit_code == 0, done.output
    return world


def make_thumos(root: Path) -> SegmentsWorld:
    """Run the family's sample below ``root``, with flow."""
    return run_sample(root, SAMPLE, flow=True, flow_type="dis")


def make_jhmdb(root: Path) -> SegmentsWorld:
    """Run the sample of tubes below ``root``."""
    return run_sample(root, TUBES)


def make_skeletons(root: Path) -> SegmentsWorld:
    """Run the sample of packages below ``root``."""
    return run_sample(root, SKELETONS)
