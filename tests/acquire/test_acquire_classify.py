"""Reasons from yt-dlp's errors: its own exceptions, warnings and statuses, and what must not be mixed up."""

from __future__ import annotations

import errno
import io
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import pytest
from clipquarry.acquire.answer import MAX_EVIDENCE, FetchFailed, one_line
from clipquarry.acquire.classify import classify, parse_retry_after
from clipquarry.acquire.network import Network
from clipquarry.errors import MachineError, RetryLater
from clipquarry.reasons import Reason
from fake_youtube import serving
from yt_dlp import YoutubeDL
from yt_dlp.networking.exceptions import IncompleteRead, TransportError
from yt_dlp.utils import ContentTooShortError, DownloadError, ExtractorError, GeoRestrictedError
from yt_dlp_errors import UP, told


def _nobody(host: str, port: int, timeout: float) -> None:
    raise socket.gaierror(-2, "Name or service not known")


DOWN = Network(connect=_nobody, route=lambda: True, proxies=dict)


def test_types_before_texts() -> None:
    geo = GeoRestrictedError("Video unavailable", countries=["DE", "FR"])
    answer = classify(DownloadError("ERROR: Video unavailable", (type(geo), geo, None)))
    assert isinstance(answer, FetchFailed) and answer.reason is Reason.GEO and "DE, FR" in answer.evidence


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TransportError("connection lost"), Reason.TRANSPORT),
        (IncompleteRead(partial=10, expected=20), Reason.TRANSPORT),
        (ContentTooShortError(10, 20), Reason.TRANSPORT),
        (ConnectionResetError(errno.ECONNRESET, "reset by peer"), Reason.TRANSPORT),
        (KeyError("videoDetails"), Reason.TOOL_STALE),
        (TypeError("'NoneType' object is not subscriptable"), Reason.TOOL_STALE),
        (AssertionError(), Reason.TOOL_STALE),
        (DownloadError("\r[download] Got error: 5 bytes read, 20 more expected. Giving up"), Reason.TRANSPORT),
        (DownloadError("[download] Got error: HTTP Error 503: Busy. Giving up after 3 retries"), Reason.HTTP_5XX),
        (DownloadError("ERROR: unable to download video data: HTTP Error 403: Forbidden"), Reason.FORBIDDEN_MEDIA),
        (DownloadError("ERROR: Postprocessing: Conversion failed!"), Reason.TOOL_FAILED),
        (told("Requested format is not available. Use --list-formats", expected=True), Reason.TOOL_STALE),
        (told("n challenge solving failed: Some formats may be missing", expected=False), Reason.TOOL_STALE),
        (told("No supported JavaScript runtime could be found", expected=False), Reason.TOOL_STALE),
        (told("An extractor error has occurred.", expected=False, cause=KeyError("x")), Reason.TOOL_STALE),
        (told("Failed to extract any player response", expected=False), Reason.TOOL_STALE),
    ],
)  # fmt: skip
def test_errors_of_the_way_and_of_the_tools(error: Exception, reason: Reason) -> None:
    answer = classify(error, network=UP)
    assert isinstance(answer, FetchFailed) and answer.reason is reason, answer
    assert answer.evidence


def test_defects_are_named_by_type() -> None:
    answer = classify(KeyError("videoDetails"), network=UP)
    assert isinstance(answer, FetchFailed) and answer.evidence == "KeyError: 'videoDetails'"


@pytest.mark.parametrize(
    ("warnings", "reason"),
    [
        (["[youtube] HTTP Error 429: Too Many Requests. Retrying (1/3)"], Reason.HTTP_429),
        (["[youtube] Failed to resolve 'www.youtube.com' ([Errno -2] Name or service not known)"], Reason.TRANSPORT),
        (["[youtube] Sign in to confirm you’re not a bot"], Reason.BOT_CHECK),
        (["[youtube] some formats may be missing"], Reason.TOOL_STALE),
        ([], Reason.TOOL_STALE),
    ],
)
def test_warnings_speak_when_the_error_says_nothing(warnings: list[str], reason: Reason) -> None:
    hollow = told("Failed to extract any player response", expected=False)
    answer = classify(hollow, warnings=warnings, network=UP)
    assert isinstance(answer, FetchFailed) and answer.reason is reason
    clear = classify(told("Private video"), warnings=warnings, network=UP)
    assert isinstance(clear, FetchFailed) and clear.reason is Reason.PRIVATE


