"""Files over http: what arrives, what is resumed, and what each failure is called."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.download import Downloader, Limits, page_like
from clipquarry.acquire.hosts import Hosts
from clipquarry.acquire.http import HttpSource
from clipquarry.acquire.network import Network
from clipquarry.acquire.stream import HttpStream
from clipquarry.acquire.template import Template, expand_environment, unset_variables
from clipquarry.demo.origin import Origin
from clipquarry.errors import UserError
from clipquarry.reasons import Reason

BIG = bytes(range(256)) * 4096 * 8  # 8 MiB
WANT = ClipRequest(
    "-aBcDeFgH_1", 7, 17, "-aBcDeFgH_1_000007_000017", "val", "massaging_person's_head", "massaging person's head"
)
QUICK = Limits(attempts=3, connect=1, read=0.5, backoff=0.01, max_wait=1.5)


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "small.mp4").write_bytes(b"\x00\x00\x00\x18ftypisom" + b"v" * 1000)
    (folder / "big.mp4").write_bytes(BIG)
    with Origin(folder) as server:
        yield server


def refused(downloader: Downloader, url: str, scratch: Path) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        downloader.download(url, scratch, ".mp4", Event())
    return caught.value


def test_a_file_arrives_whole(origin: Origin, tmp_path: Path) -> None:
    done = Downloader().download(f"{origin.url}/big.mp4", tmp_path / "scratch", ".mp4", Event())
    assert done.path.read_bytes() == BIG
    assert (done.bytes, done.content_type) == (len(BIG), "video/mp4")
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == [done.path.name]


@pytest.mark.parametrize(
    ("plan", "reason", "evidence", "asked"),
    [
        ("404", Reason.NOT_FOUND, "HTTP 404", 1),
        ("410", Reason.GONE, "HTTP 410", 1),
        ("403", Reason.FORBIDDEN_MEDIA, "HTTP 403", 1),
        ("503", Reason.HTTP_5XX, "HTTP 503", 3),
        ({"do": "429", "retry_after": 0.1}, Reason.HTTP_429, "HTTP 429", 3),
        ({"do": "429", "retry_after": 3600}, Reason.HTTP_429, "Retry-After 3600 s", 1),
        ("html", Reason.NOT_A_VIDEO, "<!DOCTYPE html>", 1),
        ("truncate", Reason.TRUNCATED, "of 1012 bytes", 3),
        ({"do": "slow", "seconds": 9}, Reason.TRANSPORT, "timed out after 0.5 s", 3),
        ({"do": "trickle"}, Reason.TRANSPORT, "timed out", 3),
        ({"do": "redirect", "to": "/small.mp4"}, Reason.NOT_FOUND, "redirects", 6),
        ({"do": "redirect", "to": "file:///etc/passwd"}, Reason.NOT_FOUND, "cannot be used", 1),
    ],
)  # fmt: skip
def test_every_refusal_is_a_reason(
    origin: Origin, tmp_path: Path, plan: Any, reason: Reason, evidence: str, asked: int
) -> None:
    origin.set_plan({"small.mp4": plan})
    error = refused(Downloader(QUICK), f"{origin.url}/small.mp4", tmp_path / "s")
    assert error.reason is reason
    assert evidence in error.evidence
    assert origin.asked["small.mp4"] == asked
    assert list((tmp_path / "s").iterdir()) == [], "nothing small is left behind"
    if reason is Reason.HTTP_429 and asked == 1:
        assert error.retry_after == 3600


def test_passing_trouble_passes(origin: Origin, tmp_path: Path) -> None:
    origin.set_plan({"small.mp4": {"do": "500", "times": 2}, "big.mp4": {"do": "429", "retry_after": 1, "times": 1}})
    assert Downloader(QUICK).download(f"{origin.url}/small.mp4", tmp_path, ".mp4", Event()).bytes == 1012
    begun = time.monotonic()
    assert Downloader(QUICK).download(f"{origin.url}/big.mp4", tmp_path, ".mp4", Event()).bytes == len(BIG)
    assert time.monotonic() - begun > 0.9, "Retry-After was obeyed"


def test_a_broken_download_is_resumed_within_a_call(origin: Origin, tmp_path: Path) -> None:
    origin.set_plan({"big.mp4": {"do": "truncate", "times": 2}})
    sent: list[int] = []
    original = origin._server.RequestHandlerClass._send  # type: ignore[attr-defined]

    def counted(self: Any, read: Any, length: int, *, trickle: bool) -> None:
        sent.append(length)
        original(self, read, length, trickle=trickle)

    origin._server.RequestHandlerClass = type("Counting", (origin._server.RequestHandlerClass,), {"_send": counted})  # type: ignore[misc]
    done = Downloader(QUICK).download(f"{origin.url}/big.mp4", tmp_path, ".mp4", Event())
    assert done.path.read_bytes() == BIG
    assert sum(sent) == len(BIG), "no byte was sent twice"


def test_a_broken_download_is_resumed_by_a_later_process_but_never_glued_to_another_file(
    origin: Origin, tmp_path: Path
) -> None:
    origin.set_plan({"big.mp4": "truncate"})  # half of what is left, every time
    once = Limits(attempts=1, read=1)
    assert refused(Downloader(once), f"{origin.url}/big.mp4", tmp_path / "s").reason is Reason.TRUNCATED
    (part,) = (tmp_path / "s").glob("*.part.mp4")
    had = part.stat().st_size
    assert 0.8 * len(BIG) < had < len(BIG)
    origin.set_plan({})
    done = Downloader(once).download(f"{origin.url}/big.mp4", tmp_path / "s", ".mp4", Event())
    assert done.path.read_bytes() == BIG
    origin.set_plan({"big.mp4": "truncate"})
    refused(Downloader(once), f"{origin.url}/big.mp4", tmp_path / "s")
    origin.set_plan({})
    (tmp_path / "served/big.mp4").write_bytes(BIG[::-1])  # another file of the same length
    done = Downloader(once).download(f"{origin.url}/big.mp4", tmp_path / "s", ".mp4", Event())
    assert done.path.read_bytes() == BIG[::-1]
    assert not list((tmp_path / "s").glob("*.part*"))


def test_a_part_that_has_all_its_bytes_costs_one_more_byte(origin: Origin, tmp_path: Path) -> None:
    """Its process died between the last byte and the word that it was the last."""
    origin.set_plan({"big.mp4": "truncate"})
    refused(Downloader(Limits(attempts=1, read=1)), f"{origin.url}/big.mp4", tmp_path / "s")
    (part,) = (tmp_path / "s").glob("*.part.mp4")
    part.write_bytes(BIG)
    origin.set_plan({})
    ranges: list[str] = []
    original = origin._server.RequestHandlerClass.do_GET  # type: ignore[attr-defined]

    def noted(self: Any) -> None:
        ranges.append(self.headers["Range"])
        original(self)

    origin._server.RequestHandlerClass = type("Noting", (origin._server.RequestHandlerClass,), {"do_GET": noted})  # type: ignore[misc]
    done = Downloader(QUICK).download(f"{origin.url}/big.mp4", tmp_path / "s", ".mp4", Event())
    assert done.path.read_bytes() == BIG
    assert ranges == [f"bytes={len(BIG) - 1}-"]


def test_a_server_without_ranges_starts_again(tmp_path: Path) -> None:
    """A server that closes early, knows no ranges and sends no validators."""
    bodies = [BIG[: len(BIG) // 2], BIG]
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for body in bodies:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BIG) + body)

    threading.Thread(target=serve, daemon=True).start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/x.mp4"
    assert Downloader(QUICK).download(url, tmp_path, ".mp4", Event()).path.read_bytes() == BIG
    listening.close()


def test_too_much_is_refused_before_and_while_it_comes(origin: Origin, tmp_path: Path) -> None:
    error = refused(Downloader(Limits(max_bytes=1000)), f"{origin.url}/big.mp4", tmp_path)
    assert "more than the limit" in error.evidence
    assert list(tmp_path.glob("*.mp4")) == []


def test_cancelling_ends_a_download_soon(origin: Origin, tmp_path: Path) -> None:
    origin.set_plan({"big.mp4": "trickle"})
    cancelled = Event()
    threading.Timer(0.3, cancelled.set).start()
    begun = time.monotonic()
    with pytest.raises(FetchFailed):
        Downloader(Limits(read=5)).download(f"{origin.url}/big.mp4", tmp_path, ".mp4", cancelled)
    assert time.monotonic() - begun < 30, "at a byte a second it would take three months"


def test_without_a_network_it_is_our_cable_and_three_times_are_enough(tmp_path: Path) -> None:
    looks: list[str] = []

    def connect(host: str, port: int, timeout: float) -> None:
        looks.append(host)
        raise OSError("unreachable")

    down = Network(connect=connect, route=lambda: False, proxies=dict)
    downloader = Downloader(Limits(attempts=1, connect=0.3), network=down)
    errors = [refused(downloader, "http://no-such-host.invalid/x.mp4", tmp_path) for _ in range(4)]
    assert {error.reason for error in errors} == {Reason.NO_NETWORK}
    assert "no request to" in errors[3].evidence
    assert "the last 3 failed with" in errors[3].evidence
    up = Network(connect=lambda *_: None, route=lambda: True, proxies=dict)
    error = refused(
        Downloader(Limits(attempts=1, connect=0.3), network=up), "http://no-such-host.invalid/x.mp4", tmp_path
    )
    assert error.reason is Reason.TRANSPORT, "the others answer, so it is theirs"


def test_a_server_on_this_machine_is_asked_whatever_the_network_and_the_proxy(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    down = Network(connect=lambda *_: None, route=lambda: False, proxies=dict)
    assert Downloader(QUICK, network=down).download(f"{origin.url}/small.mp4", tmp_path, ".mp4", Event()).bytes == 1012
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = refused(Downloader(QUICK, network=down), f"http://127.0.0.1:{port}/x.mp4", tmp_path)
    assert error.reason is Reason.TRANSPORT
    assert "refused" in error.evidence


def test_a_host_that_says_wait_three_times_is_left_alone(origin: Origin, tmp_path: Path) -> None:
    origin.set_plan({"*": {"do": "429", "retry_after": 3600}})
    downloader = Downloader(QUICK, hosts=Hosts())
    for _ in range(5):
        assert refused(downloader, f"{origin.url}/small.mp4", tmp_path).reason is Reason.HTTP_429
    assert origin.asked["small.mp4"] == 3


@pytest.mark.parametrize(
    ("head", "kind", "is_page"),
    [
        (b"<!DOCTYPE html>", "", True), (b"  \n<HTML>", "video/mp4", True), (b'{"error": 1}', "application/json", True),
        (b"<?xml version='1.0'?><Error>", "application/xml", True), (b"plain words", "text/html", True),
        (b"\x00\x00\x00\x18ftyp", "text/html", False), (b"\x1aE\xdf\xa3", "text/plain", False),
        (b"", "text/html", False),
    ],
)  # fmt: skip
def test_pages_are_told_from_videos_by_their_bytes(head: bytes, kind: str, is_page: bool) -> None:
    assert (page_like(head, kind) is not None) is is_page


def test_addresses_are_filled_and_percent_encoded() -> None:
    url = "http://h/{split}/{class}/{label}/{id}/{clip}-{start:06d}-{end}.mp4"
    source = HttpSource("mirror", url, "clip", Downloader())
    assert source.url(WANT) == (
        "http://h/val/massaging_person%27s_head/massaging%20person%27s%20head/-aBcDeFgH_1/"
        "-aBcDeFgH_1_000007_000017-000007-17.mp4"
    )
    named = HttpSource("m", "http://h/{split}/{clip}", "video", Downloader(), {"val": "trainval"})
    assert named.url(WANT) == f"http://h/trainval/{WANT.clip_id}"
    hostile = ClipRequest("x", 0, 1, "c", "../..", "a/b?c#d%2f", None)
    assert (
        HttpSource("m", "http://h/{split}/{class}", "clip", Downloader()).url(hostile)
        == "http://h/..%2F../a%2Fb%3Fc%23d%252f"
    )


@pytest.mark.parametrize("bad", ["{nope}", "{id!r}", "{start:999999d}", "{id:>9}", "{", "{id.x}", "{0}"])
def test_strange_templates_are_refused(bad: str) -> None:
    with pytest.raises(UserError):
        Template(f"http://h/{bad}")


@pytest.mark.parametrize("bad", ["file:///etc/{id}", "ftp://h/{id}", "{id}", "http:///{id}"])
def test_only_http_addresses_are_sources(bad: str) -> None:
    with pytest.raises(UserError):
        HttpSource("m", bad, "clip", Downloader())


def test_variables_come_from_the_environment() -> None:
    assert unset_variables("${A}/${B}/{id}", {"A": "x", "B": ""}) == ["B"]
    text = expand_environment("${A}/{id}", {"A": "http://h/{odd}/"})
    assert Template(text).fill(WANT, str) == "http://h/{odd}/-aBcDeFgH_1"


def test_evidence_holds_no_secrets(origin: Origin, tmp_path: Path) -> None:
    source = HttpSource(
        "m", f"{origin.url.replace('http://', 'http://me:secret@')}/small.mp4?key=secret", "clip", Downloader()
    )
    fetched = source.fetch(WANT, tmp_path, Event())
    assert (fetched.content, fetched.offset, fetched.bytes) == ("clip", 7.0, 1012)
    assert "secret" not in fetched.evidence
    dead = HttpSource("m", "http://me:secret@127.0.0.1:9/x?key=secret", "video", Downloader(QUICK))
    with pytest.raises(FetchFailed) as caught:
        dead.fetch(WANT, tmp_path, Event())
    assert "secret" not in caught.value.evidence


def test_a_stream_survives_broken_connections_and_ends_with_the_file(origin: Origin) -> None:
    origin.set_plan({"big.mp4": {"do": "truncate", "times": 3}})
    stream = HttpStream(Downloader(QUICK), f"{origin.url}/big.mp4", Event())
    with stream:
        assert stream.read() == BIG
    origin.set_plan({"big.mp4": {"do": "truncate", "times": 3}})
    (Path(origin._server.folder) / "big.mp4").touch()
    changing = HttpStream(Downloader(QUICK), f"{origin.url}/big.mp4", Event())
    with changing:
        changing.read(10)
        time.sleep(0.01)
        (Path(origin._server.folder) / "big.mp4").write_bytes(BIG[::-1])
        with pytest.raises(FetchFailed) as caught:
            changing.read()
    assert caught.value.reason is Reason.TRUNCATED
