"""A server on bare sockets: it says whatever a test wants, also what no honest server would say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event


@dataclass
class Asked:
    """One request: its path and its headers, names in lower case."""

    path: str
    headers: dict[str, str]

    @property
    def first(self) -> int:
        """The first byte that is asked for."""
        return int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])


@dataclass
class Raw:
    """``url`` without a final slash; what was asked; ``gone`` is set when the test ends."""

    port: int = 0
    host: str = "127.0.0.1"
    asked: list[Asked] = field(default_factory=list)
    gone: Event = field(default_factory=Event)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


Answer = Callable[[socket.socket, Asked], None]


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    """A whole answer; ``Content-Length`` is added unless one of the headers is about the length.

    It says that the connection closes, as it does: a client that would use it again met a reset now and then.
    """
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@contextmanager
def raw_server(play: Answer, host: str = "127.0.0.1") -> Iterator[Raw]:
    """``play`` answers each request on a connection that is closed afterwards."""
    listening = socket.create_server((host, 0))
    raw = Raw(listening.getsockname()[1], host)

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            text = b""
            while b"\r\n\r\n" not in text:
                piece = connection.recv(65536)
                if not piece:
                    return
                text += piece
            first, *lines = text.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")
            pairs = (line.partition(":") for line in lines)
            raw.asked.append(Asked(first.split()[1], {name.lower(): value.strip() for name, _, value in pairs}))
            play(connection, raw.asked[-1])

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield raw
    finally:
        raw.gone.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
