"""The YouTube source with the real yt-dlp, a fake extractor and a local web server."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.breaker import Breaker
from clipquarry.acquire.budget import Budget
from clipquarry.acquire.download import Limits
from clipquarry.acquire.network import Network
from clipquarry.acquire.section import Input, NoSection, copy_section
from clipquarry.acquire.youtube import YouTubeOptions, YouTubeSource
from clipquarry.errors import MachineError, RetryLater
from clipquarry.reasons import Reason
from fake_youtube import (
    FAKE,
    FPS,
    Server,
    calls,
    enable_fake_extractor,
    kinds,
    numbered_video,
    numbers,
    serving,
    write_playbook,
)

ID = "0wR5jVB-WPk"
GOP = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "90", "-bf", "3", "-b_strategy", "0", "-sc_threshold", "0")


def network(up: bool = True) -> Network:
    def connect(host: str, port: int, timeout: float) -> None:
        if not up:
            raise OSError(101, "Network is unreachable")

    return Network(connect=connect, route=lambda: True, proxies=dict)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    whole = numbered_video(folder / "whole.mp4", 24, *GOP, "-c:a", "aac", "-movflags", "+faststart")
    numbered_video(folder / "video.mp4", 24, *GOP, audio=False)
    subprocess.run(
        ["ffmpeg", "-y", "-loglevel", "error", "-i", whole, "-vn", "-c", "copy", folder / "audio.m4a"], check=True
    )
    return folder


@pytest.fixture
def server(media: Path) -> Iterator[Server]:
    with serving(media) as running:
        yield running


@pytest.fixture(autouse=True)
def no_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections are asked for again at once."""
    monkeypatch.setattr("clipquarry.acquire.section.Limits", partial(Limits, backoff=0.01))


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "playbook.json"
    enable_fake_extractor(monkeypatch, path)
    return path


def source(options: YouTubeOptions | None = None, **more: Any) -> YouTubeSource:
    options = options or YouTubeOptions(retries=1, socket_timeout=3.0)
    return YouTubeSource(options, **{"url_template": FAKE, "network": network(), "pause": lambda n: 0.0, **more})


def whole(server: Server, name: str = "whole.mp4", **more: Any) -> dict[str, Any]:
    return {
        "duration": 24,
        "formats": [
            {
                "format_id": "18", "url": f"{server.url}/{name}", "ext": "mp4", "height": 96, "width": 160,
                "vcodec": "avc1.42001E", "acodec": "mp4a.40.2", "http_headers": {"X-Test": "1"},
            }
        ],
        **more,
    }  # fmt: skip


def parts(server: Server) -> dict[str, Any]:
    video = {"format_id": "136", "ext": "mp4", "vcodec": "avc1.42001E", "acodec": "none", "height": 96, "width": 160}
    audio = {"format_id": "140", "ext": "m4a", "vcodec": "none", "acodec": "mp4a.40.2"}
    formats = [{**audio, "url": f"{server.url}/audio.m4a"}, {**video, "url": f"{server.url}/video.mp4"}]
    return {"duration": 24, "formats": formats}


def fails(one: YouTubeSource, scratch: Path, want: ClipRequest | None = None) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        one.fetch(want or ClipRequest(ID, 10, 20), scratch, Event())
    assert list(scratch.iterdir()) == [] if scratch.exists() else True, "a failed fetch leaves nothing behind"
    return caught.value


def test_whole_video(server: Server, playbook: Path, tmp_path: Path, media: Path) -> None:
    write_playbook(playbook, **{ID: whole(server)})
    got = source().fetch(ClipRequest(ID, 10, 20), tmp_path / "scratch", Event())
    assert got.path.read_bytes() == (media / "whole.mp4").read_bytes()
    assert (got.content, got.offset, got.bytes) == ("video", 0.0, got.path.stat().st_size)
    assert "18" in got.evidence and "127.0.0.1" in got.evidence and "\n" not in got.evidence
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == [got.path.name]


def test_separate_video_and_sound_are_merged(server: Server, playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: parts(server)})
    got = source().fetch(ClipRequest(ID, 10, 20), tmp_path, Event())
    assert got.path.suffix == ".mp4" and sorted(kinds(got.path)) == ["audio", "video"]
    assert [number for _, number in numbers(got.path)] == list(range(24 * FPS))


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


