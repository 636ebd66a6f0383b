"""Checksums of annotation files as they were first seen, over all runs of a data set: a change is told by a gate.

``{data}/.clipquarry/state/{dataset}.pins.json``: path below the data root to sha256 and run. A person who means the change removes the
file's entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from clipquarry.errors import ClipquarryError
from clipquarry.files import read_json, sha256_of, write_json
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.state import locked


def pin(ctx: RunContext, files: Iterable[Path]) -> list[dict[str, str]]:
    """Remember the files that are new, and say of all: ``path``, ``sha256``, ``first`` (the sha256 that was first seen) and ``run``."""
    path = ctx.state.with_name(f"{ctx.spec.name}.pins.json")
    told = []
    with locked(path):
        pins = _read(path)
        for file in dict.fromkeys(files):
            name, digest = str(file.relative_to(ctx.data.root)), sha256_of(file)
            first = pins.setdefault(name, {"sha256": digest, "run": ctx.run})
            told.append(
                {"path": name, "sha256": digest, "first": str(first["sha256"]), "run": str(first.get("run", ""))}
            )
        write_json(path, pins)
    return told


def _read(path: Path) -> dict[str, dict[str, str]]:
    """What is remembered; entries that a person damaged are remembered afresh."""
    try:
        value = read_json(path) if path.exists() else {}
    except ClipquarryError:
        value = {}
    if not isinstance(value, dict):
        return {}
    return {str(name): pin for name, pin in value.items() if isinstance(pin, dict) and "sha256" in pin}
