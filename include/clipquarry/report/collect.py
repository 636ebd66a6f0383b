"""Collection of a report's data from the run's folder and the ledger.

Each piece stands alone: an absent or damaged one is named in the report and never stops it, because a report is
needed most when something went wrong.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.ways import can_expire, unverified_sources
from clipquarry.errors import ClipquarryError
from clipquarry.files import as_object, known_document, known_object
from clipquarry.report.aggregate import aggregate, aggregate_catalog
from clipquarry.report.data import Failure, Items, Report, Stage, Stop, TrendRow
from clipquarry.report.gates import read_gates
from clipquarry.report.history import read_history
from clipquarry.report.index import list_runs, parse_time, read_summary
from clipquarry.report.odd_clips import odd_clips
from clipquarry.report.section import Told
from clipquarry.report.text import number, plural
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot, slug

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger

MAX_TREND = 12
MAX_SENTENCES = 10
"""Of an estimate; it has seven at most, and one for each disk that is too small."""


def collect(spec: DatasetSpec, data: DataRoot, run: str, ledger: Ledger | None, now: datetime, told: Told) -> Report:
    """All data of the page; ``told`` comes from the data set's family. Reads, and writes nothing."""
    folder = data.run(spec.name, run)
    place = RunFolder(folder)
    about, plan = known_object(place.run_file), known_object(place.plan_file)
    params = as_object(about.get("params"))
    items, source, (first, last) = _items(folder, told.noun)
    earlier = _earlier(data, spec.name, folder)
    steps = _steps(folder, told.steps)
    failures = _failures(folder, (first, *steps, last))
    told_stops = known_object(place.stops)
    stages = (first, *steps, last, *_stages(folder, told.leaves))
    gates = read_gates(folder, earlier[0] if earlier else None, told.gates)
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
        odd=odd_clips(place.recorded, gates),
        trend=_trend(spec.name, earlier),
        history=read_history(ledger, spec.name, run, now),
        stages=_with_failures(stages, failures),
        params=_pairs({key: value for key, value in params.items() if value is not None and value not in ("", [])}),
        tools=_pairs({**_ran_in(folder), **as_object(about.get("tools"))}),
        lists=_lists(known_document(place.lists)),
        annotations=_annotations(known_object(place.catalog_file)),
        refresh=spec.refresh.schedule,
        unverified=tuple(source.id for source in unverified_sources(spec)),
        expires=can_expire(spec),
        limit_warn=spec.missing.warn,
        limit_error=spec.missing.error,
        noun=told.noun,
        wants_lists=told.lists,
        section=told.section.collect(spec, data.root, folder, params) if told.section else None,
        failures=failures,
        estimate=_estimate(plan),
        part=_part(params, plan, told.partial),
        stops=_stops(told_stops),
        left_unasked=left if isinstance(left := told_stops.get("left"), int) else 0,
        nothing_due=bool(plan.get("nothing_due")),
        gave_way=way if isinstance(way := as_object(plan.get("counts")).get("gave_way"), int) else 0,
    )


def _ran_in(folder: Path) -> dict[str, str]:
    """The runtime of each step, as its operator noted it beside the result; empty for runs of the command line."""
    found: dict[str, set[str]] = {}
    for path in RunFolder(folder).results_of():
        if runtime := known_object(path).get("runtime"):
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


def _estimate(plan: Mapping[str, Any]) -> tuple[str, ...]:
    """The sentences of the plan's estimate; empty for a plan of an earlier version, or a damaged one."""
    told = as_object(plan.get("estimate")).get("sentences")
    return tuple(map(str, told[:MAX_SENTENCES])) if isinstance(told, list) else ()


