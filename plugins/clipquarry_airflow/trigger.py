"""Middleware of the API server that refuses triggers with wrong parameters, with the messages of the command line.

Airflow checks each parameter of a trigger by its JSON schema, but accepts keys that no DAG has, and a schema cannot
check combinations of parameters. Such a run would fail a minute later, in its first task.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from clipquarry.datasets.load import load_all
from clipquarry.errors import UserError
from clipquarry.settings import Settings

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

_RUNS = re.compile(r"/api/v2/dags/([^/]+)/dagRuns/?\Z")
_BACKFILLS = re.compile(r"/api/v2/backfills(/dry_run)?/?\Z")
MAX_BODY = 1 << 20
"""Bytes; Airflow refuses larger bodies itself."""


def trigger_problem(dag_id: str, conf: Any) -> str:
    """What is wrong with the parameters of a run of ``dag_id``; empty if nothing is, and for other programs' DAGs."""
    from clipquarry.pipeline.param_checks import parse_run_params

    specs, _ = load_all(Settings.from_env().dataset_folders)
    spec = specs.get(dag_id) or specs.get(dag_id.removesuffix("_refresh"))
    if spec is None or not isinstance(conf, dict):
        return ""
    try:
        parse_run_params(conf, spec)
    except UserError as error:
        return str(error)
    return ""


def _asked(path: str, body: bytes) -> tuple[str, Any]:
    """The DAG and the parameters of a request; an empty name if they cannot be determined."""
    try:
        value = json.loads(body)
    except ValueError:
        return "", None
    if not isinstance(value, dict):
        return "", None
    if found := _RUNS.search(path):
        return unquote(found[1]), value.get("conf")
    return str(value.get("dag_id", "")), value.get("dag_run_conf")


class CheckedTrigger:
    """ASGI middleware over the whole API server. It passes everything but triggers of DAG runs and backfills
    unchanged.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or scope["method"] != "POST" or not (_RUNS.search(path) or _BACKFILLS.search(path)):
            await self._app(scope, receive, send)
            return
        from starlette.concurrency import run_in_threadpool
        from starlette.responses import JSONResponse

        messages: list[Message] = []
        body = b""
        while len(body) <= MAX_BODY:
            message = await receive()
            messages.append(message)
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        # A user without rights gets Airflow's answer, not ours.
        names = {name.lower() for name, _ in scope.get("headers", ())}
        if names & {b"authorization", b"cookie"} and len(body) <= MAX_BODY:
            dag_id, conf = _asked(path, body)
            if dag_id and (problem := await run_in_threadpool(trigger_problem, dag_id, conf)):
                await JSONResponse({"detail": problem}, status_code=400)(scope, receive, send)
                return

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, again, send)
