"""A checkout of links to this one, in which documented commands leave what they make (``.demo``, ``.airflow``, ``data``)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
ENTRIES = (
    ".venv",
    "Makefile",
    "README.md",
    "airflow_settings.yaml",
    "dags",
    "docker",
    "include",
    "plugins",
    "pyproject.toml",
    "requirements.lock",
)


def shell_blocks(page: Path) -> list[str]:
    """The page's shell blocks, as they are."""
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def shell_lines(page: Path) -> list[str]:
    """The lines of the page's shell blocks, without comments at their ends."""
    return [line for block in shell_blocks(page) for line in lines_of(block)]


def lines_of(block: str) -> list[str]:
    """The lines of a shell block, without comments at their ends."""
    return [line.partition("  #")[0].strip() for line in block.splitlines() if line.strip()]


def datumaro_block() -> str:
    """The block of one's own AVA that makes Datumaro's folder of a release."""
    (block,) = (one for one in shell_blocks(PROJECT / "docs/your-own-ava.md") if "label_id" in one)
    return block


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ENTRIES:
        if not (PROJECT / name).exists():
            pytest.skip(f"There is no {name} here: 'make setup' makes it.")
        (folder / name).symlink_to(PROJECT / name)
    return folder