def _part(params: Mapping[str, Any], plan: Mapping[str, Any], partial: Iterable[str]) -> str:
    """Why the run says nothing about the whole data set; else empty."""
    if plan.get("dry_run") or params.get("dry_run"):
        return "dry run"
    return "trial" if any(params.get(name) for name in partial) else ""


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
    """The counts, their table, and the outcome of the stages that write these tables."""
    place = RunFolder(folder)
    recorded, catalog = place.recorded, place.catalog
    first = Stage("annotations", "ran" if catalog.exists() else "not run")
    last = Stage("record", "not run")
    if recorded.exists():
        try:
            items = aggregate(recorded, catalog if catalog.exists() else None)
            return items, "recorded", (first, Stage("record", "ran", plural(items.total.expected, noun)))
        except ClipquarryError as error:
            last = Stage("record", "failed", str(error))
    if catalog.exists():
        try:
            return aggregate_catalog(catalog), "catalog", (first, last)
        except ClipquarryError as error:
            first = Stage("annotations", "failed", str(error))
    return None, "nothing", (first, last)


def _failures(folder: Path, stages: Iterable[Stage]) -> tuple[Failure, ...]:
    """The errors that the run's tasks noted, first failure first; then those from their results and tables."""
    notes = [known_object(path) for path in RunFolder(folder).failures()]
    noted = [Failure(str(note["part"]), str(note.get("sentence"))) for note in sorted(notes, key=_at) if "part" in note]
    names = {failure.part for failure in noted}
    told = (Failure(stage.name, stage.sentence) for stage in stages if stage.state == "failed")
    return (*noted, *(failure for failure in told if failure.part not in names))


def _stops(told: Mapping[str, Any]) -> tuple[Stop, ...]:
    found, stops = told.get("stops"), []
    for one in map(as_object, found if isinstance(found, list) else []):
        at, until = parse_time(one.get("at")), parse_time(one.get("until"))
        if at is not None and until is not None:
            texts = (str(one.get(name, "")) for name in ("reason", "why", "evidence", "todo"))
            stops.append(Stop(at, until, parse_time(one.get("closed")), *texts))
    return tuple(stops)


def _at(note: Mapping[str, Any]) -> str:
    return str(note.get("at", ""))


def _with_failures(stages: Iterable[Stage], failures: Iterable[Failure]) -> tuple[Stage, ...]:
    """The stages, with those that failed marked; one that is not in the list, such as ``release``, comes last."""
    why = {failure.part: failure.sentence for failure in failures}
    shown = [Stage(one.name, "failed", why.pop(one.name)) if one.name in why else one for one in stages]
    return (*shown, *(Stage(name, "failed", sentence) for name, sentence in why.items()))


def _stages(folder: Path, leaves: Iterable[tuple[str, str]]) -> list[Stage]:
    """Stages in the worker, by the files that they leave."""
    return [Stage(name, "ran" if any(folder.glob(pattern)) else "not run") for name, pattern in leaves]


def _steps(folder: Path, expected: Collection[str]) -> list[Stage]:
    """The steps in containers or processes, by the result files of their shards; ``expected`` ones are always shown."""
    place, stages = RunFolder(folder), []
    others = {path.parent.name for path in place.results_of()} - set(expected)
    for step in (*expected, *sorted(others)):
        results = [known_object(path) for path in place.results_of(step)]
        if not results:
            if step in expected:
                stages.append(Stage(step, "not run"))
            continue
        bad = [result for result in results if result.get("exit") != 0]
        counts: Counter[str] = Counter()
        for result in results:
            counts.update({str(k): v for k, v in as_object(result.get("counts")).items() if isinstance(v, int)})
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
    """Each list file with its numbers."""
    rows = [as_object(one) for one in value] if isinstance(value, list) else []
    return tuple(
        (
            Path(str(row.get("path"))).name,
            f"{row.get('lines', '?')} lines, {row.get('missing', '?')} missing of {row.get('rows', '?')} rows",
        )
        for row in rows
    )


def _annotations(catalog: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Each split with the sha256 of its annotation file; then the other downloaded files."""
    splits = {
        str(name): str(as_object(part).get("sha256", "?")) for name, part in as_object(catalog.get("splits")).items()
    }
    files = catalog.get("obtained")
    others = [as_object(one) for one in files] if isinstance(files, list) else []
    rows = [(name, value) for name, value in splits.items() if value]
    rows += [
        (str(one.get("part")), str(one["sha256"]))
        for one in others
        if one.get("sha256") not in (None, *splits.values())
    ]
    return tuple((name, f"sha256 {value}") for name, value in dict(rows).items())
