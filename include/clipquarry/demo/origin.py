"""A web server that serves a folder with byte ranges and simulates the dead links of a plan.

The plan is a JSON object from path (no leading slash, ``fnmatch`` patterns allowed; an exact name wins) to a behaviour:
the name of one, or an object ``{"do": NAME, ...}``. Behaviours: ``404``, ``410``, ``403``, ``500``, ``503``, ``429``
(with ``retry_after`` seconds), ``html`` (a web page with status 200), ``truncate`` (the full Content-Length, closed
after ``share`` of it), ``cut`` (a complete answer that holds only ``share`` of the file), ``garbage`` (complete,
random bytes), ``slow`` (``seconds`` before the answer), ``trickle`` (one byte a second), ``redirect`` (``to``).
``times: N`` plays it for the first N requests of a path only. The plan file is read again whenever it changes, so
that a link can come back while the server runs.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import random
import re
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from clipquarry.errors import UserError
from clipquarry.files import inside, read_json, write_json

Behaviour = dict[str, Any]

_STATUSES = frozenset({"404", "410", "403", "429", "500", "503"})
BEHAVIOURS = _STATUSES | {"html", "truncate", "cut", "garbage", "slow", "trickle", "redirect"}
_RANGE = re.compile(r"bytes=(\d+)-(\d*)\Z")
_PAGE = (
    b"<!DOCTYPE html><html><head><title>Not here</title></head><body>Please log in to watch this video.</body></html>\n"
)
_PIECE = 1 << 16


def parse_plan(value: Any, where: str) -> dict[str, Behaviour]:
    """Check a plan; a wrong one is one sentence."""
    if not isinstance(value, dict):
        raise UserError(f"{where}: a plan is a JSON object from path to behaviour.")
    plan: dict[str, Behaviour] = {}
    for path, given in value.items():
        behaviour = {"do": given} if isinstance(given, str) else given
        if not isinstance(behaviour, dict) or behaviour.get("do") not in BEHAVIOURS:
            raise UserError(f"{where}: {path!r}: {given!r} is no behaviour; known: {', '.join(sorted(BEHAVIOURS))}.")
        plan[path.lstrip("/")] = behaviour
    return plan


@dataclass
class Script:
    """The plan and how often each path was asked for."""

    file: Path | None = None
    plan: dict[str, Behaviour] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    _seen: tuple[int, int] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def behaviour(self, path: str) -> Behaviour | None:
        """What to do with this request for ``path``; None: serve the file."""
        with self._lock:
            self._reread()
            self.asked[path] += 1
            found = self.plan.get(path)
            if found is None:
                found = next((b for pattern, b in self.plan.items() if fnmatch.fnmatchcase(path, pattern)), None)
            if found is not None and self.asked[path] > found.get("times", self.asked[path]):
                return None
            return found

    def _reread(self) -> None:
        if self.file is None:
            return
        try:
            stat = self.file.stat()
        except FileNotFoundError:
            return
        seen = (stat.st_mtime_ns, stat.st_size)
        if seen != self._seen:
            with contextlib.suppress(UserError):  # half-written by an editor: the next request reads it again
                self.plan = parse_plan(read_json(self.file), str(self.file))
                self._seen = seen
                self.asked.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).lstrip("/")
        behaviour = self.server.script.behaviour(path) or {}
        try:
            self._play(path, behaviour)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    do_HEAD = do_GET

    def _play(self, path: str, behaviour: Behaviour) -> None:
        what = behaviour.get("do", "")
        if what in _STATUSES:
            extra = {"Retry-After": str(behaviour.get("retry_after", 1))} if what == "429" else {}
            self._answer(int(what), HTTPStatus(int(what)).phrase.encode() + b"\n", "text/plain", extra)
        elif what == "redirect":
            self._answer(302, b"", "text/plain", {"Location": str(behaviour["to"])})
        elif what == "html":
            self._answer(200, _PAGE, "text/html; charset=utf-8")
        elif what == "slow" and self.server.stopping.wait(float(behaviour.get("seconds", 30))):
            self.close_connection = True
        else:
            self._file(path, what, behaviour)

    def _answer(self, status: int, body: bytes, kind: str, extra: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _file(self, path: str, what: str, behaviour: Behaviour) -> None:
        try:
            file = inside(self.server.folder, path)
            stat = file.stat()
            handle = open(file, "rb")  # noqa: SIM115 — only the opening is guarded
        except (OSError, UserError):
            self._answer(404, b"Not Found\n", "text/plain")
            return
        share = float(behaviour.get("share", 0.5))
        size = int(stat.st_size * share) if what == "cut" else stat.st_size
        tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        first, last = 0, size - 1
        with handle:
            wanted = _RANGE.match(self.headers.get("Range", ""))
            if wanted and self.headers.get("If-Range", tag) == tag:
                first, last = int(wanted[1]), min(int(wanted[2] or last), last)
                if first >= size:
                    self._answer(416, b"", "text/plain", {"Content-Range": f"bytes */{size}"})
                    return
            self.send_response(206 if wanted and (first, last) != (0, size - 1) else 200)
            self.send_header("Content-Type", "video/mp4" if file.suffix == ".mp4" else "application/octet-stream")
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", tag)
            self.send_header("Last-Modified", formatdate(stat.st_mtime, usegmt=True))
            if wanted and (first, last) != (0, size - 1):
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            if self.command == "HEAD":
                return
            if what == "garbage":
                self.wfile.write(random.Random(path).randbytes(last - first + 1))  # noqa: S311 — not a secret
                return
            length = last - first + 1
            if what == "truncate":
                length = int(length * share)
                self.close_connection = True
            handle.seek(first)
            self._send(handle.read, length, trickle=what == "trickle")

    def _send(self, read: Any, length: int, *, trickle: bool) -> None:
        while length > 0 and (piece := read(min(length, 1 if trickle else _PIECE))):
            self.wfile.write(piece)
            length -= len(piece)
            if trickle and self.server.stopping.wait(1):
                self.close_connection = True
                return

    def log_message(self, format: str, *args: Any) -> None:
        if self.server.log is not None:
            line = f"{time.strftime('%H:%M:%S')} {format % args}\n"
            with self.server.log.open("a", encoding="utf-8", errors="replace") as handle:
                handle.write(line)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], folder: Path, script: Script, log: Path | None) -> None:
        self.folder, self.script, self.log = folder.absolute(), script, log
        self.stopping = threading.Event()
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are no news; everything else is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Origin:
    """The server, as a context manager: ``with Origin(folder) as origin: origin.url``."""

    def __init__(
        self, folder: Path, plan: Path | dict[str, Any] | None = None, *, host: str = "127.0.0.1", port: int = 0,
        log: Path | None = None,
    ) -> None:  # fmt: skip
        self.script = Script(plan) if isinstance(plan, Path) else Script(plan=parse_plan(plan or {}, "plan"))
        if isinstance(plan, Path) and plan.exists():
            parse_plan(read_json(plan), str(plan))
        self._server = _Server((host, port), folder, self.script, log)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="origin", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, no final slash."""
        return f"http://{self._server.server_address[0]!s}:{self.port}"

    @property
    def asked(self) -> Counter[str]:
        """Requests by path since the plan last changed."""
        return self.script.asked

    def set_plan(self, plan: dict[str, Any]) -> None:
        """Change the plan of a server that was given no plan file."""
        self.script.plan = parse_plan(plan, "plan")
        self.script.asked.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()


def main(argv: list[str] | None = None) -> None:
    """``python -m clipquarry.demo.origin --folder F [--plan P] [--port 0] [--ready-file R] [--log L]``; ends on
    SIGTERM or SIGINT.
    """
    parser = argparse.ArgumentParser(prog="clipquarry.demo.origin", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--plan", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-file", type=Path, help="written when the server listens: {url, port}")
    parser.add_argument("--log", type=Path)
    args = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Origin(args.folder, args.plan, host=args.host, port=args.port, log=args.log) as origin:
        if args.ready_file:
            write_json(args.ready_file, {"url": origin.url, "port": origin.port})
        print(f"serving {args.folder} at {origin.url}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
