"""What every answer of the labelling page carries, and what a request must be before anybody looks at it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from clipquarry.errors import ClipquarryError, MachineError, RetryLater, UserError
from clipquarry.labelling.project import Closed
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Scripts, styles and images of this server alone, nothing inline. The other pages stay without any script."""
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
MARK = "X-Clipquarry"
"""A header that a page of another site cannot send without asking first, and nobody answers such a question."""
MAX_BODY = 2_000_000


def add_manners(app: FastAPI) -> None:
    """Headers on every answer, and every error as one sentence in JSON."""

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.exception_handler(StarletteHTTPException)
    async def failed(request: Request, error: StarletteHTTPException) -> Response:
        return JSONResponse({"sentence": str(error.detail)}, error.status_code, headers=error.headers)

    @app.exception_handler(ClipquarryError)
    async def said(request: Request, error: ClipquarryError) -> Response:
        return JSONResponse({"sentence": str(error)}, _status(error))


def _status(error: ClipquarryError) -> int:
    if isinstance(error, Closed):
        return 409
    if isinstance(error, RetryLater | MachineError):
        return 503  # the page keeps what it has, and tries again
    return 404 if isinstance(error, UserError) else 500


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object that a page of ours sent. Raises HTTPException for anything else, before it is read to its end."""
    content = await content_of(request, MAX_BODY)
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        raise HTTPException(400, "This is no JSON.") from None
    if not isinstance(told, dict):
        raise HTTPException(400, "This is no JSON object.")
    return told


async def content_of(request: Request, most: int) -> bytes:
    """What a page of ours sent as JSON, of at most so many bytes, not parsed."""
    refuse_other_sites(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Only JSON is taken here.")
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > most:
            raise HTTPException(413, f"More than {most} bytes at once are not taken.")
    return bytes(content)


def refuse_other_sites(request: Request) -> None:
    """Whoever is signed in here may have a page of somebody else open: it must not label in that person's name."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    hosts = (request.headers.get("host"), request.headers.get("x-forwarded-host"))  # of a proxy that names itself to us
    foreign = site not in (None, "same-origin") if site or not origin else _host(origin) not in hosts
    if foreign or request.headers.get(MARK) != "labelling":
        raise HTTPException(403, "Only the labelling page itself may do this.")


def _host(origin: str) -> str:
    return origin.partition("://")[2]
