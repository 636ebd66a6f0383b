"""The YouTube source when the line, the server, the machine or the person gets in its way: its reason, its waits, nothing left behind."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.breaker import Breaker
from clipquarry.acquire.budget import Budget
from clipquarry.acquire.youtube import YouTubeOptions, YouTubeSource
from clipquarry.errors import MachineError, RetryLater
from clipquarry.reasons import Reason
from fake_youtube import Server, calls, write_playbook
from youtube_world import ID, fails, network, parts, source, whole
from youtube_world import media as media
from youtube_world import no_back_off as no_back_off
from youtube_world import playbook as playbook
from youtube_world import server as server


@pytest.mark.parametrize("where", ["get", "url"])
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("429", Reason.HTTP_429),
        ("503", Reason.HTTP_5XX),
        ("403", Reason.FORBIDDEN_MEDIA),
        ("404", Reason.FORBIDDEN_MEDIA),
    ],
)
@pytest.mark.parametrize("sections", ["never", "always"])
def test_http_statuses(
    where: str, status: str, reason: Reason, sections: Any, server: Server, playbook: Path, tmp_path: Path
) -> None:
    write_playbook(playbook, **{ID: {where: f"{server.url}/status/{status}", "ext": "mp4", "duration": 24}})
    error = fails(source(YouTubeOptions(retries=1, sections=sections)), tmp_path / "scratch")
    assert error.reason is reason, error.evidence
    assert len(calls(playbook)) == (2 if reason is Reason.FORBIDDEN_MEDIA else 1), "a 403 is extracted again, once"


def test_retry_after_is_passed_on(server: Server, playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: {"get": f"{server.url}/status/429-77"}})
    assert fails(source(), tmp_path / "scratch").retry_after == 77


def test_a_second_extraction_helps_against_403(server: Server, playbook: Path, tmp_path: Path) -> None:
    stale = whole(server)
    stale["formats"][0]["url"] = f"{server.url}/status/403"
    write_playbook(playbook, **{ID: [stale, whole(server)]})
    assert source().fetch(ClipRequest(ID, 10, 20), tmp_path, Event()).bytes > 0
    assert len(calls(playbook)) == 2


@pytest.mark.parametrize("sections", ["never", "always"])
@pytest.mark.parametrize("dies_after", [10_000, 150_000])
def test_a_body_that_ends_early_is_transport(
    sections: Any, dies_after: int, server: Server, playbook: Path, tmp_path: Path
) -> None:
    write_playbook(playbook, **{ID: whole(server)})
    server.dies_after = dies_after
    error = fails(source(YouTubeOptions(retries=1, sections=sections, socket_timeout=1)), tmp_path / "scratch")
    assert error.reason is Reason.TRANSPORT, error.evidence


def test_an_interrupted_download_goes_on_where_it_was(
    server: Server, playbook: Path, tmp_path: Path, media: Path
) -> None:
    write_playbook(playbook, **{ID: whole(server)})
    server.cut_after = (media / "whole.mp4").stat().st_size // 2 + 1
    got = source(YouTubeOptions(retries=3)).fetch(ClipRequest(ID, 10, 20), tmp_path, Event())
    assert got.path.read_bytes() == (media / "whole.mp4").read_bytes()


def test_no_network_is_our_own_and_not_asked_again_at_once(playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: {"get": "http://no-such-host.invalid/"}})
    breaker = Breaker(tmp_path / "egress")
    one = source(network=network(up=False), breaker=breaker)
    assert fails(one, tmp_path / "scratch").reason is Reason.NO_NETWORK
    assert fails(one, tmp_path / "scratch").reason is Reason.NO_NETWORK
    assert len(calls(playbook)) == 1 and breaker.peek() is None and breaker.history() == []
    assert fails(source(), tmp_path / "scratch").reason is Reason.TRANSPORT, "with a network it is the host's fault"


def test_the_real_extractor_without_a_network_is_quick(tmp_path: Path) -> None:
    down = network(up=False)

    def cut(*args: Any, **more: Any) -> Any:
        import socket

        raise socket.gaierror(-2, "Name or service not known")

    begun = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.getaddrinfo", cut)
        one = YouTubeSource(network=down, breaker=Breaker(tmp_path / "egress"))  # with its real pauses
        assert fails(one, tmp_path / "scratch").reason is Reason.NO_NETWORK
    assert time.monotonic() - begun < 30


def test_missing_ffmpeg_is_the_machines_fault(server: Server, playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: parts(server)})
    with pytest.raises(MachineError, match="ffmpeg"):
        source(ffmpeg=tmp_path / "absent").fetch(ClipRequest(ID, 10, 20), tmp_path, Event())


@pytest.mark.parametrize("sections", ["never", "always"])
@pytest.mark.parametrize("act", [whole, parts])
def test_full_disk_means_retry_later(
    sections: Any, act: Any, server: Server, playbook: Path, tmp_path: Path, small_disk: Path
) -> None:
    write_playbook(playbook, **{ID: act(server)})
    with pytest.raises(RetryLater, match="disk is full"):
        source(YouTubeOptions(retries=1, sections=sections)).fetch(ClipRequest(ID, 4, 20), small_disk / "s", Event())
    assert list((small_disk / "s").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system can only be made by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("moment", ["extraction", "download", "section", "pause"])
def test_cancelling_stops_soon(moment: str, server: Server, playbook: Path, tmp_path: Path) -> None:
    act: dict[str, Any] = whole(server)
    more: dict[str, Any] = {}
    if moment == "extraction":
        act["wait"] = 60
    elif moment == "pause":
        act["formats"][0]["url"] = f"{server.url}/status/503"
        more["pause"] = lambda n: 60.0
    else:
        server.slow = 0.5
    options = YouTubeOptions(retries=1, sections="always" if moment == "section" else "never")
    write_playbook(playbook, **{ID: act})
    cancelled = Event()
    threading.Timer(0.7, cancelled.set).start()
    begun = time.monotonic()
    with pytest.raises(FetchFailed) as caught:
        source(options, **more).fetch(ClipRequest(ID, 10, 20), tmp_path / "scratch", cancelled)
    assert caught.value.reason is Reason.WAITING and time.monotonic() - begun < 30
    assert list((tmp_path / "scratch").iterdir()) == []


def test_breaker_and_budget_stand_before_every_request(playbook: Path, tmp_path: Path) -> None:
    other = "aaaaaaaaaaa"
    write_playbook(playbook, **{ID: {"say": "Sign in to confirm you’re not a bot"}, other: {"say": "Private video"}})
    egress, clock = tmp_path / "egress", [1_800_000_000.0]
    breaker = Breaker(egress, clock=lambda: clock[0])
    one = source(breaker=breaker, budget=Budget(egress, pause=0, per_hour=3))
    assert fails(one, tmp_path / "s", ClipRequest(other, 1, 2)).reason is Reason.PRIVATE
    assert fails(one, tmp_path / "s").reason is Reason.BOT_CHECK
    waiting = fails(one, tmp_path / "s", ClipRequest(other, 1, 2))
    assert waiting.reason is Reason.WAITING and "bot_check" in waiting.evidence
    assert calls(playbook) == [other, ID], "nothing is asked while it is open"
    clock[0] += 6 * 3600 + 1
    assert (
        fails(one, tmp_path / "s", ClipRequest(other, 1, 2)).reason is Reason.PRIVATE
    )  # the probe; an answer closes it
    assert breaker.peek() is None and [e["event"] for e in breaker.history()] == ["opened", "closed"]
    spent = fails(one, tmp_path / "s")
    assert spent.reason is Reason.WAITING and "budget" in spent.evidence and (spent.retry_after or 0) > 120
