"""docs/your-own-checks.md: its examples run, and its tables are those of the gates."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from clipquarry.quality.own_files import MAX_EXPECTATIONS, MAX_FILES, MAX_TEXT
from clipquarry.run_folder import RunFolder
from own_suites import own_gate, write_own
from own_tables import PAGE, listed, written
from quality_world import World, broken

TEXT = PAGE.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def python(program: str, folder: Path, *arguments: str) -> str:
    """What a program of the page prints, in a process that does not find Clipquarry."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    (folder / "program.py").write_text(program)
    command = [sys.executable, "program.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_examples_run_and_give_the_same_verdicts(world: World, tmp_path: Path) -> None:
    (example,), (making, validating) = blocks("yaml"), blocks("python")
    path = re.search(r"`checks/kinetics400/(\w+)/([\w.-]+)`", TEXT)
    assert path
    write_own(world, path[1], path[2], example)
    python(making, tmp_path)
    write_own(world, path[1], "lengths.json", (tmp_path / "lengths.json").read_text())
    world.recorded[3]["duration"] = 0.5
    result = own_gate(world, "clips")
    own = {check.id: check for check in result.checks if check.id.startswith("own.")}
    assert [(name, one.severity, one.success) for name, one in own.items()] == [
        ("own.lengths.json#1", "warn", True), ("own.short-side.yaml#1", "error", False), ("own.short-side.yaml#2", "warn", False),
    ]  # fmt: skip
    first = own["own.short-side.yaml#1"]
    assert (first.title, first.advice) == ("clips have at least 240 lines", "Look at the source of these clips.")
    assert "own.short-side.yaml#1" in broken(result) and "own.short-side.yaml#1" in TEXT
    folder = RunFolder(world.run_dir).gx("clips")
    said = python(validating, tmp_path, str(folder))
    printed = {
        line.split()[2]: line.startswith("holds") for line in said.splitlines() if line[:6] in ("holds ", "BROKEN")
    }
    assert {name: printed[name] for name in own} == {name: one.success for name, one in own.items()}
    assert f"gx/{{gate}}/{path[2].join(('own.', '.json'))}" in TEXT and (folder / f"own.{path[2]}.json").exists()


def test_the_tables_of_the_page_are_those_of_the_gates() -> None:
    assert written() == listed(), "run: python tests/quality/own_tables.py --write"


def test_the_limits_of_the_page_are_those_of_the_reader() -> None:
    assert f"{MAX_EXPECTATIONS} expectations a suite, {MAX_FILES} suites a gate, {MAX_TEXT:,} characters" in TEXT
