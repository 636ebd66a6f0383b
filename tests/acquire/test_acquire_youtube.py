"""The YouTube source with the real yt-dlp, a fake extractor and a local web server."""

from __future__ import annotations

import threading
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.youtube import YouTubeOptions
from clipquarry.errors import MachineError
from clipquarry.reasons import Reason
from fake_youtube import FPS, Server, calls, kinds, numbers, write_playbook
from youtube_world import ID, fails, parts, source, whole
from youtube_world import media as media
from youtube_world import no_back_off as no_back_off
from youtube_world import playbook as playbook
from youtube_world import server as server


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


def test_a_file_beyond_the_limit_is_not_fetched(server: Server, playbook: Path, tmp_path: Path) -> None:
    write_playbook(playbook, **{ID: whole(server)})  # its size is only known from the server's answer
    error = fails(source(YouTubeOptions(max_bytes=100_000)), tmp_path / "scratch")
    assert error.reason is Reason.NOT_ASKED and "limit" in error.evidence
    assert source(YouTubeOptions(max_bytes=10_000_000)).fetch(ClipRequest(ID, 1, 2), tmp_path, Event()).bytes > 100_000


def test_hostile_ids_never_reach_yt_dlp(playbook: Path, tmp_path: Path) -> None:
    for hostile in ("../../etc/pw", "a" * 12, "", "-" * 10, "abc def ghi", "watch?v=xyz", "0wR5jVB-WP\n"):
        assert fails(source(), tmp_path / "scratch", ClipRequest(hostile, 1, 2)).reason is Reason.BAD_ID
    assert calls(playbook) == []


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
