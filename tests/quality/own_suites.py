"""Suites that users bring, written for tests; their gate runs as under a real run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from ava_world import BoxWorld
from clipquarry.pipeline.gates import run_gate
from clipquarry.quality.params import GateParams
from clipquarry.quality.results import GateResult
from quality_world import PARAMS, World
from segments_world import SegmentsWorld


def write_own(world: World | BoxWorld | SegmentsWorld, gate: str, name: str, content: Any) -> Path:
    """A suite in the data root's folder; a value is written as the file's suffix says, text as it is."""
    path = world.data.checks / world.spec.name / gate / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, str):
        content = json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content)
    path.write_text(content, encoding="utf-8")
    return path


def own_gate(world: World | BoxWorld | SegmentsWorld, gate: str, params: GateParams | None = None) -> GateResult:
    """Run a gate with the suites that lie in the data root."""
    world.write()
    used = params or (PARAMS if isinstance(world, World) else GateParams())
    return run_gate(gate, world.spec, world.run_dir, world.data, used, (world.data.checks,))
