"""Reasons from yt-dlp's errors: its own wordings, its own exceptions, and what must not be mixed up."""

from __future__ import annotations

import ast
import errno
import io
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import pytest
import yt_dlp
from clipquarry.acquire.answer import MAX_EVIDENCE, FetchFailed, one_line
from clipquarry.acquire.classify import classify, parse_retry_after, speaks_of_tools
from clipquarry.acquire.network import Network, has_default_route, may_be_ours
from clipquarry.acquire.wordings import SAID, normalise
from clipquarry.errors import MachineError, RetryLater
from clipquarry.reasons import UNKNOWN_SENTENCE, Reason, Trait, with_trait
from fake_youtube import serving
from yt_dlp import YoutubeDL
from yt_dlp.networking.exceptions import IncompleteRead, TransportError
from yt_dlp.utils import ContentTooShortError, DownloadError, ExtractorError, GeoRestrictedError
from yt_dlp_messages import HERE, Message, known, messages


def _nobody(host: str, port: int, timeout: float) -> None:
    raise socket.gaierror(-2, "Name or service not known")


UP = Network(connect=lambda *_: None, route=lambda: True, proxies=dict)
DOWN = Network(connect=_nobody, route=lambda: True, proxies=dict)

SAYINGS = [
    # yt-dlp's own words (extractor/youtube), with the login hint that it appends
    ("Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies for the login", "bot_check"),
    ("Sign in to confirm you're not a bot", "bot_check"),
    ("Video unavailable. YouTube is requiring a captcha challenge before playback", "bot_check"),
    ("All player responses are invalid. Your IP is likely being blocked by Youtube", "bot_check"),
    (
        "Video unavailable. This content isn't available, try again later. The current session has been rate-limited "
        "by YouTube for up to an hour. It is recommended to use `-t sleep` to add a delay between video requests",
        "rate_limit",
    ),
    ("This content isn’t available, try again later.. Your account has been rate-limited by YouTube", "rate_limit"),
    ("Incomplete YouTube ID 0wR5jVB. URL https://youtu.be/0wR5jVB looks truncated.", "bad_id"),
    # YouTube's words
    ("Sign in to confirm your age. This video may be inappropriate for some users.", "age"),
    ("This video is age-restricted and only available on YouTube", "age"),
    ("The following content may contain suicide or self-harm topics. Viewer discretion is advised", "age"),
    ("Private video. Sign in if you've been granted access to this video", "private"),
    ("Private video. Sign in if you’ve been granted access to this video. Use --cookies for", "private"),
    ("Video unavailable. This video is private", "private"),
    ("Video unavailable. This video has been removed by the uploader", "removed"),
    ("This video has been removed", "removed"),
    ("Video unavailable. This video is no longer available because the YouTube account associated with this video has "
     "been terminated.", "terminated"),
    ("This video is no longer available because the YouTube account associated with this video has been terminated due "
     "to multiple third-party notifications of copyright infringement.", "terminated"),
    ("This account has been terminated for a violation of YouTube's Terms of Service.", "terminated"),
    ("Video unavailable. This video is no longer available because the uploader has closed their YouTube account.",
     "terminated"),
    ("This video has been removed for violating YouTube's policy on hate speech. Learn more", "violation"),
    ("This video has been removed for violating YouTube’s Community Guidelines", "violation"),
    ("Video unavailable. This video is no longer available due to a copyright claim by X Ltd", "copyright"),
    ("Video unavailable. This video contains content from X, who has blocked it on copyright grounds", "copyright"),
    ("This video contains content from X, who has blocked it from display on this website or application", "copyright"),
    ("This video contains content from X, who has blocked it in your country on copyright grounds", "geo"),
    ("Video unavailable. The uploader has not made this video available in your country", "geo"),
    ("This content is not available on this country domain due to a court order.", "geo"),
    ("Join this channel to get access to members-only content like this video, and other exclusive perks.", "members"),
    ("This video is available to this channel's members on level: Gold (or any higher level).", "members"),
    ("This video requires payment to watch.", "members"),
    ("This video is only available to Music Premium members", "members"),
    ("Premieres in 45 minutes", "not_yet"),
    ("Premiere will begin shortly", "not_yet"),
    ("This live event will begin in 2 days.", "not_yet"),
    ("We're processing this video. Check back later.", "not_yet"),
    ("Video unavailable", "unavailable"),
    ("Video unavailable. This content isn’t available.", "unavailable"),
    ("This video is unavailable", "unavailable"),
    ("This video is not available", "unavailable"),
    ("This video isn't available anymore", "unavailable"),
    ("This live stream recording is not available.", "unavailable"),
    ("Words that nobody has seen before", "unavailable"),
    ("This live stream is offline.", "not_yet"),
    ("This video is no longer available due to a privacy claim by a third party.", "removed"),
    ("This video is no longer available due to a trademark claim by a third party.", "removed"),
    ("This video isn't available due to a legal complaint", "removed"),
    ("This video is a duplicate of a previously uploaded video.", "removed"),
    ("This video is not available in your country due to a court order", "geo"),
    ("The uploader has not made this video available.", "geo"),
    ("This video is no longer available because the uploader has closed their account", "terminated"),
    ("This channel does not exist.", "terminated"),
    ("This is a private video. Please sign in to verify that you may see it.", "private"),
    ("Please sign in to confirm your age", "age"),
    # about our network, our account
    ("Video unavailable. This video is restricted. Please check the Google Workspace administrator and/or the network "
     "administrator restrictions.", "egress_refused"),
    ("YouTube said: This video is restricted. Try signing in with a Google Apps account.", "egress_refused"),
    ("This video is unavailable with Restricted Mode enabled. To view this video, you will need to disable Restricted "
     "Mode.", "egress_refused"),
    ("Please sign in", "egress_refused"),
    ("Sign in to continue", "egress_refused"),
    ("Your account has been suspended.", "egress_refused"),
    ("Access to this webpage has been blocked by Websense filtering software in your network.", "egress_refused"),
    ("Access to this webpage has been blocked by Indian censorship.", "egress_refused"),
    ("The URL you requested has been blocked", "egress_refused"),
    ("YouTube said: Request had invalid authentication credentials. Expected OAuth 2 access token", "egress_refused"),
    # YouTube's servers and the line, in words
    ("YouTube said: The service is currently unavailable.", "http_5xx"),
    ("YouTube said: Internal error encountered.", "http_5xx"),
    ("An error occurred. Please try again later. (Playback ID: x)", "http_5xx"),
    ("YouTube said: Resource has been exhausted (e.g. check quota).", "http_429"),
    ("YouTube said: Incomplete data received", "transport"),
    ("You're offline. Check your connection.", "transport"),
    # our tools
    ("This video is unavailable. Error code: 152 - 18", "tool_stale"),
    ("Watch video on YouTube. Error 153. Video player configuration error", "tool_stale"),
    ("YouTube is no longer supported in this application or device.", "tool_stale"),
    ("This video is not available on this device.", "tool_stale"),
    ("Playback on other websites has been disabled by the video owner", "tool_stale"),
    ("YouTube said: Request contains an invalid argument.", "tool_stale"),
    ("The page needs to be reloaded.", "tool_stale"),
    ("The following content is not available on this app.. Watch on the latest version of YouTube.", "tool_stale"),
]  # fmt: skip


