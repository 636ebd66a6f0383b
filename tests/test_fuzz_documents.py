"""Files that the product itself writes, mutated: manifests, locks, the documents of a run, and notes. Others' files: ``test_fuzz_readers.py``."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from clipquarry.acquire.annotation_files import AnnotationFile
from clipquarry.acquire.breaker import Breaker
from clipquarry.cli.runs import existing_run
from clipquarry.datasets.load import find_spec
from clipquarry.manifest import CATALOG_FIELDS, read_rows, read_table, schema_of, write_rows
from clipquarry.pipeline.annotation_choice import remember
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.inherit import last_params
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.pins import pin
from clipquarry.pipeline.reporting import collect
from clipquarry.reasons import Reason
from clipquarry.release.lock import LockHeader, LockRow, open_lock, write_lock
from clipquarry.report.gates import read_gates
from clipquarry.report.index import read_summary
from clipquarry.run_order import run_order
from clipquarry.settings import DataRoot, Settings
from clipquarry.store import Store
from fuzzing import EXAMPLES, A, as_json, attack

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SPEC = find_spec("kinetics400")


def lock(path: Path) -> None:
    with open_lock(path) as found:
        list(found)


def run_file(path: Path) -> None:
    """``run.json``, as reports, the command line, later refreshes and the order of runs read it."""
    data, spec = DataRoot(path.parent / "data"), SPEC
    folder = data.run(spec.name, "one")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "plan.json", "lists.json", "catalog.json", "stops.json"):
        (folder / name).write_bytes(path.read_bytes())
    last_params(spec, data)
    run_order(folder)
    collect(spec, data, "one", None, NOW)
    existing_run(spec.name, "one", data.root)


def summary(path: Path) -> None:
    (path.parent / "run/report").mkdir(parents=True, exist_ok=True)
    (path.parent / "run/report/summary.json").write_bytes(path.read_bytes())
    read_summary(path.parent / "run", "k")


def gate(path: Path) -> None:
    (path.parent / "run/gates").mkdir(parents=True, exist_ok=True)
    (path.parent / "run/gates/clips.json").write_bytes(path.read_bytes())
    read_gates(path.parent / "run", None)


def notes(path: Path) -> None:
    """What the store, the breaker and the download of a part remember."""
    store = Store(path.parent / "store")
    for suffix in (".mp4", ".json"):
        place = store.path("clips", "a", "k", suffix)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    store.get("clips", "a", "k"), store.noted("clips", "a", "k"), list(store.all_noted("clips", "a"))
    (path.parent / "breaker.json").write_bytes(path.read_bytes())
    (path.parent / "breaker.history.jsonl").write_bytes(path.read_bytes())
    breaker = Breaker(path.parent)
    breaker.peek(), breaker.history(), breaker.refused_others("a", Reason.HTTP_429), breaker.enter(threading.Event())


@cache
def context() -> RunContext:
    return make_context(SPEC.name, "one", {})


def known_files(path: Path) -> None:
    """Where annotation files came from, and what was announced."""
    ctx = replace(context(), settings=Settings(DataRoot(path.parent / "data"), "sqlite://"))
    place = ctx.annotation_csvs().get("val") or ctx.data.dataset(SPEC.root, SPEC.splits["val"])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"a")
    for told in (ctx.data.private / "annotations" / f"{SPEC.name}.json", ctx.state.with_name(f"{SPEC.name}.pins.json")):
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_bytes(path.read_bytes())
    pin(ctx, [place])
    remember(ctx, [AnnotationFile("val", place, "x", "0" * 64, 1)])


def table(path: Path) -> None:
    for _ in read_rows(path):
        pass
    read_table(path, ["item_id"])


def catalog() -> bytes:
    row = {"item_id": "val/a", "split": "val", "status": "done", "reason": "ok", "evidence": "", "row": 2}
    with tempfile.TemporaryDirectory() as folder:
        write_rows(
            Path(folder) / "c.parquet",
            schema_of(CATALOG_FIELDS, "catalog"),
            [{**row, "item_id": f"val/{n}"} for n in range(30)],
        )
        return (Path(folder) / "c.parquet").read_bytes()


def written_lock(folder: Path) -> bytes:
    rows = [LockRow(f"k/a/{n}.mp4", f"{A}_000001_000011", "train", 1, "0" * 64, 10, 10.0, 250) for n in range(3)]
    write_lock(folder / "seed.lock", LockHeader("kinetics400", "abc", {"train": "0" * 64}), rows)
    return (folder / "seed.lock").read_bytes()


DOCUMENTS: dict[str, tuple[str, bytes, Callable[[Path], Any]]] = {
    "catalog": ("a.parquet", catalog(), table),
    "run file": ("a.json", as_json(dataset="kinetics400", run="one", kind="full", number=3, egress="default", started=NOW.isoformat(),
                                  params={"splits": ["val"], "limit": 3, "sources": ["youtube"]}, inherited={}, left=3, nothing_due=False,
                                  stops=[{"at": NOW.isoformat(), "until": NOW.isoformat(), "why": "x"}], tools={"a": "1"}), run_file),
    "summary": ("a.json", as_json(title="K", at=NOW.isoformat(), level="good", word="Complete", headline="x", gates={"clips": "passed"},
                                  counts={"expected": 3, "present": 3, "missing": 0, "rejected": 0, "failed": 0, "not_asked": 0}), summary),
    "gate": ("a.json", as_json(schema="gate-result/v1", gate="clips", verdict="pass", sentence="x", rows=0, rows_file="x.csv", seconds=1.0,
                               checks=[{"id": "a.b", "title": "x", "severity": "error", "success": False, "unexpected": 3, "worst": [{"item_id": "a"}]}]), gate),
    "notes": ("a.json", as_json(bytes=3, mtime_ns=4, sha256="0" * 64, key="k", state="open", reason="http_429", evidence="x", row=1,
                                opened_at=1.0, wait=3600.0, heard=[["a", "http_429"]], asking={"h:1:1": 1.0}, event="opened", at=NOW.isoformat()), notes),
    "known files": ("a.json", as_json(**{"annotations/kinetics_val.csv": {"source": "x", "sha256": "0" * 64, "run": "one"}}), known_files),
}  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_mutated_files_are_read_or_refused(tmp_path: Path, document: str) -> None:
    attack(tmp_path, *DOCUMENTS[document], EXAMPLES)


def test_mutated_locks_are_read_or_refused(tmp_path: Path) -> None:
    attack(tmp_path, "a.lock", written_lock(tmp_path), lock, EXAMPLES)
