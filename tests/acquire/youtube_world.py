"""What the tests of the YouTube source share: the source with a fake extractor, a local web server, and videos behind it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from box_world import link_films
from clipquarry.acquire.answer import ClipRequest, FetchFailed
from clipquarry.acquire.download import Limits
from clipquarry.acquire.network import Network
from clipquarry.acquire.youtube import YouTubeOptions, YouTubeSource
from fake_youtube import FAKE, Server, enable_fake_extractor, numbered_video, serving
from once import shared_folder

ID = "0wR5jVB-WPk"
GOP = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "90", "-bf", "3", "-b_strategy", "0", "-sc_threshold", "0")


def network(up: bool = True) -> Network:
    def connect(host: str, port: int, timeout: float) -> None:
        if not up:
            raise OSError(101, "Network is unreachable")

    return Network(connect=connect, route=lambda: True, proxies=dict)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the module's own, to which tests may add, with videos that are made once."""
    with shared_folder(tmp_path_factory, "youtube_media") as made:
        if not (made / "audio.m4a").exists():
            whole = numbered_video(made / "whole.mp4", 24, *GOP, "-c:a", "aac", "-movflags", "+faststart")
            numbered_video(made / "video.mp4", 24, *GOP, audio=False)
            subprocess.run(
                ["ffmpeg", "-y", "-loglevel", "error", "-i", whole, "-vn", "-c", "copy", made / "audio.m4a"], check=True
            )
        return link_films(made, tmp_path_factory.mktemp("media"))


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
