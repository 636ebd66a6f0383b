"""Reports of a run whose files a test writes, and what a browser would see of them."""

from __future__ import annotations

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from clipquarry.datasets.load import find_spec
from clipquarry.files import write_json
from clipquarry.manifest import Row
from clipquarry.pipeline.reporting import write_report
from clipquarry.settings import DataRoot
from report_fixture import NOW, RUN, World

HOSTILE = "<script>alert(1)</script>\u202e\"'><img src=x onerror=alert(2)>&amp;" + "W" * 3000


class Page(HTMLParser):
    """What a browser would see: tags, addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.tables_without_caption = 0
        self.images_without_alt = 0
        self._skip = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self._skip = tag == "style"
        for name, value in attrs:
            if name in ("href", "src", "xlink:href", "action", "srcset"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)
        if tag == "img" and not dict(attrs).get("alt"):
            self.images_without_alt += 1

    def handle_data(self, data: str) -> None:
        if not self._skip:
            self.text += data


def html(world: World) -> str:
    return (world.folder / "report" / "index.html").read_text(encoding="utf-8")


def report(world: World) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((world.folder / "report" / "report.json").read_text())
    return value


def bare(tmp_path: Path) -> World:
    return World(find_spec("kinetics400"), DataRoot(tmp_path), RUN, "")


def written(world: World) -> str:
    write_report(world.spec, world.data, world.run, None, NOW)
    return html(world)


def small(world: World, rows: list[Row], **run: Any) -> str:
    world.made.recorded(rows)
    write_json(world.folder / "run.json", run)
    return written(world)
