"""Tasks of a run of labelled person boxes, by its items: whole videos, windows, or clips around key frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.options import boxes_options
from clipquarry.families.boxes.own.run_files import LEFT_BY_KEY_FRAMES, LEFT_BY_LABELS
from clipquarry.families.boxes.run_files import LEFT_BY_BOXES, LEFT_BY_MERGE, LEFT_BY_PROPOSALS
from clipquarry.pipeline.family import EGRESS, Stage, Task, chained, step
from clipquarry.pipeline.shared_tasks import begin_tasks, end_tasks, gate_task, record_tasks

if TYPE_CHECKING:
    from clipquarry.pipeline.context import RunContext
    from clipquarry.quality.engine import Suite
    from clipquarry.quality.params import GateParams
    from clipquarry.quality.tables import RunTables
    from clipquarry.settings import DataRoot


def _video_annotations(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_videos import read_annotations

    return read_annotations(ctx)


def _clip_annotations(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_clips import read_annotations

    return read_annotations(ctx)


def _plan(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.jobs import plan

    return plan(ctx)


def _shards_of_videos(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_videos import detect_shards

    return detect_shards(ctx)


def _shards_of_clips(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_clips import detect_shards

    return detect_shards(ctx)


def _proposals_of_videos(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_videos import make_proposals

    return make_proposals(ctx)


def _proposals_of_clips(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_clips import make_proposals

    return make_proposals(ctx)


def _boxes(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_clips import boxes

    return boxes(ctx)


def _merge(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_clips import merge_with

    return merge_with(ctx)


def _release_videos(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_videos import release

    return release(ctx)


def _release_clips(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.on_clips import release

    return release(ctx)


def _crops(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.own.crops import read_annotations

    return read_annotations(ctx)


def _plan_crops(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.own.jobs import plan

    return plan(ctx)


def _key_frames(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.own.key_frames import link_key_frames

    return link_key_frames(ctx)


def _shards_of_crops(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.own.people import detect_shards

    return detect_shards(ctx)


def _proposals_of_crops(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.own.people import make_proposals

    return make_proposals(ctx)


def _shards_to_track(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.own.tracks import track_shards

    return track_shards(ctx)


def _projects(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.own.projects import make_projects

    return make_projects(ctx)


def _labels(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.own.labels import read_labels

    return read_labels(ctx)


def _release_crops(ctx: RunContext) -> Any:
    from clipquarry.families.boxes.own.stages import release

    return release(ctx)


def _own_gate(name: str) -> Stage:
    def run(ctx: RunContext) -> Any:
        from clipquarry.families.boxes.own.stages import run_gate

        return run_gate(ctx, name)

    return run


def _crop_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.own.gates import of_crops

    return of_crops(spec, run, data, params)


def _own_frame_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.own.gates import of_frames

    return of_frames(spec, run, data, params)


def _own_proposal_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.own.gates import of_proposals

    return of_proposals(spec, run, data, params)


def _own_label_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.own.label_gate import of_labels

    return of_labels(spec, run, data, params)


def _gate(name: str) -> Stage:
    def run(ctx: RunContext) -> Any:
        from clipquarry.families.boxes.stages import run_gate

        return run_gate(ctx, name)

    return run


def _annotation_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.gates.annotations import suites

    return suites(spec, run, data, params)


def _video_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.gates.clips import videos

    return videos(spec, run, data, params)


def _window_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.gates.clips import windows

    return windows(spec, run, data, params)


def _excerpt_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.gates.frames import excerpts

    return excerpts(spec, run, data, params)


def _frame_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.gates.frames import windows

    return windows(spec, run, data, params)


def _box_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.gates.prepared import suites

    return suites(spec, run, data, params)


def _proposal_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.gates.proposals import suites

    return suites(spec, run, data, params)


def _merged_suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    from clipquarry.families.boxes.gates.merged import suites

    return suites(spec, run, data, params)


_DETECT = "Finds people in the frames."
_PROPOSALS = "Fetches the published person proposals, or writes those of the people who were detected."
_GATE_PROPOSALS = gate_task(
    "proposals",
    "Checks the proposals, and how many key frames have any.",
    _gate("proposals"),
    _proposal_suites,
    phase="people",
)

_VIDEOS = chained(
    *begin_tasks(_video_annotations, _gate("annotations"), _annotation_suites, _plan),
    step("download", "Downloads each video whole, and goes on where it was.", phase="acquire"),
    *record_tasks(_gate("clips"), _video_suites),
    step("excerpt", "Makes the labelled minutes at a constant rate, and their frames, in one decode."),
    step("flow", "Makes optical flow of the frames, beside them."),
    gate_task("frames", "Checks excerpts and frames.", _gate("frames"), _excerpt_suites, outlet="frames"),
    step("detect", _DETECT, phase="people", run=_shards_of_videos),
    Task("proposals", _PROPOSALS, _proposals_of_videos, phase="people", pool=EGRESS, leaves=LEFT_BY_PROPOSALS),
    _GATE_PROPOSALS,
    *end_tasks(_release_videos),
)
_CLIPS = (
    *begin_tasks(_clip_annotations, _gate("annotations"), _annotation_suites, _plan),
    step("fetch", "Fetches, cuts and verifies each clip.", phase="acquire"),
    *record_tasks(_gate("clips"), _window_suites),
    step("frames", "Extracts raw frames."),
    gate_task("frames", "Checks the frames.", _gate("frames"), _frame_suites, outlet="frames"),
    Task("boxes", "Writes the annotations of the clips that are there.", _boxes, leaves=LEFT_BY_BOXES),
    gate_task(
        "boxes", "Checks these annotations against the official ones and the frames.", _gate("boxes"), _box_suites
    ),
)
_KEY_FRAMES = chained(*_CLIPS, *end_tasks(_release_clips))
_WINDOWS = chained(
    *_CLIPS,
    step("detect", _DETECT, phase="people", run=_shards_of_clips),
    Task("proposals", _PROPOSALS, _proposals_of_clips, phase="people", leaves=LEFT_BY_PROPOSALS),
    _GATE_PROPOSALS,
    Task(
        "merge",
        "Joins annotations and proposals with AVA's, and links AVA's frames.",
        _merge,
        phase="combine",
        leaves=LEFT_BY_MERGE,
    ),
    gate_task(
        "merged", "Checks that the join lost and doubled nothing.", _gate("merged"), _merged_suites, phase="combine"
    ),
    *end_tasks(_release_clips),
)

_CROPS = chained(
    *begin_tasks(_crops, _own_gate("annotations"), _crop_suites, _plan_crops),
    step("fetch", "Cuts and verifies each crop.", phase="acquire"),
    *record_tasks(_own_gate("clips"), _window_suites),
    step("frames", "Extracts raw frames."),
    Task(
        "key_frames", "Links frames and key frames under the reference's names.", _key_frames, leaves=LEFT_BY_KEY_FRAMES
    ),
    gate_task("frames", "Checks frames and key frames.", _own_gate("frames"), _own_frame_suites, outlet="frames"),
    step("detect", _DETECT, phase="people", run=_shards_of_crops),
    Task(
        "proposals",
        "Writes the people who were detected as proposals.",
        _proposals_of_crops,
        phase="people",
        leaves=LEFT_BY_PROPOSALS,
    ),
    gate_task(
        "proposals",
        "Checks the proposals, and how many key frames have any.",
        _own_gate("proposals"),
        _own_proposal_suites,
        phase="people",
    ),
    step("track", "Looks at the frames between, and gives each person one id.", phase="people", run=_shards_to_track),
    Task("projects", "Makes what a person labels: on the labelling page, or with VIA 3.", _projects, phase="people"),
    Task(
        "labels",
        "Waits until people have labelled all crops, and reads what they said.",
        _labels,
        phase="combine",
        leaves=LEFT_BY_LABELS,
    ),
    gate_task(
        "labels",
        "Checks the csv of the labels, and the people in it.",
        _own_gate("labels"),
        _own_label_suites,
        phase="combine",
    ),
    *end_tasks(_release_crops),
)


def tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """The tasks of a run, in order."""
    of_items = {"videos": _VIDEOS, "windows": _WINDOWS, "key_frames": _KEY_FRAMES, "crops": _CROPS}
    return of_items[boxes_options(spec).items]
