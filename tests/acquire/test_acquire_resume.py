"""Bytes of two answers belong together only when both are about the same version of the file."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Event

import av
import pytest
from clipquarry.acquire import resume
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.acquire.ranged import NoRanges, RangedFile
from clipquarry.acquire.resume import Part, Version
from clipquarry.acquire.section import Input, NoSection, copy_section
from clipquarry.acquire.stream import HttpStream
from clipquarry.reasons import Reason
from fake_youtube import numbered_video
from raw_server import Asked, answer, raw_server

A = b"A" * (3 << 20)
B = b"B" * (3 << 20)
HALF = len(A) // 2
OLD = format_datetime(datetime.now(UTC) - timedelta(days=2), usegmt=True)
NEWER = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
QUICK = Limits(attempts=2, connect=2, read=1, backoff=0.01)

FIRST = ['ETag: "a"', f"Last-Modified: {OLD}", "Content-Type: video/mp4"]
RANGE = f"Content-Range: bytes {HALF}-{len(A) - 1}/{len(A)}"
CHANGED = {
    "another entity tag": (FIRST, ['ETag: "b"', "Content-Type: video/mp4", RANGE]),
    "no entity tag any more": (FIRST, ["Content-Type: video/mp4", RANGE]),
    "a weak tag instead": (FIRST, ['ETag: W/"a"', RANGE]),
    "another length": (FIRST, ['ETag: "a"', f"Content-Range: bytes {HALF}-{len(A) - 1}/{len(A) + 9}"]),
    "another type": (FIRST, ['ETag: "a"', "Content-Type: text/html", RANGE]),
    "several parts": (FIRST, ['ETag: "a"', "Content-Type: multipart/byteranges; boundary=x", RANGE]),
    "another encoding": (FIRST, ['ETag: "a"', "Content-Encoding: gzip", RANGE]),
    "another range": (FIRST, ['ETag: "a"', f"Content-Range: bytes 0-{len(A) - 1}/{len(A)}"]),
    "no range": (FIRST, ['ETag: "a"']),
    "a range that makes no sense": (FIRST, ['ETag: "a"', f"Content-Range: bytes {HALF}-5/{len(A)}"]),
    "a range in other digits": (FIRST, ['ETag: "a"', f"Content-Range: bytes {HALF}-\xb2/{len(A)}"]),
    "another date": ([f"Last-Modified: {OLD}"], [f"Last-Modified: {NEWER}", RANGE]),
    "no date any more": ([f"Last-Modified: {OLD}"], [RANGE]),
}  # fmt: skip


def changing(first: list[str], then: list[str], *, begun: bool = False) -> Callable[[socket.socket, Asked], None]:
    """Half of A; every range is answered with bytes of B, as if nothing had happened; what is whole is B."""
    seen = [1] if begun else []

    def play(connection: socket.socket, asked: Asked) -> None:
        if asked.first:
            connection.sendall(answer("206 Partial Content", *then, body=B[HALF:]))
        elif seen:
            connection.sendall(answer("200 OK", 'ETag: "b"', "Content-Type: video/mp4", body=B))
        else:
            seen.append(1)
            connection.sendall(answer("200 OK", *first, f"Content-Length: {len(A)}") + A[:HALF])

    return play


@pytest.mark.parametrize("what", CHANGED)
def test_a_download_is_never_glued_from_two_files(what: str, tmp_path: Path) -> None:
    with raw_server(changing(*CHANGED[what])) as server:
        done = Downloader(QUICK).download(f"{server.url}/x", tmp_path, ".mp4", Event())
    assert done.path.read_bytes() == B, "from the beginning again"


@pytest.mark.parametrize("what", CHANGED)
def test_nor_by_the_next_run(what: str, tmp_path: Path) -> None:
    """One try is enough: what an earlier process left is given up at no cost."""
    first, then = CHANGED[what]
    with raw_server(changing(first, then, begun=True)) as server:
        part = tmp_path / f"{hashlib.sha256(f'{server.url}/x'.encode()).hexdigest()[:32]}.part.mp4"
        part.write_bytes(A[:HALF])
        headers = dict(line.split(": ", 1) for line in [*first, f"Content-Length: {len(A)}"])
        resume.remember(part, Version.of(200, headers))
        done = Downloader(Limits(attempts=1)).download(f"{server.url}/x", tmp_path, ".mp4", Event())
    assert done.path.read_bytes() == B
    assert server.asked[0].headers["if-range"] in ('"a"', OLD)
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize("what", CHANGED)
def test_a_stream_ends_where_its_file_changed(what: str) -> None:
    with (
        raw_server(changing(*CHANGED[what])) as server,
        HttpStream(Downloader(QUICK), f"{server.url}/x", Event()) as stream,
        pytest.raises(FetchFailed) as caught,
    ):
        stream.readall()
    assert caught.value.reason is Reason.TRUNCATED
    assert stream.bytes_read <= HALF


@pytest.mark.parametrize("what", CHANGED)
def test_a_file_that_is_read_here_and_there_is_one_file(what: str) -> None:
    with raw_server(changing(*CHANGED[what])) as server:
        file = RangedFile(Downloader(QUICK), f"{server.url}/x", {}, Event())
        with pytest.raises((FetchFailed, NoRanges)):
            while piece := file.read(1 << 16):
                assert set(piece) == {ord("A")}
        assert file.failure is not None


def test_the_same_version_is_resumed_also_when_little_is_said_of_it(tmp_path: Path) -> None:
    """After If-Range a server need not repeat what it said, but for the entity tag."""

    def play(connection: socket.socket, asked: Asked) -> None:
        if asked.first:
            assert asked.headers["if-range"] == '"a"'
            connection.sendall(answer("206 Partial Content", 'ETag: "a"', RANGE, body=A[HALF:]))
        else:
            connection.sendall(answer("200 OK", *FIRST, f"Content-Length: {len(A)}") + A[:HALF])

    with raw_server(play) as server:
        assert Downloader(QUICK).download(f"{server.url}/x", tmp_path, ".mp4", Event()).path.read_bytes() == A
        with HttpStream(Downloader(QUICK), f"{server.url}/x", Event()) as stream:
            assert stream.readall() == A
        file = RangedFile(Downloader(QUICK), f"{server.url}/x", {}, Event())
        assert file.seek(-5, 2) == len(A) - 5 or server.asked


def test_a_206_that_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    """Appended to what lies there it would make a file of two."""
    with (
        raw_server(
            lambda connection, _: connection.sendall(
                answer("206 Partial Content", "Content-Range: bytes 0-2/3", body=b"abc")
            )
        ) as server,
        pytest.raises(FetchFailed) as caught,
    ):
        Downloader(QUICK).download(f"{server.url}/x", tmp_path, ".mp4", Event())
    assert caught.value.reason is Reason.TRANSPORT
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_changes_its_file_all_the_time_is_not_asked_for_ever(tmp_path: Path) -> None:
    def play(connection: socket.socket, asked: Asked) -> None:
        tag = f'ETag: "{len(server.asked)}"'
        if asked.first:
            rest = f"Content-Range: bytes {asked.first}-{len(A) - 1}/{len(A)}"
            connection.sendall(answer("206 Partial Content", tag, rest, body=A[asked.first :]))
        else:
            connection.sendall(answer("200 OK", tag, f"Content-Length: {len(A)}") + A[:HALF])

    with raw_server(play) as server, pytest.raises(FetchFailed):
        Downloader(QUICK).download(f"{server.url}/x", tmp_path, ".mp4", Event())
    assert len(server.asked) <= 8


def test_what_is_remembered_beside_a_part(tmp_path: Path) -> None:
    part = tmp_path / "x.part.mp4"
    part.write_bytes(A[:HALF])
    version = Version(etag='"a"', total=len(A))
    resume.remember(part, version)
    assert resume.known(part) == (HALF, version)
    for damaged in (
        "[]",
        "{}",
        '{"total": "x"}',
        '{"etag": 1, "total": 9999999}',
        '{"validator": "\\"a\\"", "total": 9}',
        "{",
    ):
        (tmp_path / "x.part.mp4.json").write_text(damaged)
        assert resume.known(part) == (0, None), damaged
    resume.remember(part, Version(etag='W/"a"', total=len(A)))
    assert resume.known(part) == (0, None), "a weak tag vouches for no byte"


def test_a_date_of_this_very_second_proves_nothing() -> None:
    now = datetime.now(UTC)
    just, before = (format_datetime(now - timedelta(seconds=s), usegmt=True) for s in (0, 2))
    date = format_datetime(now, usegmt=True)
    assert Version.of(200, {"Last-Modified": just, "Date": date}).validator == ""
    assert Version.of(200, {"Last-Modified": before, "Date": date}).validator == before
    assert Version.of(200, {"Last-Modified": "yesterday", "Date": date}).validator == ""


@pytest.mark.parametrize(
    "text", ["bytes 0-4/3", "bytes 5-4/9", "bytes */9", "items 0-1/2", "bytes 0-1", "", "bytes 0-\u0664/9"]
)
def test_ranges_that_make_no_sense(text: str) -> None:
    assert Part.of({"Content-Range": text}) is None


# Sections of films: many ranges of one file.


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Its index is at its end, so that even its opening needs two ranges."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return numbered_video(path, 8, "-g", "30", "-b:v", "3M", "-minrate", "3M", "-bf", "0").read_bytes()


def serving(data: bytes, tag: Callable[[int], str], *, ranges: bool = True) -> Callable[[socket.socket, Asked], None]:
    count: list[int] = []

    def play(connection: socket.socket, asked: Asked) -> None:
        count.append(1)
        headers = ["Content-Type: video/mp4", *([f"ETag: {tag(len(count))}"] if tag(len(count)) else [])]
        if not ranges:
            connection.sendall(answer("200 OK", *headers, body=data))
            return
        headers.append(f"Content-Range: bytes {asked.first}-{len(data) - 1}/{len(data)}")
        connection.sendall(answer("206 Partial Content", *headers, body=data[asked.first :]))

    return play


@pytest.mark.parametrize("tag", ['"a"', ""])
def test_a_section_of_one_version(tag: str, film: bytes, tmp_path: Path) -> None:
    with raw_server(serving(film, lambda _: tag)) as server:
        part = copy_section([Input(f"{server.url}/film.mp4")], 4, 6, tmp_path / "part.mp4", Event())
    assert part.offset == 4.0 and part.frames >= 60
    with av.open(str(tmp_path / "part.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == part.frames
    assert len(server.asked) > 1
    assert {asked.headers.get("if-range") for asked in server.asked[1:]} == {tag or None}


def test_a_section_is_not_made_of_two_versions(film: bytes, tmp_path: Path) -> None:
    with raw_server(serving(film, lambda count: f'"{count}"')) as server, pytest.raises(FetchFailed) as caught:
        copy_section([Input(f"{server.url}/film.mp4")], 4, 6, tmp_path / "part.mp4", Event())
    assert caught.value.reason is Reason.TRANSPORT
    assert "has changed" in caught.value.evidence


def test_a_server_without_ranges_has_no_sections(film: bytes, tmp_path: Path) -> None:
    with raw_server(serving(film, lambda _: '"a"', ranges=False)) as server, pytest.raises(NoSection):
        copy_section([Input(f"{server.url}/film.mp4")], 6, 7, tmp_path / "part.mp4", Event())


def test_a_section_is_read_from_no_address_inside(film: bytes, tmp_path: Path) -> None:
    """Whoever named the address was public: neither the address nor a redirect may lead inside."""
    from clipquarry.acquire.connection import Nearness, Reach

    with raw_server(serving(film, lambda _: '"a"')) as server:
        reach = Reach()
        reach.answered(Nearness.PUBLIC)
        with pytest.raises(FetchFailed) as caught:
            copy_section([Input(f"{server.url}/f.mp4")], 1, 2, tmp_path / "p.mp4", Event(), reach=reach.keep())
    assert server.asked == []
    assert "led to" in caught.value.evidence


def test_headers_of_a_section_hold_no_line_breaks(film: bytes, tmp_path: Path) -> None:
    headers = {"User-Agent": "me", "X-Bad": "a\r\nX-Evil: 1"}
    with raw_server(serving(film, lambda _: "")) as server:
        copy_section([Input(f"{server.url}/f.mp4", headers)], 1, 2, tmp_path / "p.mp4", Event())
    assert {asked.headers.get("user-agent") for asked in server.asked} == {"me"}
    assert not any("x-evil" in asked.headers or "x-bad" in asked.headers for asked in server.asked)
