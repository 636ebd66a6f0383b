"""A data root, a mirror and small films: what the tests of the step ``fetch`` share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.ids import clip_id
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step
from once import shared_folder

FPS = 10
VIDEO = "aaaaaaaaaaa"
FILMS = {"clip": "clip.mp4", "short": "short.mp4", "webm": "clip.mkv", "whole": "whole.mp4"}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A clip of 3 s, one of 2 s, a whole video of 20 s; small, because what matters is what happens to them."""
    with shared_folder(tmp_path_factory, "fetch_films") as folder:
        found = {name: folder / file for name, file in FILMS.items()}
        if not found["whole"].exists():
            make_video(found["clip"], 3, FPS, (64, 48), label="clip")
            make_video(found["short"], 2, FPS, (64, 48), label="short")
            make_video(found["webm"], 3, FPS, (64, 48), label="mkv")
            make_video(found["whole"], 20, FPS, (64, 48), label="whole", gop=25)
    return found


class Yard:
    """A data root, a mirror, and rows to ask for."""

    def __init__(self, folder: Path, films: dict[str, Path], origin: Origin) -> None:
        self.data, self.films, self.origin, self.served = folder / "data", films, origin, folder / "served"
        self.rows: list[dict[str, Any]] = []
        self.out = self.data / "out" / "part-00000.parquet"

    def serve(self, name: str, film: str = "clip") -> Path:
        path = self.served / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.films[film], path)
        return path

    def want(
        self, video: str = VIDEO, start: int = 5, end: int = 8, split: str = "val", label: str = "juggling balls"
    ) -> str:
        name, folder = clip_id(video, start, end), label.replace(" ", "_")
        self.rows.append(
            {
                "item_id": f"{split}/{folder}/{name}", "video_id": video, "clip_id": name, "split": split,
                "label": label, "class_dir": folder, "label_index": 0, "start": of(start), "end": of(end), "row": 2,
            }
        )  # fmt: skip
        return name

    def params(self, **more: Any) -> dict[str, Any]:
        mirror = {
            "id": "mirror", "kind": "http", "provides": "items", "content": "clip", "attempts": 1,
            "url": f"{self.origin.url}/clips/{{split}}/{{class}}/{{clip}}.mp4",
        }  # fmt: skip
        return {"root": "k", "sources": [mirror], "min_free_gb": 0, **more}

    def whole(self, **more: Any) -> dict[str, Any]:
        return {
            "id": "videos", "kind": "http", "provides": "items", "content": "video", "attempts": 1,
            "url": f"{self.origin.url}/videos/{{id}}.mp4", **more,
        }  # fmt: skip

    def run(self, *, out: Path | None = None, jobs: int = 2, **more: Any) -> StepResult:
        items = self.data / "items.parquet"
        write_rows(items, schema_of(ITEM_FIELDS, "plan"), self.rows)
        params = json.dumps(self.params(**more))
        return run_step(make_step("fetch"), items=items, params=params, out=out or self.out, data=self.data, jobs=jobs)

    def result(self, out: Path | None = None) -> dict[str, dict[str, Any]]:
        return {row["item_id"]: row for row in read_rows(out or self.out)}

    def only(self) -> dict[str, Any]:
        (row,) = self.result().values()
        return row

    def only_of(self, name: str) -> dict[str, Any]:
        (row,) = self.result(self.data / name).values()
        return row

    def file(self, index: int = 0) -> Path:
        row = self.rows[index]
        return self.data / "k" / f"videos_{row['split']}" / row["class_dir"] / f"{row['clip_id']}.mp4"


@pytest.fixture
def yard(tmp_path: Path, films: dict[str, Path]) -> Iterator[Yard]:
    (tmp_path / "served").mkdir()
    with Origin(tmp_path / "served") as origin:
        yield Yard(tmp_path, films, origin)
