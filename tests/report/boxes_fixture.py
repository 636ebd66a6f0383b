"""Made-up runs of AVA and AVA-Kinetics, as the stages leave them on disk: the tables that the section "Boxes" reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from clipquarry.annotations.box_csv import BOXES, KEY_FRAMES, REJECTED
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.files import write_json
from clipquarry.manifest import RESULT_FIELDS, Row, schema_of, write_rows
from clipquarry.report import write_report
from clipquarry.settings import DataRoot
from clipquarry.steps.fields import MEDIA_FIELDS, PATH_FIELD
from report_fixture import NOW, RUN, World
from test_report_page import Page, html, report

PROPOSALS = pa.schema([
    ("key", pa.string()), ("video_id", pa.string()), ("second", pa.int64()),
    *((name, pa.float64()) for name in ("x1", "y1", "x2", "y2", "score")),
])  # fmt: skip
EXCERPT = schema_of(
    (
        *RESULT_FIELDS, *MEDIA_FIELDS, PATH_FIELD, pa.field("images", pa.int32()), pa.field("image_path", pa.string()),
        pa.field("image_width", pa.int32()), pa.field("image_height", pa.int32()), pa.field("source_duration", pa.float64()),
    ),
    "excerpt",
)  # fmt: skip
FRAMES = schema_of(
    (
        *RESULT_FIELDS, PATH_FIELD, pa.field("frames", pa.int32()), pa.field("width", pa.int32()),
        pa.field("height", pa.int32()), pa.field("fps", pa.float64()), pa.field("source_duration", pa.float64()),
    ),
    "frames",
)  # fmt: skip
A, B = "AAAAAAAAAAA", "BBBBBBBBBBB"
LEFT, RIGHT, ALL, SMALL = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2)
NAMES = {1: "bend/bow (at the waist)", 2: "bow", 12: "stand", 80: "watch (a person)"}


def spec_of(format_: str) -> DatasetSpec:
    return find_spec({"ava_csv": "ava", "ava_kinetics_csv": "ava_kinetics"}.get(format_, format_))


def bare_world(root: Path, format_: str) -> World:
    return World(spec_of(format_), DataRoot(root), RUN, "")


def write_table(path: Path, schema: pa.Schema, rows: Iterable[tuple[Any, ...]]) -> None:
    """A plain parquet file, as the stages write theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(zip(*rows, strict=True)) or [[] for _ in schema]
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, schema, strict=True)]
    pq.write_table(pa.table(arrays, schema=schema), path)


def annotate(
    folder: Path,
    split: str,
    boxes: Iterable[tuple[str, str, tuple[float, float, float, float], int]],
    *,
    without: Iterable[tuple[str, str]] = (),
    excluded: Iterable[tuple[str, str]] | None = None,
    rejected: int = 0,
    where: str = "annotations",
) -> None:
    """Boxes are ``(video, time, box, action)``; key frames ``(video, time)``."""
    rows = ((video, time, int(float(time)), *box, action, 1) for video, time, box, action in boxes)
    write_table(folder / where / f"{split}.boxes.parquet", BOXES, rows)
    if where != "annotations":
        return
    write_table(folder / where / f"{split}.key_frames.parquet", KEY_FRAMES, _frames(without))
    if excluded is not None:
        write_table(folder / where / f"{split}.excluded.parquet", KEY_FRAMES, _frames(excluded))
    odd = [(line, "bad_row", "9 columns", "…") for line in range(rejected)]
    write_table(folder / where / f"{split}.rejected.parquet", REJECTED, odd)


def _frames(rows: Iterable[tuple[str, str]]) -> list[tuple[str, str, int]]:
    return [(video, time, int(float(time))) for video, time in rows]


def name_actions(folder: Path, names: Mapping[int, str] = NAMES, evaluated: Iterable[int] = (1, 12, 80)) -> None:
    content = {"names": {str(number): name for number, name in names.items()}, "evaluated": list(evaluated)}
    write_json(folder / "annotations" / "actions.json", content)


def propose(
    folder: Path,
    split: str,
    rows: Iterable[tuple[str, int, tuple[float, float, float, float], float]],
    *,
    source: str = "FAIR",
    rejected: Mapping[str, str] | None = None,
) -> None:
    """Rows are ``(video, second, box, score)``; a score of -1 is none."""
    kept = [(f"{video},{second:04d}", video, second, *box, score) for video, second, box, score in rows]
    write_table(folder / "proposals" / f"{split}.parquet", PROPOSALS, kept)
    keys = len({row[0] for row in kept})
    about = {"path": f"ava/annotations/{split}.pkl", "keys": keys, "boxes": len(kept), "source": source}
    write_json(folder / "proposals" / f"{split}.json", about)
    write_json(folder / "proposals" / f"{split}.rejected.json", dict(rejected or {}))


def result(split: str, video: str, clip: str, start: int, end: int, **more: Any) -> Row:
    return {
        "item_id": f"{split}/{clip}", "video_id": video, "clip_id": clip, "split": split, "label": None, "class_dir": None,
        "label_index": -1, "start": start, "end": end, "row": 1, "status": "done", "reason": "ok", "evidence": "", "key": "0",
    } | more  # fmt: skip


