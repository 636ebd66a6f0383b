"""Simulated crawls: how many questions are spent after the world has changed."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.breaker import HOUR, Breaker, BreakerOpen
from clipquarry.acquire.network import Network
from clipquarry.acquire.youtube import YouTubeOptions, YouTubeSource
from clipquarry.reasons import Reason
from fake_youtube import FAKE, Server, calls, enable_fake_extractor, run_python, serving
from set_clock import Clock

ROW = 4
CANARY = "canary00000"
UP = Network(connect=lambda *_: None, route=lambda: True, proxies=dict)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "video.mp4").write_bytes(b"bytes" * 1000)
    with serving(folder) as running:
        yield running


class Crawl:
    """A crawl over ``good`` videos and then ``changed`` ones, with the real yt-dlp and its fake extractor."""

    def __init__(self, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.playbook, self.clock = folder, folder / "playbook.json", Clock()
        self.video = {"url": f"{server.url}/video.mp4", "ext": "mp4", "duration": 24}
        enable_fake_extractor(monkeypatch, self.playbook)

    def run(
        self, changed: list[dict[str, Any]], *, jobs: int = 1, canary: dict[str, Any] | None = None, **more: Any
    ) -> list[Reason]:
        """The reasons of the changed videos, in order (OK for bytes)."""
        acts = {f"good{n:07d}": self.video for n in range(1)} | {f"new{n:08d}": act for n, act in enumerate(changed)}
        self.playbook.write_text(json.dumps({**acts, CANARY: canary}))
        breaker = Breaker(self.folder / "egress", clock=self.clock, row=ROW, canary=canary is not None, tool="1")
        source = YouTubeSource(
            YouTubeOptions(retries=1, sections="never", socket_timeout=3), url_template=FAKE, network=UP,
            pause=lambda n: 0.0, breaker=breaker, canary=CANARY if canary else None, **more,
        )  # fmt: skip
        self.breaker, self.said = breaker, dict[str, FetchFailed]()
        names = list(acts)
        for name in names[:1]:
            source.fetch(ClipRequest(name, 1, 2), self.folder / name, Event())
        found: dict[str, Reason] = {}

        def work(mine: list[str]) -> None:
            for name in mine:
                try:
                    source.fetch(ClipRequest(name, 1, 2), self.folder / name, Event())
                    found[name] = Reason.OK
                except FetchFailed as error:
                    found[name], self.said[name] = error.reason, error

        threads = [threading.Thread(target=work, args=(names[1 + n :: jobs],)) for n in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [found[name] for name in names[1:]]

    @property
    def asked(self) -> list[str]:
        """Questions since the world changed."""
        return calls(self.playbook)[1:]


@pytest.fixture
def crawl(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Crawl:
    return Crawl(tmp_path, server, monkeypatch)


WORLDS: dict[str, tuple[dict[str, Any], Reason, int]] = {
    "429, Retry-After": ({"get": "/status/429-600"}, Reason.HTTP_429, 1),
    "bot check": ({"say": "Sign in to confirm you’re not a bot"}, Reason.BOT_CHECK, 1),
    "503, Retry-After": ({"get": "/status/503-600"}, Reason.HTTP_5XX, 1),
    "503": ({"get": "/status/503"}, Reason.HTTP_5XX, ROW),
    "403 on all media": ({"url": "/status/403", "ext": "mp4", "duration": 24}, Reason.FORBIDDEN_MEDIA, ROW),
    "a bug in an extractor": ({"bug": "KeyError"}, Reason.TOOL_STALE, ROW),
    "login": ({"say": "Please sign in"}, Reason.EGRESS_REFUSED, ROW),
    "unknown sentence": ({"say": "Frobnicate"}, Reason.UNAVAILABLE, ROW),
    "unavailable": ({"say": "Video unavailable"}, Reason.UNAVAILABLE, ROW),
}


def world(name: str, server: Server) -> tuple[dict[str, Any], Reason, int]:
    act, reason, most = WORLDS[name]
    return {k: f"{server.url}{v}" if str(v).startswith("/") else v for k, v in act.items()}, reason, most


@pytest.mark.parametrize("name", WORLDS)
def test_a_crawl_spends_no_more_than_the_row_after_the_world_changed(name: str, crawl: Crawl, server: Server) -> None:
    act, reason, most = world(name, server)
    found = crawl.run([act] * 10)
    assert len(crawl.asked) == most
    open_ = crawl.breaker.peek()
    assert open_ is not None and open_.reason is reason and found.count(Reason.WAITING) >= 10 - most
    assert all(one in (reason, Reason.WAITING) for one in found)
    assert "before" in crawl.said["new00000009"].evidence and (crawl.said["new00000009"].retry_after or 0) > 60


@pytest.mark.parametrize("name", ["503", "unavailable"])
def test_nor_do_several_threads(name: str, crawl: Crawl, server: Server) -> None:
    act, _, most = world(name, server)
    crawl.run([act] * 16, jobs=4)
    assert len(crawl.asked) <= most and crawl.breaker.peek() is not None


def test_a_refused_video_is_extracted_again_only_while_it_is_alone(crawl: Crawl, server: Server) -> None:
    crawl.run([world("403 on all media", server)[0]] * 8)
    twice = [video for video, times in Counter(crawl.asked).items() if times > 1]
    assert twice == ["new00000000"]


def test_retries_end_when_it_is_the_same_with_others(crawl: Crawl, server: Server) -> None:
    act = {"url": f"{server.url}/status/503", "ext": "mp4", "duration": 24}
    crawl.run([act] * 10)
    assert [path for path, _ in server.asked].count("/status/503") <= ROW + 1, "yt-dlp tried the first one twice"


def test_dead_videos_between_do_not_hide_it(crawl: Crawl, server: Server) -> None:
    refused, dead = world("403 on all media", server)[0], {"say": "Private video"}
    found = crawl.run([dead if n % 3 == 2 else refused for n in range(12)])
    assert len(crawl.asked) <= ROW
    assert crawl.breaker.peek() is not None and found.count(Reason.WAITING) >= 8


def test_what_is_usual_opens_nothing(crawl: Crawl) -> None:
    dead = [{"say": "Private video"}, {"say": "Video unavailable"}, {"say": "This video has been removed"}]
    assert Reason.WAITING not in crawl.run(dead * 5)
    assert len(crawl.asked) == 15


def test_bytes_between_end_the_row(crawl: Crawl, server: Server) -> None:
    acts = [crawl.video if n % ROW == ROW - 1 else world("503", server)[0] for n in range(12)]
    assert Reason.WAITING not in crawl.run(acts) and len(crawl.asked) == 12


def test_the_canary_tells_gone_videos_from_a_broken_tool(crawl: Crawl) -> None:
    assert Reason.WAITING not in crawl.run([{"say": "Video unavailable"}] * 12, canary=crawl.video)
    assert 3 <= crawl.asked.count(CANARY) <= 12 / (ROW - 1)


@pytest.mark.parametrize(
    ("canary", "reason"),
    [
        ({"bug": "KeyError"}, Reason.TOOL_STALE),
        ({"say": "Video unavailable"}, Reason.EGRESS_REFUSED),
    ],
)
def test_a_canary_that_fails_opens_it_within_the_row(crawl: Crawl, canary: dict[str, Any], reason: Reason) -> None:
    crawl.run([{"say": "Video unavailable"}] * 8, canary=canary)
    assert len(crawl.asked) == ROW and crawl.asked[-1] == CANARY
    open_ = crawl.breaker.peek()
    assert open_ is not None and open_.reason is reason and "canary" in open_.evidence


def test_the_canarys_media_is_tasted(crawl: Crawl, server: Server) -> None:
    refused = world("403 on all media", server)[0]
    crawl.run([refused] * 8, canary=refused)
    open_ = crawl.breaker.peek()
    assert len(crawl.asked) == ROW and open_ is not None and open_.reason is Reason.FORBIDDEN_MEDIA


def test_the_canary_is_the_probe(crawl: Crawl) -> None:
    crawl.run([{"say": "Sign in to confirm you’re not a bot"}] * 3, canary=crawl.video)
    before = len(crawl.asked)
    crawl.clock.now += 7 * HOUR
    found = crawl.run([{"say": "Video unavailable"}] * 3, canary=crawl.video)
    assert found == [Reason.UNAVAILABLE] * 3
    assert crawl.asked[before : before + 2] == [CANARY, "good0000000"], "asked before the videos"


# The breaker alone: many threads and processes, any mixture.


def simulate(
    breaker: Breaker, world: Callable[[int], Reason | None], videos: int, jobs: int
) -> tuple[int, BreakerOpen | None]:
    """Questions that were asked, and how it ended. Every caller asks at the same time."""
    asked, lock, numbers = [0], threading.Lock(), iter(range(videos))

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None or isinstance(breaker.enter(Event()), BreakerOpen):
                return
            with lock:
                asked[0] += 1
            threading.Event().wait(random.random() / 200)
            breaker.answered(f"video{number}", world(number), "x")

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return asked[0], breaker.peek()


@pytest.mark.parametrize(("row", "jobs"), [(1, 3), (2, 1), (5, 12), (20, 1), (20, 8)])
def test_no_mixture_of_refusals_spends_more(row: int, jobs: int, tmp_path: Path) -> None:
    rng = random.Random(row * jobs)
    ours = [Reason.HTTP_5XX, Reason.FORBIDDEN_MEDIA, Reason.TOOL_STALE, Reason.TRANSPORT, Reason.EGRESS_REFUSED]
    worlds = [rng.choice([*ours, Reason.PRIVATE if n % 4 == 3 else ours[0]]) for n in range(60)]
    asked, open_ = simulate(Breaker(tmp_path, row=row), lambda n: worlds[n], 60, jobs)
    assert asked <= row and open_ is not None


ASK = """
import sys, threading
from pathlib import Path
from threading import Event
from clipquarry.acquire.breaker import Breaker, BreakerOpen
from clipquarry.reasons import Reason
breaker, asked = Breaker(Path(sys.argv[1]), row=8), 0
for n in range(30):
    if isinstance(breaker.enter(Event()), BreakerOpen):
        break
    asked += 1
    Event().wait(0.01)
    breaker.answered(f"{sys.argv[2]}-{n}", Reason.TOOL_STALE, "x")
