"""Where redirects may lead, what of an answer is read, and that every answer ends."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import urllib3
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.connection import LedInside, Nearness, Reach, nearness, resolved_nearness, written_nearness
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.acquire.stream import HttpStream
from clipquarry.reasons import Reason
from memory import traced_peak
from raw_server import Asked, Raw, answer, raw_server

QUICK = Limits(attempts=1, connect=2, read=0.4, backoff=0.01)
SECRET = b"the key of the lab: 0123456789"
VIDEO = b"\x00\x00\x00\x18ftypisom" + b"v" * 3000


def refused(url: str, scratch: Path, limits: Limits = QUICK) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        Downloader(limits).download(url, scratch, ".mp4", Event())
    return caught.value


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("8.8.8.8", Nearness.PUBLIC), ("2001:4860:4860::8888", Nearness.PUBLIC), ("10.1.2.3", Nearness.PRIVATE),
        ("192.168.0.1", Nearness.PRIVATE), ("172.17.0.1", Nearness.PRIVATE), ("100.64.0.1", Nearness.PRIVATE),
        ("fd00::1", Nearness.PRIVATE), ("127.0.0.1", Nearness.LOCAL), ("127.9.9.9", Nearness.LOCAL), ("0.0.0.0", Nearness.LOCAL),
        ("::1", Nearness.LOCAL), ("::", Nearness.LOCAL), ("::ffff:127.0.0.1", Nearness.LOCAL), ("2002:7f00:1::", Nearness.LOCAL),
        ("64:ff9b::7f00:1", Nearness.LOCAL), ("64:ff9b::a00:1", Nearness.PRIVATE), ("169.254.169.254", Nearness.SPECIAL),
        ("fe80::1%eth0", Nearness.SPECIAL), ("224.0.0.1", Nearness.SPECIAL), ("255.255.255.255", Nearness.SPECIAL),
        ("::ffff:8.8.8.8", Nearness.PUBLIC),
    ],
)  # fmt: skip
def test_how_near_an_address_is(address: str, near: Nearness) -> None:
    assert nearness(address) is near


def test_hosts_that_are_written_as_addresses() -> None:
    assert written_nearness("http://localhost:1/x") is Nearness.LOCAL
    assert written_nearness("http://a.localhost./x") is Nearness.LOCAL
    assert written_nearness("http://[::1]/x") is Nearness.LOCAL
    assert written_nearness("http://mirror.example/x") is None


def test_behind_a_proxy_only_what_is_written_can_be_looked_at() -> None:
    reach = Reach()
    reach.begin()
    reach.towards("http://mirror.example/x")
    reach.answered(None)
    reach.towards("http://other.example/x")
    with pytest.raises(LedInside):
        reach.towards("http://10.0.0.1/x")
    reach.begin()
    reach.towards("http://10.0.0.1/x")  # named by the user


@contextmanager
def names(monkeypatch: pytest.MonkeyPatch, **known: list[str]) -> Iterator[None]:
    """Hosts ``mirror`` (and so on) with public addresses, which in truth lie on this machine."""
    ask, connect = socket.getaddrinfo, urllib3.util.connection.create_connection
    left = {f"{name}.example": list(addresses) for name, addresses in known.items()}

    def asked(host: Any, port: Any, *rest: Any) -> Any:
        if host not in left:
            return ask(host, port, *rest)
        address = left[host].pop(0) if len(left[host]) > 1 else left[host][0]  # each question may have another answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connected(address: tuple[str, int], *rest: Any, **more: Any) -> Any:
        return connect(("127.0.0.1" if address[0] == "8.8.8.8" else address[0], address[1]), *rest, **more)

    monkeypatch.setattr("socket.getaddrinfo", asked)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connected)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield


@pytest.fixture
def inner() -> Iterator[Raw]:
    with raw_server(lambda connection, _: connection.sendall(answer("200 OK", body=SECRET))) as server:
        yield server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "rebound.example", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_a_public_address_never_leads_inside(
    host: str, inner: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play(connection: socket.socket, asked: Asked) -> None:
        location = f"http://{host}:{inner.port}/x" if asked.path == "/b" else "/b"
        connection.sendall(answer("302 Found", f"Location: {location}"))

    with raw_server(play) as outer, names(monkeypatch, mirror=["8.8.8.8"], rebound=["127.0.0.1"]):
        error = refused(f"http://mirror.example:{outer.port}/a", tmp_path)
        with (
            pytest.raises(FetchFailed),
            HttpStream(Downloader(QUICK), f"http://mirror.example:{outer.port}/a", Event()) as it,
        ):
            it.read()
    assert error.reason is Reason.NOT_FOUND
    assert "a public address led to" in error.evidence
    assert inner.asked == []
    assert SECRET.decode()[:8] not in error.evidence


def test_a_name_that_becomes_another_address_on_the_way_back_is_not_followed(
    inner: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that is connected to is the one that is looked at, at each hop."""

    def play(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(answer("307 Temporary Redirect", f"Location: http://mirror.example:{inner.port}/x"))

    with raw_server(play) as outer, names(monkeypatch, mirror=["8.8.8.8", "127.0.0.1"]):
        assert "a public address led" in refused(f"http://mirror.example:{outer.port}/a", tmp_path).evidence
    assert inner.asked == []


def test_redirects_among_public_addresses_and_among_private_ones_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with raw_server(lambda connection, _: connection.sendall(answer("200 OK", body=VIDEO))) as target:

        def play(connection: socket.socket, asked: Asked) -> None:
            host = "cdn.example" if asked.path == "/far" else "127.0.0.1"
            connection.sendall(answer("302 Found", f"Location: http://{host}:{target.port}/x"))

        with raw_server(play) as server, names(monkeypatch, mirror=["8.8.8.8"], cdn=["8.8.8.8"]):
            for url in (f"http://mirror.example:{server.port}/far", f"{server.url}/near"):
                assert Downloader(QUICK).download(url, tmp_path, ".mp4", Event()).bytes == len(VIDEO)


def test_a_connection_that_is_kept_open_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user asks a source on this machine; later a public one leads there, where a connection waits."""
    with raw_server(lambda *_: None) as unused:
        assert unused.port

    def play(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(answer("302 Found", f"Location: {near.url}/small.mp4"))

    from clipquarry.demo.origin import Origin

    (tmp_path / "small.mp4").write_bytes(VIDEO)
    with Origin(tmp_path) as near, raw_server(play) as outer, names(monkeypatch, mirror=["8.8.8.8"]):
        downloader = Downloader(QUICK)
        downloader.download(f"{near.url}/small.mp4", tmp_path / "s", ".mp4", Event())
        with pytest.raises(FetchFailed) as caught:
            downloader.download(f"http://mirror.example:{outer.port}/a", tmp_path / "s", ".mp4", Event())
        assert "led to" in caught.value.evidence
        assert near.asked["small.mp4"] == 1


@pytest.mark.parametrize("extra", [["Content-Encoding: gzip"], []])
def test_the_body_of_a_redirect_is_not_read(extra: list[str], tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(100 << 20), 1) if extra else b""

    def play(connection: socket.socket, asked: Asked) -> None:
        if asked.path == "/target":
            connection.sendall(answer("200 OK", body=VIDEO))
        elif extra:
            connection.sendall(answer("302 Found", "Location: /target", *extra, body=bomb))
        else:  # without an end
            connection.sendall(answer("302 Found", "Location: /target", "Transfer-Encoding: chunked"))
            while not server.gone.is_set():
                connection.sendall(b"1000\r\n" + bytes(4096) + b"\r\n")

    def download() -> None:
        assert Downloader(QUICK).download(f"{server.url}/a", tmp_path, ".mp4", Event()).bytes == len(VIDEO)

    with raw_server(play) as server:
        assert traced_peak(download, warm=False) < 20_000_000, "of 100 million bytes"


@pytest.mark.parametrize(
    "location",
    ["http://[::1", "http://h:99999999/", "http://\xff\xfe/", "http://h:x/", "//", "http://", "http://a..b/", "\xe9" * 300],
)  # fmt: skip
def test_a_location_that_makes_no_sense_is_a_reason(location: str, tmp_path: Path) -> None:
    with raw_server(lambda connection, _: connection.sendall(answer("302 Found", f"Location: {location}"))) as server:
        assert refused(f"{server.url}/a", tmp_path).reason in (Reason.NOT_FOUND, Reason.TRANSPORT)


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: \xb2"], ["Content-Length: 5, 6"], ["Content-Length: -1"], ["Content-Length: " + "9" * 5000],
        ["Transfer-Encoding: chunked"], ["Content-Length: x", "Transfer-Encoding: chunked"],
        ["Content-Length: 9", "Retry-After: \xb2"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", ["200 OK", "503 Busy", "206 Partial Content", "999 What"])
def test_headers_that_make_no_sense_are_a_reason(status: str, headers: list[str], tmp_path: Path) -> None:
    with raw_server(lambda connection, _: connection.sendall(answer(status, *headers, body=b"zz\r\n"))) as server:
        error = refused(f"{server.url}/a", tmp_path)
    assert error.reason in (Reason.TRANSPORT, Reason.TRUNCATED, Reason.HTTP_5XX, Reason.NOT_A_VIDEO, Reason.NOT_FOUND)
    assert list(tmp_path.iterdir()) == []


def _drip(connection: socket.socket, server: Raw, piece: bytes, pause: float) -> None:
    while not server.gone.wait(pause):
        connection.sendall(piece)


@pytest.mark.parametrize("what", ["status", "header", "continue", "continue at once"])
def test_headers_have_one_deadline(what: str, tmp_path: Path) -> None:
    """Each piece comes well before the longest silence; all together never end."""
    begin = {"status": b"", "header": b"HTTP/1.1 200 OK\r\nX-A: "}.get(what, b"")
    piece = b"HTTP/1.1 100 Continue\r\n\r\n" if "continue" in what else b"H" if what == "status" else b"x"

    def play(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(begin)
        _drip(connection, server, piece, 0.0 if what.endswith("once") else 0.05)

    with raw_server(play) as server:
        error = refused(f"{server.url}/a", tmp_path)
    assert error.reason is Reason.TRANSPORT
    assert "headers" in error.evidence


@pytest.mark.parametrize("how", ["plain", "chunked", "chunk size"])
def test_a_body_has_a_lowest_speed(how: str, tmp_path: Path) -> None:
    """At three hundred bytes a second a clip takes an hour, and its slot with it."""
    head = answer("200 OK", "Content-Length: 9000000" if how == "plain" else "Transfer-Encoding: chunked")
    piece = {"plain": b"v" * 15, "chunked": b"f\r\n" + b"v" * 15 + b"\r\n", "chunk size": b"0" * 15}[how]

    def play(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(head)
        _drip(connection, server, piece, 0.05)

    with raw_server(play) as server:
        error = refused(f"{server.url}/a", tmp_path)
        with pytest.raises(FetchFailed), HttpStream(Downloader(QUICK), f"{server.url}/a", Event()) as stream:
            stream.read()
    assert error.reason is Reason.TRANSPORT
    assert "timed out: only" in error.evidence
    assert list(tmp_path.iterdir()) == []


def test_who_reads_slowly_is_not_the_servers_fault(tmp_path: Path) -> None:
    with raw_server(lambda connection, _: connection.sendall(answer("200 OK", body=VIDEO * 50))) as server:
        stream = HttpStream(Downloader(Limits(attempts=1, read=0.1)), f"{server.url}/a", Event())
        with stream:
            taken = stream.read(10)
            Event().wait(0.3)  # longer than the window over which the speed is measured
            assert taken + stream.read() == VIDEO * 50


@pytest.mark.parametrize("limits", [Limits(attempts=3, body=0.3), Limits(attempts=3, max_bytes=5 << 20)])
def test_an_endless_body_ends_and_leaves_nothing_behind(limits: Limits, tmp_path: Path) -> None:
    def play(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(answer("200 OK", 'ETag: "a"', "Transfer-Encoding: chunked"))
        _drip(connection, server, b"10000\r\n" + b"v" * 65536 + b"\r\n", 0.0)

    with raw_server(play) as server:
        error = refused(f"{server.url}/a", tmp_path, limits)
    assert "timed out: no end of the body" in error.evidence or "more bytes than the limit" in error.evidence
    assert list(tmp_path.iterdir()) == []


def test_a_body_may_take_longer_when_it_is_long() -> None:
    patience = Limits(body=100).patience
    assert patience.longest(None) == 100
    assert patience.longest(1 << 30) == 100 + 65536


def test_behind_a_proxy_our_own_resolver_counts_where_it_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The proxy here fetches what it is asked for, whatever it is, and redirects from the mirror to the intranet."""

    def play(connection: socket.socket, asked: Any) -> None:
        moved = answer("302 Found", "Location: http://intranet.example/secret")
        connection.sendall(moved if "mirror.example" in asked.path else answer("200 OK", body=SECRET))

    with raw_server(play) as proxy:
        for intranet, is_led in ((["10.0.0.1"], False), (["8.8.8.8", "10.0.0.1"], True)):
            resolved_nearness.cache_clear()
            with names(monkeypatch, mirror=["8.8.8.8"], intranet=intranet):
                monkeypatch.setenv("http_proxy", proxy.url)
                downloader = Downloader(Limits(attempts=1))
                if is_led:  # the first answer of a list of names is public
                    assert downloader.download("http://mirror.example/x", tmp_path, ".mp4", Event()).bytes
                else:
                    with pytest.raises(FetchFailed, match=r"led to intranet\.example, which is private"):
                        downloader.download("http://mirror.example/x", tmp_path, ".mp4", Event())
        assert sum("intranet" in asked.path for asked in proxy.asked) == 1
    resolved_nearness.cache_clear()


def test_a_name_that_the_resolver_does_not_know_is_the_proxys() -> None:
    assert resolved_nearness("no-such-host.invalid") is None
    assert resolved_nearness("localhost") is Nearness.LOCAL
    assert Reach.led_by(Nearness.PUBLIC).farthest is Nearness.PUBLIC
