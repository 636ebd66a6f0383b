"""Suites of the gates of data sets whose splits hold different things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ManifestError, UserError
from clipquarry.families.clips.gates import archives
from clipquarry.families.clips.mixed.entries import Kind
from clipquarry.families.clips.mixed.run_files import MixedFiles
from clipquarry.families.clips.options import clips_options
from clipquarry.files import inside
from clipquarry.item_folder import PARTS_TOLERANCE, files_in
from clipquarry.quality import label_files
from clipquarry.quality.catalog_suites import (
    COLUMNS,
    CSV_ROW,
    all_rows,
    checksums,
    counting,
    csv_rows,
    not_empty,
    source_rules,
)
from clipquarry.quality.clip_suites import NUMBERS, TEXT, content_suites, file_suite, result_suites, wanted_path
from clipquarry.quality.declared import counted, split_rows
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, MATCH, UNIQUE, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED, RunTables, among, pick, present
from clipquarry.settings import DataRoot

STEP = "collect_mixed"
_MADE = (
    "item_id",
    "status",
    "path",
    "files",
    "unusable",
    "parts_seconds",
    "source_seconds",
    "parts_wanted",
    "duration",
)
_SHOW = ("text", "evidence")


def annotation_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``annotations``."""
    catalog = run.load("catalog", COLUMNS, keep_null=("label",))
    usable = pick(catalog, catalog["status"] != REJECTED)
    yield not_empty(usable)
    yield split_rows(usable, params)
    yield all_rows(catalog, catalog["status"] != REJECTED, params)
    rows = {str(split): int(count) for split, count in catalog["split"].value_counts(sort=False).items()}
    yield from csv_rows(spec.expected, counted(params, rows), params)
    yield checksums(spec, sorted(catalog["split"].unique()), data)
    yield from label_files.read_files(run, data, params)
    count = spec.labels.count or 0
    table = usable.assign(label=usable["label"].fillna(""), labelled=usable["label"].notna())
    show = ("split", "row", "label", "label_index")
    rules = [
        *source_rules(spec),
        Rule("annotations.labelled", IN_SET, {"column": "labelled", "value_set": [True]}, show=show),
        Rule("annotations.label_index", BETWEEN, {"column": "label_index", "min_value": 0, "max_value": count - 1},
             show=show),
        Rule("annotations.same_clip", "ExpectCompoundColumnsToBeUnique", {"column_list": ["split", "class_dir", "clip_id"]},
             show=CSV_ROW),
    ]  # fmt: skip
    yield Suite("windows", table, rules)
    yield _classes(spec, run, params)
    yield _apart(spec, usable)


def _classes(spec: DatasetSpec, run: RunTables, params: GateParams) -> Suite:
    """One row for each class of the file of classes."""
    names = [str(name) for name in run.optional_json(run.place.catalog_file).get("label_names", [])]
    table = pd.DataFrame({"item_id": [f"class/{at}" for at in range(len(names))], "name": names})
    table["total"] = len(names)
    wanted = {"column": "total", "min_value": spec.labels.count, "max_value": spec.labels.count}
    severity = counting(params, "error")
    rules = [
        Rule("annotations.label_count", "ExpectColumnMaxToBeBetween", wanted, severity=severity, show=("name",)),
        Rule("annotations.label_complete", UNIQUE, {"column": "name"}, show=("name",)),
    ]
    return Suite("classes", table, rules)


def _apart(spec: DatasetSpec, usable: pd.DataFrame) -> Suite:
    """Clips that are evaluated on, compared with those of all other splits that have videos of the same kind."""
    check = "annotations.split_disjoint"
    holds = clips_options(spec).holds
    evaluated = usable["split"].str.endswith("_val")
    others = pick(usable, ~evaluated & usable["split"].map(holds).ne("folder"))
    table = pick(usable, evaluated, "item_id", "split", "video_id", "row")
    if table.empty or others.empty:
        return Suite("other_splits", pd.DataFrame(), skipped=[(check, "the run has no two splits to compare")])
    table["in_train"] = among(table["video_id"], others["video_id"])
    rule = Rule(check, IN_SET, {"column": "in_train", "value_set": [False]}, show=("split", "row", "video_id"))
    return Suite("other_splits", table, [rule])


