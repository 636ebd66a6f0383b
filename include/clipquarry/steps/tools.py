"""Versions of the tools that affect the output, for every step's result, lock file and report."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from clipquarry import __version__


@cache
def tool_versions() -> dict[str, str]:
    """Name to version, with ffmpeg's origin (system, wheel or environment)."""
    from clipquarry.media.tools import ffmpeg

    tool = ffmpeg()
    return {
        "clipquarry": __version__,
        "ffmpeg": tool.version,
        "ffmpeg_origin": str(tool.origin),
        "yt-dlp": version("yt-dlp"),
        "pyav": version("av"),
    }
