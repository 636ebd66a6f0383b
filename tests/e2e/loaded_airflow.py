"""Airflow, loaded once for many commands: each ``airflow …`` runs in a child that is forked after the imports.

Started as a program by :class:`e2e_airflow.LoadedAirflow`. It reads one JSON object a line, ``{"arguments", "environment", "output"}``, runs the
command as ``airflow`` would with standard output and error in the file ``output``, and answers with the exit status, a line each. Loading
Airflow, Great Expectations and the plugins takes 15 to 20 CPU seconds, a command after that 0.1 s; nothing that one command changes reaches the next.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import traceback
from typing import Any, NoReturn

MODULES = (
    "airflow.__main__", "airflow.api_fastapi.execution_api.app", "airflow.cli.commands.dag_command", "airflow.dag_processing.dagbag",
    "airflow.providers.docker.operators.docker", "airflow.sdk.execution_time.supervisor", "airflow.sdk.execution_time.task_runner",
    "clipquarry.pipeline.run", "clipquarry.report", "clipquarry_airflow.plugin", "great_expectations", "pandas", "pyarrow.parquet",
)  # fmt: skip
"""What the commands import, none of which starts a thread or connects to anything."""


def run(asked: dict[str, Any]) -> NoReturn:
    """Be the command: its environment, its output, its exit status."""
    code = 1
    try:
        out = os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.setsid()  # so that all of it can be ended when it takes too long
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.argv = ["airflow", *asked["arguments"]]
        from airflow import settings
        from airflow.__main__ import main

        settings.configure_vars()  # folders may be others than at the start
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """Run one command after the other until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is no answer
    for name in MODULES:
        importlib.import_module(name)
    # The API that tasks talk to is part of the process in `dags test`. Its first request would make all versions of its routes, for 6 s.
    api = importlib.import_module("airflow.sdk.execution_time.supervisor").in_process_api_server().app
    getattr(api, "_cadwyn_initialize", lambda: None)()
    assert threading.active_count() == 1, "a fork would lose the other threads"
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            run(json.loads(line))
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    serve()
