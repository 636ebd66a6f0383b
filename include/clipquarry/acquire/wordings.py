"""Tables of the messages of YouTube and yt-dlp, with the reason that each means.

The tables are tried in order, because messages overlap: a rate limit can begin with "Video unavailable", and the age
check shares its first words with the bot check. The messages are those of the yt-dlp modules that a crawl uses
(``tests/acquire/yt_dlp_messages.tsv`` lists them) and publicly documented reasons of YouTube's ``playabilityStatus``.
Patterns are searched in the output of :func:`normalise`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from clipquarry.reasons import Reason

ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^error: |^\[[\w:+-]+\] |^[\w-]{11}: ")


def normalise(text: str) -> str:
    """The text in lower case, with straight apostrophes and single spaces, without colours and ``ERROR: [youtube] ID:``."""
    text = ANSI.sub("", text).replace("’", "'").replace("‘", "'").replace("ʼ", "'").replace("´", "'")
    text = " ".join(text.split()).lower()
    while (shorter := _PREFIX.sub("", text)) != text:
        text = shorter
    return text


@dataclass(frozen=True)
class Rule:
    """Patterns of a message (lower case, straight apostrophes, single spaces) and the reason that it means."""

    pattern: re.Pattern[str]
    reason: Reason


def _rules(*rows: tuple[Reason, *tuple[str, ...]]) -> tuple[Rule, ...]:
    return tuple(Rule(re.compile("|".join(patterns)), reason) for reason, *patterns in rows)


SAID = _rules(
    # These stop the whole crawl: they must never be taken for a message about one video.
    (Reason.RATE_LIMIT, r"rate-limited by youtube|content isn't available, try again later|rate limit exceeded"),
    (
        Reason.BOT_CHECK,
        r"confirm (that )?you're not a (bot|robot)|captcha challenge|all player responses are invalid",
        r"unusual traffic",
    ),
    # These are about our network, account or address: they must not be taken for a message about one video either.
    (
        Reason.EGRESS_REFUSED,
        r"workspace administrator|network administrator|google apps account|restricted mode",
        r"access to this (webpage|site|page|website) (has been|is|was) (blocked|denied|restricted)",
        r"the (url|site|page) you requested (has been|is|was) blocked|before you continue to youtube",
        r"^(youtube said: )?(video unavailable\. )?this video is restricted\.?$",
        r"your (google |youtube )?account (has been|is|was) (suspended|disabled|blocked|terminated)",
        r"your (google |youtube )?account (has been|is|was) (locked|restricted|deactivated)",
        r"your (ip|ip address|network) (has been|is|was) (\w+ )?(being )?(blocked|banned|restricted)",
        r"login details are needed|account cookies are no longer valid|supervised (account|experience)",
        r"(invalid|missing required) authentication credential|only available for registered users",
    ),
    (
        Reason.AGE,
        r"confirm (that )?(your age|you're old enough)|age[- ]restricted|age[- ]verif|may be inappropriate",
        r"inappropriate or offensive|viewer discretion|self-harm topics",
    ),
    (
        Reason.NOT_YET,
        r"premieres in\b|premiere will begin|live event will begin|processing this video|^scheduled for\b",
    ),
    (
        Reason.MEMBERS,
        r"members-only|join this channel|to this channel's members|(music|youtube) premium\b",
        r"requires payment|available to premium|must be (purchased|rented)|available for (purchase|rent)",
    ),
    (
        Reason.GEO,
        r"in your (country|location|region|area)|for your region|from your location|country domain",
        r"has not made this video available",
    ),
    (
        Reason.TERMINATED,
        r"account (associated with this video )?(has been|was) (terminated|suspended|closed|deleted)",
        r"closed (their|his|her) (youtube )?(account|channel)|this channel (does not|doesn't) exist",
        r"channel (associated with this video )?(has been|was) (terminated|removed|deleted|suspended)",
    ),
    (Reason.COPYRIGHT, r"copyright|who has blocked it"),
    (
        Reason.VIOLATION,
        r"(removed|taken down|terminated) for violating|violat\w+ (of )?(youtube's|our) ",
        r"community guidelines|(removed|terminated) due to terms of (use|service)",
    ),
    (Reason.PRIVATE, r"private video|video is private"),
    (
        Reason.REMOVED,
        r"(removed|deleted) by (the|its) (uploader|user|owner|author)|video (has been|was) (removed|deleted)",
        r"duplicate of a previously uploaded",
        r"(no longer|not|n't) available (due to|because of|as a result of) (an? )?.{0,40}(claim|complaint|order)\b",
    ),
    # Faults of our own tools, in YouTube's messages.
    (
        Reason.TOOL_STALE,
        r"page needs to be reloaded|latest version of youtube|error code:? *\d|\(?error 15\d\b",
        r"(on|in|by) (this|your) (app|application|device|browser|client|player)\b|playback on other websites",
        r"player configuration error|browser (is not|isn't|is no longer) supported|(update|upgrade) (the |your )?(\w+ )?(app|browser)",
        r"newer versions? of|contains an invalid argument|precondition check failed|api key not valid",
        r"caller does not have permission",
    ),
    # Failures of YouTube's servers, given as a message instead of a status.
    (Reason.HTTP_429, r"resource has been exhausted|quota (has been )?exceeded|check quota"),
    (
        Reason.HTTP_5XX,
        r"service is (currently |temporarily )?unavailable|internal error|backend error|unknown error",
        r"(an error occurred|something went wrong|there was a problem).{0,40}(again|retry|refresh)",
        r"deadline (exceeded|expired)",
    ),
    (
        Reason.TRANSPORT,
        r"^(youtube said: )?incomplete data received|error reading response",
        r"you're offline|check your (internet |network )?connection|no internet",
    ),
    (Reason.NOT_YET, r"(stream|channel|event|broadcast) is (currently )?offline|^(live stream )?offline\.?$"),
    (
        Reason.EGRESS_REFUSED,
        r"please (sign|log) ?in|(sign|log) in to (continue|youtube|view|watch|see|your)|try signing in",
    ),
    (
        Reason.UNAVAILABLE,
        r"video (is )?(currently |temporarily )?unavailable|this video (is not|isn't|is no longer) available",
        r"content is(n't| not) available|video (does not|doesn't) exist|recording is not available",
        r"drm protected|live event has ended|requested entity was not found",
    ),
)
"""Messages of YouTube about the video or about us."""

PLAIN = re.compile(
    r"(we're )?sorry,|(this |the )?(video|short) (is )?(currently |temporarily )?unavailable|this (video|content) (is not|isn't|is no longer) "
    r"available( any ?more)?|(this |the )?video (does not|doesn't) exist|this live (stream )?recording is not available|"
    r"(this |the )?video is drm protected|this live event has ended|requested entity was not found|youtube said:"
)
"""The known sentences for a video that is unavailable without a reason. A text with more words is an unknown sentence."""

ACCOUNT = re.compile(r"^(video unavailable\. )?this content (isn't|is not) available\.*$")
"""For guests this message is about the video. An account with too many requests gets it for all videos."""

TRIED = _rules(
    (Reason.HTTP_429, r"http error 429|too many requests"),
    (
        Reason.EGRESS_REFUSED,
        r"http error (407|511)\b|tunnel connection failed: (401|403|407)|proxy authentication required",
    ),
    (Reason.HTTP_5XX, r"http error 5\d\d"),
    (Reason.GEO, r"http error 451\b"),
    (Reason.FORBIDDEN_MEDIA, r"http error (401|403|404|410|416)\b"),
    (Reason.TRANSPORT, r"http error (408|425)\b"),
    (Reason.FORBIDDEN_MEDIA, r"fragment \S+ not found, unable to continue"),
    (
        Reason.TRANSPORT,
        r"bytes read, \d+ more expected|downloaded \d+ bytes, expected|content too short",
        r"connection (refused|reset|aborted|broken)|remote end closed|timed out|did not get any data",
        r"failed to resolve|getaddrinfo|name or service not known|temporary failure in name",
        r"network is unreachable|no route to host|a network error has occurred|eof in violation of",
        r"transporterror|ssl:|unable to connect to proxy|certificate verify failed|downloaded file is empty",
    ),
    (
        Reason.EGRESS_REFUSED,
        r"(http|https|all|no|socks\S*)\"? proxy|proxy (url )?\"|proxy type|load client certificate",
    ),
    (
        Reason.TRANSPORT,
        r"handshake_failure|legacy_renegotiation",
        r"failed to establish a new connection|getaddrinfo returns an empty list|no remote ipv",
    ),
)
"""Failures of the transfer. yt-dlp keeps only their text when its own retries are used up."""

BROKEN = _rules(
    (
        Reason.TOOL_STALE,
        r"challenge solving failed|signature (extraction|solving) failed|javascript runtime|js runtime|nsig",
        r"requested format is not available|no video formats found|(unable|failed) to (extract|parse)",
        r"an extractor error has occurred|could not find xml|extractor failed to obtain|missing \"id\" field",
        r"cannot identify player|no suitable extractor|http error [1-4]\d\d|po token|unsupported url",
        r"no player clients|needs to be re-extracted|initialization fragment found after",
        r"format is drm protected|live dash videos are not supported|extension .* is unusual",
    ),
    (Reason.BAD_ID, r"incomplete youtube id|looks truncated"),
    (
        Reason.TOOL_FAILED,
        r"^(post|pre)processing: |^post hooks: |exited with code|returned error code|ffprobe|conversion failed",
        r"unable to (\w+ file: |open for writing|write data|create directory|rename |delete )|locking file",
    ),
)
"""Faults of our own tools: yt-dlp, its challenge scripts or the JavaScript runtime are too old or missing, or ffmpeg failed."""

TOOL_SPOKE = re.compile(
    r"javascript runtime|js runtime|challenge|signature|sabr|po.?token|ejs|nsig|deno|\bbun\b|quickjs|player js|missing a url|"
    r"formats? .*skipped|formats may be missing|applies drm to all|possibly damaged|out of date|older than \d+ days"
)
"""Warnings in which yt-dlp names something that it lacks."""
