"""A data root with a catalog, and shards whose results are made up: the pipeline without the net."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clipquarry.ledger.ledger import Ledger
from clipquarry.manifest import Row, read_rows
from clipquarry.pipeline.context import Kind, RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.record import record
from clipquarry.pipeline.stages import run_stage
from clipquarry.settings import DataRoot, Settings
from families.made_run import FINE, MadeRun, item_row, step_schema, write_manifest

LABELS = ("abseiling", "riding a bike", "zumba")


def catalog_row(number: int, split: str = "train", *, video: int | None = None, start: int = 0) -> Row:
    label = LABELS[number % 3]
    video_id = f"vid{number if video is None else video:08d}"
    clip = f"{video_id}_{start:06d}_{start + 10:06d}"
    folder = label.replace(" ", "_")
    place = {"clip": clip, "folder": folder, "label": label, "index": number % 3, "line": number + 2}
    return {**item_row(split, video_id, start, start + 10, **place), **FINE}


REJECTED = {
    "item_id": "val/#row-99",
    "split": "val",
    "row": 99,
    "status": "rejected",
    "reason": "bad_id",
    "evidence": "../../x",
}


def rows(count: int = 30) -> list[Row]:
    """Two clips of each video, the second one in val for every third video; one rejected row."""
    found = [catalog_row(n) for n in range(count)]
    found += [catalog_row(n, "val" if n % 3 == 0 else "train", start=20) for n in range(count)]
    return [*found, REJECTED]


@cache
def empty_ledger() -> bytes:
    """A ledger of the newest schema, that knows nothing: migrations, of 0.1 CPU s, run once for all worlds (tests/ledger runs them)."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        Ledger.open(f"sqlite:///{path}").close()
        assert [one.name for one in path.parent.iterdir()] == [path.name], "all of it is in the file"
        return path.read_bytes()


class World:
    """One data root."""

    def __init__(self, root: Path, catalog: Iterable[Row] | None = None) -> None:
        self.settings = Settings(DataRoot(root), f"sqlite:///{root}/.clipquarry/ledger.sqlite")
        self.root, self.catalog = root, list(rows() if catalog is None else catalog)
        root.mkdir(exist_ok=True)
        ledger = root / ".clipquarry/ledger.sqlite"
        ledger.parent.mkdir(exist_ok=True)
        if not ledger.exists():
            ledger.write_bytes(empty_ledger())

    def clips_of(self, video: int, reason: str) -> dict[str, str]:
        """All items of a video, with the reason why they are lost (what is known of a video holds for all its clips)."""
        return {row["item_id"]: reason for row in self.catalog if row.get("video_id") == f"vid{video:08d}"}

    def context(self, run: str = "one", kind: Kind = "full", **params: Any) -> RunContext:
        """A run that asks ``origin``, unless the parameters say otherwise."""
        params = {"sources": ["origin"], **params}
        ctx = make_context("kinetics_demo", run, params, kind=kind, settings=self.settings)
        MadeRun(ctx.folder).catalog(self.catalog)
        with ctx.ledger() as ledger:
            ledger.sync_catalog(ctx.spec.name, ctx.catalog)
        return ctx

    def plan(self, ctx: RunContext) -> dict[str, Any]:
        return dict(run_stage("plan", ctx))

    def asked(self, ctx: RunContext) -> list[list[Row]]:
        """The rows of each fetch shard."""
        jobs = run_stage("fetch_shards", ctx)
        return [list(read_rows(self.root / job["items"])) for job in jobs]

    def fetch(self, ctx: RunContext, *, missing: dict[str, str] | None = None, fail_shards: Iterable[int] = ()) -> None:
        """Play the fetch tasks: files for all but ``missing`` (item to reason); no manifest for failed shards."""
        lost = missing or {}
        for number, job in enumerate(run_stage("fetch_shards", ctx)):
            if number not in set(fail_shards):
                done = [self._result(row, lost.get(row["item_id"])) for row in read_rows(self.root / job["items"])]
                write_manifest(self.root / job["out"], step_schema("fetch"), done)

    def _result(self, row: Row, reason: str | None) -> Row:
        at = datetime.now(UTC).isoformat()
        tried = {"source": "origin", "at": at, "reason": reason or "ok", "evidence": "", "seconds": 0.1, "bytes": 3}
        if reason:
            return {**row, "status": "missing", "reason": reason, "evidence": "gone", "key": "k", "attempts": [tried]}
        path = self.root / self.path_of(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"abc")
        return {
            **row, "status": "done", "reason": "ok", "evidence": "", "key": "k", "attempts": [tried], "source": "origin",
            "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest(), "duration": 10.0, "frames": 250, "fps": 25.0, "width": 32, "height": 24,
            "has_audio": True, "path": self.path_of(row),
        }  # fmt: skip

    def path_of(self, row: Row) -> str:
        return f"kinetics_demo/videos_{row['split']}/{row['class_dir']}/{row['clip_id']}.mp4"

    def go(self, ctx: RunContext, **how: Any) -> dict[str, int]:
        """Plan, fetch, record."""
        self.plan(ctx)
        self.fetch(ctx, **how)
        return record(ctx)
