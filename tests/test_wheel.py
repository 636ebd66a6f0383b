"""The wheel holds every file of ``include`` and ``plugins``: modules, templates, data sets."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
ROOTS = ("include", "plugins")


def ours() -> set[str]:
    """Files that git has below the packages' folders, by their path in a wheel."""
    told = subprocess.run(["git", "ls-files", *ROOTS], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    inside = {line.partition("/")[2] for line in told.splitlines()}
    return {
        path for path in inside if "/" in path
    }  # beside the packages lies what Airflow loads from the folder itself


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    if not (PROJECT / ".git").exists():
        pytest.skip("this is no git checkout: nothing says which files are ours")
    source = tmp_path / "source"
    for root in ROOTS:
        shutil.copytree(PROJECT / root, source / root, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    command = [str(PROJECT / ".venv/bin/uv"), "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "setuptools" in done.stderr and "fetch" in done.stderr:
        pytest.skip("no package index can be reached, which has setuptools")
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert sorted(ours() - packed) == [], "name the pattern in pyproject.toml, package-data"
    assert sorted(packed - ours()) == []
