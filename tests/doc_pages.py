"""The pages of the documentation, and how tests read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
DAGS, COMMANDS, KEYS, OPERATING = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("dags", "commands", "dataset-yaml", "operating")
)


def section(page: str, title: str) -> str:
    """The text below a heading up to the next of its level or above; a pattern for the title's text."""
    found = re.search(rf"^(#+) {title}.*?$(.*?)(?=^#{{1,3}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"there is no heading {title!r}"
    return found[2]


def rows(text: str) -> dict[str, list[str]]:
    """First cell of each table row, without its marks, to all cells."""
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line[:1] == "|"
    ]
    return {row[0].replace("`", "").removesuffix(" *"): row for row in cells}


def fenced(text: str) -> list[tuple[str, str]]:
    """Language and text of each code block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
