"""A small real shard of the step ``frames``, and the little of Airflow's context that an operator reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from clipquarry.demo.videos import make_video
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.microseconds import of

JOB = {
    "name": "shard-00000",
    "items": "run/items.parquet",
    "params": "run/params.json",
    "out": "run/frames/part-00000.parquet",
}


def make_shard(data: Path, clips: int = 2, **params: Any) -> dict[str, str]:
    """``clips`` clips of one second in the layout of a data set ``k``, and the job that makes their frames."""
    rows: list[Row] = []
    first: Path | None = None
    for number in range(clips):
        clip = f"-wR5jVB-{number:03d}_000001_000002"
        rows.append({
            "item_id": f"val/a b (c)'s/{clip}", "video_id": clip[:11], "clip_id": clip, "split": "val", "label": "a b (c)'s",
            "class_dir": "a b (c)'s", "label_index": 0, "start": of(1), "end": of(2), "row": number + 2,
        })  # fmt: skip
        path = data / "k" / "videos_val" / "a b (c)'s" / f"{clip}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        if first is None:
            first = path
            make_video(path, 1, 10, size=(64, 48))
        else:
            shutil.copy(first, path)
    (data / "run").mkdir(parents=True, exist_ok=True)
    write_rows(data / JOB["items"], schema_of(ITEM_FIELDS, "items"), rows)
    (data / JOB["params"]).write_text(json.dumps({"root": "k", "short_edge": 32} | params))
    return dict(JOB)


def manifest(data: Path) -> list[Row]:
    """What the step wrote."""
    return list(read_rows(data / JOB["out"]))


def context(run: str = "manual__2026-11-21T01:02:03+00:00", try_number: int = 1, **params: Any) -> Any:
    """A task instance of a DAG run."""
    ti = SimpleNamespace(dag_id="k", run_id=run, task_id="frames", map_index=0, try_number=try_number)
    return {"params": params, "ti": ti, "run_id": run}
