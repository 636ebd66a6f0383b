"""Gather a run's report from its folder and the ledger.

Every part stands alone: one that is absent or damaged is named in the report and never stops it, because a report is
needed most when something went wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.files import read_json
from clipquarry.report.boxes import collect_boxes
from clipquarry.report.data import Failure, Items, Report, Stage, Stop, TrendRow
from clipquarry.report.gates import read_gates
from clipquarry.report.history import read_history
from clipquarry.report.index import list_runs, parse_time, read_summary
from clipquarry.report.odd_clips import odd_clips
from clipquarry.report.tally import tally, tally_catalog
from clipquarry.report.text import number, plural
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot, slug

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger

MAX_TREND = 12
STEPS = ("download", "fetch", "unpack", "resize", "excerpt", "frames", "detect")
EXPECTED_STEPS: dict[str, tuple[str, ...]] = {
    "kinetics_csv": ("fetch", "unpack", "resize", "frames"),
    "ava_csv": ("download", "excerpt", "detect"),
    "ava_kinetics_csv": ("fetch", "frames", "detect"),
    "flat": ("fetch", "frames"),
}
"""Steps that are shown as not run, by annotation format or arrangement; others are shown when they left something."""
TABLES = {
    "ava_csv": (("proposals", "proposals/*.parquet"),),
    "ava_kinetics_csv": (
        ("boxes", "prepared/*.json"), ("proposals", "proposals/*.parquet"), ("merge", "merged.json"),
    ),
    "flat": (("boxes", "prepared/*.json"),),
}  # fmt: skip
"""Stages that run in the worker, and what each leaves, likewise."""


def collect(spec: DatasetSpec, data: DataRoot, run: str, ledger: Ledger | None, now: datetime) -> Report:
    """Everything the page shows. Reads; writes nothing."""
    folder = data.run(spec.name, run)
    about, plan = (_mapping(_document(folder / name)) for name in ("run.json", "plan.json"))
    params = _mapping(about.get("params"))
    kind = "flat" if spec.arrangement == "flat" else str(spec.annotation_format)
    noun = "video" if spec.annotation_format == "ava_csv" else "clip"
    items, source, (first, last) = _items(folder, noun)
    earlier = _earlier(data, spec.name, folder)
    steps = _steps(folder, kind)
    failures = _failures(folder, (first, *steps, last))
    told_stops = _mapping(_document(RunFolder(folder).stops))
    stages = (first, *steps, last, *_stages(folder, kind))
    gates = read_gates(folder, earlier[0] if earlier else None)
    return Report(
        dataset=spec.name,
        title=spec.title,
        run=slug(run),
        written=now,
        begun=parse_time(about.get("started")),
        ended=parse_time(about.get("ended")),
        kind="Refresh" if about.get("kind") == "refresh" else "Run",
        scope=_scope(params),
        dry_run=bool(plan.get("dry_run") or params.get("dry_run")),
        items=items,
        items_from=source,
        gates=gates,
        odd=odd_clips(folder / "recorded.parquet", gates),
        trend=_trend(spec.name, earlier),
        history=read_history(ledger, spec.name, run, now),
        stages=_with_failures(stages, failures),
        params=_pairs({key: value for key, value in params.items() if value not in (None, "", [], False)}),
        tools=_pairs({**_ran_in(folder), **_mapping(about.get("tools"))}),
        lists=_lists(_document(folder / "lists.json")),
        annotations=_annotations(_mapping(_document(folder / "catalog.json"))),
        refresh=spec.refresh.schedule,
        limit_warn=spec.missing.warn,
        limit_error=spec.missing.error,
        noun=noun,
        with_boxes=kind in TABLES,
        boxes=collect_boxes(spec, data.root, folder, params),
        failures=failures,
        part=_part(params, plan),
        stops=_stops(told_stops),
        left_unasked=left if isinstance(left := told_stops.get("left"), int) else 0,
        nothing_due=bool(plan.get("nothing_due")),
    )


def _document(path: Path) -> Any:
    """A JSON document; None when there is none or it is damaged."""
    try:
        return read_json(path)
    except (ClipquarryError, OSError):
        return None


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _ran_in(folder: Path) -> dict[str, str]:
    """Which runtime each step ran in, as its operator noted it beside the result; empty for runs of the command line."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.glob("*/part-*.result.json")):
        if runtime := _mapping(_document(path)).get("runtime"):
            found.setdefault(str(runtime), set()).add(path.parent.name)
    told = "; ".join(f"{runtime}: {', '.join(sorted(steps))}" for runtime, steps in sorted(found.items()))
    return {"steps ran in": told} if told else {}


def _pairs(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(key), value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))
        for key, value in ((key, _joined(value)) for key, value in values.items())
    )


