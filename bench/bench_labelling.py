"""The labelling page under a scripted annotator in Chromium: keystrokes, time to the next second, kills.

    python bench/bench_labelling.py [--quick] [--only keys|kills] [--kills 200] [--seconds 7] [--people 3] [--change 0.1]

``keys``: a reference clip (1280x720 frames) whose people do one to three actions, each changed from one second to the next with the
given probability. The script presses what a person would: actions for the first second, then *next second with the labels copied*
and the changes. Every key press counts, a key with Shift once. What the server has at the end must be the truth. The time of a
frame runs from the key press to the second animation frame after the picture and its boxes were drawn.

``kills``: two annotators label one clip in two windows while the server or the browser is killed with SIGKILL, one in each round.
Lost is an operation whose effect a person saw and no journal has. Overwritten is a value that went without being seen by the window
that replaced it. The rows of markdown at the end go into ``BENCHMARKS.md``.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from clipquarry.labelling.documents import Material
from clipquarry.labelling.model import Clip, Frame, Region
from clipquarry.labelling.project import Project, create
from PIL import Image
from playwright.sync_api import Page, Playwright, sync_playwright

sys.path += [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests/labelling")]

from browser import FLAGS, chromium_program
from labelling_browser import label_while_killing, open_clip, serving
from labelling_server import DATASET, PROJECT, make_world
from labelling_world import ATTRIBUTES, plan

WIDTH, HEIGHT = 1280, 720
Truth = dict[str, dict[str, tuple[str, ...]]]


def reference(data: Path, seconds: int, people: int) -> Material:
    """A clip of photographs' size and weight."""
    frames = tuple(Frame(f"1_{at * 30 + 1:06d}.jpg", at, WIDTH, HEIGHT) for at in range(2, 2 + seconds))
    regions = tuple(
        Region(
            f"image{at + 1}_{who + 1}", frame.name, (40.0 + 1200 / people * who, 120.0, 1000 / people, 500.0), who + 1
        )
        for at, frame in enumerate(frames)
        for who in range(people)
    )
    folder = data / "choose_frames_middle/1"
    folder.mkdir(parents=True)
    rng = random.Random(3)
    for frame in frames:
        coarse = Image.frombytes("RGB", (64, 36), rng.randbytes(64 * 36 * 3))
        coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(folder / frame.name, quality=90)
    return Material(Clip("1", frames, regions), "choose_frames_middle/1")


def truth_of(clip: Clip, people: int, change: float, rng: random.Random) -> Truth:
    """What everybody does: a posture always, the head and the limbs sometimes."""

    def drawn(attribute: str) -> tuple[str, ...]:
        found = next(one for one in ATTRIBUTES if one.id == attribute)
        ids = [one.id for one in found.options]
        return (rng.choice(ids),) if not found.several or rng.random() < 0.4 else ()

    truth: Truth = {}
    for at, region in enumerate(clip.regions):
        before = truth.get(clip.regions[at - people].id) if at >= people else None
        now = dict(before) if before else {one.id: drawn(one.id) for one in ATTRIBUTES}
        if before and rng.random() < change:
            changed = rng.choice([one.id for one in ATTRIBUTES])
            now[changed] = drawn(changed)
        truth[region.id] = now
    return truth


class Annotator:
    """Presses keys, and knows what the page shows after them."""

    def __init__(self, page: Page, clip: Clip, people: int, truth: Truth) -> None:
        self.page, self.clip, self.people, self.truth = page, clip, people, truth
        self.keys, self.chosen = 0, 0
        self.frame_ms: list[float] = []
        self.shown: dict[str, dict[str, tuple[str, ...]]] = {}
        order = [(attribute.id, option.id) for attribute in ATTRIBUTES for option in attribute.options]
        self.key_of = {action: "1234567890"[at] for at, action in enumerate(order)}

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.keys += 1

    def turn(self, key: str) -> None:
        """To another second, with the time until it is shown."""
        self.page.evaluate(_WATCH)
        self.press(key)
        self.frame_ms.append(self.page.evaluate("window.measured"))

    def second(self, at: int) -> None:
        people = self.clip.regions[at * self.people : (at + 1) * self.people]
        if at:
            self.turn("Shift+ArrowRight")
            for region, before in zip(people, self.clip.regions[(at - 1) * self.people :], strict=False):
                self.shown[region.id] = dict(self.shown[before.id])
        for who, region in enumerate(people):
            now = self.shown.setdefault(region.id, {one.id: () for one in ATTRIBUTES})
            wanted = [key for action, key in self.key_of.items() if self._differs(region.id, action)]
            if not wanted:
                continue
            steps = (who - self.chosen) % self.people
            for _ in range(min(steps, self.people - steps)):
                self.press("ArrowDown" if steps <= self.people - steps else "ArrowUp")
            self.chosen = who
            for key in wanted:
                self.press(key)
            now |= self.truth[region.id]

    def _differs(self, region: str, action: tuple[str, str]) -> bool:
        """Whether the action's key is needed: of a group with one choice only the new one's, or the old one's to take it off."""
        attribute, option = action
        have, want = option in self.shown[region][attribute], option in self.truth[region][attribute]
        one_choice = not next(one for one in ATTRIBUTES if one.id == attribute).several
        return have != want and not (one_choice and have and self.truth[region][attribute])


