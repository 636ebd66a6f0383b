"""The routes of the labelling page, mounted at ``/clipquarry-labelling``. What they answer is JSON, but for one page and images.

::

    GET  /                                          all projects               GET /static/NAME, /vendor/NAME
    GET  /projects                                  the same as JSON
    GET  /p/DATASET/PROJECT/                        the page
    GET  /p/DATASET/PROJECT/project                 title, actions, clips with progress and seats, the person's name
    GET  /p/DATASET/PROJECT/agreement               kappa of each action
    POST /p/DATASET/PROJECT/{take,release,give,compare}
    GET  /p/DATASET/PROJECT/clips/CLIP/SEAT         frames and state
    POST /p/DATASET/PROJECT/clips/CLIP/SEAT         operations; what others did since
    GET  /p/DATASET/PROJECT/images/CLIP/FRAME       a key frame: its number, or with ?name= its name, which counts
    GET  /p/DATASET/PROJECT/strips/CLIP/FRAME/N     an image of the film around it
    GET, POST /p/DATASET/PROJECT/via/CLIP           see ``via.py``
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipquarry.errors import UserError
from clipquarry.labelling.documents import Material, plan_document
from clipquarry.labelling.operations import BadOperation, Operation, parsed
from clipquarry.labelling.project import PROJECT, Closed, Project
from clipquarry.labelling.seats import AGREED, FIRST, SECOND
from clipquarry.labelling.two_people import agreed, compare, stage
from clipquarry.settings import DataRoot, Settings, slug
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from clipquarry_airflow.labelling.guard import add_manners, body_of
from clipquarry_airflow.labelling.rights import AirflowRights, May, Rights
from clipquarry_airflow.labelling.via import add_via, finished_file

HERE = Path(__file__).parent
KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain",
}
IMAGES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
MAX_OPERATIONS = 500
WORK: tuple[May, ...] = ("label", "give")
_DATASET = re.compile(r"[a-z0-9_]{1,60}\Z")


def make_app(settings: Callable[[], Settings] = Settings.from_env, rights: Rights | None = None) -> FastAPI:
    """FastAPI's own pages are off, because they would be open to anyone."""
    rights = rights or AirflowRights()
    app = FastAPI(
        title="Clipquarry labelling",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=rights.dependencies(),
    )
    add_manners(app)
    routes = _Routes(settings, rights)
    project = "/p/{dataset}/{project}"
    for path, function in (
        ("/", routes.home),
        ("/projects", routes.projects),
        ("/static/{name}", routes.static),
        ("/vendor/{name}", routes.vendor),
        (f"{project}/", routes.page),
        (f"{project}/project", routes.project),
        (f"{project}/agreement", routes.agreement),
        (f"{project}/clips/{{clip}}/{{seat}}", routes.clip),
        (f"{project}/images/{{clip}}/{{frame}}", routes.image),
        (f"{project}/strips/{{clip}}/{{frame}}/{{number}}", routes.strip),
    ):
        app.add_api_route(path, function, methods=["GET"], response_model=None)
    for word in ("take", "release", "give", "compare"):
        app.add_api_route(f"{project}/{word}", getattr(routes, word), methods=["POST"], response_model=None)
    app.add_api_route(f"{project}/clips/{{clip}}/{{seat}}", routes.submit, methods=["POST"], response_model=None)
    add_via(app, project, routes.found, lambda: settings().data)
    return app


