"""Adoption of a data root of the product's old name: its private folder, the names and paths in its tables, its
ledger.

Everything is rewritten inside the old folder, file by file, each whole or not at all. The folder gets its new name
last, by one rename. After a kill, the same command continues. In a data set's own layout only unfinished files of
the old name are removed, so clips, frames and their hard links stay unchanged.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from clipquarry import former
from clipquarry.adopt.ledger import adopt_ledger
from clipquarry.errors import UserError
from clipquarry.file_lock import FileLock
from clipquarry.files import disk_errors, publish, sync_folder, temporary_beside
from clipquarry.ledger.engine import Namespaces
from clipquarry.run_documents import known_run_facts
from clipquarry.run_folder import all_begun_runs
from clipquarry.settings import LEDGER, MODELS, PRIVATE, RELEASES, RUNS, SCRATCH, SET_ASIDE

_TEXTS = frozenset({".json", ".jsonl", ".csv", ".html"})
_PATH = re.compile(rb"(?<![A-Za-z0-9_.-])" + re.escape(former.PRIVATE.encode()) + rb"(?![A-Za-z0-9_-])")
"""The old private folder as a piece of a path; in JSON too, where a path is written as everywhere else."""
_RECORDS = (RELEASES, SET_ASIDE, MODELS, SCRATCH)
"""Unchanged: published files, a person's own files, weights, unfinished downloads."""
_LAYOUT_DEPTH = 3
"""Unfinished files lie beside their target: at most in ``{root}/{videos}/{class}`` of the data root."""


@dataclass
class Adopted:
    """What :func:`adopt` changed, in files (tables, texts, unfinished ones) and rows of the ledger."""

    tables: int = 0
    texts: int = 0
    removed: int = 0
    ledger_rows: int = 0

    def __str__(self) -> str:
        return (
            f"{self.tables} tables and {self.texts} texts rewritten, {self.ledger_rows} rows of the ledger, "
            f"{self.removed} unfinished files removed"
        )


def open_runs(private: Path) -> list[str]:
    """``{dataset}/{run}`` of every run that began and has not ended, oldest data set first."""
    found = []
    for folder in all_begun_runs(private / RUNS):
        facts = known_run_facts(folder)
        if facts.get("started") and not facts.get("ended"):
            found.append(f"{folder.parent.name}/{folder.name}")
    return found


def adopt(
    root: Path,
    ledger_url: str | None,
    *,
    dead: Collection[str] = (),
    count: Callable[[str], None],
    namespaces: Namespaces | None = None,
) -> Adopted:
    """Adopt the data root; ``count`` is called for every file that was read.

    ``ledger_url``: the ledger, if it is not a file in the private folder. ``dead``: open runs (``{dataset}/{run}``)
    that nobody will continue. Raises UserError while another run is open, and if the root has private folders of
    both names.
    """
    with _alone(root):
        old, new = root / former.PRIVATE, root / PRIVATE
        done = Adopted()
        if new.exists() and old.exists():
            raise UserError(
                f"{root} holds both {old.name} and {PRIVATE}: a run began afresh beside the old one. Move the one with less in it away, "
                "then run this again."
            )
        private = old if old.exists() else new
        if not private.is_dir():
            raise UserError(f"{root} holds nothing of ours: there is no {old.name} and no {PRIVATE} in it.")
        still = [name for name in open_runs(old) if name not in dead]
        if still:
            raise UserError(
                f"The run {still[0]} has not ended{f' (nor {len(still) - 1} more)' if still[1:] else ''}: let it end, with the version "
                f"that began it. If it was killed and nobody goes on with it, add --dead {still[0]}."
            )
        done.removed = _remove_unfinished(root)
        for path in _files(private):
            if path.suffix == ".parquet":
                done.tables += _adopt_table(path)
            elif path.suffix in _TEXTS:
                done.texts += _adopt_text(path)
            count("done")
        done.ledger_rows = adopt_ledger(ledger_url or f"sqlite:///{private / LEDGER}", namespaces)
        if private == old:
            old.rename(new)
            sync_folder(root)
        return done


def files_of(root: Path) -> int:
    """Number of files that :func:`adopt` will read."""
    return sum(1 for name in (former.PRIVATE, PRIVATE) for _ in _files(root / name))


def _alone(root: Path) -> FileLock:
    lock = FileLock.attempt_folder(root)
    if lock is None:
        raise UserError(f"Another process adopts {root} already: wait for it.")
    return lock


def _files(private: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(private):
        if Path(place) == private:
            folders[:] = [name for name in folders if name not in _RECORDS]
        folders.sort()
        yield from (Path(place, name) for name in sorted(names))


def _adopt_table(path: Path) -> bool:
    """Rewrite a table with the old name; True if it had it."""
    try:
        source = pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError):
        return False  # whoever needs an unreadable file reports it
    with source:
        schema = source.schema_arrow
        old = schema.metadata or {}
        words = {_word(key): value for key, value in old.items()}
        if words == old:
            return False
        schema = schema.with_metadata(words)
        with _replacing(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for number in range(source.num_row_groups):
                writer.write_table(_with_new_paths(source.read_row_group(number)).cast(schema))
    return True


def _word(key: bytes) -> bytes:
    name, dot, rest = key.partition(b".")
    return b"clipquarry." + rest if dot and name == former.NAME.encode() else key


def _with_new_paths(table: pa.Table) -> pa.Table:
    for number, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = pc.replace_substring(table.column(number), f"{former.PRIVATE}/", f"{PRIVATE}/")
            table = table.set_column(number, field, column)
    return table


def _adopt_text(path: Path) -> bool:
    """Rewrite the paths in a text; True if there were any."""
    content = path.read_bytes()
    new = _PATH.sub(PRIVATE.encode(), content)
    if new == content:
        return False
    with _replacing(path) as temporary:
        temporary.write_bytes(new)
    return True


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file to write to; when the block ends without an error, it takes the place of ``path``, with its mode and
    its times.
    """
    temporary = temporary_beside(path)
    try:
        with disk_errors(path):
            yield temporary
            shutil.copystat(path, temporary)
            publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_unfinished(root: Path) -> int:
    removed = 0
    private = root / former.PRIVATE
    for place, folders, names in os.walk(root):
        here = Path(place)
        left = [name for name in (*folders, *names) if name.startswith(former.TEMPORARY_PREFIX)]
        too_deep = private not in (here, *here.parents) and len(here.relative_to(root).parts) >= _LAYOUT_DEPTH
        folders[:] = [] if too_deep else [name for name in folders if name not in left]
        for path in (here / name for name in left):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            removed += 1
    return removed
