"""Certificates of https servers: verified, unless a source's YAML says otherwise, and then only those of its own host."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.download import Downloader, Limits, limits_of
from clipquarry.datasets.model import Source
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", f"https://{self.path.removeprefix('/to/')}/file")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"bytes")

    def log_message(self, *_: object) -> None:
        pass


pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # pytest undoes what the product does


@functools.cache
def own_certificate(folder: Path) -> Path:
    """A certificate that nobody else signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=9)).not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server with an expired certificate of its own making."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own_certificate(tmp_path))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


def fetch(url: str, folder: Path, *, verify: bool) -> bytes:
    limits = Limits(attempts=1, connect=5, read=5, verify=verify)
    return Downloader(limits).download(url, folder, ".bin", Event()).path.read_bytes()


def test_a_certificate_of_nobody_is_refused_by_default(port: int, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match=r"(?i)certificate"):
        fetch(f"https://127.0.0.1:{port}/file", tmp_path, verify=True)


def test_the_exception_is_for_the_sources_own_host(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the environment says of certificates must not undo what the YAML says, nor the other way round.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(own_certificate(tmp_path)))
    assert fetch(f"https://127.0.0.1:{port}/file", tmp_path, verify=False) == b"bytes"
    assert fetch(f"https://127.0.0.1:{port}/to/127.0.0.1:{port}", tmp_path, verify=False) == b"bytes"
    with pytest.raises(FetchFailed, match=r"(?i)certificate"):
        fetch(f"https://127.0.0.1:{port}/to/localhost:{port}", tmp_path, verify=False)


def test_a_downloader_that_makes_no_exception_verifies_what_another_did_not(port: int, tmp_path: Path) -> None:
    assert fetch(f"https://127.0.0.1:{port}/file", tmp_path, verify=False) == b"bytes"
    with pytest.raises(FetchFailed, match=r"(?i)certificate"):
        fetch(f"https://127.0.0.1:{port}/file", tmp_path, verify=True)


def test_the_yaml_decides_by_source() -> None:
    source = Source(id="toy", kind="http", provides="annotations", url="https://example.org/a.csv")
    assert limits_of(source).verify
    assert not limits_of(source.model_copy(update={"verify_certificate": False})).verify
    with pytest.raises(ValidationError, match="kind 'http'"):
        Source(id="toy", kind="local", provides="annotations", path="/x", verify_certificate=False)
