"""Suites of the gate ``packages``: the form of every sample, splits, benchmarks and published sizes (C23, C25)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.skeletons.options import PackageOptions, skeletons_options
from clipquarry.families.skeletons.read_package import INSIDE, published
from clipquarry.families.skeletons.run_files import SkeletonFiles
from clipquarry.quality.catalog_suites import counting
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables, pick, present
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot

_NOTHING: Mapping[str, Any] = {"column": "problem", "value_set": [""]}
_SAMPLE = ("item_id", "number", "name", "label", "frames", "persons", "numbers", "points", "odd", "outside", "problem", "label_fits",
           "first", "in_split", "file")  # fmt: skip
_SHOWN = ("number", "name")


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate."""
    place, options = SkeletonFiles(run.run_dir), skeletons_options(spec).packages
    recorded = run.load("recorded", ("item_id", "split", "status", "sha256"))
    rows = pick(recorded, present(recorded))
    facts = {str(name): run.optional_json(place.facts(str(name))) for name in rows["split"]}
    yield _packages(rows, facts, options, params)
    for name, found in facts.items():
        if place.made(name).exists():
            yield _made(name, run.load(place.made(name), ("item_id", "name", "status", "reason", "evidence")))
        package = options.get(name)
        if package is None or not place.samples(name).exists():
            continue
        samples = run.load(place.samples(name), _SAMPLE)
        yield _samples(name, samples, package)
        if package.content == "boxes":
            yield _boxes(name, samples, package, place, run)
            continue
        yield _splits(name, found, package, params)
        if package.benchmarks:
            yield _benchmarks(name, found)
        if package.points_in is not None:
            yield _files(name, found)


def _packages(
    rows: pd.DataFrame,
    facts: Mapping[str, Mapping[str, Any]],
    options: Mapping[str, PackageOptions],
    params: GateParams,
) -> Suite:
    """One row for each package that is there."""
    found = []
    for item_id, name, sha256 in zip(rows["item_id"], rows["split"], rows["sha256"], strict=True):
        one, package = facts[str(name)], options[str(name)]
        told = published(package.samples, int(one.get("samples", 0)))
        of_2d = package.content == "samples" and package.coordinates == 2
        points, outside = int(one.get("points", 0)), int(one.get("outside", 0))
        found.append({
            "item_id": str(item_id), "sha256": str(sha256), "read": str(one.get("sha256", "")), "problem": str(one.get("problem", "")),
            "samples": int(one.get("samples", 0)), "published": told["published"], "official": told["fits"] or not told["official"],
            "told": told["fits"] or told["official"], "inside": 1 - outside / points if of_2d and points else 1.0,
            "points_in": str(one.get("points_in", "")),
        })  # fmt: skip
    columns = [
        "item_id",
        "sha256",
        "read",
        "problem",
        "samples",
        "published",
        "official",
        "told",
        "inside",
        "points_in",
    ]
    table = pd.DataFrame(found, columns=columns)
    table = table.astype(
        {"item_id": "str", "sha256": "str", "read": "str", "problem": "str", "published": "str", "points_in": "str"}
    )
    size = ("samples", "published")
    return Suite("packages", table, [
        Rule("packages.read", EQUAL, {"column_A": "read", "column_B": "sha256"}, show=("read", "sha256")),
        Rule("packages.structure", IN_SET, _NOTHING, show=("problem",)),
        Rule("packages.size", IN_SET, {"column": "official", "value_set": [True]}, "published", severity=counting(params, "error"), show=size),
        Rule("packages.size", IN_SET, {"column": "told", "value_set": [True]}, "third parties", show=size),
        Rule("packages.inside", BETWEEN, {"column": "inside", "min_value": INSIDE}, show=("inside",)),
        Rule("packages.points_in", IN_SET, {"column": "points_in", "value_set": ["", "there"]}, show=("points_in",)),
    ])  # fmt: skip


def _samples(name: str, samples: pd.DataFrame, package: PackageOptions) -> Suite:
    """Every sample of a package, or entry of a file of boxes."""
    rules = [Rule("skeletons.form", IN_SET, _NOTHING, name, show=(*_SHOWN, "problem"))]
    if package.content != "boxes":
        samples = samples.assign(inside=1 - (samples["outside"] / samples["points"].clip(lower=1)))
        true = [True]
        rules += [
            Rule("skeletons.name_unique", IN_SET, {"column": "first", "value_set": true}, name, show=_SHOWN),
            Rule("skeletons.label", IN_SET, {"column": "label_fits", "value_set": true}, name, show=(*_SHOWN, "label")),
            Rule("skeletons.finite", BETWEEN, {"column": "odd", "max_value": 0}, name, show=(*_SHOWN, "odd", "points"), worst_by="odd"),
            Rule("skeletons.somebody", BETWEEN, {"column": "persons", "min_value": 1}, name, show=(*_SHOWN, "frames")),
            Rule("skeletons.inside", BETWEEN, {"column": "inside", "min_value": INSIDE}, name, show=(*_SHOWN, "outside", "points"),
                 worst_by="outside"),
            Rule("skeletons.in_split", IN_SET, {"column": "in_split", "value_set": true}, name, show=_SHOWN),
            Rule("skeletons.file", IN_SET, {"column": "file", "value_set": true}, name, show=_SHOWN),
        ]  # fmt: skip
    return Suite(f"{name}_samples", samples, rules)