def test_height_limit_prefers_h264_not_above(server: Server, playbook: Path, tmp_path: Path) -> None:
    def one(name: str, height: int, codec: str) -> dict[str, Any]:
        return {
            **whole(server)["formats"][0],
            "format_id": name,
            "height": height,
            "width": height * 2,
            "vcodec": codec,
        }

    formats = [one("small", 360, "avc1"), one("vp9", 720, "vp9"), one("h264", 720, "avc1"), one("big", 1080, "avc1")]
    write_playbook(playbook, **{ID: {"duration": 24, "formats": formats}})
    assert " h264 " in source().fetch(ClipRequest(ID, 1, 2), tmp_path, Event()).evidence
    assert " small " in source(YouTubeOptions(max_height=400)).fetch(ClipRequest(ID, 1, 2), tmp_path, Event()).evidence
    assert " small " in source(YouTubeOptions(max_height=100)).fetch(ClipRequest(ID, 1, 2), tmp_path, Event()).evidence


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ({"say": "Sign in to confirm you’re not a bot. This helps protect our community"}, Reason.BOT_CHECK),
        ({"say": "Video unavailable. This content isn’t available, try again later."}, Reason.RATE_LIMIT),
        ({"say": "Private video. Sign in if you've been granted access to this video"}, Reason.PRIVATE),
        ({"say": "Video unavailable. This video has been removed by the uploader"}, Reason.REMOVED),
        ({"say": "This video has been removed for violating YouTube's Terms of Service"}, Reason.VIOLATION),
        ({"say": "This account has been terminated for a violation of YouTube's Terms"}, Reason.TERMINATED),
        ({"say": "This video contains content from X, who has blocked it on copyright grounds"}, Reason.COPYRIGHT),
        ({"geo": ["DE", "FR"], "say": "The uploader has not made this available"}, Reason.GEO),
        ({"say": "Sign in to confirm your age. This video may be inappropriate"}, Reason.AGE),
        ({"say": "Join this channel to get access to members-only content"}, Reason.MEMBERS),
        ({"say": "Premieres in 3 hours"}, Reason.NOT_YET),
        ({"live_status": "is_live", "url": "http://127.0.0.1:9/x.mp4"}, Reason.NOT_YET),
        ({"say": "Video unavailable"}, Reason.UNAVAILABLE),
        ({"bug": "KeyError"}, Reason.TOOL_STALE),
        ({"bug": "TypeError"}, Reason.TOOL_STALE),
        ({"formats": []}, Reason.TOOL_STALE),
        ({"url": "http://127.0.0.1:9/x.mp4", "duration": 5}, Reason.TOO_SHORT),
        ({"url": "http://127.0.0.1:9/x.mp4", "duration": 10**6}, Reason.NOT_ASKED),
        ({"url": "http://127.0.0.1:9/x.mp4", "filesize": 10**11}, Reason.NOT_ASKED),
        ({"url": "http://127.0.0.1:1/x.mp4"}, Reason.TRANSPORT),
        ({"get": "http://127.0.0.1:1/page"}, Reason.TRANSPORT),
    ],
)
def test_every_no_has_its_reason(act: dict[str, Any], reason: Reason, playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: act})
    options = YouTubeOptions(retries=1, sections="never", socket_timeout=3)
    error = fails(source(options), tmp_path / "scratch")
    assert error.reason is reason, error.evidence
    assert error.evidence and len(calls(playbook)) == 1


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


def test_a_file_beyond_the_limit_is_not_fetched(server: Server, playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: whole(server)})  # its size is only known from the server's answer
    error = fails(source(YouTubeOptions(max_bytes=100_000)), tmp_path / "scratch")
    assert error.reason is Reason.NOT_ASKED and "limit" in error.evidence
    assert source(YouTubeOptions(max_bytes=10_000_000)).fetch(ClipRequest(ID, 1, 2), tmp_path, Event()).bytes > 100_000


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


def test_hostile_ids_never_reach_yt_dlp(playbook: Path, tmp_path: Path) -> None:
    for hostile in ("../../etc/pw", "a" * 12, "", "-" * 10, "abc def ghi", "watch?v=xyz", "0wR5jVB-WP\n"):
        assert fails(source(), tmp_path / "scratch", ClipRequest(hostile, 1, 2)).reason is Reason.BAD_ID
    assert calls(playbook) == []


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


