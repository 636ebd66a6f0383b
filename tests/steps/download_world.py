"""A data root, a mirror that remembers what it sent, and small films: what the tests of the step ``download`` share."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step
from once import shared_folder

FPS = 10


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    with shared_folder(tmp_path_factory, "download_films") as folder:
        if not (folder / "other.mkv").exists():
            make_video(folder / "whole.mp4", 6, FPS, (64, 48), label="whole")
            make_video(folder / "other.mkv", 4, FPS, (64, 48), label="other")
    whole = (folder / "whole.mp4").read_bytes()
    return {
        "whole": whole,
        "mkv": (folder / "other.mkv").read_bytes(),
        # 3 MB more in a box that every player skips: large enough to be worth resuming.
        "large": whole + (3 << 20).to_bytes(4, "big") + b"free" + os.urandom((3 << 20) - 8),
    }


class Yard:
    def __init__(self, folder: Path, films: dict[str, bytes], origin: Origin) -> None:
        self.data, self.films, self.origin, self.served = folder / "data", films, origin, folder / "served"
        self.rows: list[dict[str, Any]] = []
        self.out = self.data / "out/part-00000.parquet"
        self.sent: list[tuple[int, int]] = []
        """First byte and length of every body that the server began to send."""
        self.stall = threading.Event()
        self.stall.set()
        yard, handler = self, origin._server.RequestHandlerClass

        class Watched(handler):  # type: ignore[misc, valid-type]
            def _send(self, read: Any, length: int, *, trickle: bool) -> None:
                yard.sent.append((read.__self__.tell(), length))
                if yard.stall.is_set():
                    super()._send(read, length, trickle=trickle)
                    return
                super()._send(read, length // 2, trickle=trickle)
                self.wfile.flush()
                yard.stall.wait(30)

        origin._server.RequestHandlerClass = Watched

    def serve(self, name: str, film: str = "whole") -> Path:
        path = self.served / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.films[film])
        return path

    def want(self, name: str = "-5KQ66BBWC4.mp4", split: str = "train", **more: Any) -> None:
        self.rows.append(
            {
                "item_id": f"{split}/{name}", "video_id": Path(name).stem, "clip_id": name, "split": split,
                "label": None, "class_dir": None, "label_index": -1, "start": of(900), "end": of(1801), "row": 1, **more,
            }
        )  # fmt: skip

    def http(self, id_: str = "cvdf", **more: Any) -> dict[str, Any]:
        return {
            "id": id_, "kind": "http", "provides": "items", "content": "video", "attempts": 1,
            "url": f"{self.origin.url}/{id_}/{{split}}/{{clip}}", **more,
        }  # fmt: skip

    def params(self, **more: Any) -> dict[str, Any]:
        return {
            "root": "ava", "sources": [self.http()], "min_free_gb": 0,
            "split_names": {"train": "trainval", "val": "trainval"}, **more,
        }  # fmt: skip

    def items(self) -> Path:
        items = self.data / "items.parquet"
        write_rows(items, schema_of(ITEM_FIELDS, "plan"), self.rows)
        return items

    def run(self, **more: Any) -> StepResult:
        params = json.dumps(self.params(**more))
        return run_step(make_step("download"), items=self.items(), params=params, out=self.out, data=self.data, jobs=2)

    def result(self) -> dict[str, dict[str, Any]]:
        return {row["item_id"]: row for row in read_rows(self.out)}

    def only(self) -> dict[str, Any]:
        (row,) = self.result().values()
        return row

    def file(self, name: str = "-5KQ66BBWC4.mp4") -> Path:
        return self.data / "ava/videos" / name

    def scratch(self) -> list[str]:
        return sorted(path.name for path in (self.data / ".clipquarry/scratch").rglob("*") if path.is_file())


@pytest.fixture
def yard(tmp_path: Path, films: dict[str, bytes]) -> Iterator[Yard]:
    (tmp_path / "served").mkdir()
    with Origin(tmp_path / "served") as origin:
        yield Yard(tmp_path, films, origin)
