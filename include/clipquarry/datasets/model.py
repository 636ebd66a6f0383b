"""The typed model of a data set's YAML (``schema: dataset-spec/v1``); every key is documented in ``docs/dataset-yaml.md``.

Every key is read by a run (``tests/datasets/test_datasets_read.py`` holds that); unknown keys are errors. Nothing heavy is imported here,
because DAG files load it at parse time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from clipquarry.datasets.former_keys import in_former_words, with_volume_lists
from clipquarry.datasets.splits import file_name
from clipquarry.datasets.words import DatasetName as DatasetName
from clipquarry.datasets.words import FolderName, GroupName, RelativePath, SplitName, Tag, Variant, below
from clipquarry.ids import YOUTUBE


class Model(BaseModel):
    """Unknown keys are errors, values are never changed after loading, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Access(Model):
    """Who may have the data and what a person must do first."""

    kind: Literal["open", "crawl", "registration", "request-form", "mixed", "closed", "own"]
    page: str | None = None
    licence: str | None = None


HERE, OF_FLOW = ".", "_flow"
"""A folder of the layout that is the data set's folder itself; the end of list formats whose lines have the counts of flow, and of their stems."""


class Item(Model):
    """How samples are named on disk."""

    level: Literal[1, 2] = 1
    medium: Literal["video", "frames", "flow", "audio", "array", "package"] = "video"
    ext: list[str] = ["mp4"]
    id_regex: str | None = None
    ids: Literal["youtube", "own"] | None = None  # whose they are; see datasets/namespace.py
    rgb_pattern: str = "img_{:05d}.jpg"
    rgb_prefix: str = "img_"
    start_index: Literal[0, 1] = 1

    @field_validator("id_regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return value


class Labels(Model):
    """Where class names come from and how they are numbered."""

    source: Literal["file", "folders", "annotation", "none"]
    path: str | None = None
    count: int | None = Field(default=None, ge=1, le=1_000_000)
    order: Literal["given", "codepoint"] = "codepoint"
    unique: bool = True
    """False: two numbers may have one name, as 58 and 70 of FineGYM's 99 have."""
    several: bool = False
    """An item may have several labels, and lies in a folder that is none of them."""
    groups: dict[GroupName, Annotated[int, Field(ge=1)]] = {}
    """Categories of classes with their published sizes, of items with several labels: an index is counted in its category. All
    classes together are numbered in the order of the categories.
    """

    @field_validator("path")
    @classmethod
    def _path(cls, value: str | None) -> str | None:
        if value is not None and not value.endswith(".txt"):
            raise ValueError(f"{value[:80]!r}: name a .txt of one class a line")
        return None if value is None else below(value)


class Archive(Model):
    """How an archive is unpacked. ``rename`` maps member base names to file names; others keep theirs.

    Of an archive that holds whole items: ``into`` is the folder of the items, one above it, or ``.``, the data set's folder; ``strip_top`` are top
    folders that are left out of the paths, ``flatten`` leaves out all folders, ``nested`` are patterns of members that are archives, ``leave_out``
    of names that are not unpacked. ``keep`` leaves a downloaded archive where it is. ``password_env`` names the environment variable with the password.
    ``volumes`` is the number of its parts, ``volume_bytes`` their size: of all but the last, or of each by its name. ``each``: every volume is an
    archive of its own, with whole ``items``, or with ``files`` of items that others go on with.
    """

    into: RelativePath
    rename: dict[str, str] = {}
    strip_top: FolderName | list[FolderName] = ""
    flatten: bool = False
    nested: list[Annotated[str, Field(min_length=1, max_length=100)]] = []
    leave_out: list[Annotated[str, Field(min_length=1, max_length=100)]] = []
    keep: bool = True
    password_env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")
    each: Literal["", "items", "files"] = ""
    volumes: int | None = Field(default=None, ge=1, le=100_000)
    volume_bytes: Annotated[int, Field(ge=1)] | dict[str, Annotated[int, Field(ge=1)]] | None = None


class Missing(Model):
    """Shares of missing items: above ``warn`` a gate warns, above ``error`` it blocks."""

    warn: float = Field(default=0.05, ge=0, le=1)
    error: float = Field(default=0.6, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Missing:
        if self.warn > self.error:
            raise ValueError("warn must not be above error")
        return self


class Rejected(Model):
    """Share of csv rows that cannot be used: above ``error`` the annotation gate blocks."""

    error: float = Field(default=0.01, ge=0, le=1)


class Source(Model):
    """Where bytes come from. Item sources (``provides: items``) are tried in the order of the file.

    ``url``, ``urls`` and ``path`` may hold ``{id}``, ``{clip}``, ``{class}``, ``{split}``, ``{start}``, ``{end}`` and
    ``${NAME}`` (environment; a source whose variable is unset is switched off). ``split_names`` says what the source
    calls our splits, ``class_names`` what another data set calls our classes. A local ``path`` that begins with neither ``/``
    nor ``$`` is below the data root. A source of kind ``dataset`` gets the other data set's folder of clips as ``path`` in a run;
    ``in_splits`` are its splits each of which may hold our item, whatever its split and class here.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Literal["http", "youtube", "manual", "dataset", "local"]
    provides: Literal["annotations", "items"]
    content: Literal["clip", "video", "file"] | None = None
    url: str | None = None
    urls: list[str] = []
    path: str | None = None
    dataset: str | None = None
    into: str | None = None
    files: list[str] = []
    howto: str | None = None
    volume_lists: dict[str, str] = {}
    split_names: dict[str, str] = {}
    class_names: dict[str, str] = {}
    in_splits: list[SplitName] = []
    archive: Archive | None = None
    archive_min_share: float = Field(default=0.02, ge=0, le=1)
    sha256: dict[str, str] | str | None = None
    variants: list[str] = []
    attempts: int = Field(default=3, ge=1, le=20)
    timeout_s: float = Field(default=60, gt=0, le=86400)
    verify_certificate: bool = True

    @model_validator(mode="before")
    @classmethod
    def _former(cls, value: Any) -> Any:
        return with_volume_lists(value)

    @field_validator("into")
    @classmethod
    def _into(cls, value: str | None) -> str | None:
        return None if value is None else below(value)

    @model_validator(mode="after")
    def _complete(self) -> Source:
        needs = {
            "http": ("url", "urls", "volume_lists"),
            "local": ("path",),
            "dataset": ("dataset",),
        }
        wanted = needs.get(self.kind, ())
        if wanted and not any(getattr(self, key) for key in wanted):
            raise ValueError(f"a source of kind {self.kind!r} needs {' or '.join(wanted)}")
        if self.kind == "manual" and not self.howto:
            raise ValueError("a source of kind 'manual' needs a howto: the sentence a person reads")
        if self.provides == "items" and self.kind in ("http", "local", "youtube") and self.content is None:
            raise ValueError(
                "a source that provides items needs content: clip (already cut), video (whole), or file (the item as published)"
            )
        if self.class_names and self.kind != "dataset":
            raise ValueError("class_names are another data set's names of our classes: only for kind 'dataset'")
        if self.in_splits and self.kind != "dataset":
            raise ValueError("in_splits are another data set's splits: only for kind 'dataset'")
        if self.in_splits and (self.split_names or self.class_names):
            raise ValueError("in_splits looks into every class of these splits: leave split_names and class_names out")
        if not self.verify_certificate and self.kind != "http":
            raise ValueError("verify_certificate is about the server of a source of kind 'http'")
        if self.provides == "items" and len(self.all_urls) > 1 and not self.archive:
            raise ValueError("a source of items has one address: write one source per mirror, in the order to try them")
        return self

    @property
    def has_files(self) -> bool:
        """Whether an item of it is a whole file as published."""
        return self.content == "file"

    @property
    def is_below_data(self) -> bool:
        """Whether its path is below the data root, where it may be absent: what runs, or a person, left there."""
        return self.kind == "local" and not (self.path or "").startswith(("/", "$"))

    @property
    def all_urls(self) -> list[str]:
        return ([self.url] if self.url else []) + self.urls


class SplitExpected(Model):
    """Published size of a split. Several counts: several published snapshots."""

    count: int | list[int]
    at_least: bool = False
    provenance: Literal["counted", "documented", "third-party", "memory"] = "documented"
    sha256: str | list[str] | None = None

    @property
    def sums(self) -> list[str]:
        """Known checksums, one for each published copy."""
        return [one.lower() for one in ([self.sha256] if isinstance(self.sha256, str) else self.sha256 or [])]

    @property
    def counts(self) -> list[int]:
        return [self.count] if isinstance(self.count, int) else self.count


class Expected(Model):
    """Published sizes by split, to check against: rows of the annotation files, annotated seconds, source videos."""

    rows: dict[str, SplitExpected] = {}
    key_frames: dict[str, SplitExpected] = {}
    variants: dict[str, Expected] = {}
    videos: dict[str, SplitExpected] = {}


Kept = Literal["videos", "resized", "excerpts", "rawframes", "flow", "rawframes_flow", "audio", "audio_features"]
"""Kinds of files that take disk: folders of the layout; ``flow``: the images of optical flow in ``rawframes``;
``rawframes_flow``: both together.
"""


class DiskSize(Model):
    """Size on disk of one kind of files, before a run can measure it: ``gb`` (10^9 bytes) of ``items`` files or folders.

    Provenance as of :class:`SplitExpected`; ``estimate``: computed, as ``docs/disk.md`` tells.
    """

    gb: float = Field(gt=0, le=1_000_000_000)
    items: int = Field(ge=1)
    provenance: Literal["counted", "documented", "third-party", "memory", "estimate"] = "documented"

    @property
    def bytes_each(self) -> float:
        """Mean bytes of one file or folder."""
        return self.gb * 1e9 / self.items


class Recipe(Model):
    """How pixels are made: the cut of a clip, the resized copy, the frames."""

    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = "superfast"
    crf: int = Field(default=20, ge=0, le=51)
    audio: Literal["copy", "aac", "none"] = "copy"
    fps: int | None = Field(default=None, ge=1, le=240)
    max_seconds: int = Field(default=10, ge=1, le=86400)
    duration_tolerance: float = Field(default=0.5, ge=0, le=3600)
    odd_picture: Literal["encode", "reject"] = "encode"
    short_edge: int = Field(default=256, ge=16, le=4320, multiple_of=2)


class Refresh(Model):
    """When expired links are looked at again: an Airflow schedule (cron or preset), null for by hand only."""

    schedule: str | None = "@weekly"


class Options(Model):
    """Keys of one family; each family has a model of its own."""


class DatasetSpec(Model):
    """One data set. ``options`` are those of its family: see :func:`clipquarry.datasets.families.spec_model`."""

    schema_: Literal["dataset-spec/v1"] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z0-9_]{1,60}$")
    title: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=5000)
    family: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    options: Options = Options()
    task: Tag | None = None
    root: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")
    tags: list[Tag] = []
    owner: str = Field(default="clipquarry", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@ -]{0,99}$")
    access: Access
    variants: list[Variant] = []
    default_variant: str | None = None
    layout: dict[str, str]
    item: Item = Item()
    labels: Labels
    splits: dict[SplitName, Annotated[str, AfterValidator(below)]] = {}
    """Each split (``train``, ``val``, ``test``) and its annotation file, relative to the data set's root."""
    default_splits: list[str] = []
    parents: dict[str, Annotated[str, AfterValidator(below)]] = {}
    """Splits without samples, with the folder of their clips: windows that hold those of samples, such as FineGYM's events."""
    sources: list[Source] = []
    lists: dict[str, str] = {}
    group_lists: dict[str, Annotated[str, AfterValidator(below)]] = {}
    """Formats of lists, and the name of the list of each group of labels (``{group}``) beside them."""
    aliases: dict[str, Annotated[str, AfterValidator(below)]] = {}
    """Formats of lists and second names of theirs, which are links: configs and documents disagree about some. With ``{group}``, of
    the lists of groups; a list that is written under the name itself comes first.
    """
    final_newline: bool = True
    expected: Expected = Expected()
    disk: dict[Kept, DiskSize] = {}
    missing: Missing = Missing()
    rejected: Rejected = Rejected()
    recipe: Recipe = Recipe()
    made_of: list[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}/[a-z]+$")]] = []
    refresh: Refresh = Refresh()

    @field_validator("name")
    @classmethod
    def _own(cls, value: str) -> str:
        if value == YOUTUBE:
            raise ValueError(f"'{value}' says whose the ids of YouTube's videos are: choose another name")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> DatasetSpec:
        ids = [source.id for source in self.sources]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"source id {twice[0]!r} is used twice")
        for path in [*self.layout.values(), *self.lists.values()]:
            below(path)
        if self.default_variant and self.default_variant not in self.variants:
            raise ValueError(f"default_variant {self.default_variant!r} is not one of variants")
        return self

    def content(self) -> dict[str, Any]:
        """The content of the YAML as lock files have always hashed it: without defaults, under the first keys, and without
        sizes on disk, which say nothing about the data.
        """
        return in_former_words(self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"disk"}))

    @property
    def has_files(self) -> bool:
        """Whether an item is a whole file as published, not a window of a video."""
        return any(source.has_files for source in self.item_sources)

    @property
    def has_folders(self) -> bool:
        """Whether an item is a folder of frames as published."""
        return self.item.medium == "frames"

    @property
    def items_in(self) -> str:
        """The key of the layout's folder that holds the items."""
        return "rawframes" if self.has_folders else "videos"

    @property
    def item_sources(self) -> list[Source]:
        """Sources of items, in the order in which they are tried."""
        return [source for source in self.sources if source.provides == "items"]

    @property
    def annotation_sources(self) -> list[Source]:
        return [source for source in self.sources if source.provides == "annotations"]

    def folder(self, what: str, split: str = "") -> str:
        """A folder of the layout, relative to the root: ``folder("videos", "val")`` gives ``videos_val``."""
        if what == "videos" and split in self.parents:
            return self.parents[split]
        return self.layout[what.removesuffix(OF_FLOW)].format(split=split)

    def samples_of(self, splits: Iterable[str]) -> list[str]:
        """Those of some splits that hold samples, in their order."""
        return [split for split in splits if split not in self.parents]

    def unpacks(self, source: Source, split: str) -> bool:
        """Whether an archive of whole items fills the folder of a split's items: some data sets have one for each split."""
        folder = self.folder(self.items_in, split) if self.items_in in self.layout else ""
        return (at := source.archive) is not None and (at.into == HERE or f"{folder}/".startswith(f"{at.into}/"))

    def list_name(self, format_: str, split: str) -> str:
        """File name of a list, relative to the root; that of ``rawframes_flow`` stands beside the one of ``rawframes``."""
        named = file_name(self.lists[format_.removesuffix(OF_FLOW)], split, self.name)
        stem, dot, suffix = named.rpartition(".")
        return f"{stem}{OF_FLOW}{dot}{suffix}" if format_.endswith(OF_FLOW) else named

    def group_list_name(self, format_: str, split: str, group: str) -> str:
        """File name of the list of one group of labels, relative to the root."""
        return file_name(self.group_lists[format_], split, self.name, group)
