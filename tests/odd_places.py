"""What may stand in the place of a file."""

from __future__ import annotations

import os
from pathlib import Path

ODD = ("pipe", "folder", "nowhere", "loop")


def put_odd(path: Path, what: str) -> None:
    """Make a pipe, a folder with something in it, a link that leads nowhere, or one that leads to itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
        (path / "a person's own.txt").write_text("mine")
    else:
        path.symlink_to(path.name if what == "loop" else "not/here.mp4")
