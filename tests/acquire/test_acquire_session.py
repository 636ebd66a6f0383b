"""How yt-dlp goes out: through our guarded connections only."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.connection import Nearness
from clipquarry.acquire.network import Network
from clipquarry.acquire.session import Sessions
from clipquarry.acquire.youtube import YouTubeOptions, YouTubeSource
from clipquarry.reasons import Reason
from fake_youtube import FAKE, enable_fake_extractor, write_playbook
from memory import traced_peak
from raw_server import Asked, answer, raw_server
from test_acquire_connection import names

ID = "aBcDeFgHiJk"
DATA = bytes(range(256)) * 4096


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    enable_fake_extractor(monkeypatch, tmp_path / "playbook.json")
    return tmp_path / "playbook.json"


def source() -> YouTubeSource:
    up = Network(connect=lambda *_: None, route=lambda: True, proxies=dict)
    options = YouTubeOptions(retries=1, sections="never", socket_timeout=1)
    return YouTubeSource(options, url_template=FAKE, network=up, pause=lambda _: 0.0)


def act(url: str, **more: Any) -> dict[str, Any]:
    one = {"format_id": "18", "url": url, "ext": "mp4", "protocol": "http", "vcodec": "avc1", "acodec": "mp4a", **more}
    return {"duration": 24, "formats": [one]}


def versions(tag: Callable[[int], str], total: Callable[[int], int]) -> Callable[[socket.socket, Asked], None]:
    count: list[int] = []

    def play(connection: socket.socket, asked: Asked) -> None:
        count.append(1)
        last = int(asked.headers.get("range", "-").rpartition("-")[2] or len(DATA) - 1)
        last = min(last, len(DATA) - 1)
        headers = [f"ETag: {tag(len(count))}", f"Content-Range: bytes {asked.first}-{last}/{total(len(count))}"]
        connection.sendall(answer("206 Partial Content", *headers, body=DATA[asked.first : last + 1]))

    return play


def test_what_comes_in_chunks_is_of_one_version(playbook: Path, tmp_path: Path) -> None:
    """YouTube's media are read ten megabytes at a time."""
    chunks = {"downloader_options": {"http_chunk_size": 300_000}}
    with raw_server(versions(lambda _: '"a"', lambda _: len(DATA))) as server:
        write_playbook(playbook, **{ID: act(f"{server.url}/v.mp4", **chunks)})
        got = source().fetch(ClipRequest(ID, 10, 20), tmp_path / "s", Event())
    assert got.path.read_bytes() == DATA
    assert len(server.asked) > 3
    with raw_server(versions(lambda count: f'"{count}"', lambda _: len(DATA))) as server:
        write_playbook(playbook, **{ID: act(f"{server.url}/v.mp4", **chunks)})
        with pytest.raises(FetchFailed) as caught:
            source().fetch(ClipRequest(ID, 10, 20), tmp_path / "s", Event())
    assert caught.value.reason is Reason.TRANSPORT
    assert "has changed" in caught.value.evidence


def test_the_body_of_a_redirect_is_not_read(playbook: Path, tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(100 << 20), 1)

    def play(connection: socket.socket, asked: Asked) -> None:
        if asked.path == "/v.mp4":
            connection.sendall(answer("302 Found", "Location: /w.mp4", "Content-Encoding: gzip", body=bomb))
        else:
            connection.sendall(answer("200 OK", body=DATA))

    with raw_server(play) as server:
        write_playbook(playbook, **{ID: act(f"{server.url}/v.mp4")})

        def fetch() -> None:
            assert source().fetch(ClipRequest(ID, 10, 20), tmp_path / "s", Event()).path.read_bytes() == DATA

        assert traced_peak(fetch, warm=False) < 50_000_000, "of 100 million bytes, beside yt-dlp's modules"


@pytest.mark.parametrize("location", ["http://[::1", "http://h:x/"])
def test_a_location_that_makes_no_sense_is_a_reason(location: str, playbook: Path, tmp_path: Path) -> None:
    with raw_server(lambda connection, _: connection.sendall(answer("302 Found", f"Location: {location}"))) as server:
        write_playbook(playbook, **{ID: act(f"{server.url}/v.mp4")})
        with pytest.raises(FetchFailed):
            source().fetch(ClipRequest(ID, 10, 20), tmp_path / "s", Event())


@pytest.mark.parametrize("what", ["headers", "body"])
def test_an_answer_that_does_not_end_ends(what: str, playbook: Path, tmp_path: Path) -> None:
    def play(connection: socket.socket, asked: Asked) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 9000000\r\n\r\n" if what == "body" else b"X: "))
        while not server.gone.wait(0.05):
            connection.sendall(b"v" * 15)

    with raw_server(play) as server:
        write_playbook(playbook, **{ID: act(f"{server.url}/v.mp4")})
        with pytest.raises(FetchFailed) as caught:
            source().fetch(ClipRequest(ID, 10, 20), tmp_path / "s", Event())
    assert caught.value.reason is Reason.TRANSPORT