def told(text: str, *, expected: bool = True, **more: Any) -> DownloadError:
    """The DownloadError that YoutubeDL makes of an ExtractorError."""
    inner = ExtractorError(text, expected=expected, video_id="0wR5jVB-WPk", ie="youtube", **more)
    return DownloadError(f"\x1b[0;31mERROR:\x1b[0m {inner}", (type(inner), inner, None))


@pytest.mark.parametrize(("text", "reason"), SAYINGS, ids=[f"{reason}-{n}" for n, (_, reason) in enumerate(SAYINGS)])
def test_wordings(text: str, reason: str) -> None:
    answer = classify(told(text), network=UP)
    assert isinstance(answer, FetchFailed) and answer.reason == reason
    assert answer.evidence and "--cookies" not in answer.evidence and "\x1b" not in answer.evidence
    # The same words must be understood when only the message is left.
    bare = classify(DownloadError(f"ERROR: [youtube] 0wR5jVB-WPk: {text}"), network=UP)
    assert isinstance(bare, FetchFailed)
    assert bare.reason == reason or "nobody has seen" in text


def test_the_wordings_are_those_of_the_installed_yt_dlp() -> None:
    """Every text that its YouTube extractor raises by itself is in the table, so that an upgrade cannot slip by."""
    source = (Path(yt_dlp.__file__).parent / "extractor/youtube/_video.py").read_text()
    literals = " ".join(
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    text = normalise(literals)
    for words in (
        "all player responses are invalid. your ip is likely being blocked by youtube",
        "has been rate-limited by youtube for up to an hour",
        "youtube is requiring a captcha challenge before playback",
        "this content isn't available, try again later",
        "the uploader has not made this video available in your country",
        "failed to extract any player response",
        "confirm your age",
    ):
        assert words in text, words
    assert any(rule.pattern.search("rate-limited by youtube") for rule in SAID)


def test_a_stop_is_never_a_word_about_one_video() -> None:
    """The order of the table: whatever else the text says, a rate limit or a bot check wins."""
    for stop in ("This content isn't available, try again later", "Sign in to confirm you’re not a bot"):
        assert all(
            normalise(stop) not in normalise(text) or reason in with_trait(Trait.STOPS_CRAWL)
            for text, reason in SAYINGS
        )
        for text, _ in SAYINGS:
            answer = classify(told(f"{text}. {stop}"), network=UP)
            assert isinstance(answer, FetchFailed) and answer.reason in (Reason.RATE_LIMIT, Reason.BOT_CHECK), text


def test_times_to_wait() -> None:
    def wait(text: str) -> float | None:
        answer = classify(told(text), network=UP)
        assert isinstance(answer, FetchFailed)
        return answer.retry_after

    assert wait("Premieres in 45 minutes") == 45 * 60
    assert wait("This live event will begin in 2 days.") == 2 * 86400
    assert wait("This live event will begin in a few moments.") == 3600
    assert wait("Sign in to confirm you're not a bot") == 6 * 3600
    assert wait("This content isn't available, try again later") == 3600
    assert wait("Private video") is None


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


@pytest.mark.parametrize("text", ["Video unavailable", "Video unavailable. This content isn’t available.",
                                  "ERROR: This video is unavailable", "YouTube said: This video does not exist."])  # fmt: skip
def test_plain_words_are_known(text: str) -> None:
    answer = classify(told(text), network=UP)
    assert isinstance(answer, FetchFailed) and answer.reason is Reason.UNAVAILABLE
    assert not answer.evidence.startswith(UNKNOWN_SENTENCE)


@pytest.mark.parametrize("text", ["Frobnicate", "Video unavailable. Frobnicate your widget", "This video is blue"])
def test_words_in_no_table_are_told_apart(text: str) -> None:
    answer = classify(told(text), network=UP)
    assert isinstance(answer, FetchFailed) and answer.reason is Reason.UNAVAILABLE
    assert answer.evidence == f"{UNKNOWN_SENTENCE}: {text}"


@pytest.mark.parametrize("text", ["This content isn’t available.", "Video unavailable. This content isn't available"])
def test_with_an_account_content_that_is_not_available_is_about_the_account(text: str) -> None:
    for cookies, reason in ((True, Reason.EGRESS_REFUSED), (False, Reason.UNAVAILABLE)):
        answer = classify(told(text), cookies=cookies, network=UP)
        assert isinstance(answer, FetchFailed) and answer.reason is reason
    other = classify(told("Video unavailable. This video is private"), cookies=True, network=UP)
    assert isinstance(other, FetchFailed) and other.reason is Reason.PRIVATE


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


CATALOG = known()


def test_every_message_of_the_installed_yt_dlp_has_a_verdict() -> None:
    """After an upgrade: ``python tests/acquire/yt_dlp_messages.py`` shows the new ones with a ``?``; judge them."""
    now = set(messages())
    assert not (new := now - set(CATALOG)), f"yt-dlp says what {HERE.name} does not hold: {sorted(new)}"
    assert not (gone := set(CATALOG) - now), f"{HERE.name} holds what yt-dlp no longer says: {sorted(gone)}"
    assert len(now) > 150


def test_the_verdicts_are_what_the_classifier_says() -> None:
    wrong = {}
    for message, verdict in CATALOG.items():
        if verdict.startswith("never: ") and len(verdict) > len("never: "):
            continue
        if (found := _verdict(message)) != verdict:
            wrong[message] = f"{found}, not {verdict}"
    assert not wrong


def _verdict(message: Message) -> str:
    text = message.text.replace("{}", "x")
    if message.how == "warning":
        return "tool" if speaks_of_tools(text) else "warns"
    if message.module.startswith("extractor") or message.how == "expected":
        error = told(text, expected=message.how == "expected")
    else:
        error = DownloadError(f"ERROR: {text}")
    answer = classify(error, network=UP)
    return str(answer.reason) if isinstance(answer, FetchFailed) else type(answer).__name__


def test_the_attested_texts() -> None:
    """``shared/cases/youtube_texts.tsv``, where it is there; ours stand in SAYINGS."""
    cases = Path(__file__).parents[3] / "shared" / "cases" / "youtube_texts.tsv"
    if not cases.exists():
        pytest.skip("no shared folder beside this checkout")
    wanted = {"us": "egress_refused", "tool": "tool_stale"}
    for line in cases.read_text().splitlines()[2:]:
        text, verdict, _ = line.split("\t")
        answer = classify(told(text), network=UP)
        assert isinstance(answer, FetchFailed) and answer.reason == wanted.get(verdict, verdict), text


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


def test_the_network_is_looked_at_once_and_again_later() -> None:
    asked: list[str] = []
    now = [0.0]

    def connect(host: str, port: int, timeout: float) -> None:
        asked.append(host)
        raise TimeoutError("timed out")

    network = Network(connect=connect, route=lambda: True, proxies=dict, hosts=("a", "b"), clock=lambda: now[0])
    assert not network.known_down() and network.is_down() and network.is_down() and network.known_down()
    assert sorted(asked) == ["a", "b"]
    now[0] = 31
    assert not network.known_down() and network.is_down() and len(asked) == 4


def test_one_host_that_answers_is_enough_and_a_hanging_one_is_not_waited_for() -> None:
    import threading
    import time

    def connect(host: str, port: int, timeout: float) -> None:
        if host == "slow":
            threading.Event().wait(20)
        if host == "dead":
            raise socket.gaierror(-2, "unknown")

    begun = time.monotonic()
    make = {"connect": connect, "route": lambda: True, "proxies": dict, "timeout": 0.3}
    assert not Network(hosts=("dead", "fine"), **make).is_down()  # type: ignore[arg-type]
    assert Network(hosts=("dead", "slow"), **make).is_down()  # type: ignore[arg-type]
    assert time.monotonic() - begun < 15, "the slow one takes 20 s"


def test_no_route_and_proxies() -> None:
    def never(host: str, port: int, timeout: float) -> None:
        raise AssertionError("nothing needs to be asked")

    assert Network(connect=never, route=lambda: False, proxies=dict).is_down()
    asked: list[tuple[str, int]] = []
    proxied = Network(
        connect=lambda host, port, timeout: asked.append((host, port)),
        route=lambda: False, proxies=lambda: {"https": "http://user:pw@proxy.example:3128"},
    )  # fmt: skip
    assert not proxied.is_down() and asked == [("proxy.example", 3128)]


def test_default_route_is_read_from_the_kernel(tmp_path: Path) -> None:
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    (tmp_path / "route").write_text(head + "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n")
    assert has_default_route(tmp_path)
    (tmp_path / "route").write_text(head + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n")
    assert not has_default_route(tmp_path)
    zero = "0" * 32
    lo = f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
    (tmp_path / "ipv6_route").write_text(lo)
    assert not has_default_route(tmp_path)
    (tmp_path / "ipv6_route").write_text(lo + lo.replace("lo", "eth0"))
    assert has_default_route(tmp_path)
    assert has_default_route(tmp_path / "absent")


def test_which_errors_can_be_the_cable() -> None:
    assert may_be_ours(OSError(errno.ENETUNREACH, "x")) and may_be_ours("Connection to h timed out.")
    assert not may_be_ours(ConnectionResetError(errno.ECONNRESET, "x")) and not may_be_ours("Private video")


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