_WATCH = """() => {
  const stage = document.getElementById("stage");
  const before = stage.dataset.shown; // news of others draw the same second anew
  window.measured = new Promise((resolve) => {
    let begun = 0;
    document.addEventListener("keydown", () => { begun = performance.now(); }, { capture: true, once: true });
    new MutationObserver((_, watch) => {
      if (!begun || stage.dataset.shown === before) return;
      watch.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - begun)));
    }).observe(stage, { attributeFilter: ["data-shown"] });
  });
}"""


def measure_keys(player: Playwright, data: Path, given: argparse.Namespace) -> list[str]:
    material = reference(data, given.seconds, given.people)
    project = create(data / ".clipquarry/labelling" / DATASET / PROJECT, plan(), [material])
    truth = truth_of(material.clip, given.people, given.change, random.Random(7))
    with serving(data) as server:
        browser = player.chromium.launch(executable_path=chromium_program(), args=FLAGS)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.add_cookies([{"name": "person", "value": "anna", "url": server.url()}])
        page = context.new_page()
        open_clip(page, server.url())
        page.wait_for_timeout(1500)  # a person looks at the first second for longer
        annotator = Annotator(page, material.clip, given.people, truth)
        begun = time.monotonic()
        for at in range(given.seconds):
            annotator.second(at)
        took = time.monotonic() - begun
        for key in ("ArrowLeft", "ArrowRight") * 15:
            annotator.turn(key)
            annotator.keys -= 1  # only for the clock
        page.locator("#saved[data-waiting='0'].kept").wait_for(timeout=60_000)
        browser.close()
    state = project.open("1", "shared")
    wrong = [
        region for region, labels in truth.items()
        if state.labels(region) != {one: chosen for one, chosen in labels.items() if chosen}
    ]  # fmt: skip
    if wrong:
        raise SystemExit(f"What the server has is not what was labelled: {wrong[:5]}")
    seconds = len(material.clip.regions)
    labels = sum(len(chosen) for one in truth.values() for chosen in one.values())
    each, longest, middle = annotator.keys / seconds, max(annotator.frame_ms), statistics.median(annotator.frame_ms)
    print(f"{annotator.keys} keys for {seconds} person-seconds with {labels} labels: {each:.2f} each, in {took:.1f} s")
    print(
        f"{len(annotator.frame_ms)} times another second: median {middle:.0f} ms, longest {longest:.0f} ms: {[round(one) for one in annotator.frame_ms]}"
    )
    command = "`python bench/bench_labelling.py --only keys`"
    change = f"{given.people} people in {given.seconds} seconds, {labels} labels, {given.change:.0%} of people change something from one second to the next"
    return [
        f"| labelling, a scripted annotator in Chromium: {change} | {each:.2f} keystrokes a person-second | – | – | 1.2 | {command} |",
        f"| the same: from the key to the next second on the screen, frames of {WIDTH}x{HEIGHT} | median {middle:.0f} ms, longest {longest:.0f} ms of {len(annotator.frame_ms)} | – | – | 100 ms | {command} |",
    ]


def measure_kills(player: Playwright, data: Path, given: argparse.Namespace) -> list[str]:
    make_world(data, clips=1)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="labelling-profile-") as profile:
        found = label_while_killing(player, data, Path(profile), given.kills, seed=given.seed)
    project = Project(data / ".clipquarry/labelling" / DATASET / PROJECT)
    conflicts = project.progress("1", "shared").conflicts
    told: dict[str, Any] = {
        "shown": len(found.shown),
        "lost": len(found.lost),
        "overwritten": len(found.overwritten),
        "conflicts kept": conflicts,
    }
    print(
        f"{found.server} kills of the server, {found.browser} of the browser in {time.monotonic() - begun:.0f} s: {told}"
    )
    return [
        f"| labelling, two annotators at once, {found.server} kills of the server and {found.browser} of the browser (SIGKILL) | of {len(found.shown)} operations "
        f"{len(found.lost)} lost, {len(found.overwritten)} overwritten; {conflicts} conflicts are kept for a person | – | – | 0, 0 | "
        f"`python bench/bench_labelling.py --only kills --kills {given.kills}` |"
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["keys", "kills"])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=7)
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--change", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="three seconds, two kills")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.kills = 3, 2
    if chromium_program() is None:
        raise SystemExit("This measurement needs a Chromium: apt-get install chromium")
    rows: list[str] = []
    with sync_playwright() as player:
        for name, measure in (("keys", measure_keys), ("kills", measure_kills)):
            if given.only in (None, name):
                with tempfile.TemporaryDirectory(prefix="labelling-") as data:
                    rows += measure(player, Path(data), given)
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
