"""Catalogs and manifests as the steps write them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from clipquarry.ledger import Ledger
from families.made_run import CATALOG, FINE, item_row, step_schema, write_manifest

DAY0 = datetime(2026, 1, 4, 6, 0, tzinfo=UTC)  # a Sunday
FETCH = step_schema("fetch")


def day(days: float) -> datetime:
    return DAY0 + timedelta(days=days)


def video(n: int) -> str:
    return f"vid{n:08d}"


def item(
    n: int, *, start: int = 10, split: str = "train", label: str | None = "high jump", **more: Any
) -> dict[str, Any]:
    clip = f"{video(n)}_{start:06d}_{start + 10:06d}"
    folder = "test" if label is None else label.replace(" ", "_")
    index = -1 if label is None else 0
    place = {"clip": clip, "folder": folder, "label": label, "index": index, "line": n + 2}
    return {**item_row(split, video(n), start, start + 10, **place), **more}


def rejected(line: int, reason: str, evidence: str, split: str = "train") -> dict[str, Any]:
    return {
        "item_id": f"{split}/#row-{line}", "video_id": None, "clip_id": None, "split": split, "label": None,
        "class_dir": None, "label_index": None, "start": None, "end": None, "row": line,
        "status": "rejected", "reason": reason, "evidence": evidence,
    }  # fmt: skip


def catalog(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    write_manifest(path, CATALOG, ({**FINE, **row} for row in rows))
    return path


def tried(source: str, at: datetime, reason: str, evidence: str = "", **more: Any) -> dict[str, Any]:
    said = {"source": source, "at": at.isoformat(), "reason": reason, "evidence": evidence}
    return {**said, "seconds": 0.5, "bytes": 0, **more}


def result(
    row: dict[str, Any], status: str, reason: str, attempts: Sequence[dict[str, Any]] | None, evidence: str = ""
) -> dict[str, Any]:
    return {**row, "status": status, "reason": reason, "evidence": evidence, "key": "0" * 64, "attempts": attempts}


def manifest(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    write_manifest(path, FETCH, rows)
    return path


class Calendar:
    """Runs on given days against a ledger: each asks for the items and hears a reason for each."""

    def __init__(self, ledger: Ledger, folder: Path, dataset: str = "demo", egress: str = "default") -> None:
        self.ledger, self.folder, self.dataset, self.egress = ledger, folder, dataset, egress
        self.runs = 0

    def run(
        self,
        at: datetime,
        answers: Sequence[tuple[dict[str, Any], str]],
        *,
        source: str = "youtube",
        evidence: str = "",
    ) -> None:
        """One run: every item with the reason that ``source`` gave (``ok`` for the bytes), an hour after it began."""
        name, self.runs = f"run-{self.egress}-{self.runs}", self.runs + 1
        asked = at + timedelta(hours=1)
        rows = [
            result(
                row, "done" if reason == "ok" else "missing", reason, [tried(source, asked, reason, evidence)], evidence
            )
            for row, reason in answers
        ]
        path = manifest(self.folder / f"{self.dataset}-{name}.parquet", rows)
        self.ledger.begin_run(self.dataset, name, egress=self.egress, started=at)
        self.ledger.record(self.dataset, name, self.egress, [path], asked)
        self.ledger.end_run(self.dataset, name, ended=asked)

    def due(self, at: datetime) -> list[str]:
        return sorted(row["item_id"] for row in self.ledger.due(at, self.dataset, egress=self.egress))
