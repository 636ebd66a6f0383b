"""Run parameters of a person's own AVA."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.params import DetectParams
from clipquarry.ids import id_problem
from clipquarry.pipeline.flow_params import FlowParams
from clipquarry.pipeline.params import Named, RunParams, idle

_WHICH = ("crops", "start", "seconds")
_KEYS = ("first_key", "margin")
_LABELS = ("labels", "annotators", "actions", "form", "imbalance")
_TRACK = ("tracker", "track_every", "track_join")
_SPLIT = ("val_share", "val_videos", "seed", "val_is_train")


class CropsParams(DetectParams):
    """Of crops of a person's raw videos."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to prepare": (*_WHICH, *_SPLIT),
        "What to make": ("fps", *_KEYS),
        "People": ("proposals", *_TRACK),
        "Labels": ("labels", "label_days", *_LABELS[1:]),
    }
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        *RunParams.groups, _WHICH, _SPLIT, ("frames", "fps", *_KEYS, *FlowParams.flow_names), (*DetectParams.groups[-1], *_TRACK), _LABELS,
    )  # fmt: skip

    videos: list[str] = Field(
        default=[], description="Only these raw videos (names without suffix). Empty: all of them."
    )
    crops: str = Field(
        default="",
        description="The list of crops: a csv video,start,length,name in seconds, or lines such as '10002.mp4 1340 2165'. "
        "Empty: the data set's own file crops.csv; without it, one crop of each raw video.",
    )
    start: float | None = Field(
        default=None, ge=0, lt=1_000_000,
        description="Without a list: the second at which the crop of every raw video begins. Empty: 0.",
    )  # fmt: skip
    seconds: int = Field(
        default=10, ge=1, le=3600,
        description="Labelled seconds of a crop whose line names none. One second more is cut, so that the last has a frame.",
    )  # fmt: skip
    fps: int = Field(default=30, ge=1, le=240, description="Frames of a second: key second s is frame fps x s + 1.")
    first_key: int = Field(default=0, ge=0, le=3600, description="First second of a crop that is a key frame.")
    margin: int = Field(
        default=2, ge=0, le=60,
        description="Key frames at either end of a crop that are not labelled, because readers need frames around them.",
    )  # fmt: skip
    val_share: float = Field(
        default=0.25, ge=0, lt=1,
        description="Share of the raw videos whose crops are val, drawn with the seed. A video is in one split only.",
    )  # fmt: skip
    val_videos: list[str] = Field(default=[], description="The raw videos whose crops are val, instead of a share.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Of the draw of the videos of val.")

    val_is_train: bool = Field(
        default=False,
        description="As the reference: all crops are train, and the files of val are copies of train's. Results on val then say nothing.",
    )

    proposals: Literal["detect", "none"] = Field(
        default="detect", description="Person proposals on the key frames to label: detect people here, or none."
    )

    tracker: Literal["clip", "none"] = Field(
        default="clip",
        description="What gives each person one id in a whole crop: clip looks at its frames and joins what belongs together, none leaves it out.",
    )
    track_every: int = Field(
        default=3, ge=1, le=60,
        description="Every so many frames of a crop people are looked for, from the first on; boxes between are interpolated. 1 takes longest.",
    )  # fmt: skip
    track_join: Literal["overlap", "exact"] = Field(
        default="overlap",
        description="How labelled boxes get the ids of tracks: those that overlap best (IoU of 0.5 or more, one to one), or exact as the reference: "
        "no side is off by 0.005 of the frame.",
    )

    labels: bool = Field(
        default=False,
        description="Also make a project to label on the labelling page, and one of VIA 3 for each crop, and wait (label_days) until people "
        "have labelled all crops in one of the two ways.",
    )
    label_days: float = Field(
        default=0, ge=0, le=365,
        description="Days to wait until people have labelled all crops, with labels=true. The wait occupies no worker. 0: the run ends, and "
        "says what is not labelled.",
    )  # fmt: skip
    annotators: int = Field(
        default=1, ge=1, le=2,
        description="How many people label each clip. With 2 they work on their own, on the labelling page, and see nothing of each other's "
        "work; the run goes on when both have labelled every clip and their differences are settled there, and says how far they agree. "
        "The number stays once anybody has begun.",
    )  # fmt: skip
    actions: str = Field(
        default="",
        description="The list of actions to label: a .pbtxt, or YAML of groups with their actions and keys. Empty: actions.yaml or "
        "action_list.pbtxt in the data set's folder.",
    )

    form: Literal["own", "reference"] = Field(
        default="own",
        description="Form of the files of labels: reference ends the lines of the csv files with CRLF, as upstream; the names are the same.",
    )

    imbalance: float = Field(
        default=20, ge=1, le=1_000_000,
        description="How many times as many labels as another the most frequent action of train may have; rarer actions warn.",
    )  # fmt: skip

    @property
    def tracks(self) -> bool:
        """Whether people are to be tracked."""
        return self.detects and self.tracker != "none"

    @property
    def looking(self) -> tuple[str, ...]:
        return ("detect", "track") if self.tracks else ("detect",)

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        yield from FlowParams.problems(self, spec)  # raw videos have any names
        for parameter in ("videos", "val_videos"):
            for video in getattr(self, parameter):
                if problem := id_problem(video):
                    yield f"Parameter '{parameter}' of {spec.name}: the video's name {video[:40]!r} {problem}."

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        yield from super().conflicts(chosen)
        if self.crops:
            yield from idle(("start",), chosen, "the list 'crops' names the starts; leave 'crops' out")
        if self.val_videos:
            yield from idle(
                ("val_share", "seed"), chosen, "'val_videos' names the videos of val; leave 'val_videos' out"
            )
        if self.val_is_train:
            yield from idle(_SPLIT[:3], chosen, "val_is_train makes val a copy of train; leave 'val_is_train' out")
            if self.splits and not {"train", "val"} <= set(self.splits):
                yield "Parameter 'val_is_train' copies train to val: choose both splits, or leave 'val_is_train' out."
        if not self.detects:
            yield from idle(_TRACK, chosen, "set proposals=detect")
        elif not self.tracks:
            yield from idle(_TRACK[1:], chosen, "set tracker=clip")
        if not self.labels:
            yield from idle(("form", "val_is_train"), chosen, "set labels=true")
            yield from idle(("actions", "annotators", "imbalance", "track_join"), chosen, "set labels=true")
        elif not self.frames:
            yield "Key frames are labelled, and frames=false makes none: leave one of the two out."
        if not self.frames:
            yield from idle(("fps", *_KEYS), chosen, "set frames=true")

    def in_lock(self) -> dict[str, Any]:
        """The crops and their splits stand in the list that the lock has a checksum of, but for what val_is_train makes of it."""
        told: dict[str, Any] = {}
        if self.frames:
            told |= {"fps": self.fps, "first_key": self.first_key, "margin": self.margin}
        if self.frames and self.flow:
            told |= {"flow_type": self.flow_type, "flow_tool": self.flow_tool}
        if self.tracks:
            told |= {"tracker": self.tracker, "track_every": self.track_every}
        if self.labels:
            told |= {"val_is_train": self.val_is_train, "form": self.form, "annotators": self.annotators}
        if self.tracks and self.labels:
            told["track_join"] = self.track_join
        return {**super().in_lock(), **told}

    def names(self) -> Iterator[Named]:
        yield from super().names()
        if self.crops:
            yield Named("crops", self.crops)
        if self.actions:
            yield Named("actions", self.actions)
