"""Run parameters of labelled clips."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import ClassVar, Literal

from pydantic import Field

from clipquarry.datasets.model import DatasetSpec
from clipquarry.ids import normalise_label
from clipquarry.pipeline.flow_params import FlowParams
from clipquarry.pipeline.params import Named, Only, RunParams, idle


class LabelledParams(FlowParams):
    """Parameters of labelled clips, whatever an item is."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to prepare": ("classes",),
        "Lists": ("list_json", "list_thirds", "shuffle_seed"),
        "Checks": ("compare_with", "label_map"),
    }
    trial: ClassVar[tuple[str, ...]] = (*RunParams.trial, "classes")
    partial: ClassVar[tuple[str, ...]] = (*RunParams.partial, "classes")

    classes: list[str] = Field(default=[], description="Only these classes (label or folder name). Empty: all of them.")
    list_json: bool = Field(default=False, description="Also write the lists as JSON, beside the text files.")
    list_thirds: bool = Field(
        default=False,
        description="Write a third of a folder's images as its frames, as mmaction2's tool for FineGYM does: frames and flow give "
        "one less than the frames.",
    )
    shuffle_seed: int | None = Field(
        default=None,
        ge=0,
        lt=1 << 32,
        description="Shuffle the lists with this seed, as mmaction2's build_file_list.py does. Empty: the annotation's order.",
    )
    compare_with: list[str] = Field(
        default=[],
        description="Other data sets on this disk, such as kinetics400: clips that show the same as theirs are told.",
    )
    label_map: str = Field(default="", description="A label map file (one class per line); default: the train csv.")

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        yield from super().problems(spec)
        if not spec.labels.groups:
            return
        why = f"the labels of {spec.name} are in groups"
        if self.classes:
            yield f"'classes' chooses clips by their class folder, and {why}, several for a clip: leave it out, and take a group's list."
        if self.label_map:
            yield f"label_map numbers classes of one list, and {why}: leave it out."
        if self.list_json:
            yield f"list_json writes JSON beside lists of text, and {why}, whose lists are JSON already: leave it out."

    def names(self) -> Iterator[Named]:
        yield from super().names()
        if self.label_map:
            yield Named("label_map", self.label_map)

    def only(self) -> Iterator[Only]:
        if self.classes:
            wanted = frozenset(map(normalise_label, self.classes))
            yield Only("class_dir", wanted, "class", "write it as in the csv or as its folder")


class FoldersParams(LabelledParams):
    """Parameters of labelled clips that are folders of frames."""

    has_frames: ClassVar[bool] = True
    video_names: ClassVar[tuple[str, ...]] = ("encode", "encode_fps", "encode_codec")
    sections: ClassVar[dict[str, tuple[str, ...]]] = {"What to make": (*video_names, *FlowParams.flow_names)}
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        *RunParams.groups,
        ("label_map",),
        ("compare_with",),
        (*video_names, *FlowParams.flow_names),
        ("list_json", "list_thirds", "shuffle_seed"),
    )

    encode: bool = Field(default=False, description="Also make a video of each folder of frames (mp4).")
    encode_fps: float = Field(default=12, gt=0, le=240, description="Frames that such a video shows a second.")
    encode_codec: Literal["mpeg4", "h264"] = Field(
        default="mpeg4", description="Codec of such a video: mpeg4, as mmaction2's tool writes it, or h264."
    )

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        yield from super().conflicts(chosen)
        if not self.encode:
            yield from idle(("encode_fps", "encode_codec"), chosen, "set encode=true")

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        yield from super().problems(spec)
        if self.encode and "videos" not in spec.layout:
            yield f"encode=true needs a folder 'videos' in the layout of {spec.name}'s YAML, which names none."


class ClipsParams(LabelledParams):
    """Parameters of labelled clips of videos."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {
        "What to make": (
            "keep_videos",
            "resize",
            "frames",
            "audio",
            "audio_features",
            "short_edge",
            "frame_width",
            "frame_height",
            "frame_rate",
            *FlowParams.flow_names,
        ),
    }  # fmt: skip
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (
        *RunParams.groups,
        ("label_map",),
        ("compare_with",),
        (
            "keep_videos", "resize", "frames", "audio", "audio_features", "short_edge", "frame_width", "frame_height", "frame_rate",
            *FlowParams.flow_names,
        ),
        ("list_json", "list_thirds", "shuffle_seed"),
    )  # fmt: skip

    keep_videos: bool = Field(
        default=False,
        description="Also keep the whole source videos that are downloaded, in the layout's folder 'sources'.",
    )
    resize: bool = Field(default=False, description="Also make short-edge copies with dense key frames.")
    frames: bool = Field(default=False, description="Also extract raw frames (JPEG).")
    audio: bool = Field(default=False, description="Also extract the sound of each clip (wav, as it is in the clip).")
    audio_features: bool = Field(
        default=False,
        description="Also compute log-mel features of the sound (80 bands, 62.5 frames a second); needs audio.",
    )
    short_edge: int = Field(
        default=256,
        ge=16,
        le=4320,
        multiple_of=2,
        description="Short edge of resized copies and frames, pixels; even. The data set's recipe says the default.",
    )
    frame_width: int = Field(
        default=0, ge=0, description="Fixed frame width, pixels; with frame_height instead of short_edge."
    )
    frame_height: int = Field(default=0, ge=0, description="Fixed frame height, pixels.")
    frame_rate: float = Field(
        default=0, ge=0, le=240, description="Frames per second of raw frames; 0 keeps every frame."
    )

    def conflicts(self, chosen: Collection[str]) -> Iterator[str]:
        yield from super().conflicts(chosen)
        if bool(self.frame_width) != bool(self.frame_height):
            yield "A fixed frame size needs both frame_width and frame_height."
        if self.audio_features and not self.audio:
            yield "Features are computed from the wav files: set audio=true with audio_features=true."
        if not self.frames:
            yield from idle(("frame_width", "frame_height", "frame_rate"), chosen, "set frames=true")
        if not self.frames and not self.resize:
            yield from idle(("short_edge",), chosen, "set resize=true or frames=true")
        if self.frames and self.frame_width and not self.resize:
            yield from idle(("short_edge",), chosen, "frame_width and frame_height take its place; set resize=true")

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        yield from super().problems(spec)
        if self.keep_videos and "sources" not in spec.layout:
            yield f"keep_videos=true needs a folder 'sources' in the layout of {spec.name}'s YAML, which names none."
        if self.audio and spec.recipe.audio == "none":
            yield f"The clips of {spec.name} are cut without sound (recipe.audio is none), so that audio=true would find none."


class ReleasesParams(ClipsParams):
    """Parameters of several releases in one folder."""

    sections: ClassVar[dict[str, tuple[str, ...]]] = {"Lists": ("training_lists",)}
    groups: ClassVar[tuple[tuple[str, ...], ...]] = (*ClipsParams.groups, ("training_lists",))

    training_lists: Literal["apart", "as_published"] = Field(
        default="apart",
        description="apart: leave videos that any release evaluates on out of the training lists of all. as_published: keep them.",
    )

    @property
    def keeps_apart(self) -> bool:
        """Whether no training list has a video of any evaluation."""
        return self.training_lists == "apart"

    def problems(self, spec: DatasetSpec) -> Iterator[str]:
        yield from super().problems(spec)
        if self.label_map:
            yield f"Each release of {spec.name} numbers classes of its own, so that no label map fits all: leave label_map out."
