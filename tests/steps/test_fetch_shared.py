"""Two data sets want windows of the same videos: YouTube is asked once for each video, alive or dead."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clipquarry.acquire.budget import Budget
from clipquarry.datasets.model import Recipe
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.errors import Exit
from clipquarry.ids import clip_id
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.steps.other_windows import OTHERS_SCHEMA
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import run_step

GOOD, PRIVATE = "g" * 11, "p" * 11
WAITS = {"private": 90 * 86_400.0}

pytestmark = pytest.mark.slow


class Sets:
    """Data sets in one data root; each is fetched by the step."""

    def __init__(self, folder: Path, origin: Origin, playbook: Path) -> None:
        self.data, self.origin, self.playbook = folder / "data", origin, playbook
        self.began = time.time() - 1
        self.sentence = ""

    def run(self, name: str, windows: list[tuple[str, int]], **more: Any) -> list[dict[str, Any]]:
        rows = []
        for video, start in windows:
            clip = clip_id(video, start, start + 3)
            rows.append(
                {
                    "item_id": f"val/yoga/{clip}", "video_id": video, "clip_id": clip, "split": "val", "label": "yoga",
                    "class_dir": "yoga", "label_index": 0, "start": of(start), "end": of(start + 3), "row": 2,
                }
            )  # fmt: skip
        items, out = self.data / f"{name}.parquet", self.data / f"{name}.out.parquet"
        write_rows(items, schema_of(ITEM_FIELDS, "plan"), rows)
        source = {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video"}
        source["url"] = "clipquarryfake:{id}"
        answers = {"run": f"{name}/one", "since": self.began, "waits": WAITS}
        params = {
            "root": name, "sources": [source], "min_free_gb": 0, "budget_pause": 0, "answers": answers,
            "source_cache_gb": 0, **more,
        }  # fmt: skip
        told = run_step(make_step("fetch"), items=items, params=json.dumps(params), out=out, data=self.data, jobs=1)
        self.sentence = told.sentence
        assert told.exit is Exit.OK, told.sentence
        return list(read_rows(out))

    def lacks(self, rows: list[tuple[str, int, Recipe]]) -> str:
        """A table of windows that others lack."""
        wanted = [
            {"video_id": video, "start": of(start), "end": of(start + 3), "recipe": recipe.model_dump_json()}
            for video, start, recipe in sorted(rows, key=lambda row: row[0])
        ]
        write_rows(self.data / "others.parquet", OTHERS_SCHEMA, wanted)
        return "others.parquet"

    @property
    def calls(self) -> list[str]:
        return list(import_module("fake_youtube").calls(self.playbook))


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sets]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "acquire"))
    playbook = tmp_path / "playbook.json"
    import_module("fake_youtube").enable_fake_extractor(monkeypatch, playbook)
    served = tmp_path / "served"
    served.mkdir()
    film = make_video(served / "whole.mp4", 14, 10, (64, 48), gop=25)
    with Origin(served) as origin:
        acts = {
            GOOD: {"url": f"{origin.url}/{film.name}", "ext": "mp4", "duration": 14},
            PRIVATE: {"say": "Private video"},
        }
        playbook.write_text(json.dumps(acts))
        yield Sets(tmp_path, origin, playbook)


def test_a_dead_video_is_asked_for_once(sets: Sets) -> None:
    (one,) = sets.run("a", [(PRIVATE, 0)])
    (two,) = sets.run("b", [(PRIVATE, 5)])
    assert sets.calls == [PRIVATE]
    assert (one["reason"], two["reason"]) == ("private", "private")
    (asked,), (heard,) = one["attempts"], two["attempts"]
    assert heard["at"] <= asked["at"], "the time of the answer, which was noted before it was recorded"
    assert heard["seconds"] == 0 and "heard by another data set's run" in heard["evidence"]
    assert Budget(sets.data / ".clipquarry/egress/default").used() == 1


def test_an_answer_that_was_heard_has_its_own_time_for_all_windows(sets: Sets) -> None:
    """Those too far away to be part of the question: at another time it would count as a second answer."""
    (one,) = sets.run("a", [(PRIVATE, 0)])
    near, far = sets.run("b", [(PRIVATE, 5), (PRIVATE, 500)])
    assert sets.calls == [PRIVATE] and (near["reason"], far["reason"]) == ("private", "private")
    (heard,), (same,) = near["attempts"], far["attempts"]
    assert same["at"] == heard["at"] <= one["attempts"][0]["at"]


def test_who_starts_a_run_again_asks_again(sets: Sets) -> None:
    sets.run("a", [(PRIVATE, 0)])
    (sets.data / "a.out.parquet").unlink()
    sets.run("a", [(PRIVATE, 0)])
    assert sets.calls == [PRIVATE, PRIVATE]


def test_a_plan_without_the_parameter_asks(sets: Sets) -> None:
    sets.run("a", [(PRIVATE, 0)])
    sets.run("b", [(PRIVATE, 0)], answers=None)
    assert sets.calls == [PRIVATE, PRIVATE]


def test_what_another_data_set_lacks_is_cut_too(sets: Sets) -> None:
    other = Recipe(crf=35)
    lacking = sets.lacks([(GOOD, 7, Recipe()), (GOOD, 9, other), (GOOD, 90, other), (PRIVATE, 0, other)])
    (row,) = sets.run("a", [(GOOD, 2)], others=lacking)
    assert row["status"] == "done"
    assert not list(sets.data.glob("b/**/*.mp4")), "they are in the store, not in a layout"
    (two,) = sets.run("b", [(GOOD, 7)])
    (three,) = sets.run("c", [(GOOD, 9)], recipe=other.model_dump(mode="json"))
    assert sets.calls == [GOOD], "one question for three data sets"
    assert [(one["status"], one["attempts"], one["frames"]) for one in (two, three)] == [("kept", [], 30)] * 2
    sets.run("d", [(GOOD, 9)])
    assert sets.calls == [GOOD, GOOD], "another recipe makes another file"


@pytest.mark.parametrize("damage", ["cut short", "other columns"])
def test_a_damaged_table_of_what_others_lack_is_told(sets: Sets, damage: str) -> None:
    path = sets.data / sets.lacks([(GOOD, 7, Recipe())])
    if damage == "cut short":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        write_rows(path, schema_of((pa.field("video_id", pa.string()),), "others"), [{"video_id": GOOD}])
    with pytest.raises(AssertionError):
        sets.run("a", [(GOOD, 2)], others="others.parquet")
    assert str(path) in sets.sentence and "Delete it to go on without" in sets.sentence
    assert "Traceback" not in sets.sentence and sets.calls == [], "nothing was asked"
    path.unlink()
    (row,) = sets.run("a", [(GOOD, 2)], others="others.parquet")
    assert row["status"] == "done"


def test_a_whole_video_that_is_kept_is_taken(sets: Sets) -> None:
    sets.run("a", [(GOOD, 2)], keep="sources", youtube={"sections": "never"})
    (kept,) = (sets.data / "a/sources").iterdir()
    before = kept.read_bytes()
    (two,) = sets.run("b", [(GOOD, 9)], kept=["nowhere", "a/sources"])
    assert sets.calls == [GOOD] and two["status"] == "done" and two["frames"] == 30
    (tried,) = two["attempts"]
    assert (tried["reason"], tried["seconds"], tried["bytes"]) == ("ok", 0, 0) and "a/sources" in tried["evidence"]
    assert (tried["source"], two["source"]) == ("kept_video", "kept_video"), "YouTube delivered nothing"
    assert two["asked_height"] is None
    assert kept.read_bytes() == before
    (three,) = sets.run("c", [(GOOD, 60)], kept=["a/sources"])
    assert three["reason"] == "too_short" and sets.calls == [GOOD, GOOD], "YouTube may have more of it"


def test_a_damaged_kept_video_is_no_obstacle(sets: Sets) -> None:
    (sets.data / "a/sources").mkdir(parents=True)
    (sets.data / "a/sources" / f"{GOOD}.mp4").write_bytes(b"no video")
    (row,) = sets.run("b", [(GOOD, 9)], kept=["a/sources"])
    assert row["status"] == "done" and sets.calls == [GOOD]
    assert (sets.data / "a/sources" / f"{GOOD}.mp4").read_bytes() == b"no video"


def test_the_cut_for_others_is_the_cut_they_would_make(sets: Sets) -> None:
    sets.run("a", [(GOOD, 2)], others=sets.lacks([(GOOD, 7, Recipe())]))
    (theirs,) = sets.run("b", [(GOOD, 7)])
    for path in (sets.data / ".clipquarry/store").rglob("*_000007_*"):
        path.unlink()
    (sets.data / "b/videos_val/yoga" / f"{clip_id(GOOD, 7, 10)}.mp4").unlink()
    (sets.data / "b.out.parquet").unlink()
    (own,) = sets.run("b", [(GOOD, 7)])
    assert own["status"] == "done" and (own["frames"], own["duration"]) == (theirs["frames"], theirs["duration"])
    assert own["sha256"] == theirs["sha256"]
