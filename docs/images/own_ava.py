"""Takes the pictures of ``docs/your-own-ava.md`` and ``docs/labelling.md``: ``own_ava.py [--into FOLDER]``.

It makes videos of drawn people, runs ``custom_ava`` on them, and works on the labelling page in a Chromium, as a person does. Half a minute;
needs a Chromium, and no Airflow.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
TESTS = HERE.parents[1] / "tests"
sys.path[:0] = [str(HERE), str(TESTS), str(TESTS / "labelling")]  # the page's server without Airflow is the tests'

from browser import FLAGS, chromium_program  # noqa: E402
from clipquarry.errors import UserError  # noqa: E402
from clipquarry.labelling.operations import CLIP, Operation, Write  # noqa: E402
from clipquarry.labelling.project import Project, create  # noqa: E402
from clipquarry.pipeline.make_context import make_context  # noqa: E402
from clipquarry.pipeline.run import run_all  # noqa: E402
from clipquarry.settings import DataRoot, Settings  # noqa: E402
from drawn_people import RATE, write_videos  # noqa: E402
from labelling_browser import ServerHere, serving  # noqa: E402

DATASET, PROJECT, BOTH = "custom_ava", "labels", "two-people"
CROPS = "video,start,length,name\nhall.mp4,0,10,hall_1\nhall.mp4,12,10,hall_2\noffice.mp4,0,10,office_1\ndoor.mp4,0,10,door_1\n"
ACTIONS = """posture: {kind: radio, options: [{name: stand, key: "1"}, {name: walk, key: w}, {name: sit, key: "3"}]}
hands: [{name: wave, key: v}, {name: carry something, key: "5"}]
eyes: [{name: watch somebody, key: e}]
"""
STANDS, WALKS, WAVES, WATCHES = ("labels/1", ("0",)), ("labels/1", ("1",)), ("labels/2", ("0",)), ("labels/3", ("0",))
PARAMS = {
    "fps": RATE,
    "labels": True,
    "detector": "hog",
    "score": 0.5,
    "val_videos": ["door"],
    "shards": 1,
    "track_every": 10,
}
WIDTH = 1200
COLOURS = 256
"""Of a picture's palette, with which it stays below 150 kB."""