def clip_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``clips``."""
    recorded = run.load("recorded", (*TEXT, *NUMBERS, "source"))
    yield from result_suites(spec, run, recorded, params, step=STEP)
    holds = recorded["split"].map(clips_options(spec).holds)
    yield file_suite(spec, run, pick(recorded, holds == "file"), data)
    yield _folders(spec, pick(recorded, (holds != "file") & present(recorded)), data)
    made = run.shards(STEP, (*_MADE, "split"))
    made = pick(made, present(made))
    kinds = made["split"].map(clips_options(spec).holds)
    yield _usable(pick(made, kinds == "folder"))
    yield _parts(pick(made, kinds == "parts"), clips_options(spec).part_seconds)
    yield from archives.suites(spec, run)
    yield from content_suites(spec, run, data, params)


def _folders(spec: DatasetSpec, folders: pd.DataFrame, data: DataRoot) -> Suite:
    """One row for each item that is a folder."""
    checks = ("clips.facts", "clips.sha256", "clips.path", "clips.on_disk")
    if folders.empty:
        return Suite("folders_of_files", pd.DataFrame(), skipped=[(check, "no item is a folder") for check in checks])
    folders["wanted_path"] = wanted_path(spec, "videos", folders, suffixed=False)
    folders["disk"] = [
        _disk_problem(data, path, int(size))
        for path, size in zip(folders["path"].tolist(), folders["bytes"].tolist(), strict=True)
    ]
    rules = [
        *(
            Rule("clips.facts", BETWEEN, {"column": name, "min_value": 1}, f"folders {name}", show=(name, "source"))
            for name in ("bytes", "frames", "width", "height")
        ),
        Rule("clips.sha256", MATCH, {"column": "sha256", "regex": r"\A[0-9a-f]{64}\Z"}, "folders", show=("sha256",)),
        Rule("clips.path", EQUAL, {"column_A": "path", "column_B": "wanted_path"}, "folders", show=("path", "wanted_path")),
        Rule("clips.on_disk", IN_SET, {"column": "disk", "value_set": [""]}, "folders", show=("path", "disk")),
    ]  # fmt: skip
    return Suite("folders_of_files", folders, rules)


def _disk_problem(data: DataRoot, path: str, size: int) -> str:
    try:
        found = sum(file.stat().st_size for file in files_in(inside(data.root, path)))
    except (OSError, UserError):
        return "it is not there"
    return "" if found == size else f"{found:,} bytes, recorded were {size:,}"


def _usable(folders: pd.DataFrame) -> Suite:
    """One row for each folder of files."""
    if folders.empty:
        return Suite("usable_files", pd.DataFrame(), skipped=[("folders.usable", "no item is a folder of files")])
    rule = Rule(
        "folders.usable", BETWEEN, {"column": "unusable", "max_value": 0}, show=("files", "unusable", "path"),
        worst_by="unusable",
    )  # fmt: skip
    return Suite("usable_files", folders, [rule])


def _parts(videos: pd.DataFrame, seconds: float) -> Suite:
    """One row for each long video whose parts are there."""
    checks = ("parts.count", "parts.cover")
    if videos.empty:
        return Suite("parts", pd.DataFrame(), skipped=[(check, "no long video was cut") for check in checks])
    # Without its source, a video is as long as its parts, whose own lengths the step has checked.
    known = videos["source_seconds"] > 0
    wanted = videos["parts_wanted"].where(known, videos["files"]).astype("int64")
    table = videos.assign(
        parts=videos["files"].astype("int64"),
        wanted=wanted,
        apart=(videos["parts_seconds"] - videos["source_seconds"]).abs().where(known, 0.0).round(6),
    )
    gone = int((~known).sum())
    note = f"The source of {gone:,} of {len(table):,} is gone: their parts were checked alone." if gone else ""
    show = ("parts", "wanted", "parts_seconds", "source_seconds", "path")
    rules = [
        Rule("parts.count", EQUAL, {"column_A": "parts", "column_B": "wanted"}, show=show, note=note),
        Rule("parts.cover", BETWEEN, {"column": "apart", "max_value": PARTS_TOLERANCE}, show=show, worst_by="apart"),
    ]
    return Suite("parts", table, rules)


def list_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``lists``."""
    place = MixedFiles(run.run_dir)
    try:
        checked = place.read_checked()
    except OSError as error:
        raise ManifestError(f"There is no {place.checked}: run the stage that writes the lists first.") from error
    yield _placed(spec, checked, params)
    table = pd.DataFrame(
        {
            "item_id": [str(one["list"]) for one in checked],
            "entries": [int(one["entries"]) for one in checked],
            "accounted": [int(one["lines"]) + int(one["left_out"]) for one in checked],
            "published": [int(one["published"] or one["entries"]) for one in checked],
            "absent_share": [_share(one) for one in checked],
        }
    )
    limit = {"column": "absent_share", "max_value": spec.missing.error}
    rules = [
        Rule("listed.balance", EQUAL, {"column_A": "entries", "column_B": "accounted"}, show=("entries", "accounted")),
        Rule("listed.count", EQUAL, {"column_A": "entries", "column_B": "published"}, show=("entries", "published")),
        Rule("listed.absent", BETWEEN, limit, "share", severity="error", show=("absent_share",), worst_by="absent_share"),
    ]  # fmt: skip
    yield Suite("checked_lists", table, rules)
    yield _entries(run, place, sum(table["entries"]))