class _Routes:
    """Those that read the disk are plain functions, which FastAPI runs in threads; the others go there after the body was read."""

    def __init__(self, settings: Callable[[], Settings], rights: Rights) -> None:
        self._settings, self._rights = settings, rights
        self._known: dict[Path, tuple[int, Project]] = {}

    @property
    def _data(self) -> DataRoot:
        return self._settings().data

    def found(self, request: Request, dataset: str, project: str, may: May = "read") -> Project:
        """Allowed, well-formed, there, and inside the private folder after links are resolved."""
        if not _DATASET.match(dataset) or slug(project) != project:
            raise HTTPException(404, "There is no such project.")
        self._rights.check(request, dataset, may)
        folder = self._data.labelling(dataset, project).resolve()
        if not folder.is_relative_to(self._data.private.resolve()) or not (folder / PROJECT).is_file():
            raise HTTPException(404, "There is no such project.")
        stamp = (folder / PROJECT).stat().st_mtime_ns
        known = self._known.get(folder)
        if known is None or known[0] != stamp:
            known = self._known[folder] = (stamp, Project(folder))
        return known[1]

    def _name(self, request: Request) -> str:
        name = self._rights.person(request).strip()
        if not name or len(name) > 200 or not name.isprintable():
            raise HTTPException(403, "Your account has no name by which your work could be told from others'.")
        return name

    # Files of the page

    def home(self) -> FileResponse:
        return _file("static", "projects.html")

    def page(self, request: Request, dataset: str, project: str) -> FileResponse:
        self.found(request, dataset, project)
        return _file("static", "label.html")

    def static(self, name: str) -> FileResponse:
        return _file("static", name)

    def vendor(self, name: str) -> FileResponse:
        return _file("vendor", name)

    # Reading

    def projects(self, request: Request) -> dict[str, Any]:
        found = []
        for path in sorted(self._data.all_labelling.glob(f"*/*/{PROJECT}")):
            dataset, project = path.parts[-3:-1]
            try:
                one = self.found(request, dataset, project)
                done = sum(one.is_done(clip) for clip in one.clips)
                found.append(
                    {
                        "dataset": dataset,
                        "project": project,
                        "title": one.plan.title,
                        "clips": len(one.clips),
                        "done": done,
                    }
                )
            except (HTTPException, UserError):  # not this person's, or damaged: its own page says so
                continue
        return {"projects": found}

    def project(self, request: Request, dataset: str, project: str) -> dict[str, Any]:
        found, me = self.found(request, dataset, project), self._name(request)
        clips = [
            {
                **_clip_line(found, clip, me),
                "file": finished_file(self._data, found.material(clip)),
                **_aside(found, clip),
            }
            for clip in found.clips
        ]
        may = [one for one in WORK if self._may(request, dataset, one)]
        return {**plan_document(found.plan, found.clips), "clips": clips, "me": me, "may": may}

    def _may(self, request: Request, dataset: str, what: May) -> bool:
        try:
            self._rights.check(request, dataset, what)
        except HTTPException:
            return False
        return True

    def agreement(self, request: Request, dataset: str, project: str) -> dict[str, Any]:
        told = agreed(self.found(request, dataset, project))
        actions = [
            {"attribute": one.attribute, "option": one.option, "boxes": one.boxes, "both": one.both, "first": one.first,
             "second": one.second, "agreed": one.agreed, "kappa": one.kappa}
            for one in told.actions
        ]  # fmt: skip
        return {"clips": told.clips, "boxes": told.boxes, "alone": told.alone, "actions": actions}

    def clip(self, request: Request, dataset: str, project: str, clip: str, seat: str) -> dict[str, Any]:
        found = self.found(request, dataset, project)
        self._refuse_others_work(found, clip, seat, self._name(request))
        material = found.material(clip)
        frames = [
            {"name": one.name, "second": one.second, "width": one.width, "height": one.height,
             "strip": len(material.strips.get(one.name, ()))}
            for one in material.asked().frames
        ]  # fmt: skip
        return {
            "clip": clip, "seat": seat, "frames": frames, "source": " ".join(material.shown[:2]),
            "state": found.open(clip, seat).plain(),
        }  # fmt: skip

    def _refuse_others_work(self, project: Project, clip: str, seat: str, me: str) -> None:
        """Two people who label on their own do not see each other's work before it is compared, nor what will come out of it."""
        project.check_seat(clip, seat)
        if seat in (FIRST, SECOND) and not project.is_compared(clip):
            holder = project.seats(clip)[seat].holder
            if holder != me:
                raise Closed(f"This work is {holder or 'nobody'}'s; you see it when both are done and compared.")

    def image(
        self, request: Request, dataset: str, project: str, clip: str, frame: int, name: str = ""
    ) -> FileResponse:
        material = self.found(request, dataset, project).material(clip)
        return self._image(f"{material.images}/{_frame(material, frame, name)}")

    def strip(
        self, request: Request, dataset: str, project: str, clip: str, frame: int, number: int, name: str = ""
    ) -> FileResponse:
        material = self.found(request, dataset, project).material(clip)
        images = material.strips.get(_frame(material, frame, name), ())
        if not 0 <= number < len(images):
            raise HTTPException(404, "There is no such image.")
        return self._image(images[number])

    def _image(self, path: str) -> FileResponse:
        """An image below the data root, links resolved."""
        root = self._data.root.resolve()
        found = (root / path).resolve()
        if not found.is_relative_to(root) or not found.is_file() or found.suffix.lower() not in IMAGES:
            raise HTTPException(404, "This image is not there: the run's frames were moved or deleted.")
        headers = {"Cache-Control": "private, max-age=3600"}
        return FileResponse(found, media_type=IMAGES[found.suffix.lower()], headers=headers)

    # Doing

    async def take(self, request: Request, dataset: str, project: str) -> dict[str, Any]:
        told = await body_of(request)

        def work() -> dict[str, Any]:
            found = self.found(request, dataset, project, "label")
            clip = told.get("clip")
            taken = found.take(self._name(request), clip if isinstance(clip, str) else None)
            return {"clip": taken[0], "seat": taken[1]} if taken else {"clip": None}

        return await run_in_threadpool(work)

    async def release(self, request: Request, dataset: str, project: str) -> dict[str, Any]:
        told = await body_of(request)

        def work() -> dict[str, Any]:
            self.found(request, dataset, project, "label").release(str(told.get("clip")), self._name(request))
            return {}

        return await run_in_threadpool(work)

    async def give(self, request: Request, dataset: str, project: str) -> dict[str, Any]:
        told = await body_of(request)

        def work() -> dict[str, Any]:
            to = str(told.get("annotator", "")).strip()
            if len(to) > 200 or not (to.isprintable() or not to):
                raise HTTPException(400, "This name cannot be a person's.")
            self.found(request, dataset, project, "give").give(str(told.get("clip")), str(told.get("seat")), to)
            return {}

        return await run_in_threadpool(work)

    async def compare(self, request: Request, dataset: str, project: str) -> dict[str, Any]:
        told = await body_of(request)

        def work() -> dict[str, Any]:
            compare(self.found(request, dataset, project, "label"), str(told.get("clip")))
            return {"clip": told.get("clip"), "seat": AGREED}

        return await run_in_threadpool(work)

    async def submit(self, request: Request, dataset: str, project: str, clip: str, seat: str) -> dict[str, Any]:
        told = await body_of(request)
        return await run_in_threadpool(self._submit, request, dataset, project, clip, seat, told)

    def _submit(
        self, request: Request, dataset: str, project: str, clip: str, seat: str, told: dict[str, Any]
    ) -> dict[str, Any]:
        sent, seen = told.get("operations"), told.get("seen")
        if not isinstance(sent, list) or len(sent) > MAX_OPERATIONS or type(seen) is not int or seen < 0:
            raise HTTPException(400, f"'operations' is a list of at most {MAX_OPERATIONS}, and 'seen' a number.")
        found, me = self.found(request, dataset, project, "label"), self._name(request)
        if not sent:
            self._refuse_others_work(found, clip, seat, me)
        operations: list[Operation] = []
        refused: dict[str, str] = {}
        for one in sent:
            try:
                operations.append(parsed(one))
            except BadOperation as error:
                refused[str(one.get("op", ""))[:64] if isinstance(one, dict) else ""] = str(error)
        answer = found.submit(clip, seat, me, operations, seen)
        return {
            "kept": answer.kept, "refused": {**refused, **answer.refused}, "seq": answer.seq,
            "news": [one.plain() for one in answer.news],
            "state": answer.state.plain() if answer.state else None,
        }  # fmt: skip


