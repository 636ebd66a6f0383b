"""Two runs of one data set at once: what each records about annotation files stays, and a file is dropped once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from clipquarry.acquire.annotation_files import AnnotationFile
from clipquarry.files import read_json, sha256_of
from clipquarry.pipeline import annotation_choice
from clipquarry.pipeline.annotation_choice import drop_old_copies, remember
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.settings import DataRoot, Settings


def context(root: Path, dataset: str) -> RunContext:
    return make_context(dataset, "a", {}, settings=Settings(DataRoot(root), f"sqlite:///{root}/ledger.sqlite"))


def test_what_two_runs_record_at_once_is_all_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx, read = context(tmp_path, "kinetics400"), annotation_choice._read
    root = ctx.data.dataset(ctx.spec.root)
    mine, theirs = (AnnotationFile(split, root / f"{split}.csv", "cvdf", "0", 1) for split in ("train", "val"))
    other = Thread(target=remember, args=(ctx, [theirs]))

    def other_run_writes(ctx: RunContext) -> dict[str, Mapping[str, Any]]:
        found = read(ctx)
        monkeypatch.undo()
        other.start()
        other.join(0.3)  # it waits for us
        return found

    monkeypatch.setattr(annotation_choice, "_read", other_run_writes)
    remember(ctx, [mine])
    other.join()
    assert set(read_json(ctx.data.annotation_origins("kinetics400"))) == {"train.csv", "val.csv"}


def test_an_old_copy_that_another_run_drops_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = context(tmp_path, "kinetics710")
    name = "annotations/k400_val.csv"
    copy, original = ctx.data.dataset(ctx.spec.root, name), tmp_path / "kinetics400/annotations/kinetics_val.csv"
    for path, text in ((copy, "old"), (original, "new")):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    remember(ctx, [AnnotationFile("val", copy, "of_kinetics400", sha256_of(copy), 3)])
    remove = Path.unlink

    def other_run_comes_first(path: Path, *args: Any, **how: Any) -> None:
        remove(path)
        remove(path, *args, **how)

    monkeypatch.setattr(Path, "unlink", other_run_comes_first)
    assert drop_old_copies(ctx) == []
    assert not copy.exists()
