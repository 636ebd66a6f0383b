"""The labelling page in a real browser: keys, boxes, conflicts, no network, kills; and its rule of merging is the library's."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium_program
from clipquarry.labelling.documents import Material, Plan
from clipquarry.labelling.model import Attribute, Clip, Option
from clipquarry.labelling.operations import parsed
from clipquarry.labelling.project import Project, create
from clipquarry.labelling.renewal import renew
from clipquarry.labelling.state import State
from labelling_browser import Server, ServerHere, label_while_killing, open_clip, serving
from labelling_server import DATASET, PLACE, PROJECT, make_world
from labelling_world import clip_of, material, operation, write_images
from playwright.sync_api import Browser, Page, sync_playwright
from test_labelling_state import random_operations


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    make_world(tmp_path)
    with serving(tmp_path, ServerHere) as running:
        yield running


def page_of(browser: Browser, server: Server, person: str = "anna") -> Page:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_cookies([{"name": "person", "value": person, "url": server.url()}])
    page = context.new_page()
    page.said = []  # type: ignore[attr-defined]
    page.on("console", lambda message: page.said.append(message.text))  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.said.append(str(error)))  # type: ignore[attr-defined]
    return page


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
    page.evaluate("labelling.queue")


def kept(page: Page) -> None:
    page.locator("#saved[data-waiting='0'].kept").wait_for(timeout=30_000)


def state_of(data: Path, seat: str = "shared") -> State:
    return Project(data / ".clipquarry/labelling" / DATASET / PROJECT).open("1", seat)


def test_the_pages_rule_of_merging_is_the_librarys(chromium: Browser, server: Server) -> None:
    page = page_of(chromium, server)
    page.goto(f"{server.url()}/")
    begun = State.of(clip_of()).plain()
    worlds = [random_operations(random.Random(seed), 80) for seed in range(25)]
    program = """async ([begun, worlds]) => {
      const { apply, conflicts } = await import("/static/state.js");
      return worlds.map((operations) => {
        const state = structuredClone(begun);
        for (const op of operations) apply(state, op);
        return [state, conflicts(state).length];
      });
    }"""
    for operations, (state, conflicts) in zip(worlds, page.evaluate(program, [begun, worlds]), strict=True):
        ours = State.of(clip_of())
        for told in operations:
            ours.apply(parsed(told))
        assert json.loads(json.dumps(ours.plain())) == state
        assert len(ours.conflicts()) == conflicts


def test_a_clip_is_labelled_with_keys_alone(chromium: Browser, server: Server, tmp_path: Path) -> None:
    page = page_of(chromium, server)
    page.goto(f"{server.url()}{PLACE}/")
    page.locator("#take").click()
    page.locator("#stage[data-shown]").wait_for()
    press(page, "1", "6", "ArrowDown", "3", "4", "ArrowDown", "Shift+Digit5")  # of body only the last choice stays
    press(page, "Shift+ArrowRight", "c", "2", "z", "z", "Shift+Z")
    assert page.locator("#second").inner_text() == "Second 3"
    assert "hand up" in page.locator("#people").inner_text()
    kept(page)
    state = state_of(tmp_path)
    assert state.labels("image1_1") == {"1": ("0",), "3": ("0",)} == state.labels("image2_1")
    assert state.labels("image1_2") == {"2": ("1",)} == state.labels("image2_2")
    assert state.labels("image7_3") == {"2": ("2",)} and state.labels("image3_2") == {}
    press(page, "n")
    assert "not done" in page.locator("#message").inner_text()
    press(page, "ArrowDown", "r", "ArrowDown", "r", "f")
    kept(page)
    state = state_of(tmp_path)
    assert state.done and all(state.labels(one) for one in state.alive())
    press(page, "n")
    page.wait_for_url("**#2/shared")
    assert page.said == []  # type: ignore[attr-defined]


def test_boxes_and_tracks_are_changed_with_mouse_and_keys(chromium: Browser, server: Server, tmp_path: Path) -> None:
    page = page_of(chromium, server)
    open_clip(page, server.url())
    canvas = page.locator("#stage canvas").first.bounding_box()
    assert canvas
    scale = canvas["width"] / 320

    def at(x: float, y: float) -> tuple[float, float]:
        return canvas["x"] + x * scale, canvas["y"] + y * scale

    def drag(begin: tuple[float, float], end: tuple[float, float]) -> None:
        page.mouse.move(*at(*begin))
        page.mouse.down()
        page.mouse.move(*at(*end), steps=4)
        page.mouse.up()
        page.evaluate("labelling.queue")

    press(page, "a")
    drag((100, 5), (180, 35))
    kept(page)
    new = next(one for one in state_of(tmp_path).alive() if one.startswith("n-"))
    assert state_of(tmp_path).value(new, "box") == pytest.approx((100, 5, 80, 30), abs=1)
    assert state_of(tmp_path).value(new, "track") == 4
    drag((180, 35), (200, 55))  # its corner
    drag((150, 30), (160, 36))  # its inside
    press(page, "Alt+ArrowRight", "Alt+Shift+ArrowDown", "Control+ArrowLeft")
    page.mouse.click(*at(50, 100))
    press(page, "d")
    page.mouse.click(*at(150, 150))
    press(page, "ArrowRight", "s", "ArrowDown")
    kept(page)
    state = state_of(tmp_path)
    assert state.value(new, "box") == pytest.approx((111, 21, 99, 50), abs=3)
    assert "image1_1" not in state.alive()
    assert [state.value(f"image{n}_2", "track") for n in (1, 2, 7)] == [2, 5, 5]
    press(page, "z")
    page.locator("#people button", has_text="2").first.click()
    page.keyboard.press("j")
    page.locator("#ask input").fill("3")
    page.keyboard.press("Enter")
    page.get_by_text("Both are in the same second").wait_for()
    page.keyboard.press("t")
    page.locator("#ask input").fill("3")
    page.keyboard.press("Enter")
    page.get_by_text("2 boxes are person 3").wait_for()
    assert page.said == []  # type: ignore[attr-defined]


def test_two_people_meet_on_one_box_and_both_words_stay_until_one_chooses(
    chromium: Browser, server: Server, tmp_path: Path
) -> None:
    anna, ben = page_of(chromium, server), page_of(chromium, server, "ben")
    open_clip(anna, server.url())
    open_clip(ben, server.url())
    ben.context.set_offline(True)
    press(ben, "4", "6")
    ben.locator("#saved.trouble").wait_for()
    assert "2 changes wait in this browser" in ben.locator("#saved").inner_text()
    press(anna, "3", "1")
    kept(anna)
    ben.context.set_offline(False)
    kept(ben)
    for page in (anna, ben):
        page.locator("#conflicts").get_by_text("Second 2, person 1: body").wait_for()
    state = state_of(tmp_path)
    assert [one.value for one in state.regions["image1_1"]["labels/2"]] == [("0",), ("1",)]
    assert (state.labels("image1_1")["1"], state.labels("image1_1")["3"]) == (("0",), ("0",))
    press(anna, "5")
    assert "press X" in anna.locator("#message").inner_text()
    press(anna, "ArrowRight", "x")
    anna.keyboard.press("Tab")
    anna.keyboard.press("Enter")  # the second value: ben's
    for page in (anna, ben):
        page.locator("#conflicts").wait_for(state="hidden")
    kept(anna)
    assert state_of(tmp_path).labels("image1_1")["2"] == ("1",) and not state_of(tmp_path).conflicts()


HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


def test_names_of_others_are_text_and_nothing_overflows(chromium: Browser, tmp_path: Path) -> None:
    options = tuple(Option(str(n), f"{n} {HOSTILE}"[:200]) for n in range(30))
    one = material("1")
    write_images(tmp_path, one)
    folder = tmp_path / ".clipquarry/labelling" / DATASET / PROJECT
    project = create(folder, Plan(HOSTILE, (Attribute("1", HOSTILE, options),), 1, HOSTILE), [one])
    project.submit(
        "1",
        "shared",
        HOSTILE,
        [operation(["image1_1", "labels/1", ["0"]]), operation(["image1_1", "labels/1", ["1"]], client="window-b")],
        0,
    )
    with serving(tmp_path, ServerHere) as server:
        page = page_of(chromium, server)
        for path in ("/", f"{PLACE}/", f"{PLACE}/#1/shared"):
            for width, height in ((1280, 800), (640, 400)):  # the second is the first at 200 %
                page.set_viewport_size({"width": width, "height": height})
                page.goto("about:blank")
                page.goto(server.url() + path)
                page.locator("h1, #stage[data-shown]").first.wait_for()
                page.wait_for_timeout(200)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
                assert "broken" not in page.title().replace("='broken'", "")
        page.keyboard.press("?")
        assert page.locator("#help").get_by_text(HOSTILE[:20]).first.is_visible()
        assert page.locator("main img, dialog img, h1 script").count() == page.locator("#strip img").count()
        assert page.said == []  # type: ignore[attr-defined]


def test_the_film_plays_and_every_image_of_a_second_is_asked_for(chromium: Browser, server: Server) -> None:
    page = page_of(chromium, server)
    open_clip(page, server.url())
    press(page, "p")
    page.locator("#stage[data-film='5']").wait_for()
    press(page, "p")
    assert page.locator("#stage").get_attribute("data-film") is None
    assert page.locator("#strip img").count() == 6


def test_the_help_and_the_overview_stand_in_straight_lines(chromium: Browser, server: Server) -> None:
    page = page_of(chromium, server)
    open_clip(page, server.url())
    page.keyboard.press("?")
    over = """() => [...document.querySelectorAll("#help dl div")].filter((row) => [...row.querySelectorAll("kbd")]
      .some((key) => key.getBoundingClientRect().right > row.querySelector("dd").getBoundingClientRect().left))
      .map((row) => row.innerText)"""
    assert page.evaluate(over) == [], "a key lies over what it does"
    tops = "[...document.querySelectorAll('#help h3')].map((one) => Math.round(one.getBoundingClientRect().top))"
    assert page.evaluate(tops).count(min(page.evaluate(tops))) == 3, "three columns, whose titles are equally high"
    page.keyboard.press("Escape")
    press(page, "r", "ArrowDown", "r", "ArrowDown", "1", "r", "Shift+r")
    kept(page)
    page.goto(f"{server.url()}{PLACE}/")
    bars = page.locator("td progress")
    bars.first.wait_for()
    lefts = {round(box["x"]) for bar in bars.all() if (box := bar.bounding_box())}
    assert len(lefts) == 1, "bars of 7 of 21 and of 0 of 21 boxes begin at one place"


def test_a_refused_operation_is_shown_and_kept_until_it_was_seen(chromium: Browser, server: Server) -> None:
    page = page_of(chromium, server)
    open_clip(page, server.url())
    page.evaluate("labelling.box.add('label', [['nobody', 'track', 1]])")
    page.get_by_text("1 change did not fit: There is no box").wait_for()
    page.reload()
    page.get_by_text("1 change did not fit").wait_for()
    page.get_by_role("button", name="I have seen it").click()
    kept(page)


def test_two_independent_people_are_compared_and_settled_in_the_page(chromium: Browser, tmp_path: Path) -> None:
    project = make_world(tmp_path, annotators=2, clips=3, seconds=1)
    for clip in ("2", "3"):
        for person, seat in (("anna", "first"), ("ben", "second")):
            project.take(person, clip)
            project.submit(clip, seat, person, [operation(["image1_1", "labels/1", ["0"]], ["@clip", "done", True])], 0)
    with serving(tmp_path, ServerHere) as server:
        for person, keys in (
            ("anna", ("1", "ArrowDown", "3", "ArrowDown", "4")),
            ("ben", ("1", "ArrowDown", "3", "ArrowDown", "5")),
        ):
            page = page_of(chromium, server, person)
            page.goto(f"{server.url()}{PLACE}/")
            page.locator("#take").click()
            page.locator("#stage[data-shown]").wait_for()
            assert page.locator("#people").inner_text().count("no label") == 3, "nobody sees the other's work"
            press(page, *keys, "f")
            kept(page)
        page.goto(f"{server.url()}{PLACE}/")
        page.get_by_text("Agreement").wait_for()
        assert page.get_by_role("row", name="stand").get_by_role("cell").nth(1).inner_text() == "1.00"
        assert page.get_by_text("With VIA 3").count() == 0, "a file cannot stand for two"
        result = "#overview > table tbody tr td:nth-child(3)"
        assert page.locator(result).all_inner_texts() == ["to be compared"] * 3
        page.get_by_role("button", name="Compare the 3 clips").click()
        page.get_by_text("2 of 3 clips are final").wait_for()
        assert page.locator(result).all_inner_texts() == ["to be settled", "✓ final", "✓ final"]
        assert page.get_by_role("button", name="Open the result").count() == 2
        page.get_by_role("button", name="Settle", exact=True).click()
        page.locator("#conflicts").get_by_text("person 3: body").wait_for()
        page.get_by_role("button", name="ben: walk").click()
        page.locator("#conflicts").wait_for(state="hidden")
        press(page, "f")
        kept(page)
        page.goto(f"{server.url()}{PLACE}/")
        page.get_by_text("3 of 3 clips are final").wait_for()
    assert project.is_done("1")
    labels: list[Any] = [one.labels for one in project.result("1")[0].regions]
    assert labels == [{"1": ("0",)}, {"2": ("0",)}, {"2": ("2",)}]


def test_kill_server_and_browser_while_two_people_label(tmp_path: Path) -> None:
    if chromium_program() is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    make_world(tmp_path / "data", clips=1)
    with sync_playwright() as player:
        found = label_while_killing(player, tmp_path / "data", tmp_path / "profile", kills=5)
    assert (found.server, found.browser) == (3, 2)
    assert len(found.shown) > 12
    assert (found.lost, found.overwritten) == ([], [])


def test_a_finished_project_of_via_is_given_back(chromium: Browser, server: Server, tmp_path: Path) -> None:
    page = page_of(chromium, server)
    page.goto(f"{server.url()}{PLACE}/")
    page.locator("details.via summary").first.click()
    with page.expect_download() as got:
        page.locator("details.via a").first.click()
    with zipfile.ZipFile(got.value.path()) as archive:
        value = json.loads(archive.read("1/1_proposal.json"))
    up, said = page.locator("details.via input").first, page.locator(".faults").first

    def give(told: Any) -> str:
        up.set_input_files({"name": "mine.json", "mimeType": "application/json", "buffer": json.dumps(told).encode()})
        said.locator("li").first.wait_for()
        return said.inner_text()

    assert "No box in it has an action" in give(value)
    for region in value["metadata"].values():
        region["av"]["1"] = "0"
    up.set_input_files([])
    page.reload()
    page.locator("details.via summary").first.click()
    assert "1_finish.json with 21 boxes is beside the frames" in give(value)
    page.reload()
    page.locator("text=1_finish.json counts").first.wait_for()
    assert (tmp_path / "choose_frames_middle/1/1_finish.json").is_file()


def test_seconds_that_are_no_longer_asked_for_are_named_and_not_shown(
    chromium: Browser, server: Server, tmp_path: Path
) -> None:
    """A conflict in one of them stops nobody either."""
    folder = tmp_path / ".clipquarry/labelling" / DATASET / PROJECT
    project, whole = Project(folder), material("1")
    for window, option in (("window-a", "1"), ("window-b", "2")):
        project.submit("1", "shared", "anna", [operation(["image1_1", "labels/2", [option]], client=window)], 0)
    frames = whole.clip.frames[1:]
    regions = tuple(one for one in whole.clip.regions if one.frame != whole.clip.frames[0].name)
    strips = {one.name: whole.strips[one.name] for one in frames}
    less = Material(Clip("1", frames, regions), whole.images, strips)
    renew(folder, project.plan, [less], known={"2"})
    (tmp_path / whole.images / whole.clip.frames[0].name).unlink()
    page = page_of(chromium, server)
    page.goto(f"{server.url()}{PLACE}/")
    page.locator("details.aside summary", has_text="1 labelled boxes set aside").click()
    page.locator("details.aside li", has_text=whole.clip.frames[0].name).wait_for()
    page = page_of(chromium, server)
    open_clip(page, server.url())
    assert page.locator("#seconds button").count() == 6
    page.keyboard.press("f")
    page.locator("#ask button", has_text="Yes").click()
    page.evaluate("labelling.queue")
    kept(page)
    assert Project(folder).is_done("1")
    assert not [one for one in page.said if "404" in one]  # type: ignore[attr-defined]
