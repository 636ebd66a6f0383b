"""Tasks of a run of labelled intervals: annotations, whole videos, frames, features, lists, release."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.segments.options import FEATURES, segments_options
from clipquarry.families.segments.run_files import LEFT_BY_COPIES, LEFT_BY_LISTS, LEFT_BY_PROPOSALS
from clipquarry.pipeline.family import EGRESS, Stage, Task, chained, step
from clipquarry.pipeline.shared_tasks import begin_tasks, end_tasks, gate_task, record_tasks

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext
    from clipquarry.quality.engine import Suite
    from clipquarry.quality.params import GateParams
    from clipquarry.quality.tables import RunTables
    from clipquarry.settings import DataRoot


def _annotations(ctx: RunContext) -> Any:
    from clipquarry.families.segments.stages import read_annotations

    return read_annotations(ctx)


def _plan(ctx: RunContext) -> Any:
    from clipquarry.families.segments.stages import plan

    return plan(ctx)


def _proposals(ctx: RunContext) -> Any:
    from clipquarry.families.segments.proposals import proposals

    return proposals(ctx)


def _copies(ctx: RunContext) -> Any:
    from clipquarry.families.segments.copies import copies

    return copies(ctx)


def _lists(ctx: RunContext) -> Any:
    from clipquarry.families.segments.frame_lists import frame_lists

    return frame_lists(ctx)


def _release(ctx: RunContext) -> Any:
    from clipquarry.families.segments.stages import release

    return release(ctx)


def _gate(name: str) -> Stage:
    def run(ctx: RunContext) -> Any:
        from clipquarry.families.segments.stages import gate

        return gate(ctx, name)

    return run


def _annotation_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.segments.gates.annotations import suites

    return suites(spec, run, data, params)


def _video_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.segments.gates.videos import suites

    return suites(spec, run, data, params)


def _frame_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.segments.gates.frames import suites

    return suites(spec, run, data, params)


def _proposal_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.segments.gates.proposals import suites

    return suites(spec, run, data, params)


def _feature_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.segments.gates.features import suites

    return suites(spec, run, data, params)


def _list_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.segments.gates.frame_lists import suites

    return suites(spec, run, data, params)


_BEGIN = begin_tasks(_annotations, _gate("annotations"), _annotation_suites, _plan)
_EXTRACT = step("extract", "Unpacks the archives, all or nothing, beside what is there.", phase="acquire")
_REST = (
    step("collect", "Takes each file, decodes it to verify it, and keeps it as published.", phase="acquire"),
    *record_tasks(_gate("clips"), _video_suites),
    step("frames", "Extracts raw frames."),
    gate_task("frames", "Checks the frames.", _gate("frames"), _frame_suites, outlet="frames"),
)
_ARRAYS = (
    step("collect_features", "Verifies the published csv of each video's features.", phase="acquire"),
    *record_tasks(_gate("clips"), _video_suites),
)
"""Where a sample is the csv of a video's features."""
_FEATURES = (
    step("pool_features", "Pools the scores of each video's clips to a csv of fixed length."),
    gate_task("features", "Checks the pooled features.", _gate("features"), _feature_suites, outlet="features"),
)
_COPIES = (
    Task(
        "copies",
        "Writes the annotation by split, and a copy with the videos that are here.",
        _copies,
        phase="combine",
        leaves=LEFT_BY_COPIES,
    ),
)
_LISTS = (
    Task(
        "lists",
        "Writes the lists of frames of videos and of their intervals.",
        _lists,
        phase="combine",
        leaves=LEFT_BY_LISTS,
    ),
    gate_task(
        "lists",
        "Checks the lists of frames line by line.",
        _gate("lists"),
        _list_suites,
        phase="combine",
        outlet="frame_lists",
    ),
)
_PROPOSALS = (
    Task(
        "proposals",
        "Fetches the lists of proposals, and writes them with the numbers of the frames that are here.",
        _proposals,
        phase="combine",
        pool=EGRESS,
        leaves=LEFT_BY_PROPOSALS,
    ),
    gate_task(
        "proposals",
        "Checks the lists of proposals line by line.",
        _gate("proposals"),
        _proposal_suites,
        phase="combine",
        outlet="proposals",
    ),
)


def tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """The tasks of a run, in order."""
    extract = (_EXTRACT,) if any(source.archive for source in spec.item_sources) else ()
    options = segments_options(spec)
    features = _FEATURES if FEATURES[-1] in spec.layout else ()
    copies = _COPIES if options.copies is not None else ()
    lists = _LISTS if options.frame_lists is not None else ()
    proposals = _PROPOSALS if options.proposals is not None else ()
    if spec.item.medium == "array":
        return chained(*_BEGIN, *extract, *_ARRAYS, *copies, *end_tasks(_release))
    return chained(*_BEGIN, *extract, *_REST, *features, *copies, *lists, *proposals, *end_tasks(_release))
