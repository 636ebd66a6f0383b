"""Parts of YouTube's videos, with the real yt-dlp, a fake extractor and a local web server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from clipquarry.acquire.answer import ClipRequest
from clipquarry.acquire.section import Input, NoSection, copy_section
from clipquarry.acquire.youtube import YouTubeOptions
from fake_youtube import FPS, Server, kinds, numbers, serving, write_playbook
from youtube_world import ID, parts, source, whole
from youtube_world import media as media
from youtube_world import no_back_off as no_back_off
from youtube_world import playbook as playbook
from youtube_world import server as server


@pytest.mark.parametrize("act", [whole, parts])
@pytest.mark.parametrize("start", [0, 4, 13, 20])
def test_a_section_says_where_it_begins(server: Server, playbook: Path, tmp_path: Path, act: Any, start: int) -> None:
    write_playbook(playbook, **{ID: act(server)})
    options = YouTubeOptions(sections="always", padding=1.0)
    got = source(options).fetch(ClipRequest(ID, start, start + 3), tmp_path, Event())
    assert got.offset <= max(0, start - 1) and got.content == "video"
    shown = numbers(got.path)
    assert all(abs(got.offset + at - number / FPS) < 0.002 for at, number in shown), "every frame is where it says"
    there = {number for _, number in shown}
    assert set(range(max(0, start - 1) * FPS, min(24, start + 4) * FPS)) <= there, "window and padding are complete"
    assert len(shown) < 12 * FPS and sorted(kinds(got.path)) == ["audio", "video"]


def test_sections_are_for_long_videos_and_fetch_little(server: Server, playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: whole(server)})
    short = source(YouTubeOptions(long_video=60)).fetch(ClipRequest(ID, 10, 12), tmp_path, Event())
    assert short.offset == 0.0
    long = source(YouTubeOptions(long_video=20, padding=0)).fetch(ClipRequest(ID, 10, 12), tmp_path, Event())
    assert 0 < long.offset <= 10 and long.bytes < short.bytes / 3


def test_what_cannot_be_had_in_parts_is_fetched_whole(server: Server, playbook: Path, tmp_path: Path) -> None:
    act = whole(server)
    act["formats"][0]["protocol"] = "http_dash_segments"
    act["formats"][0]["fragments"] = [{"url": f"{server.url}/whole.mp4"}]
    write_playbook(playbook, **{ID: act})
    got = source(YouTubeOptions(sections="always")).fetch(ClipRequest(ID, 10, 12), tmp_path, Event())
    assert got.offset == 0.0 and len(numbers(got.path)) == 24 * FPS


def test_a_page_instead_of_the_video_in_parts_is_fetched_whole_and_left_to_the_probe(
    server: Server, playbook: Path, tmp_path: Path, media: Path
) -> None:
    (media / "page.mp4").write_text("<!DOCTYPE html><title>login</title>")
    write_playbook(playbook, **{ID: whole(server, "page.mp4")})
    got = source(YouTubeOptions(sections="always")).fetch(ClipRequest(ID, 10, 20), tmp_path, Event())
    assert got.path.read_text().startswith("<!DOCTYPE") and got.offset == 0.0


def test_a_part_never_opens_what_the_video_names(server: Server, playbook: Path, tmp_path: Path, media: Path) -> None:
    (media / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:10,\n{server.url}/secret.ts\n#EXT-X-ENDLIST\n")
    write_playbook(playbook, **{ID: whole(server, "list.mp4")})
    source(YouTubeOptions(sections="always")).fetch(ClipRequest(ID, 0, 5), tmp_path, Event())
    assert not any("secret" in path for path, _ in server.asked)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    both = tmp_path / "certificate.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key.pem", "-out", both],
        capture_output=True,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is not installed")
    both.write_text(both.read_text() + (tmp_path / "key.pem").read_text())
    return both


def test_parts_come_over_tls_only_from_whom_they_should(
    media: Path, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(media, certificate) as server:
        inputs = [Input(f"{server.url}/whole.mp4")]
        with pytest.raises(NoSection):
            copy_section(inputs, 10, 12, tmp_path / "out.mp4", Event())
        assert server.sent == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert copy_section(inputs, 10, 12, tmp_path / "out.mp4", Event()).offset == 9.0
