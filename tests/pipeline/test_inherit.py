"""A refresh asks for, and makes, what the last full run did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clipquarry.datasets.load import load_all
from clipquarry.demo.origin import Origin
from clipquarry.files import read_json, write_json
from clipquarry.pipeline.family import params_model
from clipquarry.pipeline.inherit import inherited, last_params
from clipquarry.pipeline.make_context import make_context
from clipquarry.settings import DataRoot, Settings
from test_clocks_of_sources import CLIPS, HEADER, Lab

SPECS = load_all()[0]


NOT_INHERITED = {
    "splits",
    "packages",
    "limit",
    "classes",
    "videos",
    "shards",
    "jobs",
    "dry_run",
    "retry_all",
    "as_of",
    "wait_days",
    "label_days",
}
NOT_INHERITED |= {"approve_gates", "approve_above"}
"""Which items, how the work is cut, when, and whether a person is asked: of one run alone."""


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_parameter_is_inherited_or_is_not(name: str) -> None:
    model = params_model(SPECS[name])
    grouped = [field for group in model.groups for field in group]
    assert len(grouped) == len(set(grouped))
    assert not {*grouped} & NOT_INHERITED
    assert {*model.model_fields} - NOT_INHERITED == {*grouped}, "name it in a group, or among those of one run"


@pytest.mark.parametrize(
    ("dataset", "given", "last", "taken"),
    [
        ("kinetics400", {}, {"sources": ["youtube"], "limit": 3, "jobs": 9, "splits": ["val"]}, {"sources": ["youtube"]}),
        ("kinetics400", {"mirror_url": "http://a/{clip}"}, {"sources": ["local"]}, {}),
        ("kinetics400", {"frames": False}, {"frames": True, "frame_rate": 5.0}, {"frames": True, "frame_rate": 5.0}),
        ("kinetics400", {"resize": True}, {"frames": True, "frame_rate": 5.0}, {}),
        ("ava", {"version": "v2.2"}, {"version": "v2.1", "excerpts": False}, {"version": "v2.1", "excerpts": False}),
        ("ava", {"proposals": "none"}, {"proposals": "detect", "score": 0.5, "frames": False}, {"frames": False}),
        ("kinetics400", {}, {"version": "v2.1", "annotation_counts": "warn"}, {"annotation_counts": "warn"}),
    ],
)  # fmt: skip
def test_what_is_taken_over(dataset: str, given: dict[str, Any], last: dict[str, Any], taken: dict[str, Any]) -> None:
    assert inherited(SPECS[dataset], given, last) == taken


def test_the_last_planned_full_run_counts_and_no_trial(tmp_path: Path) -> None:
    data = DataRoot(tmp_path)

    def run(number: int, kind: str, *, planned: bool = True, **params: Any) -> None:
        folder = data.run("kinetics400", f"r{number}")
        write_json(folder / "run.json", {"kind": kind, "params": params, "number": number})
        if planned:
            write_json(folder / "plan.json", {})

    spec = SPECS["kinetics400"]
    assert last_params(spec, data) == {}
    run(1, "full", sources=["youtube"], label_map="/map.txt", limit=1)
    assert last_params(spec, data) == {"label_map": "/map.txt", "limit": 1}, "whom a trial asked says nothing"
    run(2, "full", sources=["local"])
    for number, params in enumerate(({"dry_run": True}, {"limit": 1}, {"classes": ["abseiling"]}), 3):
        run(number, "full", **params)
    run(6, "refresh", sources=["youtube"])
    run(7, "full", planned=False, local_folder="/nowhere")
    assert last_params(spec, data) == {"sources": ["local"]}
    write_json(tmp_path / ".clipquarry/state/kinetics400.params.json", {"params": {"jobs": 3}})
    assert last_params(spec, data) == {"jobs": 3}, "old run folders are removed, this file stays"
    write_json(tmp_path / ".clipquarry/state/kinetics400.params.json", {"params": {"sources": ["gone"]}})
    assert last_params(spec, data) == {}, "the YAML has changed since"


def test_a_refresh_that_has_begun_keeps_what_it_took_over(tmp_path: Path) -> None:
    settings = Settings(DataRoot(tmp_path), "sqlite://")
    kept = tmp_path / ".clipquarry/state/kinetics400.params.json"
    write_json(kept, {"params": {"annotation_counts": "warn"}})
    first = make_context("kinetics400", "again", {}, kind="refresh", settings=settings)
    assert first.params.annotation_counts == "warn"
    write_json(first.folder / "run.json", first.as_json())
    write_json(kept, {"params": {"sources": ["youtube"]}})
    second = make_context("kinetics400", "again", {}, kind="refresh", settings=settings)
    assert (second.params.annotation_counts, second.params.sources) == ("warn", [])
    assert make_context("kinetics400", "full", {}, settings=settings).params.sources == [], "a full run chooses itself"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    served = tmp_path / "served"
    served.mkdir()
    (served / "val.csv").write_text(
        HEADER
        + "".join(
            f"{label},{clip[:11]},{int(clip[12:18])},{int(clip[19:])},val,0\n"
            for label, clip in zip(("riding a bike", "zumba"), CLIPS, strict=True)
        )
    )
    with Origin(served) as origin:
        yield Lab(tmp_path, origin)


def test_a_refresh_asks_whom_the_last_full_run_asked(lab: Lab) -> None:
    assert lab.run(*lab.mirror("one")) == (2, 0)
    lab.run("--source", "films", "--limit", "1")
    before = lab.questions()
    assert {path.split("/")[0] for path in before} == {"one", "films"}
    lab.run("--retry-all", command="refresh")
    asked = {path for path, count in lab.questions().items() if count > before.get(path, 0)}
    assert asked == {f"one/{clip}.mp4" for clip in CLIPS}
    about = read_json(lab.data / ".clipquarry/runs/toy/r3/run.json")
    assert about["inherited"]["sources"] == ["mirror"]
    lab.run("--retry-all", "--source", "films", command="refresh")
    assert any(count > before.get(path, 0) for path, count in lab.questions().items() if path.startswith("films/"))
