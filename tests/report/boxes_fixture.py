"""Made-up runs of AVA and AVA-Kinetics, as the stages leave them on disk: the tables that the section "Boxes" reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.manifest import Row
from clipquarry.pipeline.reporting import write_report
from clipquarry.settings import DataRoot
from families.boxes.made_boxes import MadeBoxes, box_row, key_row, proposal_row, rect
from families.made_run import FINE, item_row
from report_fixture import NOW, RUN, World
from report_pages import Page, html, report

A, B = "AAAAAAAAAAA", "BBBBBBBBBBB"
LEFT, RIGHT, ALL, SMALL = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2)
NAMES = {1: "bend/bow (at the waist)", 2: "bow", 12: "stand", 80: "watch (a person)"}


def spec_of(name: str) -> DatasetSpec:
    return find_spec(name)


def bare_world(root: Path, name: str) -> World:
    return World(spec_of(name), DataRoot(root), RUN, "")


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
    run = MadeBoxes(folder)
    rows = [box_row(video, time, rect(*box), action) for video, time, box, action in boxes]
    if where != "annotations":
        run.prepared(split, rows)
        return
    run.annotated(split, "boxes", rows)
    run.annotated(split, "key_frames", [key_row(*one) for one in without])
    if excluded is not None:
        run.annotated(split, "excluded", [key_row(*one) for one in excluded])
    odd = [{"line": n, "reason": "bad_row", "evidence": "9 columns", "text": "…"} for n in range(rejected)]
    run.annotated(split, "rejected", odd)


def name_actions(folder: Path, names: Mapping[int, str] = NAMES, evaluated: Iterable[int] = (1, 12, 80)) -> None:
    MadeBoxes(folder).actions({str(number): name for number, name in names.items()}, evaluated)


def propose(
    folder: Path,
    split: str,
    rows: Iterable[tuple[str, int, tuple[float, float, float, float], float]],
    *,
    source: str = "FAIR",
    rejected: Mapping[str, str] | None = None,
) -> None:
    """Rows are ``(video, second, box, score)``; a score of -1 is none."""
    kept = [proposal_row(video, second, rect(*box), score) for video, second, box, score in rows]
    MadeBoxes(folder).proposals(split, kept, path=f"ava/annotations/{split}.pkl", source=source, rejected=rejected)


def result(split: str, video: str, clip: str, start: int, end: int, **more: Any) -> Row:
    return {**item_row(split, video, start, end, clip=clip, line=1), **FINE, "key": "0", **more}


def excerpt_row(video: str, *, images: int = 27_030, fps: float = 30.0, **more: Any) -> Row:
    facts = {
        "images": images,
        "fps": fps,
        "image_path": f"ava/rawframes/{video}",
        "path": f"ava/videos_15min/{video}.mkv",
    }
    return result("train", video, f"{video}.mkv", 900, 1801, **{**facts, **more})


def write_excerpt(folder: Path, rows: Iterable[Row]) -> None:
    MadeBoxes(folder).step("excerpt", list(rows))


def write_frames(folder: Path, rows: Iterable[Row]) -> None:
    MadeBoxes(folder).step("frames", list(rows))


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
    world = bare_world(root, "ava")
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
    world = bare_world(root, "ava_kinetics")
    raw = [(A, "17.070000", LEFT, 1), (B, "4.000000", SMALL, 12), (B, "90.419000", ALL, 12)]
    clips = [(f"{A}_000015_000019", "17.070000", LEFT, 1), (f"{B}_000002_000006", "4.000000", SMALL, 12)]
    annotate(world.folder, "train", raw)
    annotate(world.folder, "train", clips, where="prepared")
    name_actions(world.folder)
    run = MadeBoxes(world.folder)
    run.prepared_facts("train", 2, dropped=1, no_clip=1)
    # The seconds before and after are keys, too, as the reference's recipe has them.
    propose(world.folder, "train", [(A, 16, LEFT, 0.8), (A, 17, LEFT, 0.75), (B, 4, LEFT, 0.99), (B, 5, LEFT, 0.9)])
    counts = {"kinetics_rows": 2, "ava_rows": 40, "kinetics_keys": 4, "ava_keys": 10, "keys": 14, "links": 3}
    paths = {"csv": "ava_kinetics/annotations/ava_train_v2.2.csv", "proposals": "ava_kinetics/annotations/p.pkl"}
    run.merged(counts | {"ava_videos": 4, "ava_videos_with_frames": 3} | paths)
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
        run.facts(params={"frame_offset": offset})
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
