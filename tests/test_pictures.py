"""The documentation's pictures: all are there, small, described in words, and can be taken again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from browser import chromium_program
from PIL import Image

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "images"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SHOWN = [
    (page, alt, (page.parent / target).resolve())
    for page in PAGES
    for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
]
OF_THE_DEMO = {"dag.png", "report.png"}
"""Taken of a running Airflow, by ``take.py``."""
MOST_BYTES = 150_000


def test_every_picture_is_there_small_and_said_in_words() -> None:
    faults = [
        f"{page.name}: {path.name}: {fault}"
        for page, alt, path in SHOWN
        for fault, is_so in (
            ("is not there", not path.is_file()),
            ("its text says too little to whoever cannot see it", len(alt.split()) < 6),
            ("is larger than 150 kB", path.is_file() and path.stat().st_size > MOST_BYTES),
        )
        if is_so
    ]
    assert faults == [] and len(SHOWN) > 8


def test_no_picture_is_left_over() -> None:
    assert {path.name for path in FOLDER.glob("*.png")} == {path.name for _, _, path in SHOWN}


def test_the_pictures_of_people_are_taken_again(tmp_path: Path) -> None:
    if chromium_program() is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    command = [sys.executable, str(FOLDER / "own_ava.py"), "--into", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    made = {path.name: path for path in tmp_path.glob("*.png")}
    assert set(made) == {path.name for _, _, path in SHOWN} - OF_THE_DEMO
    for name, path in made.items():
        assert path.stat().st_size <= MOST_BYTES
        with Image.open(path) as new, Image.open(FOLDER / name) as shown:
            assert new.width == shown.width, name
            assert abs(new.height - shown.height) <= 0.1 * shown.height, f"{name} shows the page of another version"
