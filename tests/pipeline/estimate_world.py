"""Estimates of runs that are planned now, and how to read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from clipquarry.files import read_json
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.stages import run_stage
from pipeline_world import World

CLIP = 3
"""Bytes of a clip of the world."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("CLIPQUARRY_DEMO_URL", "http://127.0.0.1:1")
    return World(tmp_path / "data")


def told(ctx: RunContext) -> dict[str, Any]:
    """The estimate of a run that is planned now."""
    run_stage("plan", ctx)
    return dict(read_json(ctx.plan_file)["estimate"])


def places(estimate: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(one["place"], one["name"]): one["items"] for one in estimate["items"]}


def disk(estimate: dict[str, Any]) -> dict[str, tuple[int, int | None, str]]:
    """Files, bytes and basis by kind."""
    return {one["kind"]: (one["files"], one["bytes"], one["basis"]) for one in estimate["disk"]}
