"""The step ``fetch`` for windows that are not of whole seconds, and for clips that are not named by their window."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.errors import Exit
from clipquarry.manifest import ITEM_FIELDS, Row, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.steps.registry import make_step
from clipquarry.steps.runner import run_step

VIDEO = "aaaaaaaaaaa"


class Yard:
    """A data root, and a mirror of one video of 12 s at 10 frames a second."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        self.data, self.origin, self.served = folder / "data", origin, folder / "served"

    def run(self, rows: list[Row], *, root: str = "k", **more: Any) -> list[Row]:
        items, out = self.data / f"{root}.parquet", self.data / f"{root}/out.parquet"
        write_rows(items, schema_of(ITEM_FIELDS, "plan"), rows)
        videos = {
            "id": "videos", "kind": "http", "provides": "items", "content": "video", "attempts": 1,
            "url": f"{self.origin.url}/{{id}}.mp4",
        }  # fmt: skip
        params = {"root": root, "sources": [videos], "min_free_gb": 0, "names": "own", **more}
        done = run_step(make_step("fetch"), items=items, params=json.dumps(params), out=out, data=self.data, jobs=1)
        assert done.exit is Exit.OK, done.sentence
        return list(read_rows(out))


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("film") / "film.mp4", 12, 10, (64, 48), tone=False)


@pytest.fixture
def yard(tmp_path: Path, film: Path) -> Iterator[Yard]:
    served = tmp_path / "served"
    served.mkdir()
    for name in (VIDEO, "a.b", "a"):
        shutil.copy(film, served / f"{name}.mp4")
    with Origin(served) as origin:
        yield Yard(tmp_path, origin)


def item(name: str, start: str, end: str, video: str = VIDEO) -> Row:
    return {
        "item_id": f"val/{name}", "video_id": video, "clip_id": name, "split": "val", "label": "yoga", "class_dir": "yoga",
        "label_index": 0, "start": of(start), "end": of(end), "row": 2, "start_text": start, "end_text": end,
    }  # fmt: skip


def test_tenths_of_a_second_are_cut_where_they_are(yard: Yard) -> None:
    # HVU: the name holds tenths.
    rows = yard.run([item(f"{VIDEO}_000021_000043", "2.1", "4.3"), item(f"{VIDEO}_000021_000044", "2.1", "4.4")])
    assert [(row["status"], row["frames"], row["start"], row["end_text"]) for row in rows] == [
        ("done", 22, 2_100_000, "4.3"), ("done", 23, 2_100_000, "4.4"),
    ]  # fmt: skip
    assert read_frame_numbers(yard.data / rows[0]["path"]) == list(range(21, 43))
    assert yard.origin.asked[f"{VIDEO}.mp4"] == 1
    assert {row["status"] for row in yard.run([item(f"{VIDEO}_000021_000043", "2.1", "4.3")])} == {"kept"}


def test_a_tenth_that_no_float_holds_is_one_window(yard: Yard) -> None:
    """0.1 + 0.2 is another float than 0.3, and the same instant."""
    one = yard.run([item("x", "0.3", "2.3")])
    other = {**item("y", "0.3", "2.3"), "start": of(0.1 + 0.2), "end": of(2 + 0.1 + 0.2)}
    (row,) = yard.run([other], root="l")
    assert row["status"] == "kept" and (yard.data / row["path"]).samefile(yard.data / one[0]["path"])
    (third,) = yard.run([item("y", "0.4", "2.4")], root="m")
    assert third["status"] == "done", "a tenth more is another clip"


def test_two_data_sets_share_a_window_whatever_they_call_it(yard: Yard) -> None:
    yard.run([item(f"{VIDEO}_000002_000005", "2", "5")])
    (row,) = yard.run([item(f"{VIDEO}_000020_000050", "2.0", "5.00")], root="hvu")
    assert row["status"] == "kept"
    assert (yard.data / row["path"]).samefile(yard.data / f"k/videos_val/yoga/{VIDEO}_000002_000005.mp4")