def _joined(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value


def _part(params: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """Why the run says nothing of the whole data set; empty when it does."""
    if plan.get("dry_run") or params.get("dry_run"):
        return "dry run"
    return "trial" if any(params.get(name) for name in ("limit", "classes", "videos", "kinetics_list")) else ""


def _scope(params: Mapping[str, Any]) -> str:
    parts = []
    if splits := params.get("splits"):
        parts.append(("split " if len(splits) == 1 else "splits ") + ", ".join(map(str, splits)))
    if classes := params.get("classes"):
        parts.append(plural(len(classes), "class", "classes") + " only")
    if params.get("limit"):
        parts.append(f"at most {number(params['limit'])} a split")
    return "; ".join(parts) or "all that was chosen"


def _items(folder: Path, noun: str) -> tuple[Items | None, str, tuple[Stage, Stage]]:
    """The counts, the table they come from, and how the stages that write these tables ended."""
    recorded, catalog = folder / "recorded.parquet", folder / "catalog.parquet"
    first = Stage("annotations", "ran" if catalog.exists() else "not run")
    last = Stage("record", "not run")
    if recorded.exists():
        try:
            items = tally(recorded, catalog if catalog.exists() else None)
            return items, "recorded", (first, Stage("record", "ran", plural(items.total.expected, noun)))
        except ClipquarryError as error:
            last = Stage("record", "failed", str(error))
    if catalog.exists():
        try:
            return tally_catalog(catalog), "catalog", (first, last)
        except ClipquarryError as error:
            first = Stage("annotations", "failed", str(error))
    return None, "nothing", (first, last)


def _failures(folder: Path, stages: Iterable[Stage]) -> tuple[Failure, ...]:
    """What the run's parts noted when they failed, first failure first; then what their results and tables tell."""
    notes = [_mapping(_document(path)) for path in (folder / "failures").glob("[!.]*.json")]
    noted = [Failure(str(note["part"]), str(note.get("sentence"))) for note in sorted(notes, key=_at) if "part" in note]
    names = {failure.part for failure in noted}
    told = (Failure(stage.name, stage.sentence) for stage in stages if stage.state == "failed")
    return (*noted, *(failure for failure in told if failure.part not in names))


def _stops(told: Mapping[str, Any]) -> tuple[Stop, ...]:
    found, stops = told.get("stops"), []
    for one in map(_mapping, found if isinstance(found, list) else []):
        at, until = parse_time(one.get("at")), parse_time(one.get("until"))
        if at is not None and until is not None:
            texts = (str(one.get(name, "")) for name in ("reason", "why", "evidence", "todo"))
            stops.append(Stop(at, until, parse_time(one.get("closed")), *texts))
    return tuple(stops)


def _at(note: Mapping[str, Any]) -> str:
    return str(note.get("at", ""))


def _with_failures(stages: Iterable[Stage], failures: Iterable[Failure]) -> tuple[Stage, ...]:
    """The stages, those that failed as such; one that is not in the list, such as ``release``, stands at its end."""
    why = {failure.part: failure.sentence for failure in failures}
    shown = [Stage(one.name, "failed", why.pop(one.name)) if one.name in why else one for one in stages]
    return (*shown, *(Stage(name, "failed", sentence) for name, sentence in why.items()))


def _stages(folder: Path, kind: str) -> list[Stage]:
    """Stages in the worker, by what they leave."""
    return [Stage(name, "ran" if any(folder.glob(pattern)) else "not run") for name, pattern in TABLES.get(kind, ())]


def _steps(folder: Path, kind: str) -> list[Stage]:
    """The steps in containers or processes, by the result files of their shards."""
    stages = []
    for step in STEPS:
        results = [_mapping(_document(path)) for path in sorted((folder / step).glob("[!.]*.result.json"))]
        if not results:
            if step in EXPECTED_STEPS.get(kind, STEPS):
                stages.append(Stage(step, "not run"))
            continue
        bad = [result for result in results if result.get("exit") != 0]
        counts: Counter[str] = Counter()
        for result in results:
            counts.update({str(k): v for k, v in _mapping(result.get("counts")).items() if isinstance(v, int)})
        said = f"{plural(len(results), 'shard')}: " + ", ".join(f"{number(n)} {name}" for name, n in counts.items())
        if bad:
            said = f"{len(bad)} of {plural(len(results), 'shard')}: {bad[0].get('sentence', 'no sentence')}"
        stages.append(Stage(step, "failed" if bad else "ran", said))
    return stages


def _earlier(data: DataRoot, dataset: str, folder: Path) -> list[Path]:
    """Runs that began before this one, newest first."""
    runs = list_runs(data, dataset)
    return runs[runs.index(folder) + 1 :][:MAX_TREND] if folder in runs else runs[:MAX_TREND]


def _trend(dataset: str, earlier: list[Path]) -> tuple[TrendRow, ...]:
    """Earlier runs, oldest first."""
    lines = [read_summary(path, dataset) for path in reversed(earlier)]
    return tuple(TrendRow(line.run, line.at, dict(line.gates), line.counts) for line in lines)


def _lists(value: Any) -> tuple[tuple[str, str], ...]:
    """List file and its numbers."""
    rows = [_mapping(one) for one in value] if isinstance(value, list) else []
    return tuple(
        (
            Path(str(row.get("path"))).name,
            f"{row.get('lines', '?')} lines, {row.get('missing', '?')} missing of {row.get('rows', '?')} rows",
        )
        for row in rows
    )


def _annotations(catalog: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Split, and the sha256 of its annotation file; then the other files that were obtained."""
    splits = {
        str(name): str(_mapping(part).get("sha256", "?")) for name, part in _mapping(catalog.get("splits")).items()
    }
    files = catalog.get("obtained")
    others = [_mapping(one) for one in files] if isinstance(files, list) else []
    rows = [(name, value) for name, value in splits.items() if value]
    rows += [
        (str(one.get("part")), str(one["sha256"]))
        for one in others
        if one.get("sha256") not in (None, *splits.values())
    ]
    return tuple((name, f"sha256 {value}") for name, value in dict(rows).items())