def test_media_that_a_public_address_named_come_from_no_address_inside(playbook: Path, tmp_path: Path) -> None:
    """While a video is extracted, plug-ins may ask helpers on this machine."""
    sessions = Sessions({}, cookies=None, ffmpeg=None, pause=lambda *_: 0.0)
    with raw_server(lambda connection, _: connection.sendall(answer("200 OK", body=DATA))) as server:
        session = sessions.get()
        (tmp_path / "s").mkdir()
        with session.using(tmp_path / "s", Event()) as ydl:
            session._reach.answered(Nearness.PUBLIC)  # the page
            assert ydl.urlopen(f"{server.url}/token").status == 200
            with pytest.raises(Exception, match="led to"):
                ydl.process_info(
                    {
                        "id": ID,
                        "title": "t",
                        "ext": "mp4",
                        "url": f"{server.url}/v.mp4",
                        "extractor": "x",
                        "extractor_key": "X",
                    }
                )
        assert [asked.path for asked in server.asked] == ["/token"]
        with session.using(tmp_path / "s", Event()) as ydl:
            assert ydl.urlopen(f"{server.url}/next").status == 200


def test_there_is_no_other_way_out(playbook: Path, tmp_path: Path) -> None:
    session = Sessions({}, cookies=None, ffmpeg=None, pause=lambda *_: 0.0).get()
    with session.using(tmp_path, Event()) as ydl:
        assert [handler.RH_NAME for handler in ydl._request_director.handlers.values()] == ["requests"]
        for url in ("ftp://127.0.0.1:1/x", "file:///etc/passwd"):
            with pytest.raises(Exception, match=r"(?i)unsupported|disabled|unable to handle"):
                ydl.urlopen(url)


def hls(media: str, *lines: str) -> bytes:
    head = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:4", "#EXT-X-MEDIA-SEQUENCE:0", *lines]
    return "\n".join([*head, "#EXTINF:4,", media, "#EXT-X-ENDLIST", ""]).encode()


def playlist(url: str, protocol: str, **more: Any) -> dict[str, Any]:
    return {
        "id": ID, "title": "t", "ext": "mp4", "url": url, "protocol": protocol, "extractor": "x", "extractor_key": "X",
        **more,
    }  # fmt: skip


@pytest.mark.parametrize("protocol", ["m3u8", "m3u8_native"])
def test_fragments_of_a_playlist_go_out_as_all_else(
    protocol: str, playbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both the fragment itself and a redirect of it: a playlist that a public address served names this machine."""

    def play(connection: socket.socket, asked: Asked) -> None:
        moved = answer("302 Found", f"Location: http://127.0.0.1:{server.port}/inside.ts")
        bodies = {"/a.m3u8": hls("/moved.ts"), "/b.m3u8": hls(f"http://localhost:{server.port}/inside.ts")}
        connection.sendall(moved if asked.path == "/moved.ts" else answer("200 OK", body=bodies.get(asked.path, DATA)))

    sessions = Sessions({}, cookies=None, ffmpeg=None, pause=lambda *_: 0.0)
    with raw_server(play) as server, names(monkeypatch, public=["8.8.8.8"]):
        for path in ("/a.m3u8", "/b.m3u8"):
            with sessions.get().using(tmp_path, Event()) as ydl, pytest.raises(Exception, match="led to"):
                ydl.process_info(playlist(f"http://public.example:{server.port}{path}", protocol))
        assert [asked.path for asked in server.asked if asked.path == "/inside.ts"] == []
        assert "/moved.ts" in [asked.path for asked in server.asked], "the fragment itself was asked for"


@pytest.mark.parametrize(
    ("protocol", "more", "lines"),
    [
        ("m3u8_native", {"is_live": True}, ()),
        ("m3u8_native", {}, ('#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"',)),
        ("rtmp", {}, ()),
        ("rtmp_ffmpeg", {}, ()),
        ("websocket_frag", {}, ()),
    ],
)
def test_what_would_go_out_by_itself_is_refused(
    protocol: str, more: dict[str, Any], lines: tuple[str, ...], playbook: Path, tmp_path: Path
) -> None:
    session = Sessions({}, cookies=None, ffmpeg=None, pause=lambda *_: 0.0).get()
    with raw_server(lambda link, _: link.sendall(answer("200 OK", body=hls("/a.ts", *lines)))) as server:
        with (
            session.using(tmp_path, Event()) as ydl,
            pytest.raises(FetchFailed, match="makes its own connections") as caught,
        ):
            ydl.process_info(playlist(f"{server.url}/a.m3u8", protocol, **more))
        assert {asked.path for asked in server.asked} <= {"/a.m3u8"}
    assert caught.value.reason is Reason.TOOL_FAILED
