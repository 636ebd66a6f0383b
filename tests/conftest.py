"""What all tests share: no network assumptions, the demo's data set made once, the optional reference cases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import costs
import groups
import pytest
from box_world import box_films as box_films
from browser import chromium as chromium
from checkout import checkout as checkout
from clipquarry.demo.origin import Origin
from clipquarry.families.clips.sample import make_kinetics
from clipquarry.pipeline.sample import Served
from docker_engine import docker_engine as docker_engine
from docker_engine import media_image as media_image
from once import shared_folder
from postgres_server import postgres as postgres  # a fixture of all tests

PROJECT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    costs.add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    os.environ.setdefault(
        "CLIPQUARRY_RUNTIME", "process"
    )  # by itself the machine's engine would decide what a test runs
    os.environ.setdefault("CLIPQUARRY_NPM", "http://127.0.0.1:9")  # no test fetches the model of the detector `small`
    config.pluginmanager.register(groups)
    costs.register(config)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Reference cases and real annotations beside the checkout; absent for users."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference cases beside the checkout are not here; only the project's own machines have them")
    return folder


@pytest.fixture(scope="session")
def demo_set(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Source videos and csvs of the demo data set."""
    with shared_folder(tmp_path_factory, "sample_clips") as folder:
        return make_kinetics(folder)


@pytest.fixture
def demo_origin(demo_set: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    """The demo's server with its dead links; CLIPQUARRY_DEMO_URL names it."""
    with Origin(demo_set.folder, dict(demo_set.plan)) as origin:
        monkeypatch.setenv("CLIPQUARRY_DEMO_URL", origin.url)
        yield origin
