"""Takes the README's pictures ``dag.png`` and ``report.png`` of a demo: ``take.py HOME [URL]``.

``HOME`` is a demo's folder (``.demo``), and ``URL`` the Airflow UI that ``make demo-up`` started over it. Without ``URL`` only the report's picture is
taken. Needs a Chromium, as the tests do.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
DATASET = "kinetics_demo"
HIDDEN = ".react-flow__minimap, .react-flow__controls, .react-flow__attribution { display: none !important }"
MARGIN = 24
"""Pixels around the graph's boxes."""
SIDEBAR = 64
"""Pixels of Airflow's navigation, which is cut off."""


def report(page: Page, home: Path) -> None:
    """The first screen of the oldest run's report."""
    runs = (home / "data/.clipquarry/runs" / DATASET).glob("*/report/index.html")
    page.set_viewport_size({"width": 1200, "height": 788})
    page.goto(min(runs, key=lambda path: path.stat().st_mtime).resolve().as_uri())
    page.screenshot(path=HERE / "report.png")


def graph(page: Page, home: Path, url: str) -> None:
    """The graph view of the DAG's run, cut to its boxes."""
    page.set_viewport_size({"width": 1500, "height": 340})
    page.goto(f"{url}/auth/login/")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", json.loads((home / "airflow/passwords.json").read_text())["admin"])
    page.click("button[type=submit]")
    page.wait_for_url(lambda address: "login" not in address)
    page.goto(f"{url}/dags/{DATASET}/runs")
    page.locator(f"a[href*='/dags/{DATASET}/runs/']").last.click()
    page.get_by_label("Show Graph").click()
    page.locator(".react-flow__node").first.wait_for()
    page.wait_for_timeout(2000)  # the panel opens once more while the graph is drawn
    page.get_by_label("Collapse Details Panel").click()
    page.wait_for_timeout(1000)
    page.get_by_label("Fit View").click()
    page.wait_for_timeout(3000)  # the boxes move to their places
    page.add_style_tag(content=HIDDEN)
    boxes = [box for one in page.locator(".react-flow__node").all() if (box := one.bounding_box())]
    bottom = max(box["y"] + box["height"] for box in boxes) + MARGIN
    size = page.viewport_size
    assert size
    page.screenshot(
        path=HERE / "dag.png", clip={"x": SIDEBAR, "y": 0, "width": size["width"] - SIDEBAR, "height": bottom}
    )


def main(home: Path, url: str | None) -> None:
    with sync_playwright() as player:
        browser = player.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        report(browser.new_page(color_scheme="light"), home)
        if url is not None:  # twice the pixels: many boxes stand in a row
            graph(browser.new_page(color_scheme="light", device_scale_factor=2), home, url.rstrip("/"))
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
