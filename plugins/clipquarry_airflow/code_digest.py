"""Digest of the code that steps consist of; images carry it as a label, so that a new deployment runs no old step.

``docker/images.sh`` calls ``python3 -m clipquarry_airflow.code_digest``, which needs only Python.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import clipquarry

LABEL = "org.clipquarry.code"
ROOMS = ("acquire", "annotations", "cli", "datasets", "media", "people", "steps")
"""The rooms that steps use, with the ground floor. The worker does planning, checks and reports."""


@cache
def code_digest() -> str:
    """Sixteen hexadecimal digits over names and contents of the modules."""
    root = Path(clipquarry.__file__).parent
    files = [*root.glob("*.py"), *(path for room in ROOMS for path in (root / room).rglob("*.py"))]
    whole = hashlib.sha256()
    for path in sorted(files, key=lambda one: one.relative_to(root).as_posix()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return whole.hexdigest()[:16]


if __name__ == "__main__":
    print(code_digest())
