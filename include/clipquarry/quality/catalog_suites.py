"""Suites over the catalog that families share: its rows, their counts, checksums and times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from clipquarry.datasets.model import DatasetSpec, Expected
from clipquarry.datasets.namespace import namespace_of
from clipquarry.errors import UserError
from clipquarry.files import sha256_of
from clipquarry.ids import YOUTUBE, YOUTUBE_ID
from clipquarry.quality.check import Severity
from clipquarry.quality.engine import BETWEEN, EQUAL, IN_SET, MATCH, ROWS, UNIQUE, Rule, Suite
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import REJECTED
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot

COLUMNS = (
    "item_id", "video_id", "clip_id", "split", "label", "class_dir", "label_index", "start", "end", "row", "status",
    "reason", "evidence",
)  # fmt: skip
CSV_ROW = ("split", "row", "label", "video_id", "start", "end")


def not_empty(usable: pd.DataFrame) -> Suite:
    """Rows of the catalog that are not rejected."""
    return Suite("usable", usable[["item_id"]], [Rule("annotations.not_empty", ROWS, {"min_value": 1})])


def counting(params: GateParams, severity: Severity | None = None) -> Severity | None:
    """Checks of published counts only warn if the user says that the csvs are their own."""
    return "warn" if params.annotation_counts == "warn" and severity != "info" else severity


def all_rows(
    catalog: pd.DataFrame, usable: pd.Series[bool], params: GateParams, rejected: str = "annotations.rejected"
) -> Suite:
    """Suite of the whole catalog; ``usable``: rows that were not rejected here. ``rejected``: the check of those that were."""
    return Suite(
        "catalog",
        catalog.assign(usable=usable),
        [
            Rule("annotations.item_unique", UNIQUE, {"column": "item_id"}, show=CSV_ROW),
            Rule("annotations.words", IN_SET,
                 {"column": "status", "value_set": [str(Status.DONE), REJECTED]}, "status", show=("row", "status")),
            Rule("annotations.words", IN_SET,
                 {"column": "reason", "value_set": [str(reason) for reason in Reason]}, "reason",
                 show=("row", "reason")),
            Rule(rejected, IN_SET, {"column": "usable", "value_set": [True]},
                 block_share=params.rejected_error, show=("split", "row", "reason", "evidence")),
        ],
    )  # fmt: skip


def csv_rows(published: Expected, counts: Mapping[str, int], params: GateParams) -> Iterator[Suite]:
    """A table with one row per csv: its number of rows. All csv rows count, including rejected ones."""
    for split, rows in counts.items():
        table = pd.DataFrame({"item_id": [f"{split}/csv"], "rows": [rows]})
        expected = published.rows.get(split)
        if expected is None:
            yield Suite(
                f"csv_rows_{split}",
                table,
                skipped=[("annotations.rows", f"no number of rows is published for {split}")],
            )
            continue
        official = expected.provenance in ("counted", "documented")
        severity = counting(params, "error") if official else "warn"
        asked = f"at least {min(expected.counts):,}" if expected.at_least else _either(expected.counts)
        fits = rows >= min(expected.counts) if expected.at_least else rows in expected.counts
        note = "" if fits else f"{split} has {rows:,} rows; {asked} are published."
        if expected.at_least:
            least = {"column": "rows", "min_value": min(expected.counts)}
            rule = Rule("annotations.rows", BETWEEN, least, split, severity=severity, show=("rows",), note=note)
        else:
            exact = {"column": "rows", "value_set": expected.counts}
            rule = Rule("annotations.rows", IN_SET, exact, split, severity=severity, show=("rows",), note=note)
        yield Suite(f"csv_rows_{split}", table, [rule])


def _either(counts: Sequence[int]) -> str:
    return " or ".join(f"{count:,}" for count in counts)


def checksums(spec: DatasetSpec, splits: Iterable[str], data: DataRoot) -> Suite:
    """Suite with one row for each csv that has a published checksum."""
    suite = Suite("checksums", pd.DataFrame({"item_id": [], "part": [], "sha256": []}))
    found: list[dict[str, str]] = []
    for split in splits:
        expected = spec.expected.rows.get(split)
        if expected is None or not expected.sums or split not in spec.splits:
            continue
        try:
            digest = sha256_of(data.dataset(spec.root, spec.splits[split]))
        except (OSError, UserError) as error:
            suite.skipped.append(("annotations.sha256", f"the csv of {split} cannot be read ({error})"))
            continue
        published = digest if digest in expected.sums else expected.sums[0]
        found.append({"item_id": f"{split}/csv", "part": split, "sha256": digest, "published": published})
    if found:
        suite.table = pd.DataFrame(found)
        equal = {"column_A": "sha256", "column_B": "published"}
        suite.rules.append(Rule("annotations.sha256", EQUAL, equal, show=("sha256", "published")))
    elif not suite.skipped:
        suite.skipped.append(("annotations.sha256", "the data set's YAML gives no sha256"))
    return suite


def window_name(rows: pd.DataFrame) -> pd.Series[str]:
    """The clip name that follows from id, start and end."""
    start, end = (rows[name].astype(str).str.zfill(6) for name in ("start", "end"))
    return rows["video_id"] + "_" + start + "_" + end


def source_rules(spec: DatasetSpec) -> list[Rule]:
    """Rules for the video and the times of every row of a catalog."""
    own = r"[^\s/\\]+"
    id_regex = spec.item.id_regex or (YOUTUBE_ID.pattern if namespace_of(spec) == YOUTUBE else own)
    syntax = {"column": "video_id", "regex": rf"\A(?:{id_regex})\Z"}
    return [Rule("annotations.id_syntax", MATCH, syntax, show=CSV_ROW), *([] if spec.has_files else _time_rules())]


def _time_rules() -> list[Rule]:
    return [
        Rule("annotations.time_order", BETWEEN, {"column": "start", "min_value": 0}, "start", show=CSV_ROW),
        Rule("annotations.time_order", "ExpectColumnPairValuesAToBeGreaterThanB",
             {"column_A": "end", "column_B": "start"}, "end", show=CSV_ROW),
    ]  # fmt: skip


NO_WINDOW = "items are whole files"
"""Why checks of windows are skipped."""


def length_rule(spec: DatasetSpec) -> Rule:
    """Rule for a column ``seconds``, the length of a window."""
    longest = {"column": "seconds", "max_value": spec.recipe.max_seconds}
    return Rule("annotations.window_length", BETWEEN, longest, show=(*CSV_ROW, "seconds"), worst_by="seconds")
