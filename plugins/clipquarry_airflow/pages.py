"""The pages in the Airflow UI: an index over all data sets, a data set's runs, reports and downloads.

Every route needs a login, and a data set's pages need the right to read its DAG. Names from the URL are checked by
form, turned into a path, and checked again after links are resolved. Paths below ``/runs`` mirror the folders on
disk, so that a report's relative links work in both places.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import (
    GetUserDep,
    requires_access_dag,
    requires_access_view,
    requires_authenticated,
)
from clipquarry.approvals import Approval, found_in
from clipquarry.datasets.load import load_all
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import ClipquarryError
from clipquarry.ledger import Ledger
from clipquarry.pipeline.ledgers import open_ledger
from clipquarry.report.gates import read_gates
from clipquarry.report.index import (
    MAX_RUNS,
    data_set_lines,
    list_runs,
    read_summary,
    render_index,
    render_runs,
    slug_or_none,
)
from clipquarry.report.page import NAV_MARKER
from clipquarry.report.render import CSP, render
from clipquarry.run_folder import GATES, PACKED, PAGE, REPORT, REPORT_JSON, REPORT_MISSING, ROWS, RunFolder
from clipquarry.settings import DataRoot, Settings
from clipquarry.waiting import waits_of
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from markupsafe import Markup, escape
from starlette.exceptions import HTTPException as StarletteHTTPException

_DATASET = re.compile(r"[a-z0-9_]{1,60}\Z")
_GATE = re.compile(r"[a-z0-9_]{1,60}\Z")
_ROWS_FILE = re.compile(rf"[A-Za-z0-9_-]{{1,100}}{re.escape(ROWS)}({re.escape(PACKED)})?\Z")
_DOWNLOADS = {REPORT_MISSING: "text/csv; charset=utf-8", REPORT_JSON: "application/json"}

_PREFIX = "/clipquarry"
_NOT_OURS = "The DAG “{}” does not prepare a Clipquarry data set, so it has no quality report."

HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app(settings: Callable[[], Settings] = Settings.from_env) -> FastAPI:
    """The application mounted at ``/clipquarry``. FastAPI's own documentation pages are off, because they would be
    open to anyone.
    """
    app = FastAPI(
        title="Clipquarry",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_authenticated()), Depends(requires_access_view(AccessView.WEBSITE))],
    )
    _add_manners(app)
    pages = _Pages(settings)
    for path in ("/", f"/{PAGE}"):
        app.add_api_route(path, pages.index, response_class=HTMLResponse)
    app.add_api_route("/dataset/{dataset}", pages.dataset, response_class=HTMLResponse)
    app.add_api_route("/report/{dataset}/{run}", pages.to_report, response_class=RedirectResponse)
    app.add_api_route("/dag/{dag_id}", pages.dag, response_class=HTMLResponse)
    app.add_api_route("/dag/{dag_id}/run/{run_id:path}", pages.dag_run, response_class=HTMLResponse)
    app.add_api_route("/dag/{dag_id}/gate/{gate}/run/{run_id:path}", pages.gate, response_class=HTMLResponse)
    app.add_api_route(f"/runs/{{dataset}}/{{run}}/{REPORT}/{PAGE}", pages.report, response_class=HTMLResponse)
    app.add_api_route(f"/runs/{{dataset}}/{{run}}/{REPORT}/{{name}}", pages.beside_report, response_class=FileResponse)
    app.add_api_route(f"/runs/{{dataset}}/{{run}}/{GATES}/{{name}}", pages.gate_rows, response_class=FileResponse)
    return app


def _add_manners(app: FastAPI) -> None:
    """Headers on every answer, and errors as pages, because the reader sees them in a frame."""

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    @app.exception_handler(StarletteHTTPException)
    async def failed(request: Request, error: StarletteHTTPException) -> Response:
        title = {401: "Please sign in", 403: "Not allowed", 404: "Not found"}.get(error.status_code, "Not possible")
        home = request.scope.get("root_path", "").removesuffix(_PREFIX) + "/"
        page = _note(title, [str(error.detail)], [(home, "To Airflow")])
        return HTMLResponse(page, status_code=error.status_code, headers=error.headers)


def _note(title: str, sentences: list[str], links: list[tuple[str, str]], nav: Markup | None = None) -> str:
    return render("note.html.j2", title=title, sentences=sentences, links=links, nav=nav or "")


def _nav(request: Request, *crumbs: tuple[str | None, str], right: tuple[tuple[str, str], ...] = ()) -> Markup:
    """The navigation bar. ``crumbs`` are (path below the prefix or None, text)."""
    root = request.scope.get("root_path", "")

    def link(path: str | None, text: str) -> Markup:
        return escape(text) if path is None else Markup('<a href="{}">{}</a>').format(root + path, text)

    trail = Markup(' <span aria-hidden="true">/</span> ').join(
        link(path, text) for path, text in (("/", "Data sets"), *crumbs)
    )
    rest = Markup(" · ").join(link(path, text) for path, text in right)
    return Markup(
        '<nav class="bar-nav" aria-label="Clipquarry"><div class="top">'
        '<span>{}</span><span class="right">{}</span></div></nav>'
    ).format(trail, rest)


class _Pages:
    """The routes. They read the disk, so they are plain functions, which FastAPI runs in threads."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings

    def _specs(self) -> tuple[dict[str, DatasetSpec], list[Any]]:
        return load_all(self._settings().dataset_folders)

    @property
    def _data(self) -> DataRoot:
        return self._settings().data

    @contextmanager
    def _ledger(self) -> Iterator[Ledger | None]:
        """The ledger; None if this server cannot open it (no rights, no route to its database), or before the first
        run.
        """
        settings = self._settings()
        if not settings.has_ledger:
            yield None
            return
        try:
            opened = open_ledger(settings)
        except ClipquarryError:
            yield None
            return
        with opened:
            yield opened

    def index(self, request: Request, user: GetUserDep) -> str:
        specs, errors = self._specs()
        with self._ledger() as ledger:
            lines = [
                replace(line, runs_href=f"dataset/{line.dataset}" if line.last.run else None)
                for line in data_set_lines(self._data, specs.values(), ledger)
                if _allowed(request, user, line.dataset)
            ]
        return render_index(lines, datetime.now(UTC), errors=errors)

    def dataset(self, request: Request, user: GetUserDep, dataset: str) -> str:
        _check_dataset(request, user, dataset)
        specs, _ = self._specs()
        folders = list_runs(self._data, dataset)
        if dataset not in specs and not folders:
            raise HTTPException(404, f"There is no data set {dataset!r}, and no run of it.")
        return self._runs_page(request, dataset, specs.get(dataset), folders)

    def _runs_page(self, request: Request, dataset: str, spec: DatasetSpec | None, folders: list[Path]) -> str:
        title = spec.title if spec else dataset
        if not folders:
            sentence = f"{title} has never run. Trigger its DAG: the report appears here at the end of the run."
            return _note(title, [sentence], [], _nav(request, (None, dataset)))
        root = request.scope.get("root_path", "")
        lines = [read_summary(folder, dataset) for folder in folders[:MAX_RUNS]]
        lines = [replace(line, href=f"{root}/{line.href}" if line.href else None) for line in lines]
        return render_runs(
            dataset, title, lines, len(folders), datetime.now(UTC), nav=_nav(request, (None, dataset))
        )  # fmt: skip

    def dag(self, request: Request, user: GetUserDep, dag_id: str) -> str:
        """The DAG's tab: the runs of its data set, or a sentence for another program's DAG."""
        dataset = self._dataset_of(request, user, dag_id)
        if dataset is None:
            return _note("Not a data set", [_NOT_OURS.format(dag_id[:80])], [])
        specs, _ = self._specs()
        return self._runs_page(request, dataset, specs.get(dataset), list_runs(self._data, dataset))

    def dag_run(self, request: Request, user: GetUserDep, dag_id: str, run_id: str) -> Response:
        """The DAG run's tab: its report, or when it will exist."""
        dataset, run = self._dataset_of(request, user, dag_id), slug_or_none(run_id)
        if dataset is None or run is None:
            return HTMLResponse(_note("Not a data set", [_NOT_OURS.format(dag_id[:80])], []))
        if RunFolder(self._data.run(dataset, run)).report_page.is_file():
            return _redirect(request, dataset, run)
        nav = _nav(request, (f"/dataset/{dataset}", dataset), (None, run))
        if asked := found_in(RunFolder(self._data.run(dataset, run)), "asked"):
            root = request.scope.get("root_path", "")
            links = [(f"{root}/dag/{dag_id}/gate/{one.gate}/run/{run_id}", f"The gate {one.gate}") for one in asked]
            return HTMLResponse(
                _note("The run waits for an answer", [line for one in asked for line in _asks(one)], links, nav)
            )
        if waits := waits_of(self._data.run(dataset, run)):
            return HTMLResponse(_note("The run waits for files", [str(one) for one in waits], [], nav))
        sentence = "The report is written at the end of a run, also when a gate blocks it. Open this tab again then."
        return HTMLResponse(_note("No report yet", [sentence], [], nav))

    def gate(self, request: Request, user: GetUserDep, dag_id: str, gate: str, run_id: str) -> str:
        """A gate's result in a run, and the rows that broke it; or the message that it has no result."""
        if not _GATE.match(gate):
            raise HTTPException(404, "There is no such gate.")
        dataset, run = self._dataset_of(request, user, dag_id), slug_or_none(run_id)
        if dataset is None or run is None:
            return _note("Not a data set", [_NOT_OURS.format(dag_id[:80])], [])
        folder = self._folder(dataset, run)
        right = ((f"/dag/{dag_id}/run/{run_id}", "report"),)
        nav = _nav(request, (f"/dataset/{dataset}", dataset), (None, run), (None, gate), right=right)
        found = next((one for one in read_gates(folder) if one.name == gate), None)
        if found is None:
            sentence = f"The gate {gate} has no result in this run: it has not ended, was left out, or failed before; its log says which."
            return _note("No rows yet", [sentence], [], nav)
        href = (
            f"{request.scope.get('root_path', '')}/runs/{dataset}/{run}/{(found.rows_file or '').removeprefix('../')}"
        )
        specs, _ = self._specs()
        title = specs[dataset].title if dataset in specs else dataset
        return render("gate.html.j2", title=title, run=run, gate=found, rows_href=href, nav=nav)

    def _dataset_of(self, request: Request, user: GetUserDep, dag_id: str) -> str | None:
        """The DAGs ``{dataset}`` and ``{dataset}_refresh`` both belong to the data set; the user needs the right to both."""
        requires_access_dag("GET", param_dag_id=dag_id)(request, user)
        specs, _ = self._specs()
        for name in (dag_id, dag_id.removesuffix("_refresh")):
            if _DATASET.match(name) and (name in specs or self._data.runs(name).is_dir()):
                _check_dataset(request, user, name)
                return name
        return None

    def to_report(self, request: Request, user: GetUserDep, dataset: str, run: str) -> Response:
        """A short URL of a report."""
        self._file(request, user, dataset, run, REPORT, PAGE)
        return _redirect(request, dataset, run)

    def report(self, request: Request, user: GetUserDep, dataset: str, run: str) -> str:
        """The report as stored on disk, with a navigation bar added at its top."""
        page = self._file(request, user, dataset, run, REPORT, PAGE).read_text(encoding="utf-8")
        below = f"/runs/{dataset}/{run}/{REPORT}/"
        right = tuple(
            (below + name, text)
            for name, text in ((REPORT_MISSING, "all absent clips (csv)"), (REPORT_JSON, "json"))
            if (RunFolder(self._data.run(dataset, run)).report / name).is_file()
        )
        nav = _nav(request, (f"/dataset/{dataset}", dataset), (None, run), right=right)
        return page.replace(NAV_MARKER, str(nav), 1)

    def beside_report(self, request: Request, user: GetUserDep, dataset: str, run: str, name: str) -> Response:
        """``missing.csv`` and ``report.json``, as downloads."""
        if name not in _DOWNLOADS:
            raise HTTPException(404, "There is no such file.")
        return _download(self._file(request, user, dataset, run, REPORT, name), dataset, run, _DOWNLOADS[name])

    def gate_rows(self, request: Request, user: GetUserDep, dataset: str, run: str, name: str) -> Response:
        """All rows that broke a gate's checks, as a download."""
        if not _ROWS_FILE.match(name):
            raise HTTPException(404, "There is no such file.")
        kind = "application/gzip" if name.endswith(PACKED) else _DOWNLOADS[REPORT_MISSING]
        return _download(self._file(request, user, dataset, run, GATES, name), dataset, run, kind)

    def _folder(self, dataset: str, run: str) -> Path:
        """The folder of a run, links resolved, below the private folder."""
        folder = self._data.run(dataset, run).resolve()
        if not folder.is_relative_to(self._data.private.resolve()):
            raise HTTPException(404, "There is no such run.")
        return folder

    def _file(self, request: Request, user: GetUserDep, dataset: str, run: str, *parts: str) -> Path:
        """A file of a run: allowed, well-formed, there, and inside the run's folder after links are resolved."""
        _check_dataset(request, user, dataset)
        if slug_or_none(run) != run:
            raise HTTPException(404, "There is no such run.")
        folder = self._folder(dataset, run)
        path = folder.joinpath(*parts).resolve()
        if not path.is_relative_to(folder):
            raise HTTPException(404, "There is no such file.")
        if not path.is_file():
            raise HTTPException(404, "This file has not been written: the run goes on, or was stopped before it.")
        return path


def _asks(one: Approval) -> list[str]:
    """What a person is asked, and where the answer is given."""
    where = f"Answer on the task gate_{one.gate}, tab Required Actions: Release or Stop, with a reason. The verdict has the code {one.code}."
    return [one.sentence, *([one.problem] if one.problem else []), where]


def _check_dataset(request: Request, user: GetUserDep, dataset: str) -> None:
    if not _DATASET.match(dataset):
        raise HTTPException(404, "There is no such data set.")
    requires_access_dag("GET", param_dag_id=dataset)(request, user)


def _allowed(request: Request, user: GetUserDep, dataset: str) -> bool:
    try:
        _check_dataset(request, user, dataset)
    except HTTPException:
        return False
    return True


def _redirect(request: Request, dataset: str, run: str) -> Response:
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/runs/{dataset}/{run}/{REPORT}/{PAGE}", status_code=307)


def _download(path: Path, dataset: str, run: str, kind: str) -> Response:
    return FileResponse(path, media_type=kind, filename=f"{dataset}.{run}.{path.name}")
