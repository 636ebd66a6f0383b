"""What a step says of itself."""

from __future__ import annotations

from pathlib import Path

from clipquarry.microseconds import of
from clipquarry.settings import DataRoot
from clipquarry.steps.base import StepContext
from clipquarry.store import content_key
from toy_steps import Toy, ToyParams


def test_the_key_of_an_item_is_what_it_was_when_times_were_seconds(tmp_path: Path) -> None:
    """Keys decide what is done again: whole seconds are hashed as integers of seconds, and what is new only where it says something."""
    step, ctx = Toy(), StepContext(DataRoot(tmp_path), ToyParams())
    row = {
        "item_id": "val/a/x_000417_000427", "video_id": "x", "clip_id": "x_000417_000427", "split": "val", "label": "a",
        "class_dir": "a", "label_index": 0, "start": of(417), "end": of(427), "row": 3, "start_text": None, "end_text": None,
        "parent": None,
    }  # fmt: skip
    before = {name: row[name] for name in list(row)[:10]} | {"start": 417, "end": 427}
    known = content_key(step=step.name, version=step.version, item=before, params=step.key_params(ctx.params))
    assert step.key(row, ctx) == known
    assert step.key({**row, "start_text": "417.0"}, ctx) == known, "the same instant, written otherwise"
    others = [{**row, "start": of("417.1")}, {**row, "end": of(427) + 1}, {**row, "parent": "val/a"}]
    assert len({known, *(step.key(other, ctx) for other in others)}) == 4


def test_a_rejected_row_has_a_key_too(tmp_path: Path) -> None:
    step, ctx = Toy(), StepContext(DataRoot(tmp_path), ToyParams())
    assert step.key({"item_id": "val/#row-4", "start": None, "end": None}, ctx) == step.key(
        {"item_id": "val/#row-4"}, ctx
    )
