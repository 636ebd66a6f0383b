"""What a person may choose for one run: the trigger form of the DAG and the options of ``clipyard run``."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clipyard.datasets.model import DatasetSpec
from clipyard.errors import UserError

MAX_SHARDS = 1000
"""Airflow maps a task at most 1,024 times; shards are mapped, never items."""


class RunParams(BaseModel):
    """Parameters of a run. Every description is shown in Airflow's trigger form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    splits: list[str] = Field(default=[], description="Splits to prepare. Empty: the data set's default splits.")
    classes: list[str] = Field(default=[], description="Only these classes (label or folder name). Empty: all of them.")
    limit: int | None = Field(
        default=None, ge=1, description="At most this many clips of each split, in the order of the csv. Empty: all."
    )
    sources: list[str] = Field(
        default=[], description="Sources in the order to try. Empty: the order of the data set's YAML."
    )
    local_folder: str = Field(default="", description="A folder with clips or whole videos that you already have.")
    mirror_url: str = Field(
        default="",
        description="A mirror as http(s) URL template with {split}, {class}, {clip} or {id}; http://host/{clip}.mp4",
    )
    resize: bool = Field(default=False, description="Also make short-edge copies with dense key frames.")
    frames: bool = Field(default=False, description="Also extract raw frames (JPEG).")
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
    shards: int | None = Field(
        default=None, ge=1, le=MAX_SHARDS, description="Into how many tasks the work is cut. Empty: by size."
    )
    jobs: int = Field(default=2, ge=1, le=64, description="Parallel downloads or encodes inside one task.")
    dry_run: bool = Field(default=False, description="Only plan: say what would be fetched and why, and stop.")
    retry_all: bool = Field(default=False, description="Ask again for everything missing, also what is not due yet.")
    as_of: datetime | None = Field(
        default=None, description="Pretend that it is this time (with time zone) when deciding what is due."
    )
    label_map: str = Field(default="", description="A label map file (one class per line); default: the train csv.")
    annotation_counts: Literal["strict", "warn"] = Field(
        default="strict", description="Row counts other than the published ones: stop (strict) or only warn."
    )


def default_params(spec: DatasetSpec) -> dict[str, Any]:
    """What the data set's YAML says instead of this model's own defaults."""
    return {"short_edge": spec.recipe.short_edge}


def parse_run_params(value: dict[str, Any], spec: DatasetSpec) -> RunParams:
    """Validate a run's parameters against the model and the data set; one sentence when something is wrong."""
    try:
        given = {name: one for name, one in value.items() if one is not None}  # the form's word for an empty field
        params = RunParams.model_validate(default_params(spec) | given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "(top)"
        raise UserError(f"Parameter '{key}' of {spec.name}: {first['msg']}.") from error
    for split in params.splits:
        if split not in spec.parts:
            raise UserError(f"{spec.name} has no split '{split}'; it has {', '.join(spec.parts)}.")
    known = [source.id for source in spec.item_sources]
    for source in params.sources:
        if source not in known:
            raise UserError(f"{spec.name} has no source '{source}'; it has {', '.join(known)}.")
    if bool(params.frame_width) != bool(params.frame_height):
        raise UserError("A fixed frame size needs both frame_width and frame_height.")
    if params.as_of is not None and params.as_of.tzinfo is None:
        raise UserError("as_of needs a time zone: write 2026-11-21T00:00:00+00:00.")
    return params
