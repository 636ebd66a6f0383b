"""A labelling project of three people in seven seconds, with images, and operations as a browser makes them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from clipquarry.labelling.documents import Material, Plan
from clipquarry.labelling.model import Attribute, Clip, Frame, Option, Region
from clipquarry.labelling.operations import Operation, parsed

ATTRIBUTES = (
    Attribute("1", "head", (Option("0", "talk"), Option("1", "bow"))),
    Attribute("2", "body", (Option("0", "stand"), Option("1", "sit"), Option("2", "walk")), several=False),
    Attribute("3", "limbs", (Option("0", "hand up"), Option("1", "catch"))),
)
WIDTH, HEIGHT = 320, 240
_numbers = itertools.count(1)


def clip_of(name: str = "1", seconds: int = 7, people: int = 3) -> Clip:
    frames = tuple(Frame(f"{name}_{at * 30 + 1:06d}.jpg", at, WIDTH, HEIGHT) for at in range(2, 2 + seconds))
    regions = tuple(
        Region(f"image{at + 1}_{who + 1}", frame.name, (20.0 + 95 * who + 4 * at, 40.0, 70.0, 150.0), who + 1)
        for at, frame in enumerate(frames)
        for who in range(people)
    )
    return Clip(name, frames, regions)


def material(name: str = "1", **more: int) -> Material:
    clip = clip_of(name, **more)
    strips = {
        frame.name: tuple(f"frames/{name}/{name}_{frame.second * 30 + step:06d}.jpg" for step in range(-10, 16, 5))
        for frame in clip.frames
    }
    return Material(clip, f"choose_frames_middle/{name}", strips)


def plan(annotators: int = 1, title: str = "Our own actions") -> Plan:
    return Plan(title, ATTRIBUTES, annotators)


def operation(
    *writes: list[Any], client: str = "window-a", base: int = 0, op: str = "", what: str = "label"
) -> Operation:
    name = op or f"op-{next(_numbers):08d}"
    return parsed({"op": name, "client": client, "base": base, "what": what, "writes": list(writes)})


def write_images(root: Path, *materials: Material) -> None:
    """A picture for every image that a project names, with the second on it."""
    from PIL import Image, ImageDraw

    for one in materials:
        for frame in one.clip.frames:
            strip = [root / path for path in one.strips.get(frame.name, ())]
            for step, path in enumerate([root / one.images / frame.name, *strip]):
                path.parent.mkdir(parents=True, exist_ok=True)
                picture = Image.new("RGB", (frame.width, frame.height), (150, 160, 165))
                draw = ImageDraw.Draw(picture)
                draw.rectangle((0, 190, frame.width, frame.height), fill=(110, 105, 95))
                for region in (r for r in one.clip.regions if r.frame == frame.name):
                    x, y, w, h = region.box
                    x += 3 * (step - len(strip) / 2) if step else 0
                    draw.ellipse((x + w / 2 - 18, y + 5, x + w / 2 + 18, y + 41), fill=(205, 165, 140))
                    draw.rectangle(
                        (x + 12, y + 42, x + w - 12, y + h - 8), fill=(60, 70 + 40 * ((region.track or 0) % 4), 110)
                    )
                draw.text((6, 6), f"{one.clip.id}  {frame.second} s  {step}", fill=(20, 20, 20))
                picture.save(path, quality=80)
