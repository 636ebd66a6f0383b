"""Checks of what this machine needs to crawl YouTube, before a crawl and in ``clipquarry doctor``. They need no network."""

from __future__ import annotations

import os
import re
import shutil
import stat
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from http.cookiejar import LoadError
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from clipquarry.acquire.plugins import providers
from clipquarry.errors import ClipquarryError, MachineError

MAX_AGE_DAYS = 60
"""YouTube changes about monthly; a yt-dlp older than this usually fails for some of the videos."""
GIB = 1 << 30
WARN_FREE, FAIL_FREE = 50 * GIB, 2 * GIB
RUNTIMES = ("deno", "node")
"""JavaScript runtimes that are tried, in this order; yt-dlp decides which versions it supports."""

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """The result of one check, with one sentence: what is wrong and what to do."""

    level: Level
    topic: str
    sentence: str


def preflight_archives(needed_by: Sequence[str] = ()) -> Finding:
    """Whether archives can be read here. ``needed_by``: names of the data sets that have any."""
    from clipquarry.acquire.archives.native import version

    try:
        return Finding("ok", "archives", f"libarchive {version()}")
    except MachineError as error:
        names = f": {', '.join(needed_by)}" if needed_by else ""
        return Finding("warn", "archives", f"{error} Only data sets that come in archives need it{names}.")


def preflight_youtube(
    *,
    cookies: Path | None = None,
    folder: Path | None = None,
    today: date | None = None,
    plugins: Sequence[str] | None = None,
    extractor_args: Sequence[str] = (),
) -> list[Finding]:
    """Check everything that the YouTube source needs. Never raises.

    ``folder``: where downloads go; its free space is checked. ``plugins``: the allowed plug-ins, whose providers are
    checked; None: no check of plug-ins.
    """
    return [
        *_yt_dlp(today or datetime.now(UTC).date()),
        *_scripts(),
        *_runtime(),
        *_ffmpeg(),
        *([] if cookies is None else _cookies(cookies)),
        *([] if folder is None else _space(folder)),
        *([] if plugins is None else _providers(plugins, extractor_args)),
    ]


@cache
def js_runtimes() -> Mapping[str, Mapping[str, Any]]:
    """yt-dlp's parameter ``js_runtimes``: every runtime found, with its path (``{"deno": {"path": "/..."}}``)."""
    found = {name: path for name in RUNTIMES if (path := _find(name))}
    return {name: {"path": path} for name, path in found.items()}


def _find(name: str) -> str | None:
    """Path of a runtime: first of the ``deno`` package (its binary lies beside Python), then on the PATH."""
    beside = Path(sysconfig.get_path("scripts")) / name
    if os.access(beside, os.X_OK) and beside.is_file():
        return str(beside)
    if name == "deno" and find_spec("deno"):
        try:
            return str(import_module("deno").find_deno_bin())
        except FileNotFoundError:
            pass  # the package without its binary (a wheel for another platform): the PATH may have one
    return shutil.which(name)


def _yt_dlp(today: date) -> Iterator[Finding]:
    from yt_dlp.version import __version__ as version

    match = re.match(r"(\d{4})\.(\d{1,2})\.(\d{1,2})", version)
    if not match:
        yield Finding("warn", "yt-dlp", f"yt-dlp {version} has no date in its version, so its age is not known.")
        return
    age = (today - date(*map(int, match.groups()))).days
    if age > MAX_AGE_DAYS:
        yield Finding(
            "warn", "yt-dlp", f"yt-dlp {version} is {age} days old; YouTube has likely changed since: upgrade it."
        )
    else:
        yield Finding("ok", "yt-dlp", f"yt-dlp {version} is {max(age, 0)} days old.")


def _scripts() -> Iterator[Finding]:
    """Check the challenge scripts: yt-dlp accepts only the minor version that it was released with."""
    topic = "yt-dlp-ejs"
    wanted = _wanted_scripts()
    try:
        have = str(import_module("yt_dlp_ejs").version)
    except ImportError:
        yield Finding(
            "fail", topic, f"yt-dlp-ejs is not installed: pip install yt-dlp-ejs=={wanted or '(see yt-dlp)'}."
        )
        return
    if wanted and have.split(".")[:2] != wanted.split(".")[:2]:
        yield Finding("fail", topic, f"yt-dlp-ejs {have} does not match this yt-dlp: pip install yt-dlp-ejs=={wanted}.")
    else:
        yield Finding("ok", topic, f"yt-dlp-ejs {have} matches yt-dlp.")


def _wanted_scripts() -> str | None:
    try:
        from yt_dlp.extractor.youtube.jsc._builtin.vendor import VERSION
    except ImportError:  # moved in another release of yt-dlp: nothing to compare with
        return None
    return str(VERSION)


