"""The step ``collect_features``: verifies the csv of published features, which an archive or a person left in the layout.

One row is one video, whose csv is ``{videos}/{clip_id}.csv``. A csv of another form is moved to ``.clipquarry/set-aside/``, and counts as
missing, with what is wrong with it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from clipquarry.annotations.video_features import read_pooled
from clipquarry.errors import UserError
from clipquarry.files import sha256_of
from clipquarry.ids import id_problem
from clipquarry.layout import set_aside
from clipquarry.manifest import Row
from clipquarry.media.errors import MediaError
from clipquarry.reasons import Reason, Status
from clipquarry.steps.asking import folder_problem, unusable_aside, with_attempts_of
from clipquarry.steps.base import Outcome, Step, StepContext
from clipquarry.steps.collect import CollectParams
from clipquarry.steps.fields import ATTEMPTS_FIELD, CONTENT_FIELDS, MEDIA_FIELDS, PATH_FIELD
from clipquarry.steps.layout_file import noted_file
from clipquarry.steps.source_clip import item_path
from clipquarry.store import Facts, content_key

KIND = "features"
"""The store's kind of the notes."""
SUFFIX = ".csv"
EXISTING = "existing"
"""Source of a file that lay there."""


class CollectFeaturesStep(Step[CollectParams]):
    """See the module. No source is asked here: archives are unpacked by the step ``extract``."""

    name: ClassVar[str] = "collect_features"
    version: ClassVar[int] = 1
    fields: ClassVar[tuple[pa.Field, ...]] = (
        *MEDIA_FIELDS,  # of these, a csv has bytes and sha256
        PATH_FIELD,
        pa.field("source", pa.string()),
        *CONTENT_FIELDS,  # as in the manifests of videos; null
        ATTEMPTS_FIELD,
    )
    params_model = CollectParams

    def preflight(self, ctx: StepContext[CollectParams]) -> None:
        """No program is needed."""

    def group_of(self, row: Row) -> str:
        return str(row["clip_id"])

    def run_group(self, rows: Sequence[Row], ctx: StepContext[CollectParams]) -> list[Outcome]:
        return [self._one(row, ctx) for row in rows]

    def _one(self, row: Row, ctx: StepContext[CollectParams]) -> Outcome:
        if problem := _row_problem(row):
            return Outcome(Status.REJECTED, *problem)
        path = self._path(row, ctx)
        if (facts := noted_file(ctx.store, KIND, row["clip_id"], path)) is not None:
            return self._there(Status.KEPT, facts, path, ctx)
        if not os.path.lexists(path):
            return Outcome.missing(Reason.NO_SOURCE, "no csv of its features lies there", attempts=[])
        try:
            if not path.is_file():
                raise UserError(f"{path} is no file.")
            read_pooled(path)
        except UserError as error:
            if isinstance(error.__cause__, OSError):  # the disk's fault, not the file's: nothing is moved
                return Outcome.failed(Reason.TOOL_FAILED, str(error), attempts=[])
            told = MediaError(Reason.CORRUPT, str(error).rstrip("."))
            return Outcome.missing(told.reason, unusable_aside(told, set_aside(ctx.data, path)), attempts=[])
        stat = path.stat()
        where = str(path.relative_to(ctx.data.root))
        facts = {
            "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256_of(path), "path": where, "source": EXISTING,
        }  # fmt: skip
        ctx.store.note(KIND, row["clip_id"], content_key(kind=KIND, version=self.version, path=where), facts)
        return self._there(Status.DONE, facts, path, ctx)

    @staticmethod
    def _there(status: Status, facts: Facts, path: Path, ctx: StepContext[CollectParams]) -> Outcome:
        where = str(path.relative_to(ctx.data.root))
        columns: dict[str, Any] = {
            "bytes": facts["bytes"],
            "sha256": facts["sha256"],
            "path": where,
            "source": EXISTING,
        }
        return Outcome(status, columns={**columns, "attempts": []})

    @staticmethod
    def _path(row: Row, ctx: StepContext[CollectParams]) -> Path:
        return item_path(ctx.data, ctx.params.root, ctx.params.videos, row, SUFFIX)

    def merge(self, previous: Row, outcome: Outcome) -> Outcome:
        return with_attempts_of(previous, outcome)

    def still_holds(self, row: Row, result: Row, ctx: StepContext[CollectParams]) -> bool:
        noted = noted_file(ctx.store, KIND, row["clip_id"], self._path(row, ctx))
        return noted is not None and noted["sha256"] == result["sha256"]


def _row_problem(row: Row) -> tuple[Reason, str] | None:
    """Why a row names no valid file. Tables that were made by hand have not been checked before."""
    if problem := id_problem(row["clip_id"]):
        return Reason.BAD_ID, f"clip_id {str(row['clip_id'])[:60]!r} {problem}"
    return folder_problem(row)
