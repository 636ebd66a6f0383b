"""Meaning of each reason in plain words, and what a person can do. A test compares this table with the enum.

When Clipquarry itself asks again is the ledger's policy (:func:`clipquarry.ledger.policy.describe`), and is not
repeated here.
"""

from __future__ import annotations

from typing import NamedTuple

from clipquarry.ledger.policy import describe
from clipquarry.reasons import Reason


class Words(NamedTuple):
    """``title`` fits a table cell; ``means`` is a sentence; ``hint`` is what a person can do, or empty."""

    title: str
    means: str
    hint: str = ""


_FIX_ROW = "Correct the annotation row, or leave it out."
_SIGN_IN = "Needs the cookies of an account that may see it."

WORDS: dict[Reason, Words] = {
    Reason.OK: Words("Here", "The clip is on disk and was verified."),
    Reason.BOT_CHECK: Words(
        "Bot check", "YouTube asked for proof that no robot is asking.", "The crawl paused; it goes on by itself."
    ),
    Reason.RATE_LIMIT: Words(
        "Rate limit", "YouTube said that this address asks too often.", "The crawl paused; it goes on by itself."
    ),
    Reason.EGRESS_REFUSED: Words(
        "This network or account is refused",
        "A network's filter, YouTube's restricted mode or an account problem; it says nothing about the video.",
        "Check filter, proxy and cookies, or ask from another network.",
    ),
    Reason.PRIVATE: Words("Private", "The uploader made the video private."),
    Reason.REMOVED: Words("Removed by its uploader", "The uploader deleted the video."),
    Reason.TERMINATED: Words("Account closed", "The uploader's account no longer exists."),
    Reason.VIOLATION: Words("Removed by YouTube", "YouTube removed the video for breaking its rules."),
    Reason.COPYRIGHT: Words("Blocked for copyright", "A rights holder blocked the video."),
    Reason.GEO: Words("Blocked in this country", "The video may not be shown where this machine is."),
    Reason.AGE: Words("Age limit", "YouTube shows the video only to a signed-in adult.", _SIGN_IN),
    Reason.MEMBERS: Words("Members only", "Only paying members of the channel may see the video.", _SIGN_IN),
    Reason.NOT_YET: Words("Not yet published", "A premiere or live event that lies ahead."),
    Reason.UNAVAILABLE: Words(
        "Unavailable, cause unknown", "YouTube only said “unavailable”, which can also be a passing fault."
    ),
    Reason.HTTP_429: Words("Too many requests", "A server asked us to slow down (HTTP 429)."),
    Reason.HTTP_5XX: Words("Server error", "A server failed while answering (HTTP 5xx)."),
    Reason.TRANSPORT: Words("Connection broke", "The connection failed, or ended before all bytes had arrived."),
    Reason.NO_NETWORK: Words(
        "No network here",
        "This machine could not reach the internet; it says nothing about the video.",
        "Check the cable, DNS or proxy.",
    ),
    Reason.FORBIDDEN_MEDIA: Words(
        "Refused while downloading",
        "The video exists, but its file was refused (HTTP 403).",
        "If it stays, upgrade yt-dlp.",
    ),
    Reason.NOT_FOUND: Words("Not at the source", "The mirror, server or folder that was asked does not have the file."),
    Reason.GONE: Words("Gone from the source", "A server says that the file is gone for good (HTTP 410)."),
    Reason.TOOL_STALE: Words(
        "yt-dlp is out of date",
        "The downloader no longer understands YouTube's pages; our fault, not the video's.",
        "Upgrade yt-dlp, yt-dlp-ejs and deno together.",
    ),
    Reason.NO_SOURCE: Words(
        "No source has it",
        "None of the sources that are switched on offers this clip.",
        "Switch on a mirror, a local folder or YouTube.",
    ),
    Reason.WAITING: Words("Waiting its turn", "The crawl was paused before this clip's turn came."),
    Reason.NOT_A_VIDEO: Words("Not a video", "What arrived is something else, often a web page saved as .mp4."),
    Reason.TRUNCATED: Words("Cut off", "The file ends before it should."),
    Reason.CORRUPT: Words("Damaged", "The file cannot be decoded from beginning to end."),
    Reason.TOO_SHORT: Words("Shorter than annotated", "The video ends before the annotated window does."),
    Reason.BAD_ROW: Words("Unreadable row", "The annotation row cannot be understood.", _FIX_ROW),
    Reason.BAD_ID: Words(
        "Bad id or name", "It is no id of YouTube, or no name that a file and a line of a list can have.", _FIX_ROW
    ),
    Reason.BAD_TIME: Words("Bad times", "The window is reversed, negative, or not a number.", _FIX_ROW),
    Reason.BAD_LABEL: Words("Bad label", "The label cannot name a folder.", _FIX_ROW),
    Reason.DUPLICATE: Words(
        "Duplicate row", "The same window of the same video, or another one of its name, is there already.", _FIX_ROW
    ),
    Reason.UNKNOWN_LABEL: Words("Unknown label", "The label is not one of the data set's classes.", _FIX_ROW),
    Reason.LEFT_OUT: Words(
        "Left out", "The data set leaves it out by its definition, such as a video that its evaluation has."
    ),
    Reason.NO_FRAMES: Words("No frames", "The clip is there, but no frame could be extracted from it."),
    Reason.NO_AUDIO: Words("No sound", "The clip is there, but it has no sound that could be extracted."),
    Reason.TOOL_FAILED: Words(
        "A tool failed", "ffmpeg, yt-dlp or Clipquarry itself stopped with an error.", "Read the evidence; run again."
    ),
    Reason.TASK_FAILED: Words(
        "Its task failed", "The Airflow task that held this clip did not finish.", "Clear the task, or run again."
    ),
    Reason.NOT_DUE: Words("Not due yet", "Missing before; not asked in this run because its time has not come."),
    Reason.NOT_ASKED: Words("Not asked in this run", "Outside what this run was told to do (limit, classes, dry run)."),
}

_UNTOLD = {
    Reason.NOT_DUE: "at its time",
    Reason.NOT_ASKED: "by a run without that limit",
    Reason.OK: "–",
}


def reason_text(reason: str, noun: str = "clip") -> Words:
    """The texts for a stored reason; an unknown reason is shown as it is. ``noun`` is what an item is."""
    try:
        told = WORDS[Reason(reason)]
        return told._replace(means=told.means.replace("clip", noun))
    except (ValueError, KeyError):
        return Words(reason, "This version of Clipquarry has no description of this reason.", "Read the evidence.")


def again(reason: str) -> str:
    """When the policy asks again: ``after 90 days``."""
    try:
        known = Reason(reason)
    except ValueError:
        return "unknown"
    return _UNTOLD.get(known) or describe(known)
