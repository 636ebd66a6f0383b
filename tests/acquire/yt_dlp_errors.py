"""What the tests of the classifier share: an error as yt-dlp raises it, and a network that is up."""

from __future__ import annotations

from typing import Any

from clipquarry.acquire.network import Network
from yt_dlp.utils import DownloadError, ExtractorError

UP = Network(connect=lambda *_: None, route=lambda: True, proxies=dict)


def told(text: str, *, expected: bool = True, **more: Any) -> DownloadError:
    """The DownloadError that YoutubeDL makes of an ExtractorError."""
    inner = ExtractorError(text, expected=expected, video_id="0wR5jVB-WPk", ie="youtube", **more)
    return DownloadError(f"\x1b[0;31mERROR:\x1b[0m {inner}", (type(inner), inner, None))
