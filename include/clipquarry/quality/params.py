"""Parameters of gates: which stages were on, and the thresholds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class GateParams(BaseModel):
    """Thresholds and settings of a run. Shares are 0..1; a share blocks when it is *above* the number, not at it.

    The thresholds of missing clips are not here: they are ``missing`` in the data set's YAML. The texts below the fields are
    their descriptions, which ``make docs`` writes into ``docs/checks.md``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    annotation_counts: Literal["strict", "warn"] = "strict"
    """`warn`: own or partial csv files; published row counts, class counts and gaps in the classes never block."""
    label_map: bool = False
    """The classes were numbered by an explicit label map, so their order is not checked."""
    rejected_error: Share = 0.01
    """Rejected csv rows, as a share of all csv rows, above which the run stops."""
    short_error: Share = 0.2
    """Clips shorter than annotated, of all clips that are there or were lost as too short; a single one never blocks."""
    long_error: Share = 0.05
    """Clips or excerpts longer than annotated, of all that are there; a single one never blocks."""
    low_warn: Share = 0.5
    """Clips whose short side is less than the height that was asked of their source, of all for which one was asked; more warn."""
    black_warn: Share = 0.02
    """Clips that are black from beginning to end, of all that were looked at; more warn, a single one never, and none blocks."""
    one_colour_warn: Share = 0.02
    """The same of clips of one colour."""
    frozen_warn: Share = 0.1
    """The same of clips in which nothing moves."""
    slide_show_warn: Share = 0.1
    """The same of clips that are slide shows."""
    uneven_warn: Share = 0.2
    """The same of clips of a variable rate."""
    silent_warn: Share = 0.5
    """The same of clips without a sound, where any has one."""
    near_copy_warn: Share = 0.01
    """Clips of a split that show the same as one of another video in an earlier split, of those with a fingerprint; more warn."""
    compare_with: tuple[str, ...] = ()
    """Other data sets on this disk whose clips are compared too."""
    same_ids: tuple[str, ...] = ()
    """Those of them whose ids mean the same videos, as YouTube's do: the same id is then no copy."""
    duplicate_error: Share = 0.01
    """Rows of boxes that are there a second time, of all rows of boxes."""
    our_fault_error: Share = 0.05
    """Clips lost to our own tools, of all usable clips."""
    encode: bool | None = None
    """Whether videos were to be made of folders of frames; none: as the run's folder says."""
    made_error: Share = 0.05
    """Clips whose resized copy, excerpt, frames, sound or features could not be made."""
    proposal_coverage_warn: Share = 0.95
    """Annotated key frames with a proposal, of all; fewer warn."""
    proposal_coverage_error: Share = 0.5
    """The same; fewer block."""

    recall_warn: Share = 0.8
    """Labelled persons that a proposal meets at IoU 0.5, of those on key frames with a proposal; fewer warn."""
    recall_error: Share = 0.5
    """The same; fewer block."""
    own_recall_warn: Share = 0.5
    """The same of proposals of a detector that was chosen here, whose threshold costs some."""
    own_recall_error: Share = 0.2
    """The same; fewer block."""
    imbalance_warn: float = Field(default=20.0, ge=1)
    """Labels of the most frequent action of train, divided by those of another; actions above warn."""
    misaligned_error: Share = 0.05
    """Videos whose labels seem to be mirrored, turned or seconds away, of all; a whole split that is blocks too."""

    version: str | None = None
    """Variant of the data set whose published sizes count, such as `v2.1`; unset: the default one."""

    splits: tuple[str, ...] | None = None
    """The chosen splits, which must be there; unset: those that have tables. The tables of the others say only what the data set
    should hold.
    """
    excerpts: bool | None = None
    """Excerpts were made; unset: when a result has one."""
    proposal_score: float | None = Field(default=None, ge=0, lt=1)
    """What proposals of a detector score more than; unset: `options.detection.score` of the YAML."""

    resize: bool | None = None
    """The resize stage was on; unset: when its folder is there."""
    short_edge: int | None = Field(default=None, ge=16)
    """Short side of resized copies, pixels; unset: the recipe's."""
    frames: bool | None = None
    """The frames stage was on; unset: when its folder is there."""
    frame_short_edge: int | None = Field(default=None, ge=16)
    """Short side of frames, pixels; smaller clips may keep their size. Unset, and no `frame_size`: not checked."""
    frame_size: tuple[int, int] | None = None
    """Fixed width and height of frames, pixels."""
    frame_fps: float | None = Field(default=None, gt=0)
    """Frames a second; unset: the clip's own rate."""
    flow: bool | None = None
    """Optical flow was made beside the frames; unset: not checked."""
    flow_still_warn: Share = 0.1
    """Clips whose optical flow has no motion at all, of those with flow; more warn, a single one never."""
    sample_folders: int = Field(default=200, ge=0)
    """Frame folders that are listed name by name, with the sizes of their frames and the headers of some, drawn by the run's name. Of all
    others the first frame, the last and the one after it are looked for.
    """

    audio: bool | None = None
    """The audio stage was on; unset: when its folder is there."""
    audio_features: bool | None = None
    """The audio_features stage was on; unset: when its folder is there."""

    list_thirds: bool = False
    """The counts in lists of frames are a third of the folder's images, as FineGYM's tool of mmaction2 writes them."""

    releases_apart: bool = True
    """Training of each release of a data set is compared with the evaluation of all; false: with that of the same release."""

    lists: tuple[Literal["videos", "rawframes", "rawframes_flow"], ...] | None = None
    """List formats that must be there; unset: videos, rawframes when the frames stage was on, and those that the run wrote."""


def share_of_several(share: float, rows: int) -> float:
    """The share above which a check counts: ``share``, but never for a single one of ``rows``."""
    return max(share, 1 / rows) if rows else share
