"""A data root as the product of the former name left it: today's, with the names turned back."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from clipquarry import former
from clipquarry.settings import PRIVATE

ARTEFACTS = ("store", "releases")


def age(root: Path) -> None:
    """Turn the names back: words and paths in tables, paths in texts, the private folder's own name."""
    for path in sorted((root / PRIVATE).rglob("*")):
        within = path.relative_to(root / PRIVATE).parts
        if path.suffix == ".parquet":
            _age_table(path)
        elif path.suffix in (".json", ".html", ".csv") and within[0] not in ARTEFACTS:
            path.write_bytes(path.read_bytes().replace(f"{PRIVATE}/".encode(), f"{former.PRIVATE}/".encode()))
    (root / PRIVATE).rename(root / former.PRIVATE)


def _age_table(path: Path) -> None:
    table = pq.read_table(path)
    words = {
        key.replace(b"clipquarry.", former.NAME.encode() + b"."): value
        for key, value in (table.schema.metadata or {}).items()
    }
    for number, field in enumerate(table.schema):
        if str(field.type) == "string":
            table = table.set_column(
                number, field, pc.replace_substring(table.column(number), f"{PRIVATE}/", f"{former.PRIVATE}/")
            )
    pq.write_table(table.replace_schema_metadata(words), path, row_group_size=4096, compression="zstd")


def tables(root: Path) -> dict[str, object]:
    """Every table below the private folder, with its words, by its path."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*.parquet")):
        table = pq.read_table(path)
        found[str(path.relative_to(root))] = (table.schema.metadata, table.to_pylist())
    return found


def inodes(root: Path) -> dict[str, int]:
    """The inode of every file of the layouts and of the store."""
    return {
        str(path.relative_to(root)).replace(former.PRIVATE, PRIVATE): os.stat(path).st_ino
        for folder in (*(one for one in root.iterdir() if not one.name.startswith(".")), *root.glob(".*/store"))
        for path in folder.rglob("*")
        if path.is_file()
    }