def test_a_stale_tool_names_the_last_warning() -> None:
    hollow = told("Requested format is not available. Use --list-formats")
    runtime = "[youtube] No supported JavaScript runtime could be found. Only deno is enabled by default"
    sabr = "[youtube] 0wR5jVB-WPk: Some web client https formats have been skipped as they are missing a URL. YouTube is forcing SABR"
    for warnings, said in (
        ([runtime], "No supported JavaScript runtime"),
        ([runtime, "[youtube] n challenge solving failed: Some formats may be missing"], "n challenge solving failed"),
        ([sabr, "[youtube] Malformed storyboard 3"], "SABR"),
        (["[youtube] Something else", f"ERROR: {hollow}"], "Something else"),
    ):
        hint = "" if "Something" in said else "an older one"
        answer = classify(hollow, warnings=warnings, hint=hint, network=UP)
        assert isinstance(answer, FetchFailed) and answer.reason is Reason.TOOL_STALE
        assert "Requested format" in answer.evidence and said in answer.evidence and "older" not in answer.evidence
    answer = classify(hollow, hint="No supported JavaScript runtime", network=UP)
    assert isinstance(answer, FetchFailed) and "No supported JavaScript runtime" in answer.evidence
    clear = classify(told("Private video"), warnings=[runtime], hint="x", network=UP)
    assert isinstance(clear, FetchFailed) and clear.evidence == "Private video"


def test_cookies_that_were_rotated_are_named_by_a_warning_only() -> None:
    warning = "[youtube] The provided YouTube account cookies are no longer valid. They have likely been rotated"
    answer = classify(told("Failed to extract any player response", expected=False), warnings=[warning], network=UP)
    assert isinstance(answer, FetchFailed) and answer.reason is Reason.EGRESS_REFUSED


@pytest.fixture
def status_errors(tmp_path: Path) -> Iterator[Any]:
    """Real HTTPErrors of yt-dlp's network layer."""
    with serving(tmp_path) as server:

        def get(status: str) -> BaseException:
            with YoutubeDL({"quiet": True}) as ydl, pytest.raises(Exception) as caught:
                ydl.urlopen(f"{server.url}/status/{status}")
            return caught.value

        yield get


@pytest.mark.parametrize(
    ("status", "reason", "wait"),
    [
        ("429", Reason.HTTP_429, None), ("429-30", Reason.HTTP_429, 30), ("503-5", Reason.HTTP_5XX, 5),
        ("500", Reason.HTTP_5XX, None), ("403", Reason.FORBIDDEN_MEDIA, None), ("400", Reason.TOOL_STALE, None),
        ("408", Reason.TRANSPORT, None), ("425-9", Reason.TRANSPORT, 9), ("451", Reason.GEO, None),
        ("407", Reason.EGRESS_REFUSED, None), ("511", Reason.EGRESS_REFUSED, None), ("403-60", Reason.FORBIDDEN_MEDIA, 60),
    ],
)  # fmt: skip
def test_statuses(status_errors: Any, status: str, reason: Reason, wait: float | None) -> None:
    error = status_errors(status)
    answer = classify(DownloadError(f"ERROR: {error}", (type(error), error, None)), network=UP)
    assert isinstance(answer, FetchFailed) and (answer.reason, answer.retry_after) == (reason, wait)


def test_the_captcha_page_is_a_bot_check(status_errors: Any) -> None:
    error = status_errors("429")
    error.response.url = "https://www.google.com/sorry/index?continue=https://www.youtube.com"
    answer = classify(error, network=UP)
    assert isinstance(answer, FetchFailed) and answer.reason is Reason.BOT_CHECK


