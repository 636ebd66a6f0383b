"""Checksums of annotation files as they were first seen."""

from __future__ import annotations

import hashlib
from pathlib import Path

from clipquarry.files import read_json
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.pins import pin
from clipquarry.settings import DataRoot, Settings


def context(root: Path, run: str) -> RunContext:
    return make_context("kinetics400", run, {}, settings=Settings(DataRoot(root), f"sqlite:///{root}/ledger.sqlite"))


def test_the_first_one_seen_is_pinned_and_a_change_keeps_the_first(tmp_path: Path) -> None:
    csv, other = (tmp_path / "kinetics400/annotations" / name for name in ("kinetics_val.csv", "kinetics_train.csv"))
    csv.parent.mkdir(parents=True)
    csv.write_text("one")
    name, first = "kinetics400/annotations/kinetics_val.csv", hashlib.sha256(b"one").hexdigest()
    assert pin(context(tmp_path, "a"), [csv]) == [{"path": name, "sha256": first, "first": first, "run": "a"}]
    csv.write_text("two")
    other.write_text("train")
    told = {one["path"]: one for one in pin(context(tmp_path, "b"), [csv, other, csv])}
    second = hashlib.sha256(b"two").hexdigest()
    assert told[name] == {"path": name, "sha256": second, "first": first, "run": "a"}
    assert len(told) == 2 and told["kinetics400/annotations/kinetics_train.csv"]["run"] == "b"
    # Whoever means the change removes the entry; a damaged file is begun afresh.
    pins = tmp_path / ".clipquarry/state/kinetics400.pins.json"
    assert set(read_json(pins)) == set(told)
    for content in ("{", "[]", '{"kinetics400/annotations/kinetics_val.csv": "x"}'):
        pins.write_text(content)
        assert pin(context(tmp_path, "c"), [csv])[0]["first"] == second
