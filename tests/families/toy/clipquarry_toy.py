"""A family that somebody else's package brings: windows without labels, in one text file a split (``id start end`` a line)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipquarry.datasets.model import DatasetSpec, Options
from clipquarry.pipeline.family import Family, Task, chained, step
from clipquarry.pipeline.sample import Sample, Served
from clipquarry.pipeline.shared_tasks import begin_tasks, end_tasks, gate_task, record_tasks


class ToyOptions(Options):
    """``longest``: seconds of the longest window."""

    longest: int = 10


def _annotations(ctx: Any) -> Any:
    from clipquarry.datasets.namespace import namespace_of
    from clipquarry.files import sha256_of, write_json
    from clipquarry.ids import window_name
    from clipquarry.manifest import CATALOG_FIELDS, ManifestWriter, schema_of
    from clipquarry.microseconds import of
    from clipquarry.pipeline.stage import begin, tell_ledger

    begin(ctx)
    rows, splits = 0, {}
    with ManifestWriter(ctx.catalog, schema_of(CATALOG_FIELDS, "catalog")) as writer:
        for split, path in ctx.annotation_csvs().items():
            splits[split] = {"sha256": sha256_of(path)}
            for number, line in enumerate(path.read_text().splitlines(), 1):
                name, start, end = line.split()
                clip = window_name(name, of(int(start)), of(int(end)))
                writer.write({
                    "item_id": f"{split}/{clip}", "video_id": name, "clip_id": clip, "split": split, "label": None, "class_dir": None,
                    "label_index": -1, "start": of(int(start)), "end": of(int(end)), "row": number, "status": "done", "reason": "ok",
                    "evidence": "",
                })  # fmt: skip
                rows += 1
    write_json(ctx.place.catalog_file, {"rows": rows, "splits": splits, "namespace": namespace_of(ctx.spec)})
    tell_ledger(ctx)
    return {"rows": rows}


def _jobs(ctx: Any, plan: Any) -> Any:
    from clipquarry.pipeline.step_params import fetch_jobs

    return {"fetch": fetch_jobs(ctx, plan)}


def _plan(ctx: Any) -> Any:
    from clipquarry.pipeline.stage import plan

    return plan(ctx, write_jobs=_jobs)


def _gate(name: str) -> Any:
    def run(ctx: Any) -> Any:
        from clipquarry.pipeline.stage import gate
        from clipquarry.quality.params import GateParams

        return gate(ctx, name, GateParams(splits=tuple(ctx.splits)))

    return run


def _annotation_suites(spec: DatasetSpec, run: Any, data: Any, params: Any) -> Any:
    from clipquarry.quality.engine import BETWEEN, Rule, Suite

    table = run.load("catalog", ("item_id", "start", "end"))
    table["seconds"] = table["end"] - table["start"]
    options = spec.options
    assert isinstance(options, ToyOptions)
    longest = {"column": "seconds", "min_value": 1, "max_value": options.longest}
    yield Suite("windows", table, [Rule("toy.length", BETWEEN, longest, show=("seconds",))])


def _clip_suites(spec: DatasetSpec, run: Any, data: Any, params: Any) -> Any:
    from clipquarry.quality.clip_suites import suites

    return suites(spec, run, data, params)


def _note(ctx: Any) -> Any:
    note = ctx.folder / "noted.txt"
    note.write_text("noted")
    return str(note)


def _note_suites(spec: DatasetSpec, run: Any, data: Any, params: Any) -> Any:
    import pandas as pd
    from clipquarry.quality.engine import IN_SET, Rule, Suite

    table = pd.DataFrame({"item_id": ["note"], "text": [(run.run_dir / "noted.txt").read_text()]})
    yield Suite("note", table, [Rule("toy.noted", IN_SET, {"column": "text", "value_set": ["noted"]}, show=("text",))])


def _release(ctx: Any) -> Any:
    from clipquarry.pipeline.publish import publish_release

    return str(publish_release(ctx, lambda folder: None))


def tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """The tasks of a run."""
    return chained(
        *begin_tasks(_annotations, _gate("annotations"), _annotation_suites, _plan),
        step("fetch", "Fetch the windows.", phase="acquire"),
        *record_tasks(_gate("clips"), _clip_suites),
        Task("note", "Leave a note.", _note, leaves="noted.txt"),
        gate_task("notes", "Check the note.", _gate("notes"), _note_suites),
        *end_tasks(_release),
    )


def checks() -> Any:
    """Its own checks, and those of clips."""
    from clipquarry.quality.check import Check
    from clipquarry.quality.shared_checks import CHECKS

    own = (
        Check(
            "toy.length",
            "annotations",
            "error",
            "windows are as long as the YAML says",
            "A toy needs a check.",
            advice="Correct the window, or `options.longest` in the YAML.",
        ),
        Check(
            "toy.noted",
            "notes",
            "error",
            "the note is there",
            "A toy needs another check.",
            advice="Run the notes stage again.",
        ),
    )
    return (*(check for check in CHECKS if check.gate == "clips"), *own)


def params(spec: DatasetSpec) -> Any:
    """The parameters that every run has."""
    from clipquarry.pipeline.params import RunParams

    return RunParams


def _make(folder: Path) -> Served:
    from clipquarry.demo.videos import make_video

    for name in ("ball", "train"):
        path = folder / f"videos/{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            make_video(path, 4, fps=10, label=name)
    annotations = folder / "by_hand/annotations"
    annotations.mkdir(parents=True, exist_ok=True)
    (annotations / "train.txt").write_text("ball 0 2\nball 1 3\ntrain 0 2\n")
    return Served(folder, {}, "two videos of toys", by_hand=folder / "by_hand")


FAMILY = Family(
    name="toy",
    title="a window",
    options=ToyOptions,
    noun=lambda spec: "toy",
    params=params,
    defaults=lambda spec: {},
    tasks=tasks,
    checks=checks,
    needs=lambda spec: iter(()),
    problems=lambda spec: iter(()),
    sample=lambda: Sample("toys", {}, _make),
)