def _runtime() -> Iterator[Finding]:
    from yt_dlp.globals import supported_js_runtimes

    topic, too_old = "javascript", []
    for name, config in js_runtimes().items():
        kind = supported_js_runtimes.value.get(name)
        info = kind(path=config["path"]).info if kind else None
        if info is not None and info.supported:
            yield Finding("ok", topic, f"{name} {info.version} ({info.path}) solves YouTube's challenges.")
            return
        too_old.append(f"{name} {info.version if info else 'that does not start'} at {config['path']}")
    found = f" (found only {', '.join(too_old)})" if too_old else ""
    yield Finding(
        "fail",
        topic,
        f"No JavaScript runtime that yt-dlp can use{found}: pip install 'deno>=2.3', or node 22 or newer.",
    )


def _ffmpeg() -> Iterator[Finding]:
    path = find_ffmpeg()
    if path is None:
        yield Finding("fail", "ffmpeg", "ffmpeg was not found, so video and sound cannot be put together: install it.")
    else:
        yield Finding("ok", "ffmpeg", f"ffmpeg is at {path}.")


def find_ffmpeg() -> Path | None:
    """The system's ffmpeg, else that of the imageio-ffmpeg package; None without either."""
    if found := shutil.which("ffmpeg"):
        return Path(found)
    try:
        import imageio_ffmpeg

        return Path(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):  # neither is there
        return None


def _cookies(path: Path) -> Iterator[Finding]:
    topic = "cookies"
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not a text file"
        yield Finding(
            "fail", topic, f"The cookie file {path} cannot be read ({why}): CLIPQUARRY_COOKIES must name one."
        )
        return
    if stat.S_IMODE(mode) & 0o077:
        who = "everybody" if mode & stat.S_IROTH else "its group" if mode & stat.S_IRGRP else "others"
        yield Finding("warn", topic, f"The cookie file {path} is open to {who} (mode {mode & 0o777:o}): chmod 600 it.")
    try:
        names = youtube_cookies(text)
    except LoadError as error:
        yield Finding("fail", topic, f"The cookie file {path} cannot be used: {error}")
        return
    if not names:
        yield Finding("warn", topic, f"The cookie file {path} holds no valid cookie for youtube.com: export it again.")
    else:
        yield Finding("ok", topic, f"The cookie file {path} holds {len(names)} cookies for youtube.com.")


def youtube_cookies(text: str, now: float | None = None) -> set[str]:
    """Names of the unexpired youtube.com cookies of a Netscape cookie file; raises LoadError when it is none."""
    if text.lstrip()[:1] in ("[", "{"):
        raise LoadError("it is JSON; yt-dlp needs the Netscape format (cookies.txt).")
    now = time.time() if now is None else now
    names = set()
    for line in text.splitlines():
        fields = line.removeprefix("#HttpOnly_").split("\t")
        if len(fields) != 7 or not re.fullmatch(r"\.?([\w-]+\.)*youtube\.com", fields[0]):
            continue
        expires = fields[4]
        if expires in ("", "0") or (re.fullmatch(r"\d+(\.\d+)?", expires) and float(expires) > now):
            names.add(fields[5])
    if not names and not any(line.startswith("#") or "\t" in line for line in text.splitlines() if line.strip()):
        raise LoadError("it is not in the Netscape format (cookies.txt).")
    return names


def _providers(plugins: Sequence[str], extractor_args: Sequence[str]) -> Iterator[Finding]:
    topic = "po-token"
    if not plugins:
        yield Finding("ok", topic, "No provider of PO tokens is set up; most videos need none.")
        return
    try:
        found = providers(plugins, extractor_args)
    except ClipquarryError as error:
        yield Finding("fail", topic, str(error))
        return
    if not found:
        yield Finding("fail", topic, f"The plug-ins {', '.join(plugins)} bring no provider of PO tokens.")
    for one in found:
        if one.answers:
            yield Finding("ok", topic, f"The PO-token provider {one.name} {one.version} answers.")
        else:
            why = f" ({one.problem})" if one.problem else ""
            yield Finding(
                "fail",
                topic,
                f"The PO-token provider {one.name} {one.version} does not answer{why}: start it, or correct its address "
                "in CLIPQUARRY_YTDLP_ARGS.",
            )


def _space(folder: Path) -> Iterator[Finding]:
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    free = shutil.disk_usage(there).free
    text = f"{free / GIB:.1f} GiB are free at {folder}"
    if free < FAIL_FREE:
        yield Finding("fail", "disk", f"Only {text}: free some space.")
    elif free < WARN_FREE:
        yield Finding("warn", "disk", f"Only {text}; a crawl of a Kinetics split needs hundreds.")
    else:
        yield Finding("ok", "disk", f"{text}.")
