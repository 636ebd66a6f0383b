"""The labelling routes without Airflow: whoever asks is who the cookie ``person`` says. ``python labelling_server.py DATA PORT`` serves them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from clipquarry.labelling.project import Project, create
from clipquarry.settings import Settings
from clipquarry_airflow.labelling.app import make_app
from fastapi import Depends, FastAPI, HTTPException, Request
from labelling_world import material, plan, write_images

DATASET, PROJECT = "own_ava", "first"
PLACE = f"/p/{DATASET}/{PROJECT}"
MARKS = {"X-Clipquarry": "labelling", "Sec-Fetch-Site": "same-origin"}


class CookieRights:
    """In the place of Airflow's login: ``guest`` may look, ``chief`` may give clips to people, nobody may see ``secret``."""

    def dependencies(self) -> list[Any]:
        def signed_in(request: Request) -> None:
            if not request.cookies.get("person"):
                raise HTTPException(401, "Not authenticated")

        return [Depends(signed_in)]

    def person(self, request: Request) -> str:
        return request.cookies["person"]

    def check(self, request: Request, dataset: str, may: str) -> None:
        person = request.cookies["person"]
        if dataset == "secret" or (person == "guest" and may != "read") or (may == "give" and person != "chief"):
            raise HTTPException(403, "Forbidden")


def app_over(data: Path) -> FastAPI:
    return make_app(lambda: Settings.from_env({"CLIPQUARRY_DATA": str(data)}), CookieRights())


def make_world(data: Path, annotators: int = 1, clips: int = 2, **more: int) -> Project:
    materials = [material(str(n + 1), **more) for n in range(clips)]
    write_images(data, *materials)
    return create(data / ".clipquarry/labelling" / DATASET / PROJECT, plan(annotators), materials)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app_over(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
