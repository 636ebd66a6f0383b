"""Scenes of walking persons with known truth, and what a detector would give of them; used by ``bench_tracking.py`` and the tests of tracking.

A picture of 800x360 at 30 frames a second. Each person is 100 to 190 pixels high; who is higher is nearer and hides the others. Persons walk at 40 to 140 pixels a second to
and fro (each with a speed and a depth of his own, so that they pass one another both against and along their way), stop now and then for 0.4 to 1.5 s, go on or
turn, and turn at the edges; they change speed within about 0.25 s, sway by a few pixels, and their boxes' width changes with the gait. Nobody knows of anybody else: they stop and
turn behind one another too. The truth is the whole box of everybody in every frame, also while he is hidden.

The detector gives no box of a person of whom less than 0.3 is to be seen, misses ``miss`` of the others at random, and is off by ``jitter`` pixels (standard deviation) at each
side; its score falls with what is hidden. It gives no false box, and a half hidden person's box is whole: what real detectors do worse is not in here.

For colours the scene is drawn: upper and lower clothes over a grey background with noise, brightness that flickers from frame to frame; of six persons two always wear the same.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from clipquarry.people.tracking.boxes import ClipBoxes, Floats
from clipquarry.people.tracking.colour import descriptors

FPS, WIDTH, HEIGHT = 30, 800, 360
SEEN = 0.3


@dataclass(frozen=True)
class Scene:
    """``truth`` (frames, persons, 4) in pixels, ``seen`` (frames, persons) the share to be seen, ``given`` the detector's boxes, ``who`` (N,) whose they are."""

    truth: Floats
    seen: Floats
    given: ClipBoxes
    who: np.ndarray


def _walk(chance: np.random.Generator, count: int, left: float, right: float, at: float) -> Floats:
    """x of one person's middle in each frame."""
    pace, way = float(chance.uniform(40, 140)), float(chance.choice([-1, 1]))
    speed, wanted = way * pace, way * pace
    busy = float(chance.uniform(0.5, 3))
    stands = False
    places = np.zeros(count)
    for frame in range(count):
        busy -= 1 / FPS
        if busy <= 0 and stands:
            way *= float(chance.choice([-1, 1]))
            wanted, stands, busy = way * pace, False, float(chance.uniform(1, 4))
        elif busy <= 0:
            kind = chance.random()
            if kind < 0.5:
                wanted, stands, busy = 0.0, True, float(chance.uniform(0.4, 1.5))
            else:
                if kind < 0.75:
                    way = -way
                pace = float(chance.uniform(40, 140))
                wanted, busy = way * pace, float(chance.uniform(1, 4))
        if (at < left and way < 0) or (at > right and way > 0):
            way = -way
            wanted = way * pace
        speed += (wanted - speed) / (0.25 * FPS)
        at += speed / FPS
        places[frame] = at
    return places


def make_scene(
    seed: int, persons: int = 6, seconds: float = 10, miss: float = 0.05, jitter: float = 2.0, colours: bool = True
) -> Scene:
    """The scene of a seed; see the module's text."""
    chance = np.random.default_rng(seed)
    count = round(seconds * FPS)
    high = np.sort(chance.uniform(100, 190, persons))
    wide = high * chance.uniform(0.34, 0.44, persons)
    begin = chance.permutation(np.linspace(80, WIDTH - 80, persons))
    times = np.arange(count) / FPS
    truth = np.zeros((count, persons, 4))
    for person in range(persons):
        x = _walk(chance, count, 60, WIDTH - 60, float(begin[person]))
        gait = 1 + 0.06 * np.sin(2 * np.pi * 1.8 * times + chance.uniform(0, 6))
        feet = 210 + 0.7 * high[person] + 3 * np.sin(2 * np.pi * 0.3 * times + chance.uniform(0, 6))
        half = wide[person] * gait / 2
        truth[:, person] = np.stack([x - half, feet - high[person], x + half, feet], axis=1)
    seen = np.stack([_seen(boxes) for boxes in truth])
    missed = chance.random((count, persons)) < miss
    there = (seen >= SEEN) & ~missed
    frames, who = np.nonzero(there)
    boxes = truth[frames, who] + chance.normal(0, jitter, (len(frames), 4))
    scores = np.clip(0.35 + 0.55 * seen[frames, who] + chance.normal(0, 0.05, len(frames)), 0.05, 0.99)
    drawn = _colours(chance, truth, frames, boxes) if colours else None
    return Scene(truth, seen, ClipBoxes(frames.astype(np.int64), boxes, scores, drawn), who)


def _seen(boxes: Floats) -> Floats:
    """The share of each person that no nearer one covers, on a grid of 4 pixels; the last is the nearest."""
    owner = np.full((HEIGHT // 4 + 20, WIDTH // 4 + 40), -1)
    cells = (boxes // 4).astype(int) + np.array([20, 0, 20, 0])
    for person, (x1, y1, x2, y2) in enumerate(cells):
        owner[y1:y2, x1:x2] = person
    return np.array([(owner == n).sum() / ((c[2] - c[0]) * (c[3] - c[1])) for n, c in enumerate(cells)])


def _colours(chance: np.random.Generator, truth: Floats, frames: np.ndarray, boxes: Floats) -> Floats:
    """Descriptors of the boxes in the drawn scene."""
    persons = truth.shape[1]
    clothes = np.array([_clothes(chance) for _ in range(2 * persons)]).reshape(persons, 2, 3)
    if persons > 2:
        one, other = chance.choice(persons, 2, replace=False)
        clothes[other] = clothes[one]
    back = (chance.normal(110, 12, (HEIGHT, WIDTH, 1)) + np.zeros(3)).astype(np.float32)
    noise = chance.normal(0, 8, (8, HEIGHT, WIDTH, 1)).astype(np.float32)
    found = []
    for frame, places in enumerate(truth):
        picture = back.copy()
        for person, (x1, y1, x2, y2) in enumerate(np.maximum(places, 0).astype(int)):
            waist = y1 + (y2 - y1) * 6 // 10
            trim = (x2 - x1) // 8
            picture[y1:waist, x1 + trim : x2 - trim] = clothes[person, 0]
            picture[waist:y2, x1 + trim : x2 - trim] = clothes[person, 1]
        picture = picture * np.float32(chance.uniform(0.85, 1.15)) + noise[chance.integers(len(noise))]
        found.append(descriptors(np.clip(picture, 0, 255).astype(np.uint8), boxes[frames == frame]))
    return np.concatenate(found)


def _clothes(chance: np.random.Generator) -> tuple[float, ...]:
    """A colour as clothes have: a third are greys, blacks and whites."""
    if chance.random() < 1 / 3:
        return (float(chance.uniform(25, 220)),) * 3
    red, green, blue = colorsys.hsv_to_rgb(chance.random(), chance.uniform(0.35, 0.9), chance.uniform(0.3, 0.9))
    return red * 255, green * 255, blue * 255
