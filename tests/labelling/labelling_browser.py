"""A labelling server and a Chromium that can be killed at any moment, and what was shown to two people who label at once.

One Chromium holds both: ``anna`` comes by ``127.0.0.1``, ``ben`` by ``localhost``, so that each has a login and a storage of their own.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import uvicorn
from browser import FLAGS, chromium_program
from clipquarry.labelling.operations import Operation
from clipquarry.labelling.project import Project
from clipquarry.labelling.state import State
from labelling_server import DATASET, PLACE, PROJECT, app_over
from playwright.sync_api import Browser, Page, Playwright
from playwright.sync_api import Error as PlaywrightError
from ports import free_port

HERE = Path(__file__).parent
HOSTS = {"anna": "127.0.0.1", "ben": "localhost"}


class Server:
    """The routes in a process of their own, always at one port."""

    def __init__(self, data: Path) -> None:
        self.data, self.port = data, free_port()
        self.start()

    def url(self, person: str = "anna") -> str:
        return f"http://{HOSTS[person]}:{self.port}"

    def start(self) -> None:
        command = [sys.executable, str(HERE / "labelling_server.py"), str(self.data), str(self.port)]
        path = os.pathsep.join([str(HERE), str(HERE.parent), *sys.path])
        self.process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})

    def wait(self) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(OSError):
                try:
                    urlopen(self.url(), timeout=5).close()
                except OSError as error:
                    if getattr(error, "code", None) != 401:
                        raise
                return
            time.sleep(0.1)
        raise AssertionError("the labelling server does not answer")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def serving(data: Path, kind: type[Server] = Server) -> Iterator[Server]:
    server = kind(data)
    try:
        server.wait()
        yield server
    finally:
        server.kill()


class ServerHere(Server):
    """The same in a thread of this process: for tests that kill nothing, without the cost of a process."""

    def start(self) -> None:
        config = uvicorn.Config(
            app_over(self.data), host="127.0.0.1", port=self.port, log_level="error", lifespan="off"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def wait(self) -> None:
        deadline = time.monotonic() + 90
        while not self.server.started and time.monotonic() < deadline:
            time.sleep(0.02)

    def kill(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(30)


class Chromium:
    """A Chromium with a profile on the disk, started by hand so that all of it can be killed."""

    def __init__(self, player: Playwright, profile: Path) -> None:
        self.player, self.profile = player, profile

    def start(self) -> Browser:
        told = self.profile / "DevToolsActivePort"
        told.unlink(missing_ok=True)
        program = chromium_program()
        assert program is not None
        command = [
            program,
            *FLAGS,
            "--headless",
            "--remote-debugging-port=0",
            f"--user-data-dir={self.profile}",
            "about:blank",
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if told.exists() and len(lines := told.read_text().splitlines()) == 2:
                self.browser = self.player.chromium.connect_over_cdp(f"http://127.0.0.1:{lines[0]}")
                return self.browser
            time.sleep(0.05)
        raise AssertionError("Chromium does not start")

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with suppress(PlaywrightError):
            self.browser.close()
        for name in ("SingletonLock", "SingletonSocket", "SingletonCookie"):  # what a killed Chromium leaves
            (self.profile / name).unlink(missing_ok=True)


def open_clip(page: Page, url: str, clip: str = "1", seat: str = "shared") -> None:
    page.goto(f"{url}{PLACE}/#{clip}/{seat}")
    page.locator("#stage[data-shown]").wait_for(timeout=60_000)


def shown_operations(page: Page) -> list[dict[str, Any]]:
    """Operations of this window that the person has seen the effect of, once all keys are worked off."""
    return page.evaluate("async () => { await labelling.queue; return labelling.done.map((one) => one.op); }")  # type: ignore[no-any-return]


@dataclass
class Kills:
    """What came out: operations that were shown, those of them that no journal has, values that nobody saw before they went."""

    server: int = 0
    browser: int = 0
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)


def label_while_killing(player: Playwright, data: Path, profile: Path, kills: int, seed: int = 1) -> Kills:
    """Two people label one clip with keys, and every round the server or the browser is killed in the middle of it."""
    rng, found = random.Random(seed), Kills()
    with serving(data) as server:
        chromium = Chromium(player, profile)
        pages = _both(chromium, server)
        try:
            while found.server + found.browser < kills:
                for _ in range(rng.randrange(1, 4)):
                    _keys(pages, rng, found)
                if found.browser < found.server:
                    chromium.kill()
                    found.browser += 1
                    pages = _both(chromium, server)
                    continue
                server.kill()  # what follows is done without it
                found.server += 1
                _keys(pages, rng, found)
                if dies := found.server % 3 == 1:  # and the browser dies too, with all of it unsent
                    chromium.kill()
                    found.browser += 1
                server.start()
                if not dies:
                    _keys(pages, rng, found)
                server.wait()
                if dies:
                    pages = _both(chromium, server)
            for page in pages.values():
                page.locator("#saved[data-waiting='0'].kept").wait_for(timeout=60_000)
        finally:
            chromium.kill()
    _judge(found, data)
    return found


def _both(chromium: Chromium, server: Server) -> dict[str, Page]:
    context = chromium.start().contexts[0]
    pages = {}
    for person in HOSTS:
        context.add_cookies([{"name": "person", "value": person, "url": server.url(person)}])
        pages[person] = context.new_page()
        open_clip(pages[person], server.url(person))
    return pages


def _keys(pages: dict[str, Page], rng: random.Random, found: Kills) -> None:
    """A few keys of both: each has a group of actions, the third is everybody's, so that they meet on one box."""
    own = {"anna": "12345", "ben": "67345"}
    for person, page in pages.items():
        for _ in range(rng.randrange(1, 4)):
            page.keyboard.press(rng.choice(["ArrowRight", "ArrowLeft", "ArrowDown"]))
            page.keyboard.press(rng.choice(own[person]))
        found.shown |= {one["op"]: {**one, "by": person} for one in shown_operations(page)}


def _judge(found: Kills, data: Path) -> None:
    project = Project(data / ".clipquarry/labelling" / DATASET / PROJECT)
    state = State.of(project.material("1").clip)
    kept: dict[str, Operation] = {}
    with project.journal("1", "shared").opened() as opened:
        operations = opened.since(0)
        assert operations is not None
    for op in operations:
        kept[op.op] = op
        before = {
            (region, name): list(values) for region, fields in state.regions.items() for name, values in fields.items()
        }
        state.apply(op)
        for (region, name), values in before.items():
            for gone in (one for one in values if one not in state.regions[region][name]):
                write = next(one for one in op.writes if (one.region, one.field) == (region, name))
                if gone.seq > op.base and gone.client != op.client and gone.value != write.value:
                    found.overwritten.append(gone.op)
    for name, told in found.shown.items():
        if (
            name not in kept
            or [one.plain() for one in kept[name].writes] != told["writes"]
            or kept[name].by != told["by"]
        ):
            found.lost.append(name)
