"""Takes the advice of every check from ``docs/checks.md`` over into the package: ``python tests/quality/write_advice.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def advice_of_the_page() -> dict[str, str]:
    """Check to what its section says behind ``What to do:``."""
    page = (ROOT / "docs/checks.md").read_text(encoding="utf-8")
    sections = re.split(r"^### ", page, flags=re.M)[1:]
    found = (
        (re.match(r"`([a-z0-9_.]+)`", part), re.search(r"^What to do: (.*?)(?=\n\n|\Z)", part, re.S | re.M))
        for part in sections
    )
    return {name[1]: " ".join(words[1].split()) for name, words in found if name and words}


if __name__ == "__main__":
    text = json.dumps(advice_of_the_page(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (ROOT / "include/clipquarry/quality/advice.json").write_text(text, encoding="utf-8")
