"""Checksums of annotation files as first seen, over all runs of a data set; a gate reports changes.

``{data}/.clipquarry/state/{dataset}.pins.json``: path below the data root to sha256 and run. A person who accepts a
change removes the file's entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from clipquarry.errors import ClipquarryError
from clipquarry.files import read_json, sha256_of, write_json
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.state import locked


def pin(ctx: RunContext, files: Iterable[Path]) -> list[dict[str, str]]:
    """Record new files, and return for all: ``path``, ``sha256``, ``first`` (the first seen sha256) and ``run``."""
    path = ctx.data.pins(ctx.spec.name)
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
    """The recorded entries; those that a person damaged are recorded anew."""
    try:
        value = read_json(path) if path.exists() else {}
    except ClipquarryError:
        value = {}
    if not isinstance(value, dict):
        return {}
    return {str(name): pin for name, pin in value.items() if isinstance(pin, dict) and "sha256" in pin}
