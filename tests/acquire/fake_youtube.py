"""What the YouTube tests share: the fake extractor, a local web server, and videos whose frames carry their number."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np

FAKE = "clipquarryfake:{id}"
PLUGIN = Path(__file__).parents[1] / "support" / "fake_extractor"
WIDTH, HEIGHT, FPS = 160, 96, 30


def enable_fake_extractor(monkeypatch: Any, playbook: Path) -> None:
    """Make yt-dlp find the plug-in in this process, whatever ran before, and give it a playbook."""
    monkeypatch.setenv("CLIPQUARRY_FAKE_PLAYBOOK", str(playbook))
    monkeypatch.setenv("YTDLP_NO_PLUGINS", "")
    monkeypatch.syspath_prepend(str(PLUGIN))
    import yt_dlp  # noqa: F401 - registers its plug-in kinds
    from yt_dlp.extractor import extractors  # noqa: F401
    from yt_dlp.globals import extractors as known
    from yt_dlp.plugins import load_all_plugins

    if "ClipquarryFakeIE" not in known.value:
        load_all_plugins()
    assert "ClipquarryFakeIE" in known.value


def write_playbook(path: Path, **acts: Any) -> None:
    path.write_text(json.dumps(acts))


def calls(playbook: Path) -> list[str]:
    try:
        return Path(f"{playbook}.calls").read_text().split()
    except FileNotFoundError:
        return []


def numbered_video(path: Path, seconds: float, *options: str, audio: bool = True) -> Path:
    """A video in which frame ``i`` shows ``i`` as ten black or white squares."""
    count = int(seconds * FPS)
    sound = ["-f", "lavfi", "-t", str(seconds), "-i", "sine=440"] if audio else []
    command = [
        "ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH}x{HEIGHT}",
        "-r", str(FPS), "-i", "-", *sound, "-threads", "1", "-pix_fmt", "yuv420p", *options, str(path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for number in range(count):
            frame = np.zeros((HEIGHT, WIDTH), np.uint8)
            for bit in range(10):
                if number >> bit & 1:
                    frame[bit // 5 * 48 : bit // 5 * 48 + 48, bit % 5 * 32 : bit % 5 * 32 + 32] = 235
            process.stdin.write(frame.tobytes())
        process.stdin.close()
    assert process.returncode == 0
    return path


def numbers(path: Path) -> list[tuple[float, int]]:
    """``(seconds since the container's start, number shown)`` of every frame, decoded."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        zero = (container.start_time or 0) / av.time_base
        shown = []
        for frame in container.decode(stream):
            image = frame.to_ndarray(format="gray")
            number = sum(int(image[b // 5 * 48 + 24, b % 5 * 32 + 16] > 128) << b for b in range(10))
            shown.append((float(frame.pts * stream.time_base) - zero, number))
        return shown


def kinds(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


class Server:
    """Serves the files of a folder with ranges; ``/status/N`` answers N; remembers what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, str | None]] = []
        self.user_agents: set[str] = set()
        self.cookies: list[str] = []
        self.sent = 0
        self.cut_after: int | None = None
        """Bytes after which each answer is broken off."""
        self.dies_after: int | None = None
        """Bytes, over all answers, after which nothing is answered any more."""
        self.slow = 0.0
        self.url = ""


@contextmanager
def serving(folder: Path, certificate: Path | None = None) -> Iterator[Server]:
    server = Server(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if server.dies_after is not None and server.sent >= server.dies_after:
                self.close_connection = True
                return
            server.asked.append((self.path, self.headers.get("Range")))
            server.user_agents.add(self.headers.get("User-Agent") or "")
            server.cookies.append(self.headers.get("Cookie") or "")
            if self.path.startswith("/status/"):
                self._status(self.path.split("/")[2])
                return
            path = server.folder / self.path.lstrip("/").split("?")[0]
            if not path.is_file():
                self._status("404")
                return
            self._send(path)

        def _status(self, text: str) -> None:
            code, _, after = text.partition("-")
            self.send_response(int(code))
            if after:
                self.send_header("Retry-After", after)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, path: Path) -> None:
            size = path.stat().st_size
            begin, end = 0, size - 1
            if wanted := self.headers.get("Range"):
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                begin, end = int(first), min(int(last) if last else end, size - 1)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{end}/{size}")
            else:
                self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(end - begin + 1))
            self.end_headers()
            stop = end + 1 if server.cut_after is None else min(end + 1, begin + server.cut_after)
            if server.dies_after is not None:
                stop = min(stop, begin + server.dies_after - server.sent)
            with open(path, "rb") as handle:
                handle.seek(begin)
                left = stop - begin
                try:
                    while left > 0 and (piece := handle.read(min(16384, left))):
                        self.wfile.write(piece)
                        server.sent += len(piece)
                        left -= len(piece)
                        if server.slow:
                            threading.Event().wait(server.slow)
                except OSError:  # the client went away
                    self.close_connection = True
                    return
            if stop <= end:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that go away are part of the tests
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    scheme, host = ("http", "127.0.0.1") if certificate is None else ("https", "localhost")
    server.url = f"{scheme}://{host}:{httpd.server_address[1]}"
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()


def run_python(code: str, *args: str, **env: str) -> subprocess.Popen[str]:
    """Another process of the same Python."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], env={**os.environ, **env}, stdout=subprocess.PIPE, text=True
    )
