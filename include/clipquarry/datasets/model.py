"""The typed model of a data set's YAML (``schema: dataset-spec/v1``); every key is documented in ``docs/dataset-yaml.md``.

The model covers all families: ``crawl`` (clips from the net), ``archive``, ``hand-parts``, ``package`` and ``derived``. Unknown keys are
errors. Nothing heavy is imported here, because DAG files load it at parse time.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Family = Literal["archive", "crawl", "hand-parts", "package", "derived"]
AnnotationFormat = Literal["kinetics_csv", "ava_csv", "ava_kinetics_csv"]
"""Of a data set that has DAGs: which pipeline prepares it."""

BUILTIN_OPS = frozenset(
    {
        "fetch", "crawl", "wait_for_files", "unpack", "merge_parts", "arrange", "trim", "split_fixed", "extract_frames",
        "encode_video", "reencode", "extract_audio", "build_list", "external", "validate", "link",
    }
)  # fmt: skip

_RELATIVE = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$))[^\x00\\]+\Z")


def _relative(path: str) -> str:
    if not _RELATIVE.match(path):
        raise ValueError(f"{path!r} must be a path below the data set's folder: not absolute, no '..'")
    return path


RelativePath = Annotated[str, Field(min_length=1)]
Tag = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f,]+$")]  # Airflow's longest
Variant = Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]  # goes into file names


class Model(BaseModel):
    """Unknown keys are errors, values are never changed after loading, numbers are finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Access(Model):
    """Who may have the data and what a person must do first."""

    kind: Literal["open", "crawl", "registration", "request-form", "mixed", "closed"]
    page: str | None = None
    licence: str | None = None


class Item(Model):
    """How samples are named on disk."""

    level: Literal[1, 2, 3] = 1
    ext: list[str] = ["mp4"]
    id_regex: str | None = None
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
    base: Literal[0, 1] = 0
    unique: bool = True
    groups: dict[str, int] = {}


class Split(Model):
    """A family of parts (train, val, test), possibly repeated over numbered splits (``each``)."""

    name: str = "list"
    each: dict[str, list[int | str]] = {}
    parts: dict[str, str]

    @field_validator("parts")
    @classmethod
    def _safe(cls, value: dict[str, str]) -> dict[str, str]:
        for part, path in value.items():
            if not re.fullmatch(r"[a-z0-9_]{1,40}", part):
                raise ValueError(f"part {part[:60]!r}: use lower-case letters, digits and '_', 40 at most")
            _relative(path)
        return value


class Parts(Model):
    """Numbered volumes placed by hand."""

    pattern: str
    count: int = Field(ge=1, le=100_000)
    unwrap_zip: bool = False


class Nested(Model):
    """Archives inside an archive."""

    glob: str
    format: str


class Archive(Model):
    """How an archive is unpacked. ``rename`` maps member base names to file names; others are left out when it is given."""

    format: Literal["zip", "tar", "tar.gz", "rar", "7z"]
    into: RelativePath
    strip_top: str | bool = False
    flatten: bool = False
    password_env: str | None = None
    nested: Nested | None = None
    rename: dict[str, str] = {}

    @field_validator("into")
    @classmethod
    def _into(cls, value: str) -> str:
        return _relative(value)


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
    calls our splits. A source of kind ``dataset`` gets the other data set's folder of clips as ``path`` in a run.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    kind: Literal["http", "git", "gdrive", "youtube", "manual", "openxlab", "torrent", "dataset", "local"]
    provides: Literal["annotations", "items", "files"] = "files"
    content: Literal["clip", "video"] | None = None
    url: str | None = None
    urls: list[str] = []
    path: str | None = None
    file_id: str | None = None
    ids: str | None = None
    dataset: str | None = None
    into: str | None = None
    files: list[str] = []
    howto: str | None = None
    parts: Parts | None = None
    parts_list: dict[str, str] = {}
    split_names: dict[str, str] = {}
    archive: Archive | None = None
    archive_min_share: float = Field(default=0.02, ge=0, le=1)
    missing: Missing | None = None
    fallback: Literal["manual"] | None = None
    sha256: dict[str, str] | str | None = None
    size: int | None = None
    keep_archives: bool = False
    variants: list[str] = []
    format: str | None = None
    attempts: int = Field(default=3, ge=1, le=20)
    timeout_s: float = Field(default=60, gt=0, le=86400)

    @field_validator("into")
    @classmethod
    def _into(cls, value: str | None) -> str | None:
        return None if value is None else _relative(value)

    @model_validator(mode="after")
    def _complete(self) -> Source:
        needs = {
            "http": ("url", "urls", "parts_list"),
            "local": ("path",),
            "gdrive": ("file_id",),
            "dataset": ("dataset",),
        }
        wanted = needs.get(self.kind, ())
        if wanted and not any(getattr(self, key) for key in wanted):
            raise ValueError(f"a source of kind {self.kind!r} needs {' or '.join(wanted)}")
        if self.kind == "manual" and not self.howto:
            raise ValueError("a source of kind 'manual' needs a howto: the sentence a person reads")
        if self.provides == "items" and self.kind in ("http", "local", "youtube") and self.content is None:
            raise ValueError("a source that provides items needs content: clip (already cut) or video (whole)")
        if self.provides == "items" and len(self.all_urls) > 1:
            raise ValueError("a source of items has one address: write one source per mirror, in the order to try them")
        return self

    @property
    def all_urls(self) -> list[str]:
        return ([self.url] if self.url else []) + self.urls


