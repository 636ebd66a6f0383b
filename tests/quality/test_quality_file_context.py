"""A file context of a run, as people who work with Great Expectations open it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from clipquarry.errors import UserError
from clipquarry.quality.file_context import make_context
from clipquarry.run_folder import RunFolder
from plain_gx import plain_verdicts
from quality_world import World

PROGRAM = """
import json, os, socket, sys
os.environ["GX_ANALYTICS_ENABLED"] = "false"


def refuse(*_args, **_more):
    raise OSError("no network here")


socket.socket.connect = refuse
socket.getaddrinfo = refuse
import great_expectations as gx

context = gx.get_context(mode="file", project_root_dir=sys.argv[1])
stored = context.validation_results_store
results = [stored.get(key) for key in stored.list_keys()]
verdicts = {}
for result in results:
    for one in result.results:
        meta = one.expectation_config.meta
        verdicts[f"{result.suite_name} {meta['rule']} {meta['level']} {one.expectation_config.type}"] = one.success
site = context.build_data_docs()["local_site"]
again = {one.name: one.run().success for one in context.checkpoints.all()}
print(json.dumps({
    "suites": sorted(one.name for one in context.suites.all()), "verdicts": verdicts, "site": site, "again": again,
    "tables": sorted(asset.name for source in context.data_sources.all().values() for asset in source.assets),
}))
"""


def opened(folder: Path) -> dict[str, dict[str, bool] | list[str] | str]:
    """What plain Great Expectations finds in a context, on a machine without a network."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, bool] | list[str] | str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_great_expectations_opens_it_and_builds_its_pages(world: World, tmp_path: Path) -> None:
    world.recorded[3]["frames"] = 0
    for gate in ("clips", "lists"):
        world.gate(gate)
    place = RunFolder(world.run_dir)
    made = tmp_path / "some/context"
    make_context(world.run_dir, made)
    place.root.rename(tmp_path / "away")  # the context has what it needs
    place = RunFolder(tmp_path / "away")
    found = opened(made)
    suites = [f"clips.{path.stem}" for path in place.gx_suites("clips")] + [
        f"lists.{path.stem}" for path in place.gx_suites("lists")
    ]
    assert set(suites) <= set(found["suites"]) and "clips.clips" in found["suites"]
    wanted = {
        f"lists.{one['suite']} {one['rule']} {one['level']} {one['type']}": one["success"]
        for one in plain_verdicts(place.gx("lists"))
    }
    verdicts = found["verdicts"]
    assert isinstance(verdicts, dict) and wanted.items() <= verdicts.items()
    broken = [name for name, held in verdicts.items() if not held]
    assert "clips.clips 1 error expect_column_values_to_be_between" in broken
    assert found["again"] == {"clips": False, "lists": True}
    page = made / "gx/uncommitted/data_docs/local_site/index.html"
    assert str(page) in str(found["site"]) and page.stat().st_size > 1000
    assert "analytics_enabled: false" in (made / "gx/great_expectations.yml").read_text()


def test_a_folder_that_is_there_and_a_run_without_suites(world: World, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no stored suites"):
        make_context(world.run_dir, tmp_path / "context")
    world.gate("clips")
    (tmp_path / "context").mkdir()
    with pytest.raises(UserError, match="is there already"):
        make_context(world.run_dir, tmp_path / "context")
    assert list((tmp_path / "context").iterdir()) == []