def excerpt_row(video: str, *, images: int = 27_030, fps: float = 30.0, **more: Any) -> Row:
    facts = {
        "images": images,
        "fps": fps,
        "image_path": f"ava/rawframes/{video}",
        "path": f"ava/videos_15min/{video}.mkv",
    }
    return result("train", video, f"{video}.mkv", 900, 1801, **{**facts, **more})


def write_excerpt(folder: Path, rows: Iterable[Row]) -> None:
    write_rows(folder / "excerpt" / "part-00000.parquet", EXCERPT, rows)


def write_frames(folder: Path, rows: Iterable[Row]) -> None:
    write_rows(folder / "frames" / "part-00000.parquet", FRAMES, rows)


def write_picture(path: Path, width: int = 64, height: int = 48, shade: int = 128) -> None:
    """A JPEG of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), shade, dtype=np.uint8), format="rgb24")
    with av.open(str(path), "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        picture = frame.reformat(format="yuvj420p")
        picture.pts, picture.time_base = 0, Fraction(1)
        out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


def ava(root: Path) -> World:
    """Two videos: five persons on four key frames, one of them excluded, one without a proposal; and an empty key frame."""
    world = bare_world(root, "ava_csv")
    labelled = [
        (A, "0902", LEFT, 1), (A, "0902", LEFT, 12), (A, "0902", RIGHT, 80), (A, "0903", SMALL, 1), (A, "0904", ALL, 1),
        (B, "0902", ALL, 80),
    ]  # fmt: skip
    annotate(world.folder, "train", labelled, without=[(A, "0905")], excluded=[(A, "0904")], rejected=2)
    name_actions(world.folder)
    proposed = [(A, 902, ALL, 0.95), (A, 902, LEFT, 0.6), (A, 903, SMALL, 0.4), (A, 904, ALL, 0.99), (A, 906, ALL, 0.8)]
    propose(world.folder, "train", proposed, rejected={"odd": "the key is not VIDEO,SECOND"})
    write_excerpt(world.folder, [excerpt_row(A), excerpt_row(B)])
    for video in (A, B):
        for second in range(902, 906):
            write_picture(root / f"ava/rawframes/{video}/img_{30 * (second - 900) + 1:05d}.jpg")
    return world


def kinetics(root: Path, *, offset: str | None = None) -> World:
    """Two clips of Kinetics, one box each at a fraction of a second; the other row lies in no clip."""
    world = bare_world(root, "ava_kinetics_csv")
    raw = [(A, "17.070000", LEFT, 1), (B, "4.000000", SMALL, 12), (B, "90.419000", ALL, 12)]
    clips = [(f"{A}_000015_000019", "17.070000", LEFT, 1), (f"{B}_000002_000006", "4.000000", SMALL, 12)]
    annotate(world.folder, "train", raw)
    annotate(world.folder, "train", clips, where="prepared")
    name_actions(world.folder)
    write_json(world.folder / "prepared" / "train.json", {"rows": 2, "dropped": 1, "no_clip": 1})
    # The seconds before and after are keys, too, as the reference's recipe has them.
    propose(world.folder, "train", [(A, 16, LEFT, 0.8), (A, 17, LEFT, 0.75), (B, 4, LEFT, 0.99), (B, 5, LEFT, 0.9)])
    counts = {"kinetics_rows": 2, "ava_rows": 40, "kinetics_keys": 4, "ava_keys": 10, "keys": 14, "links": 3}
    paths = {"csv": "ava_kinetics/annotations/ava_train_v2.2.csv", "proposals": "ava_kinetics/annotations/p.pkl"}
    write_json(world.folder / "merged.json", counts | {"ava_videos": 4, "ava_videos_with_frames": 3} | paths)
    write_frames(
        world.folder,
        [
            result("train", A, f"{A}_000015_000019", 15, 19, path="ava_kinetics/rawframes/" + clips[0][0], frames=120, fps=30.0),
            result("train", B, f"{B}_000002_000006", 2, 6, path="ava_kinetics/rawframes/" + clips[1][0], frames=90, fps=30.0),
        ],
    )  # fmt: skip
    for name, *_ in clips:
        for number in (60, 61):
            write_picture(root / f"ava_kinetics/rawframes/{name}/img_{number:05d}.jpg")
    if offset:
        write_json(world.folder / "run.json", {"params": {"frame_offset": offset}})
    return world


def written(world: World) -> Page:
    write_report(world.spec, world.data, world.run, None, NOW)
    return Page(html(world))


def boxes(world: World) -> dict[str, Any]:
    value: dict[str, Any] = report(world)["boxes"]
    return value


def text_of(page: Page) -> str:
    return " ".join(page.text.split())


def cells(world: World) -> str:
    """The page's text with a blank for every tag."""
    return " ".join(re.sub(r"<[^>]+>", " ", html(world)).split())
