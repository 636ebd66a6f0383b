"""A run without a fault, made afresh for each test."""

from pathlib import Path

import pytest
from ava_world import BoxWorld, make_ava, make_ava_kinetics
from quality_world import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
def ava(tmp_path: Path) -> BoxWorld:
    return make_ava(tmp_path)


@pytest.fixture
def ava_kinetics(tmp_path: Path) -> BoxWorld:
    return make_ava_kinetics(tmp_path)