def _made(name: str, rows: pd.DataFrame) -> Suite:
    """Every file of which the package is made, but those of another release."""
    rows = pick(rows, rows["reason"] != str(Reason.LEFT_OUT))
    rule = Rule(
        "skeletons.made",
        IN_SET,
        {"column": "status", "value_set": [str(Status.DONE)]},
        name,
        show=("name", "reason", "evidence"),
    )
    return Suite(f"{name}_made", rows, [rule])


def _splits(name: str, facts: Mapping[str, Any], package: PackageOptions, params: GateParams) -> Suite:
    """Every split of a package, declared or found."""
    rows = [
        {"item_id": f"{name}/{one['split']}", **{key: one[key] for key in ("names", "unknown", "twice", "classes", "published")},
         "there": one["there"], "declared": one["declared"], "official": one["fits"] or not one["official"],
         "told": one["fits"] or one["official"], "lacking": (package.classes or 0) - one["classes"] if one["there"] else 0}
        for one in facts.get("splits", [])
    ]  # fmt: skip
    columns = [
        "item_id",
        "names",
        "unknown",
        "twice",
        "classes",
        "published",
        "there",
        "declared",
        "official",
        "told",
        "lacking",
    ]
    table = pd.DataFrame(rows, columns=columns).astype({"item_id": "str", "published": "str"})
    size, true = ("names", "published"), [True]
    return Suite(f"{name}_splits", table, [
        Rule("packages.split", IN_SET, {"column": "there", "value_set": true}, name, show=("names",)),
        Rule("packages.split_known", IN_SET, {"column": "declared", "value_set": true}, name, show=("names",)),
        Rule("packages.split_size", IN_SET, {"column": "official", "value_set": true}, f"{name}, published",
             severity=counting(params, "error"), show=size),
        Rule("packages.split_size", IN_SET, {"column": "told", "value_set": true}, f"{name}, third parties", show=size),
        Rule("packages.split_names", BETWEEN, {"column": "unknown", "max_value": 0}, name, show=("names", "unknown")),
        Rule("packages.split_twice", BETWEEN, {"column": "twice", "max_value": 0}, name, show=("names", "twice")),
        Rule("packages.split_classes", BETWEEN, {"column": "lacking", "max_value": 0}, name, show=("classes", "lacking")),
    ])  # fmt: skip


def _benchmarks(name: str, facts: Mapping[str, Any]) -> Suite:
    """Every benchmark of a package: what its two splits share."""
    rows = [
        {
            "item_id": f"{name}/{one['benchmark']}",
            **{key: one[key] for key in ("train", "val", "trained", "evaluated", "shared")},
        }
        for one in facts.get("benchmarks", [])
    ]
    columns = ["item_id", "train", "val", "trained", "evaluated", "shared"]
    table = pd.DataFrame(rows, columns=columns).astype({"item_id": "str"})
    rule = Rule(
        "packages.disjoint",
        BETWEEN,
        {"column": "shared", "max_value": 0},
        name,
        show=("train", "val", "shared"),
        worst_by="shared",
    )
    return Suite(f"{name}_benchmarks", table, [rule])


def _files(name: str, facts: Mapping[str, Any]) -> Suite:
    """The files of key points that were read."""
    rows = [{"item_id": f"{name}/{one['name']}", "problem": one["problem"]} for one in facts.get("files", [])]
    table = pd.DataFrame(rows, columns=["item_id", "problem"]).astype("str")
    said = f"{len(rows)} files were read, drawn by the package's checksum."
    return Suite(
        f"{name}_files", table, [Rule("skeletons.file_content", IN_SET, _NOTHING, name, show=("problem",), note=said)]
    )


def _boxes(name: str, boxes: pd.DataFrame, package: PackageOptions, place: SkeletonFiles, run: RunTables) -> Suite:
    """Every sample of the package that the boxes are of: whether it has some."""
    other = str(package.boxes_of)
    if not place.samples(other).exists():
        why = f"the package {other} is not in this run"
        return Suite(f"{name}_of_samples", pd.DataFrame(), skipped=[("skeletons.boxes", why)])
    samples = run.load(place.samples(other), ("item_id", "name"))
    samples["has_boxes"] = samples["name"].isin(set(boxes["name"]))
    rule = Rule("skeletons.boxes", IN_SET, {"column": "has_boxes", "value_set": [True]}, name, show=("name",))
    return Suite(f"{name}_of_samples", samples, [rule])
