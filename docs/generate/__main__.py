"""Writes the generated regions of the pages: ``make docs``. With ``--check`` it only names the pages that are stale."""

from __future__ import annotations

import sys

from regions import stale, write

if __name__ == "__main__":
    found = stale() if "--check" in sys.argv[1:] else write()
    for page in found:
        print(page)
    sys.exit(bool(found) and "--check" in sys.argv[1:])
