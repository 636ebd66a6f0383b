"""Both parts of a chain and what is made of them, run once; a copy for each test, and what is asked of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from chain_world import DERIVED, PARTS, ChainWorld
from clipquarry.datasets.load import find_spec
from clipquarry.pipeline.chains import due
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.releases import latest_lock
from clipquarry.settings import Settings

LEFT, RIGHT = PARTS


@pytest.fixture(scope="session")
def made_chain(tmp_path_factory: pytest.TempPathFactory) -> ChainWorld:
    """Both parts and what is made of them, once each."""
    world = ChainWorld(tmp_path_factory.mktemp("made_chain"))
    world.make(LEFT, "l1", 0)
    world.make(RIGHT, "r1", 0)
    world.run(DERIVED, "b1", "--frames")
    return world


@pytest.fixture
def world(made_chain: ChainWorld, tmp_path: Path) -> ChainWorld:
    shutil.copytree(made_chain.folder, tmp_path / "world", copy_function=shutil.copy2)
    world = ChainWorld(tmp_path / "world")
    for spec in world.specs.glob("*.yaml"):
        spec.write_text(spec.read_text().replace(str(made_chain.folder), str(world.folder)))
    return world


def asked(world: ChainWorld, run: str = "") -> tuple[bool, str]:
    told = due(find_spec(DERIVED, (world.specs,)), world.settings, run)
    return told.due, told.sentence


def automatic(world: ChainWorld, run: str, **settings: Any) -> Any:
    """A run that assets started, with the defaults of the form."""
    given = Settings.from_env({**world.environment, **settings})
    return make_context(DERIVED, run, {"annotation_counts": "warn"}, settings=given, in_process=True, automatic=True)


def lock(world: ChainWorld, name: str = DERIVED) -> Path:
    found = latest_lock(world.settings.data, name)
    assert found is not None
    return found


def persons(world: ChainWorld, run: str, **params: Any) -> RunContext:
    """A full run that a person started."""
    return make_context(DERIVED, run, {"annotation_counts": "warn", **params}, settings=world.settings, in_process=True)


def change(world: ChainWorld, part: str) -> None:
    """Publish another release of a part without running it."""
    path = lock(world, part)
    path.write_text(path.read_text().replace('"spec": "', '"spec": "0', 1))