def _share(one: dict[str, object]) -> float:
    kinds = one.get("kinds") or {}
    assert isinstance(kinds, dict)
    wrong = sum(int(kinds.get(kind, 0)) for kind in ("absent", "unusable", "positive"))
    return wrong / max(1, int(str(one["entries"])))


def _placed(spec: DatasetSpec, checked: Sequence[dict[str, object]], params: GateParams) -> Suite:
    """One row for each published list of the chosen splits: whether a person placed it."""
    splits = set(params.splits or spec.splits)
    lists = [path for path, one in clips_options(spec).lists_of.items() if set(one.of) <= splits]
    there = {str(one["list"]) for one in checked}
    table = pd.DataFrame({"item_id": lists, "placed": [path in there for path in lists]}).astype({"item_id": "str", "placed": "bool"})  # fmt: skip
    rule = Rule("listed.placed", IN_SET, {"column": "placed", "value_set": [True]})
    return Suite("placed_lists", table, [rule])


_KINDS: tuple[tuple[str, Kind], ...] = (
    ("listed.syntax", "syntax"),
    ("listed.unique", "again"),
    ("listed.class", "class"),
    ("listed.folder", "folder"),
    ("listed.absent", "absent"),
    ("listed.usable", "unusable"),
    ("listed.asked", "not_asked"),
    ("listed.clips", "clips"),
    ("listed.positive", "positive"),
)


def _entries(run: RunTables, place: MixedFiles, entries: int) -> Suite:
    """One row for each entry with something wrong, and one for all others: lists of millions are not loaded."""
    problems = run.load(place.problems, ("item_id", "list", "line", "kind", "text", "evidence"))
    rest = pd.DataFrame(
        {"item_id": ["all other entries"], "list": "", "line": 0, "kind": "", "text": "", "evidence": ""}
    )
    table = pd.concat([problems, rest], ignore_index=True)
    note = f"{entries:,} entries were compared with the disk."
    rules = []
    for check, kind in _KINDS:
        table[f"not_{kind}"] = table["kind"] != kind
        fine = {"column": f"not_{kind}", "value_set": [True]}
        rules.append(Rule(check, IN_SET, fine, show=_SHOW, note=note))
    return Suite("entries", table, rules)