class Stage(Model):
    """One stage of the graph; families have default graphs, so ``stages`` may be left out."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    op: str
    needs: list[str] = []
    optional: bool = False
    variants: list[str] = []
    params: dict[str, Any] = {}
    outputs: list[str] = []
    shards: int | None = Field(default=None, ge=1, le=1000)
    pool: str | None = None
    retries: int | None = Field(default=None, ge=0, le=100)
    timeout_h: float | None = Field(default=None, gt=0, le=8760)
    poke_min: float | None = Field(default=None, gt=0, le=1440)

    @field_validator("op")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in BUILTIN_OPS and not re.fullmatch(r"plugin:[a-z_]+\.[a-z_]+", value):
            raise ValueError(f"{value!r} is neither a built-in operator nor plugin:module.function")
        return value


class PartExpected(Model):
    """Published size of a part. Several counts: several published snapshots."""

    count: int | list[int]
    at_least: bool = False
    per_split: bool = False
    provenance: Literal["counted", "documented", "third-party", "memory"] = "documented"
    sha256: str | list[str] | None = None

    @property
    def sums(self) -> list[str]:
        """Known checksums, one for each published copy."""
        return [one.lower() for one in ([self.sha256] if isinstance(self.sha256, str) else self.sha256 or [])]

    @property
    def counts(self) -> list[int]:
        return [self.count] if isinstance(self.count, int) else self.count


class VideosExpected(Model):
    count: int
    provenance: str | None = None
    parts: dict[str, PartExpected] = {}


class Expected(Model):
    """Published sizes, to check against."""

    parts: dict[str, PartExpected] = {}
    key_frames: dict[str, PartExpected] = {}
    variants: dict[str, Expected] = {}
    videos: VideosExpected | None = None
    crawled: bool = False
    provenance: str | None = None


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


class Detection(Model):
    """What finds people in the frames of a data set of person boxes. ``score``: detections must score more to become proposals.

    ``proposals``: where those of a run come from unless it says so itself; None: the parameter's own default.
    """

    backend: Literal["hog", "mmdet"] = "hog"
    config: str | None = None
    checkpoint: str | None = None
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    score: float = Field(default=0.7, ge=0, lt=1)
    proposals: Literal["fetch", "detect", "none"] | None = None


class Refresh(Model):
    """When expired links are looked at again: an Airflow schedule (cron or preset), null for by hand only."""

    schedule: str | None = "@weekly"


class DatasetSpec(Model):
    """One data set."""

    schema_: Literal["dataset-spec/v1"] = Field(alias="schema")
    name: str = Field(pattern=r"^[a-z0-9_]{1,60}$")
    title: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=5000)
    family: Family
    task: str
    root: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")
    tags: list[Tag] = []
    owner: str = Field(default="clipquarry", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@ -]{0,99}$")
    access: Access
    variants: list[Variant] = []
    default_variant: str | None = None
    annotation_format: AnnotationFormat | None = None
    layout: dict[str, str]
    item: Item = Item()
    labels: Labels
    splits: list[Split] = []
    default_parts: list[str] = []
    sources: list[Source] = []
    stages: list[Stage] = []
    lists: dict[str, str] = {}
    aliases: dict[str, str] = {}
    expected: Expected = Expected()
    missing: Missing = Missing()
    rejected: Rejected = Rejected()
    checks: list[str] = []
    compat: dict[str, Any] = {}
    recipe: Recipe = Recipe()
    detection: Detection = Detection()
    arrangement: Literal["windows", "flat"] = "windows"
    made_of: list[Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}/[a-z]+$")]] = []
    refresh: Refresh = Refresh()

    @model_validator(mode="after")
    def _consistent(self) -> DatasetSpec:
        for what, ids in (("source", [s.id for s in self.sources]), ("stage", [s.id for s in self.stages])):
            twice = sorted({name for name in ids if ids.count(name) > 1})
            if twice:
                raise ValueError(f"{what} id {twice[0]!r} is used twice")
        stages = {stage.id for stage in self.stages}
        for stage in self.stages:
            for need in stage.needs:
                if need not in stages:
                    raise ValueError(f"stage {stage.id!r} needs {need!r}, which is not a stage")
        for path in [*self.layout.values(), *self.lists.values(), *self.aliases, *self.aliases.values()]:
            _relative(path)
        if self.default_variant and self.default_variant not in self.variants:
            raise ValueError(f"default_variant {self.default_variant!r} is not one of variants")
        for part in self.default_parts:
            if part not in self.parts:
                raise ValueError(f"default_parts names {part!r}, which no split has")
        for family_needs, key in ((("crawl",), "sources"),):
            if self.family in family_needs and not getattr(self, key):
                raise ValueError(f"a data set of family {self.family!r} needs {key}")
        if self.annotation_format == "ava_kinetics_csv" and self.detection.proposals == "fetch":
            raise ValueError(
                "proposals of ava_kinetics_csv are published by nobody: detection.proposals is detect or none"
            )
        return self

    @property
    def parts(self) -> dict[str, str]:
        """Part (``train``, ``val``, ``test``) to its annotation file, relative to the data set's root."""
        return {part: path for split in self.splits for part, path in split.parts.items()}

    @property
    def item_sources(self) -> list[Source]:
        """Sources of items, in the order in which they are tried."""
        return [source for source in self.sources if source.provides == "items"]

    @property
    def annotation_sources(self) -> list[Source]:
        return [source for source in self.sources if source.provides == "annotations"]

    @property
    def is_runnable(self) -> bool:
        """True when this version of Clipquarry has DAGs for the data set's family and annotation format."""
        return self.family == "crawl" and self.annotation_format is not None

    def folder(self, what: str, part: str = "") -> str:
        """A folder of the layout, relative to the root: ``folder("videos", "val")`` gives ``videos_val``."""
        return self.layout[what].format(part=part)

    def list_name(self, format_: str, part: str) -> str:
        """File name of a list, relative to the root."""
        return self.lists[format_].format(part=part, name=self.name)