def save(page: Page, path: Path, **more: object) -> None:
    """A screenshot with a palette."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, **more)  # type: ignore[arg-type]
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


# --- the run


def begin(data: DataRoot) -> Settings:
    """What a person places, and the run up to where people label."""
    place = data.dataset(DATASET)
    write_videos(place / "videos")
    (place / "crops.csv").write_text(CROPS)
    (place / "actions.yaml").write_text(ACTIONS)
    settings = Settings(data, f"sqlite:///{data.root}/.clipquarry/ledger.sqlite")
    try:
        run_all(make_context(DATASET, "pictures", PARAMS, settings=settings))
    except UserError as error:
        if "crops are not labelled" not in str(error):
            raise
    return settings


def submit(
    project: Project, clip: str, person: str, *writes: Write, seat: str = "shared", base: int | None = None
) -> None:
    """What a person says, as the page sends it. ``base``: the number of the last operation that the person has seen."""
    seen = project.open(clip, seat).seq if base is None else base
    name = uuid.uuid4().hex
    answer = project.submit(clip, seat, person, [Operation(name, name, seen, "label", writes)], seen)
    if answer.refused or not answer.kept:
        raise SystemExit(f"The labelling page refuses what the script says of {clip}: {answer.refused}.")


def sees(clip: str, second: int, middle: float, *, walks: bool, differs: bool) -> list[tuple[str, tuple[str, ...]]]:
    """What is said of a person; ``middle``: pixels from the left. ``differs``: by somebody with another opinion now and then."""
    if walks:
        return [WALKS]
    waves = second > 3 and middle > 400 if clip.startswith("hall") else second < 5 and clip == "door_1"
    if waves:
        return [STANDS] if differs and second > 6 else [STANDS, WAVES]
    return [STANDS] if differs and second == 4 else [STANDS, WATCHES]


def label(
    project: Project, clip: str, person: str, seat: str = "shared", *, until: int = 99, differs: bool = False
) -> None:
    """Label the seconds before ``until``, and say that the clip is done if these are all."""
    state, frames = project.open(clip, seat), {one.name: one.second for one in project.material(clip).clip.frames}
    people: dict[int, list[tuple[int, str, float]]] = {}
    for region in state.alive():
        left, _, width, _ = state.value(region, "box")
        seen = frames[state.value(region, "frame")], region, left + width / 2
        people.setdefault(state.value(region, "track"), []).append(seen)
    for found in people.values():
        places = [middle for _, _, middle in found]
        walks = max(places) - min(places) > 40
        for second, region, middle in (one for one in found if one[0] < until):
            said = sees(clip, second, middle, walks=walks, differs=differs)
            submit(project, clip, person, *(Write(region, *one) for one in said), seat=seat)
    if until > max(frames.values()):
        submit(project, clip, person, Write(CLIP, "done", True), seat=seat)


# --- the pages


@contextmanager
def signed_in(browser: Browser, url: str, person: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": WIDTH, "height": 760}, color_scheme="light")
    context.add_cookies([{"name": "person", "value": person, "url": url}])
    yield context.new_page()
    context.close()


def open_clip(page: Page, url: str, clip: str, project: str = PROJECT, seat: str = "shared") -> None:
    page.goto("about:blank")
    page.goto(f"{url}/p/{DATASET}/{project}/#{clip}/{seat}")
    page.locator("#stage[data-shown]").wait_for(timeout=60_000)


def save_overview(page: Page, path: Path) -> None:
    """The page down to where the overview ends."""
    whole = page.locator("#overview").bounding_box()
    assert whole
    save(page, path, full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": whole["y"] + whole["height"]})


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
        page.evaluate("labelling.queue")
    page.locator("#saved[data-waiting='0'].kept").wait_for(timeout=30_000)
    page.wait_for_load_state("networkidle")  # the film's images
    page.evaluate("document.querySelector('#message').hidden = true")


def take_clips(page: Page, url: str, into: Path, project: Project) -> None:
    """Overview, a clip, the help and a conflict."""
    label(project, "hall_1", "anna")
    label(project, "hall_2", "ben", until=5)
    open_clip(page, url, "office_1")
    press(page, "w", "ArrowDown", "1", "e", "Shift+ArrowRight", "Shift+ArrowRight")
    page.goto(f"{url}/p/{DATASET}/{PROJECT}/")
    page.get_by_role("heading", name="Annotators").wait_for()
    save_overview(page, into / "labelling-clips.png")

    open_clip(page, url, "hall_2")
    press(page, "ArrowRight", "ArrowRight", "ArrowDown")
    save(page, into / "labelling-clip.png")
    page.keyboard.press("?")
    page.locator("#help").wait_for()
    save(page, into / "labelling-keys.png")
    page.keyboard.press("Escape")

    region, seen = page.evaluate("labelling.chosen"), project.open("hall_2", "shared").seq
    submit(project, "hall_2", "anna", Write(region, *STANDS), base=seen)
    submit(project, "hall_2", "carla", Write(region, *WALKS), base=seen)
    open_clip(page, url, "hall_2")
    press(page, "x")
    page.locator("#conflicts").scroll_into_view_if_needed()
    save(page, into / "labelling-conflict.png")
    submit(project, "hall_2", "anna", Write(region, *WALKS, True))


def take_agreement(page: Page, url: str, into: Path, data: DataRoot, project: Project) -> None:
    """The overview of a project in which two people label each clip on their own."""
    materials = [project.material(clip) for clip in project.clips]
    plan = replace(project.plan, annotators=2, title="Your own AVA: two people")
    both = create(data.labelling(DATASET, BOTH), plan, materials)
    for clip in both.clips[:2]:
        for person in ("anna", "ben"):
            _, seat = both.take(person, clip) or (clip, "")
            label(both, clip, person, seat, differs=person == "ben")
    page.goto(f"{url}/p/{DATASET}/{BOTH}/")
    page.get_by_role("heading", name="Agreement").wait_for()
    save_overview(page, into / "labelling-agreement.png")


def take_report(page: Page, into: Path, report: Path) -> None:
    """The section of the labels, and its key frames with their people."""
    page.goto(report.as_uri())
    section = page.locator("section[aria-labelledby=boxes]")
    for name, first, last in (
        ("report-labels", section.get_by_role("heading", name="Labels per action"), section.locator(".cols")),
        (
            "report-people",
            section.get_by_role("heading", name="Key frames with their boxes"),
            section.locator(".drawings > li").nth(5),
        ),
    ):
        begin, end, whole = first.bounding_box(), last.bounding_box(), section.bounding_box()
        assert begin and end and whole
        place = {
            "x": whole["x"],
            "y": begin["y"] - 12,
            "width": whole["width"],
            "height": end["y"] + end["height"] - begin["y"] + 24,
        }
        save(page, into / f"{name}.png", full_page=True, clip=place)


def take_all(into: Path, home: Path) -> None:
    """Make the data in ``home``, and the pictures in ``into``."""
    data = DataRoot(home / "data")
    settings = begin(data)
    project = Project(data.labelling(DATASET, PROJECT))
    with serving(data.root, ServerHere) as server, sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium_program(), args=FLAGS)
        with signed_in(browser, server.url(), "anna") as page:
            take_clips(page, server.url(), into, project)
            take_agreement(page, server.url(), into, data, project)
            for clip in project.clips[1:]:
                label(project, clip, "ben" if clip == "hall_2" else "anna")
            run_all(make_context(DATASET, "pictures", PARAMS, settings=settings))
            take_report(page, into, data.run(DATASET, "pictures") / "report/index.html")
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=HERE, help="folder of the pictures; this one")
    into = parser.parse_args().into.absolute()
    home = Path(tempfile.mkdtemp(prefix="clipquarry-pictures-"))
    try:
        made = home / "made"
        take_all(made, home)
        for picture in sorted(made.iterdir()):
            shutil.move(picture, into / picture.name)
            print(f"{into / picture.name}  {(into / picture.name).stat().st_size // 1000} kB")
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