print(asked)
"""


def test_processes_share_the_row(tmp_path: Path) -> None:
    children = [run_python(ASK, str(tmp_path), str(n)) for n in range(4)]
    assert sum(int(child.communicate()[0]) for child in children) == 8


def test_a_killed_process_leaves_room(tmp_path: Path) -> None:
    code = ASK.split("for n in")[0] + "breaker.enter(Event()); print('in', flush=True); Event().wait(60)"
    child = run_python(code, str(tmp_path), "0")
    assert child.stdout is not None and child.stdout.readline() == "in\n"
    breaker = Breaker(tmp_path, row=2)
    breaker.answered("a", Reason.HTTP_5XX, "x")
    child.kill()
    child.wait()
    child.stdout.close()
    assert breaker.enter(Event()) == "go"


def test_the_probe_of_a_broken_tool_needs_more_than_a_word_about_a_video(tmp_path: Path) -> None:
    clock = Clock()
    breaker = Breaker(tmp_path, row=2, clock=clock)
    for video in "ab":
        breaker.answered(video, Reason.FORBIDDEN_MEDIA, "403")
    clock.now += HOUR
    assert breaker.enter(Event()) == "go" and isinstance(breaker.enter(Event()), BreakerOpen)
    breaker.answered("c", Reason.PRIVATE, "x")
    assert breaker.enter(Event()) == "go", "another one may try"
    breaker.answered("d", Reason.HTTP_5XX, "another trouble")
    stop = breaker.peek()
    assert stop is not None and stop.reason is Reason.HTTP_5XX, "the trouble goes on: not a row anew"
    clock.now += 24 * HOUR
    assert breaker.enter(Event()) == "go"
    breaker.answered("e", None)
    assert breaker.enter(Event()) == "go" and breaker.peek() is None


def test_an_upgrade_ends_the_cool_down_of_a_stale_tool(tmp_path: Path) -> None:
    old, new = (Breaker(tmp_path, row=1, tool=version) for version in ("2026.01.01", "2026.02.02"))
    old.answered("a", Reason.TOOL_STALE, "KeyError")
    stop = old.peek()
    assert stop is not None and "upgrade yt-dlp" in stop.sentence()
    assert new.peek() is None and new.enter(Event()) == "go"


@pytest.mark.parametrize("text", ['{"heard": 5, "asking": 7}', '{"heard": [[1], ["a", "nonsense"], ["a", 5], 3]}',
                                  '{"asking": {"x": "y", "a:b:c": 1e300}}', '{"heard": [[NaN, 1e999]]}'])  # fmt: skip
def test_a_damaged_row_is_no_row(text: str, tmp_path: Path) -> None:
    (tmp_path / "breaker.json").write_text(text)
    breaker = Breaker(tmp_path, row=2)
    assert breaker.enter(Event()) == "go"
    assert breaker.answered("a", Reason.HTTP_5XX, "x") is None and breaker.answered("b", Reason.HTTP_5XX, "x")
