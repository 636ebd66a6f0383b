"""Reasons from words: those of YouTube and of the installed yt-dlp, and words that are in no table."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yt_dlp
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.classify import classify, speaks_of_tools
from clipquarry.acquire.wordings import SAID, normalise
from clipquarry.reasons import UNKNOWN_SENTENCE, Reason, Trait, with_trait
from yt_dlp.utils import DownloadError
from yt_dlp_errors import UP, told
from yt_dlp_messages import HERE, Message, known, messages

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