@pytest.mark.parametrize("name", ["v_Apply.Eye_g01", "1", "#437(best)_ok", "a.b.c", "-x", "[ab]*?", "日本"])
def test_a_name_of_ones_own_is_a_name(yard: Yard, name: str) -> None:
    (row,) = yard.run([item(name, "1", "3", video="a.b")], namespace="lab")
    assert (row["status"], row["path"]) == ("done", f"k/videos_val/yoga/{name}.mp4")
    (row,) = yard.run([item(name, "1", "3", video="a.b")], namespace="lab")
    assert row["status"] == "kept"


def test_a_dot_in_an_id_means_nothing(yard: Yard) -> None:
    rows = yard.run([item("a.b", "1", "3", video="a.b"), item("a", "1", "3", video="a")], namespace="lab")
    assert [row["status"] for row in rows] == ["done", "done"]
    assert not (yard.data / rows[0]["path"]).samefile(yard.data / rows[1]["path"])
    assert dict(yard.origin.asked) == {"a.b.mp4": 1, "a.mp4": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"clip_id": "a/b"}, "bad_id"), ({"clip_id": ".hidden"}, "bad_id"), ({"video_id": "x" * 300}, "bad_id"),
     ({"video_id": "a\nb"}, "bad_id"), ({"clip_id": "  "}, "bad_id"), ({"clip_id": "a b"}, "bad_id"), ({"start": None}, "bad_time"),
     ({"start": of(4)}, "bad_time")],
)  # fmt: skip
def test_names_that_are_none_are_rejected(yard: Yard, change: Row, reason: str) -> None:
    bad, good = yard.run([{**item("bad", "1", "3"), **change}, item("good", "1", "3")], namespace="lab")
    assert (bad["status"], bad["reason"], good["status"]) == ("rejected", reason, "done")


def test_a_name_that_tells_another_window_is_held_to_it(yard: Yard) -> None:
    wrong = item(f"{VIDEO}_000006_000009", "5", "8")
    assert yard.run([wrong])[0]["status"] == "done", "the data set's own way of naming"
    (row,) = yard.run([wrong], root="kinetics", names="window")
    assert (row["status"], row["reason"]) == ("rejected", "bad_row")


def _event_and_parts() -> list[Row]:
    """An event of 6 s, two parts in it that overlap, and one that leaves it."""
    event = {
        **item("event", "2.03", "8.03"),
        "split": "events",
        "item_id": "events/event",
        "class_dir": None,
        "label": None,
    }
    parts = [
        item(f"part{n}", start, end)
        for n, (start, end) in enumerate((("2.53", "4.71"), ("4.1", "6.2"), ("7.5", "9.1")))
    ]
    return [*parts, event]


def test_windows_inside_another_are_copied_out_of_its_encode(yard: Yard) -> None:
    rows = yard.run(
        _event_and_parts(), videos="parts", folders={"events": "events"}, recipe={"duration_tolerance": 0.1}
    )
    assert [row["path"] for row in rows] == [f"k/parts/yoga/part{n}.mp4" for n in range(3)] + ["k/events/event.mp4"]
    packets = [_packets(yard.data / row["path"]) for row in rows]
    frames = [read_frame_numbers(yard.data / row["path"]) for row in rows]
    assert frames == [list(range(26, 48)), list(range(41, 62)), list(range(75, 91)), list(range(21, 81))]
    assert [set(some) <= set(packets[3]) for some in packets[:3]] == [True, True, False], (
        "the last is cut out of the source"
    )


def test_a_killed_run_copies_the_same_bytes_when_it_starts_again(yard: Yard) -> None:
    options = {"videos": "parts", "folders": {"events": "events"}, "recipe": {"duration_tolerance": 0.1}}
    rows = yard.run(_event_and_parts(), **options)
    before = {row["item_id"]: row["sha256"] for row in rows}
    store = yard.data / ".clipquarry/store/clips"
    for row in rows[:2]:  # as if it had been killed after the event
        path = yard.data / row["path"]
        for name in [name for name in store.rglob("*.mp4") if name.samefile(path)]:
            name.unlink()
            name.with_suffix(".json").unlink()
        path.unlink()
    (yard.data / "k/out.parquet").unlink()
    again = yard.run(_event_and_parts(), **options)
    assert {row["item_id"]: row["sha256"] for row in again} == before
    assert yard.origin.asked[f"{VIDEO}.mp4"] == 1


def _packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]