def _file(folder: str, name: str) -> FileResponse:
    """A file of the page: only those that are there, whatever the name says."""
    path = next((one for one in (HERE / folder).iterdir() if one.name == name and one.suffix in KINDS), None)
    if path is None:
        raise HTTPException(404, "There is no such file.")
    return FileResponse(path, media_type=KINDS[path.suffix], headers={"Cache-Control": "private, no-cache"})


def _frame(material: Material, number: int, name: str) -> str:
    """The name of a frame. A page that was opened before the clip changed has other numbers, and the right names."""
    if any(name == one.name for one in material.clip.frames):
        return name
    names = [one.name for one in material.asked().frames]
    if name or not 0 <= number < len(names):
        raise HTTPException(404, "There is no such frame.")
    return names[number]


def _aside(project: Project, clip: str) -> dict[str, Any]:
    """What was said of frames that nobody asks for any more: frames, and boxes with labels on them."""
    if project.plan.annotators == 2 and project.result_seat(clip) != AGREED:
        return {"aside": [], "aside_boxes": 0}  # neither person sees the other's work
    found = project.set_aside(clip)
    frames = {one.frame for one in found.regions}
    return {"aside": [one.name for one in found.frames if one.name in frames], "aside_boxes": len(found.regions)}


def _clip_line(project: Project, clip: str, me: str) -> dict[str, Any]:
    """A clip in the overview: seats with their holders and progress."""
    seats = []
    names = [
        *project.seats(clip),
        *([AGREED] if project.plan.annotators == 2 and project.journal(clip, AGREED).exists() else []),
    ]
    held = project.seats(clip)
    for name in names:
        found = project.progress(clip, name)
        holder = held[name].holder if name in held else ""
        seats.append(
            {"seat": name, "holder": holder, "mine": holder == me, "boxes": found.boxes, "labelled": found.labelled,
             "conflicts": found.conflicts + found.doubles, "done": found.done, "by": found.by}
        )  # fmt: skip
    return {
        "clip": clip, "seats": seats, "done": project.is_done(clip),
        "stage": str(stage(project, clip)) if project.plan.annotators == 2 else "",
    }  # fmt: skip