def test_cookies_are_sent_and_never_written(server: Server, playbook: Path, tmp_path: Path) -> None:
    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tSID\tsecret\n")
    jar.chmod(0o400)
    before = jar.stat().st_mtime_ns, jar.read_text()
    write_playbook(playbook, **{ID: {"get": f"{server.url}/status/503"}})
    one = source(cookies=jar)
    assert "secret" not in fails(one, tmp_path / "s").evidence
    one._sessions.get().ydl.close()  # yt-dlp saves its jar here
    assert any("SID=secret" in sent for sent in server.cookies)
    assert (jar.stat().st_mtime_ns, jar.read_text()) == before
    jar.chmod(0o600)
    jar.write_text('[{"domain": ".youtube.com"}]')
    with pytest.raises(MachineError, match="Netscape"):
        one.fetch(ClipRequest(ID, 1, 2), tmp_path / "s", Event())
    jar.unlink()
    with pytest.raises(MachineError, match="cannot be read"):
        one.fetch(ClipRequest(ID, 1, 2), tmp_path / "s", Event())


def test_one_instance_serves_many_threads(server: Server, playbook: Path, tmp_path: Path, media: Path) -> None:
    ids = [f"thread{n:05d}" for n in range(12)]
    acts: dict[str, Any] = {name: whole(server) for name in ids}
    acts.update({name: {"say": f"Private video {name}"} for name in ids[::3]})
    write_playbook(playbook, **acts)
    one, results = source(), {}

    def work(names: list[str]) -> None:
        for name in names:
            try:
                results[name] = one.fetch(ClipRequest(name, 1, 2), tmp_path / name, Event()).path.read_bytes()
            except FetchFailed as error:
                results[name] = error.reason

    threads = [threading.Thread(target=work, args=(ids[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = (media / "whole.mp4").read_bytes()
    assert results == {name: Reason.PRIVATE if name in ids[::3] else expected for name in ids}


def test_no_forwarded_for_is_made_up(server: Server, playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: {"geo": ["DE"], "say": "not here"}})
    error = fails(source(), tmp_path / "s")
    assert error.reason is Reason.GEO and "DE" in error.evidence and len(calls(playbook)) == 1


def test_what_yt_dlp_warns_once_for_all_is_evidence_for_each(server: Server, playbook: Path, tmp_path: Path) -> None:
    """No JavaScript runtime is said of the first video only; the others fail for it too."""
    runtime = "No supported JavaScript runtime could be found. Only deno is enabled by default"
    first, other, third = ID, "aaaaaaaaaaa", "bbbbbbbbbbb"
    warns = {**whole(server), "warn": [runtime]}
    challenge = {"formats": [], "warn": ["n challenge solving failed: Some formats may be missing", "unrelated"]}
    write_playbook(playbook, **{first: warns, other: {"formats": []}, third: challenge})
    one = source()
    one.fetch(ClipRequest(first, 1, 2), tmp_path / "s", Event()).path.unlink()
    for name, said in ((other, "No supported JavaScript runtime"), (third, "n challenge solving failed")):
        error = fails(one, tmp_path / "s", ClipRequest(name, 1, 2))
        assert error.reason is Reason.TOOL_STALE and said in error.evidence


def test_words_of_yt_dlps_debug_log_are_evidence_too(playbook: Path, tmp_path: Path) -> None:
    """That YouTube forces SABR on its usual clients yt-dlp tells its debug log only."""
    sabr = (
        "Some web client https formats have been skipped as they are missing a URL. YouTube is forcing SABR streaming"
    )
    write_playbook(playbook, **{ID: {"formats": [], "debug": [sabr]}})
    assert "YouTube is forcing SABR" in fails(source(), tmp_path / "s").evidence


def test_with_cookies_content_that_is_not_available_is_about_the_account(playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: {"say": "Video unavailable. This content isn’t available."}})
    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t0\tSID\tsecret\n")
    assert fails(source(), tmp_path / "s").reason is Reason.UNAVAILABLE
    assert fails(source(cookies=jar), tmp_path / "s").reason is Reason.EGRESS_REFUSED
