"""The proxy server: reads one request of a connection, asks the engine in the worker's place, passes the answer on.

``python -m clipquarry_airflow.socket_proxy.server`` listens on port 2375. A refused request is answered with 403 and
one line in its log. Each request has a connection of its own to the engine, and nothing that a worker sends after
its request reaches it.
"""

from __future__ import annotations

import json
import re
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from clipquarry.errors import ClipquarryError

from clipquarry_airflow.socket_proxy.rules import MOST_BYTES, Refused, Request, Rules

SOCKET = Path("/var/run/docker.sock")
PORT = 2375
REQUEST_SECONDS = 10
"""Seconds in which a request must arrive."""
MOST_CONNECTIONS = 512


class _Engine(HTTPConnection):
    """A connection to the engine's socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=60)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    timeout = REQUEST_SECONDS
    server_version, sys_version = "clipquarry", ""

    def _serve(self) -> None:
        self.close_connection = True
        try:
            request = self.server.rules.request(self.command, self.path, self._body())
            target = request.of(self._own(request)) if request.container else request.target
        except Refused as refused:
            self.server.say(
                f"refused: {self.command} {re.sub('[^!-~]', '?', self.path.partition('?')[0])[:120]}: {refused}"
            )
            self._answer(403, f"Clipquarry's proxy does not pass this on: {refused}.")
        except _Gone as gone:
            self._answer(404, str(gone))
        except (OSError, HTTPException, ValueError) as error:
            self._answer(502, f"The Docker engine does not answer: {error}.")
        else:
            self._relay(request, target)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

    def _body(self) -> bytes:
        lengths = self.headers.get_all("Content-Length") or ["0"]
        if self.headers.get("Transfer-Encoding") or len(lengths) > 1 or not lengths[0].isdecimal():
            raise Refused("a body whose length is not said once")
        if int(lengths[0]) > MOST_BYTES:
            raise Refused("a body that is too long")
        body = self.rfile.read(int(lengths[0]))
        if len(body) != int(lengths[0]):
            raise Refused("a body that is not whole")
        return body

    def _own(self, request: Request) -> str:
        """The full id of the container, if it is a step of this deployment."""
        engine = _Engine(self.server.engine)
        try:
            engine.request("GET", f"/containers/{request.container}/json")
            answer = engine.getresponse()
            text = answer.read()
        finally:
            engine.close()
        if answer.status == 404:
            raise _Gone(f"No such container: {request.container}")
        found: Any = json.loads(text)
        # The full id again: the engine also accepts names and beginnings of ids, and could mean another container next
        # time.
        if answer.status != 200 or not self.server.rules.owns(found) or not found["Id"].startswith(request.container):
            raise Refused("a container that is no step of this deployment")
        return str(found["Id"])

    def _relay(self, request: Request, target: str) -> None:
        headers = ["Host: engine", "User-Agent: clipquarry-socket-proxy", f"Content-Length: {len(request.body)}"]
        # The engine closes after its answer, be it a stream or an error. The next request has a connection of its own,
        # and is checked.
        headers += ["Connection: Upgrade, close", "Upgrade: tcp"] if request.upgrade else ["Connection: close"]
        if request.body:
            headers.append("Content-Type: application/json")
        head = "\r\n".join([f"{request.method} {target} HTTP/1.1", *headers, "", ""])
        worker = self.connection
        with socket.socket(socket.AF_UNIX) as engine:
            try:
                engine.connect(str(self.server.engine))
                engine.sendall(head.encode("ascii") + request.body)
            except OSError as error:
                self._answer(502, f"The Docker engine does not answer: {error}.")
                return
            worker.settimeout(None)  # a step may work for hours without output
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            with suppress(OSError):  # the worker, or the engine, has gone away
                _pass_on(engine, worker)

    def _answer(self, status: int, message: str) -> None:
        body = json.dumps({"message": message}).encode()
        with suppress(OSError):
            self.send_response(status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Logs only refusals, by :meth:`Proxy.say`."""


class _Gone(Exception):
    """There is no such container."""


def _pass_on(engine: socket.socket, worker: socket.socket) -> None:
    """Pass the engine's answer to the worker until either is done. What the worker still sends is discarded."""
    ready = select.poll()  # select() accepts no descriptor above 1,023
    for one in (engine, worker):
        ready.register(one, select.POLLIN)
    while True:
        speaks = {number for number, _ in ready.poll()}
        if worker.fileno() in speaks and not worker.recv(65536):
            return
        if engine.fileno() in speaks:
            piece = engine.recv(65536)
            if not piece:
                return
            worker.sendall(piece)


class Proxy(ThreadingHTTPServer):
    """Serves ``rules`` before the engine's socket at ``engine``."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], rules: Rules, engine: Path = SOCKET) -> None:
        self.rules, self.engine = rules, engine
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if threading.active_count() > MOST_CONNECTIONS:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores broken connections."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def say(self, line: str) -> None:
        print(line, flush=True)


def main() -> None:
    """Serve until it is killed."""
    try:
        rules = Rules.from_env()
    except ClipquarryError as error:
        print(f"clipquarry: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
    # By default, SIGTERM does not end the first process of a container.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Proxy(("", PORT), rules) as proxy:
        proxy.say(f"steps of deployment {rules.deployment}: images {', '.join(sorted(rules.images))}; folders "
                  + ", ".join(f"{source}:{target}" for source, target, _ in rules.docker.folders(rules.root)))  # fmt: skip
        proxy.serve_forever()


if __name__ == "__main__":
    main()
