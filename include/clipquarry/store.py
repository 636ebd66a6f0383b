"""The store of shared artefacts, with metadata that show whether a finished file is still valid.

A clip that several splits or data sets need is kept once, under its content key, and hard-linked into each data
set's layout. Beside every artefact lies a small JSON document (size, sha256, duration, frames, source). An artefact
counts as done only if its metadata exist and still match the file. The existence of a file does not suffice.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipquarry.errors import ClipquarryError
from clipquarry.files import disk_errors, inside, publish, read_json, sha256_of, sweep_unfinished, temporary_beside

Facts = dict[str, Any]


UNFINISHED = "unfinished"
"""Folder of unfinished files."""


def content_key(**parts: Any) -> str:
    """A stable hash (32 hex characters) of JSON-like values: the row, the params, the step's version."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Store:
    """Artefacts by (kind, name, key) below ``root`` (``{data}/.clipquarry/store``)."""

    root: Path

    def path(self, kind: str, name: str, key: str, suffix: str = ".mp4") -> Path:
        """Path of the artefact: ``{kind}/{2 hex}/{name}.{key}{suffix}``; the metadata end in ``.json`` instead."""
        bucket = hashlib.sha256(name.encode()).hexdigest()[:2]
        return inside(self.root, kind, bucket, f"{name}.{key}{suffix}")

    def unfinished(self, suffix: str = ".mp4") -> Path:
        """A fresh path on the store's file system for an unfinished file. :meth:`sweep` finds there what killed
        writers left.
        """
        folder = self.root / UNFINISHED
        folder.mkdir(parents=True, exist_ok=True)
        return temporary_beside(folder / f"x{suffix}")

    def sweep(self, older_than: float) -> int:
        """Remove unfinished files of ended processes; returns their number."""
        return sweep_unfinished(self.root / UNFINISHED, older_than=older_than, depth=0)

    def _write_facts(self, kind: str, name: str, key: str, facts: Facts) -> None:
        path = self._facts_path(kind, name, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.unfinished(".json")
        try:
            with disk_errors(path):
                with open(temporary, "w", encoding="utf-8") as handle:
                    json.dump(facts, handle, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
                    handle.write("\n")
                publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def _facts_path(self, kind: str, name: str, key: str) -> Path:
        return self.path(kind, name, key, ".json")

    def get(self, kind: str, name: str, key: str, suffix: str = ".mp4", *, full: bool = False) -> Facts | None:
        """The metadata if the artefact is there and unchanged (size and mtime; sha256 too if ``full``), else None."""
        path = self.path(kind, name, key, suffix)
        facts_path = self._facts_path(kind, name, key)
        try:
            stat = path.stat()
            facts: Any = read_json(facts_path)
        except FileNotFoundError:
            return None
        except (ClipquarryError, OSError):  # a metadata file damaged by hand: the artefact is made again
            return None
        if not isinstance(facts, dict):
            return None
        if stat.st_size != facts.get("bytes") or stat.st_mtime_ns != facts.get("mtime_ns"):
            return None
        if full and sha256_of(path) != facts.get("sha256"):
            return None
        return dict(facts)

    def put(
        self, kind: str, name: str, key: str, temporary: Path, facts: Mapping[str, Any], suffix: str = ".mp4"
    ) -> Facts:
        """Move a finished, verified file into the store and write its metadata (adds bytes, sha256, mtime_ns)."""
        path = self.path(kind, name, key, suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        complete: Facts = {**facts, "sha256": sha256_of(temporary)}
        stat = temporary.stat()  # not afterwards: another run may have put its own there
        publish(temporary, path)
        complete |= {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "key": key, "name": name}
        self._write_facts(kind, name, key, complete)
        return complete

    def note(self, kind: str, name: str, key: str, facts: Mapping[str, Any]) -> None:
        """Write metadata about something that is not one file in the store (a folder of frames)."""
        self._write_facts(kind, name, key, {**facts, "key": key, "name": name})

    def noted(self, kind: str, name: str, key: str) -> Facts | None:
        """The metadata written by :meth:`note`, unchecked, or None."""
        path = self._facts_path(kind, name, key)
        try:
            facts = read_json(path)
        except (ClipquarryError, OSError):  # absent, or damaged by hand: made again
            return None
        return dict(facts) if facts and isinstance(facts, dict) else None

    def all_noted(self, kind: str, name: str) -> Iterator[Facts]:
        """The metadata of every artefact of that name, made with any recipe. Damaged ones are left out."""
        for path in self.path(kind, name, "any").parent.glob(f"{glob.escape(name)}.*.json"):
            with suppress(ClipquarryError, OSError):
                facts = read_json(path)
                if isinstance(facts, dict):
                    yield dict(facts)

    def forget(self, kind: str, name: str, key: str, suffix: str = ".mp4") -> None:
        """Remove an artefact: the metadata first, so that a kill between leaves nothing that looks done."""
        self._facts_path(kind, name, key).unlink(missing_ok=True)
        self.path(kind, name, key, suffix).unlink(missing_ok=True)
