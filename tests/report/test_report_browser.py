"""The report in a real browser: nothing is loaded, nothing runs, nothing overflows, in any width and colour scheme."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from boxes_fixture import annotate, bare_world, excerpt_row, name_actions, propose, write_excerpt, write_picture
from clipquarry.datasets.load import find_spec
from clipquarry.pipeline.reporting import write_report
from clipquarry.settings import DataRoot
from playwright.sync_api import Browser
from report_fixture import NOW, RUN, World, catalog_rows, result_rows, without_attempts

LONG = "W" * 300 + "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"


def hostile_world(root: Path) -> World:
    world = World(find_spec("kinetics400"), DataRoot(root), RUN, "")
    rng = random.Random(5)
    rows = catalog_rows(700, 3, rng)
    for row in rows:
        if row["status"] == "done" and row["label_index"] % 50 == 0:
            row |= {"label": LONG, "class_dir": LONG}
    found = result_rows(rows, rng, NOW, "kinetics400", 0.3)
    for row in found:
        row["evidence"] = LONG if row["evidence"] else ""
    world.made.catalog(rows)
    world.made.recorded(without_attempts(found))
    write_report(world.spec, world.data, world.run, None, NOW)
    return world


def test_the_page_in_a_browser(chromium: Browser, tmp_path: Path) -> None:
    page_file = hostile_world(tmp_path).folder / "report" / "index.html"
    assert page_file.stat().st_size < 2_000_000
    said: list[str] = []
    asked: list[str] = []
    page = chromium.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            _look(page, page_file.as_uri(), width, scheme)
    page.emulate_media(media="print")
    assert page.locator("section").count() >= 7
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {page_file.as_uri()}


def boxes_world(root: Path) -> World:
    """Pictures of three shapes, boxes on the rim, names that do not end."""
    world = bare_world(root, "ava")
    videos = [letter * 11 for letter in "ABC"]
    rim = [(0.0, 0.0, 1.0, 1.0), (0.97, 0.97, 1.0, 1.0), (0.0, 0.0, 0.02, 0.02), (0.2, 0.1, 0.6, 0.9)]
    annotate(world.folder, "train", [(video, "0902", box, at + 1) for video in videos for at, box in enumerate(rim)])
    name_actions(world.folder, {number: f"{number} {LONG}" for number in range(1, 81)}, range(1, 61))
    propose(world.folder, "train", [(video, 902, box, 0.3 * at) for video in videos for at, box in enumerate(rim)])
    write_excerpt(world.folder, [excerpt_row(video, images=7, evidence=LONG) for video in videos])
    for video, (width, height) in zip(videos, ((640, 360), (360, 640), (320, 320)), strict=True):
        write_picture(root / f"ava/rawframes/{video}/img_00061.jpg", width, height)
    write_report(world.spec, world.data, world.run, None, NOW)
    return world


def test_boxes_in_a_browser(chromium: Browser, tmp_path: Path) -> None:
    """Every overlay lies exactly on its picture, and nothing is wider than the page."""
    address = (boxes_world(tmp_path).folder / "report" / "index.html").as_uri()
    said: list[str] = []
    asked: list[str] = []
    page = chromium.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    for width in (390, 1280):
        for scheme in ("light", "dark"):
            _look(page, address, width, scheme, title="AVA")
        for shown in page.locator(".boxed").all():
            picture, overlay = shown.locator("img"), shown.locator("svg")
            assert picture.bounding_box() == overlay.bounding_box() == shown.bounding_box()
            natural, box = picture.evaluate("e => e.naturalWidth / e.naturalHeight"), picture.bounding_box()
            assert abs(box["width"] / box["height"] / natural - 1) < 0.02
            whole = shown.locator("rect.truth").first.bounding_box()
            assert abs(whole["width"] - box["width"]) < 3 and abs(whole["height"] - box["height"]) < 3
    assert page.locator(".boxed").count() == 3
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {address}


def _look(page: Any, address: str, width: int, scheme: str, *, title: str = "Kinetics-400") -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    assert page.title().startswith(title)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(17, 23, 22)") == (scheme == "dark")
    headline = page.locator(".verdict h2").bounding_box()
    assert headline["y"] + headline["height"] < 900
    bars = page.locator(".plot:not(.half) svg").first.bounding_box()
    assert bars["width"] >= 500  # readable; on a phone it scrolls in its own box
