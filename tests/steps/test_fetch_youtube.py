"""The step ``fetch`` with the real yt-dlp and a fake extractor: mirrors first, then YouTube, and the resumed run."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from clipquarry.acquire.breaker import Breaker
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import Exit
from clipquarry.ids import clip_id
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import StepResult, run_step

GOOD, PRIVATE, BOT, LAST, MIRRORED = (letter * 11 for letter in "gpblm")


class Yard:
    def __init__(self, folder: Path, origin: Origin, playbook: Path) -> None:
        self.data, self.origin, self.playbook = folder / "data", origin, playbook
        self.out = self.data / "out.parquet"
        rows = []
        for video, start in ((GOOD, 2), (GOOD, 9), (PRIVATE, 0), (BOT, 0), (LAST, 0), (MIRRORED, 0)):
            name = clip_id(video, start, start + 3)
            rows.append(
                {
                    "item_id": f"val/yoga/{name}", "video_id": video, "clip_id": name, "split": "val", "label": "yoga",
                    "class_dir": "yoga", "label_index": 0, "start": of(start), "end": of(start + 3), "row": 2,
                }
            )  # fmt: skip
        write_rows(self.data / "items.parquet", schema_of(ITEM_FIELDS, "plan"), rows)

    def run(self, **more: Any) -> StepResult:
        clips = f"{self.origin.url}/clips/{{clip}}.mp4"
        sources = [
            {"id": "mirror", "kind": "http", "provides": "items", "content": "clip", "url": clips, "attempts": 1},
            {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video", "url": "clipquarryfake:{id}"},
        ]
        params = {"root": "k", "sources": sources, "min_free_gb": 0, "budget_pause": 0, "breaker_factor": 1e-4, **more}
        items = self.data / "items.parquet"
        return run_step(
            make_step("fetch"), items=items, params=json.dumps(params), out=self.out, data=self.data, jobs=1
        )

    def rows(self) -> list[dict[str, Any]]:
        return list(read_rows(self.out))


@pytest.fixture
def yard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "acquire"))
    playbook = tmp_path / "playbook.json"
    import_module("fake_youtube").enable_fake_extractor(monkeypatch, playbook)
    served = tmp_path / "served"
    (served / "clips").mkdir(parents=True)
    film = make_video(served / "whole.mp4", 14, 10, (64, 48), gop=25)
    shutil.copyfile(
        make_video(tmp_path / "clip.mp4", 3, 10, (64, 48)), served / "clips" / f"{clip_id(MIRRORED, 0, 3)}.mp4"
    )
    with Origin(served) as origin:
        video = {"url": f"{origin.url}/{film.name}", "ext": "mp4", "duration": 14}
        stop = {"say": "Sign in to confirm you’re not a bot"}
        acts = {GOOD: video, PRIVATE: {"say": "Private video"}, BOT: [stop, video], LAST: video}
        playbook.write_text(json.dumps(acts))
        yield Yard(tmp_path, origin, playbook)


def asked(yard: Yard) -> list[str]:
    return list(import_module("fake_youtube").calls(yard.playbook))


def test_a_bot_check_stops_youtube_only_and_the_resumed_run_completes(yard: Yard) -> None:
    result = yard.run()
    assert (result.exit, result.reason) == (Exit.WAIT, "bot_check")
    assert "2 clips wait" in result.sentence
    assert asked(yard) == [GOOD, PRIVATE, BOT], "one question for two windows; nothing is asked after the bot check"
    assert yard.origin.asked["whole.mp4"] == 1
    assert (yard.data / "k/videos_val/yoga" / f"{clip_id(MIRRORED, 0, 3)}.mp4").exists(), "mirrors go on"
    breaker, deadline = Breaker(yard.data / ".clipquarry/egress/default"), time.monotonic() + 30
    while breaker.peek() is not None and time.monotonic() < deadline:  # the cool-down, scaled to 2.2 s
        time.sleep(0.05)
    assert yard.run().exit is Exit.OK
    rows = yard.rows()
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("done", "ok"), ("done", "ok"), ("missing", "private"), ("done", "ok"), ("done", "ok"), ("done", "ok")
    ]  # fmt: skip
    assert asked(yard) == [GOOD, PRIVATE, BOT, BOT, LAST], "what was settled is not asked again"
    assert [row["source"] for row in rows] == ["youtube", "youtube", None, "youtube", "youtube", "mirror"]
    assert [row["asked_height"] for row in rows] == [720, 720, None, 720, 720, None]
    assert [(a["source"], a["reason"]) for a in rows[3]["attempts"]] == [
        ("mirror", "not_found"), ("youtube", "bot_check"), ("mirror", "not_found"), ("youtube", "ok")
    ]  # fmt: skip
    assert rows[2]["evidence"].startswith("youtube: Private video")
    for row, first in ((rows[0], 20), (rows[1], 90)):
        assert read_frame_numbers(yard.data / row["path"]) == list(range(first, first + 30))


def test_the_hours_budget_makes_the_step_wait_too(yard: Yard) -> None:
    result = yard.run(budget_per_hour=1)
    assert (result.exit, result.reason) == (Exit.WAIT, "waiting")
    assert asked(yard) == [GOOD]
    assert result.resume_at is not None


@pytest.mark.parametrize(
    ("act", "exit_", "reason", "says"),
    [
        ({"bug": "KeyError"}, Exit.UPGRADE, "", "newer yt-dlp"),
        ({"say": "Please sign in"}, Exit.WAIT, "egress_refused", "Resume at"),
        ({"say": "YouTube said: Resource has been exhausted"}, Exit.WAIT, "http_429", "Resume at"),
    ],
)
def test_the_exit_code_tells_waiting_from_upgrading(
    yard: Yard, act: dict[str, Any], exit_: Exit, reason: str, says: str
) -> None:
    yard.playbook.write_text(json.dumps(dict.fromkeys((GOOD, PRIVATE, BOT, LAST), act)))
    result = yard.run(breaker_row=2, breaker_factor=1)
    assert (result.exit, result.reason) == (exit_, reason) and says in result.sentence
    assert len(asked(yard)) == (1 if reason == "http_429" else 2)
    assert (yard.data / "k/videos_val/yoga" / f"{clip_id(MIRRORED, 0, 3)}.mp4").exists(), "mirrors go on"


def test_it_tells_so_also_when_nothing_is_left_to_wait(yard: Yard) -> None:
    yard.playbook.write_text(json.dumps({name: {"bug": "KeyError"} for name in (GOOD, PRIVATE, BOT, LAST)}))
    assert yard.run(breaker_row=4, breaker_factor=1).exit is Exit.UPGRADE and len(asked(yard)) == 4


def test_whole_videos_are_kept_in_the_layout(yard: Yard) -> None:
    """Whole ones, also of what would be fetched in sections."""
    yard.playbook.write_text(json.dumps({name: {"url": f"{yard.origin.url}/whole.mp4", "ext": "mp4", "duration": 4000} for name in (GOOD, BOT, LAST)}
                                        | {PRIVATE: {"say": "Private video"}}))  # fmt: skip
    mine = yard.data / "k/sources" / f"{LAST}.mp4"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"a person's own")
    yard.run(keep="sources", youtube={"sections": "never"})
    whole = (yard.playbook.parent / "served/whole.mp4").read_bytes()
    kept = {path.name: path.read_bytes() for path in mine.parent.iterdir()}
    assert kept == {f"{GOOD}.mp4": whole, f"{BOT}.mp4": whole, f"{LAST}.mp4": b"a person's own"}, (
        "a clip of a mirror is no whole video"
    )
    assert [row["status"] for row in yard.rows()] == ["done", "done", "missing", "done", "done", "done"]
    scratch = yard.data / ".clipquarry/scratch"
    assert [path.name.split("@")[0] for path in scratch.glob("sources/*.mp4")] == [LAST], "it needs no second place"
