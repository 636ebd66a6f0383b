"""The step ``collect`` with the real yt-dlp and a fake extractor: whole videos, after folders, under the crawl's limits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from clipquarry.acquire.breaker import Breaker
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.errors import Exit
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step

MINE, GOOD, PRIVATE, BOT, LAST = "aaaaaaaaaaa", "-bbbbbbbbbb", "ccccccccccc", "ddddddddddd", "eeeeeeeeeee"
STOP = {"say": "Sign in to confirm you’re not a bot"}


class Yard:
    def __init__(self, folder: Path, origin: Origin, playbook: Path) -> None:
        self.data, self.mine, self.origin, self.playbook = folder / "data", folder / "mine", origin, playbook
        self.out = self.data / "out/part-00000.parquet"
        items = [
            {
                "item_id": f"train/v_{name}", "video_id": name, "clip_id": f"v_{name}", "split": "train", "label": None,
                "class_dir": None, "label_index": -1, "row": number,
            }
            for number, name in enumerate((MINE, GOOD, PRIVATE, BOT, LAST))
        ]  # fmt: skip
        write_rows(self.data / "items.parquet", schema_of(ITEM_FIELDS, "plan"), items)

    def run(self, **more: Any) -> StepResult:
        sources = [
            {"id": "mine", "kind": "local", "provides": "items", "content": "file", "path": str(self.mine)},
            {"id": "youtube", "kind": "youtube", "provides": "items", "content": "file", "url": "clipquarryfake:{id}"},
        ]
        params = {
            "root": "toy", "videos": "videos", "suffixes": [".mp4"], "sources": sources, "min_free_gb": 0, "budget_pause": 0,
            "breaker_factor": 0.001, **more,
        }  # fmt: skip
        return run_step(
            make_step("collect"), items=self.data / "items.parquet", params=json.dumps(params), out=self.out,
            data=self.data, jobs=1,
        )  # fmt: skip

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["video_id"]: row for row in read_rows(self.out)}

    def asked(self) -> list[str]:
        return list(import_module("fake_youtube").calls(self.playbook))


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "acquire"))
    playbook = tmp_path / "playbook.json"
    import_module("fake_youtube").enable_fake_extractor(monkeypatch, playbook)
    for folder in ("served", "mine"):
        (tmp_path / folder).mkdir()
    film = make_video(tmp_path / "served/film.mp4", 2, 8, (64, 48), b_frames=0)
    (tmp_path / f"mine/v_{MINE}.mp4").write_bytes(film.read_bytes())
    with Origin(tmp_path / "served") as origin:
        # Longer than what is fetched in sections of windows.
        video = {"url": f"{origin.url}/film.mp4", "ext": "mp4", "duration": 5000}
        acts = {GOOD: video, PRIVATE: {"say": "Private video"}, BOT: [STOP, video], LAST: video}
        playbook.write_text(json.dumps(acts))
        yield Yard(tmp_path, origin, playbook)


def test_a_bot_check_stops_youtube_and_a_later_run_goes_on(yard: Yard) -> None:
    result = yard.run()
    assert (result.exit, result.reason) == (Exit.WAIT, "bot_check") and "2 files wait" in result.sentence
    assert yard.asked() == [GOOD, PRIVATE, BOT], (
        "what lies in the folder is not asked for, nor anything after the bot check"
    )
    breaker, deadline = Breaker(yard.data / ".clipquarry/egress/default"), time.monotonic() + 30
    while breaker.peek() is not None and time.monotonic() < deadline:  # the cool-down, scaled to 2.2 s
        time.sleep(0.05)
    assert yard.run().exit is Exit.OK
    rows = yard.rows()
    assert {name: (row["status"], row["source"]) for name, row in rows.items()} == {
        MINE: ("done", "mine"), GOOD: ("done", "youtube"), PRIVATE: ("missing", None), BOT: ("done", "youtube"),
        LAST: ("done", "youtube"),
    }  # fmt: skip
    assert (rows[GOOD]["frames"], rows[GOOD]["path"]) == (16, f"toy/videos/v_{GOOD}.mp4")
    assert rows[PRIVATE]["reason"] == "private"
    assert yard.asked() == [GOOD, PRIVATE, BOT, BOT, LAST], "what was settled is not asked again"


def test_the_hours_budget_counts_whole_videos(yard: Yard) -> None:
    result = yard.run(budget_per_hour=1)
    assert (result.exit, result.reason) == (Exit.WAIT, "waiting") and yard.asked() == [GOOD]
    assert result.resume_at is not None


def test_a_tool_that_is_outdated_says_so(yard: Yard) -> None:
    yard.playbook.write_text(json.dumps({name: {"bug": "KeyError"} for name in (GOOD, PRIVATE, BOT, LAST)}))
    result = yard.run(breaker_row=2, breaker_factor=1)
    assert result.exit is Exit.UPGRADE and "newer yt-dlp" in result.sentence and len(yard.asked()) == 2
