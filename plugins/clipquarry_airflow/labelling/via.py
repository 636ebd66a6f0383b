"""Routes for those who label with VIA 3 itself: a clip's frames and project down in a zip, the finished project up.

::

    GET  /p/DATASET/PROJECT/via/CLIP     the zip
    POST /p/DATASET/PROJECT/via/CLIP     the finished project's JSON as it is; kept whole, or refused with a sentence each
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from clipquarry.errors import UserError
from clipquarry.files import disk_errors
from clipquarry.label_exchange.via_files import (
    MOST_FINISHED,
    finish_name,
    keep_finished,
    lacking_told,
    read_finished,
    write_zip,
)
from clipquarry.labelling.documents import Material
from clipquarry.labelling.project import CLIPS, Project
from clipquarry.settings import DataRoot
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from clipquarry_airflow.labelling.guard import content_of
from clipquarry_airflow.labelling.rights import May

MOST_SHOWN = 50
"""Sentences about one file."""


class Find(Protocol):
    """Finds a project for whoever asks, or raises HTTPException."""

    def __call__(self, request: Request, dataset: str, project: str, may: May = "read") -> Project: ...


def add_via(app: FastAPI, path: str, find: Find, data: Callable[[], DataRoot]) -> None:
    """The two routes, below the ``path`` of a project."""
    routes = _Via(find, data)
    app.add_api_route(f"{path}/via/{{clip}}", routes.down, methods=["GET"], response_model=None)
    app.add_api_route(f"{path}/via/{{clip}}", routes.up, methods=["POST"], response_model=None)


def finished_file(data: DataRoot, material: Material) -> str:
    """The name of the finished project beside a clip's frames; empty where there is none."""
    try:
        name = finish_name(material.clip.id)
        return name if (images_of(data, material) / name).is_file() else ""
    except HTTPException:
        return ""


def images_of(data: DataRoot, material: Material) -> Path:
    """The folder of a clip's frames, below the data root after links are resolved."""
    root = data.root.resolve()
    folder = (root / material.images).resolve()
    if not folder.is_relative_to(root) or not folder.is_dir():
        raise HTTPException(404, "The frames of this clip are not there: they were moved or deleted.")
    return folder


class _Via:
    def __init__(self, find: Find, data: Callable[[], DataRoot]) -> None:
        self._find, self._data = find, data

    def down(self, request: Request, dataset: str, project: str, clip: str) -> FileResponse:
        found = self._find(request, dataset, project)
        material = found.material(clip)
        _refuse_two(found)
        images = images_of(self._data(), material)
        shown = found.result(clip)[0]
        with (
            disk_errors(Path(tempfile.gettempdir())),
            tempfile.NamedTemporaryFile(suffix=".zip", delete=False) as handle,
        ):
            path = Path(handle.name)
            try:
                write_zip(handle, shown, found.plan, images, material.aside)
            except BaseException:
                path.unlink()
                raise
        name = f"{clip}_via.zip"
        return FileResponse(path, media_type="application/zip", filename=name, background=BackgroundTask(path.unlink))

    async def up(self, request: Request, dataset: str, project: str, clip: str) -> Response:
        content = await content_of(request, MOST_FINISHED)

        def work() -> Response:
            found = self._find(request, dataset, project, "label")
            material = found.material(clip)
            _refuse_two(found)
            images = images_of(self._data(), material)
            read, faults = read_finished(content, material.asked(), found.plan, material.aside)
            if read is None or faults:
                more = [f"And {len(faults) - MOST_SHOWN} more."] if len(faults) > MOST_SHOWN else []
                told = {"sentence": f"The file is not taken. {faults[0]}", "faults": [*faults[:MOST_SHOWN], *more]}
                return JSONResponse(told, 422)
            former = keep_finished(content, images, clip, found.folder / CLIPS / clip / "via.lock")
            answer: dict[str, Any] = {
                "kept": finish_name(clip), "former": former, "boxes": len(read.project.regions), "without": len(read.unlabelled),
                "aside": read.aside, "lacking": lacking_told(read) if read.lacking else "",
            }  # fmt: skip
            return JSONResponse(answer)

        return await run_in_threadpool(work)


def _refuse_two(project: Project) -> None:
    if project.plan.annotators != 1:
        raise UserError("In this project two people label each clip on the page: a file cannot stand for both.")