def test_the_machine_is_not_the_item() -> None:
    with pytest.raises(OSError) as full, open("/dev/full", "w") as handle:
        handle.write("x" * 100_000)
    for error in (full.value, DownloadError("unable to write data: [Errno 28] No space left on device")):
        assert isinstance(classify(error, network=UP), RetryLater)
    wrapped = DownloadError("ERROR: unable to write data", (OSError, full.value, None))
    assert isinstance(classify(wrapped, network=UP), RetryLater)
    assert isinstance(classify(OSError(errno.EMFILE, "Too many open files"), network=UP), RetryLater)
    merge = DownloadError("ERROR: You have requested merging of multiple formats but ffmpeg is not installed. Aborting")
    assert isinstance(classify(merge, network=UP), MachineError)
    for denied in (PermissionError(13, "Permission denied"), FileNotFoundError(2, "No such file or directory")):
        error = DownloadError("ERROR: unable to open for writing", (type(denied), denied, None))
        answer = classify(error, network=UP, folder=Path("/proc/1"))  # a folder in which nothing can be written
        assert isinstance(answer, MachineError) and "/proc/1" in str(answer)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TransportError(cause=PermissionError(1, "Operation not permitted")), Reason.TRANSPORT),  # a firewall
        (PermissionError(13, "Permission denied"), Reason.TOOL_STALE),
        (av.error.PermissionError(1, "Operation not permitted", "https://x/v.mp4"), Reason.TOOL_STALE),
        (av.error.OSError(24, "Too many open files", "v.mp4"), Reason.TRANSPORT),
        (ExtractorError("No space left on device", expected=True), Reason.UNAVAILABLE),
        (ExtractorError("This video needs a player: ffmpeg not found", expected=True), Reason.UNAVAILABLE),
    ],
)
def test_what_others_say_is_not_the_state_of_the_machine(error: Exception, reason: Reason, tmp_path: Path) -> None:
    wrapped = DownloadError(f"ERROR: {error}", (type(error), error, None))
    answer = classify(wrapped, network=UP, folder=tmp_path)
    assert isinstance(answer, FetchFailed) and answer.reason is reason
    assert list(tmp_path.iterdir()) == []


def test_our_own_missing_cable() -> None:
    try:
        try:
            raise socket.gaierror(-2, "Name or service not known")
        except socket.gaierror as cause:
            raise TransportError("Failed to resolve 'www.youtube.com'", cause=cause) from cause
    except TransportError as caught:
        error = DownloadError("ERROR: Unable to download API page", (type(caught), caught, None))
    for network, reason in ((DOWN, Reason.NO_NETWORK), (UP, Reason.TRANSPORT)):
        answer = classify(error, network=network)
        assert isinstance(answer, FetchFailed) and answer.reason is reason
    refused = classify(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), network=DOWN)
    assert isinstance(refused, FetchFailed) and refused.reason is Reason.TRANSPORT, (
        "somebody answered: it is not the cable"
    )
    hollow = told("Failed to extract any player response", expected=False)
    answer = classify(hollow, warnings=["Failed to resolve 'www.youtube.com'"], network=DOWN)
    assert isinstance(answer, FetchFailed) and answer.reason is Reason.NO_NETWORK


def test_retry_after() -> None:
    now = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert parse_retry_after("120") == 120
    assert parse_retry_after("Sat, 21 Nov 2026 12:01:00 GMT", now) == 60
    assert parse_retry_after("Sat, 21 Nov 2026 11:00:00 GMT", now) == 0
    assert parse_retry_after("9" * 400) is not None and parse_retry_after("999999999") == 86400
    assert [parse_retry_after(bad) for bad in (None, "", "soon", "-5", "1e9x")] == [None] * 5


def test_evidence_is_one_short_line_without_secrets() -> None:
    text = "a\r\n b\x1b[31m\x00 https://user:pw@host.example/x?sig=SECRET&t=1#frag " + "x" * 2000
    line = one_line(text)
    assert line.startswith("a b https://host.example/x x") and len(line) == MAX_EVIDENCE
    assert "SECRET" not in line and "pw" not in line and line.isprintable()


def test_loops_in_the_chain_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    answer = classify(first, network=UP)
    assert isinstance(answer, FetchFailed) and answer.reason is Reason.TOOL_STALE
    assert isinstance(classify(io.UnsupportedOperation("x"), network=UP), FetchFailed)
