"""The routes: who may do what, what other sites and hostile addresses get, what operations come to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clipquarry_airflow.labelling import app as module
from clipquarry_airflow.labelling.guard import CSP, MAX_BODY
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from labelling_server import MARKS, PLACE, app_over, make_world
from labelling_world import operation

CLIP = f"{PLACE}/clips/1/shared"
KONVA = "acc5719ed72c2cab2858e200a61051e6930c635a29825c2ebe1852bad103d2cc"
"""sha256 of konva.min.js in the package konva 10.9.1 of the npm registry."""
READS = ("/", "/projects", f"{PLACE}/", f"{PLACE}/project", f"{PLACE}/agreement", CLIP, f"{PLACE}/images/1/0", f"{PLACE}/strips/1/0/0", "/static/label.css", "/vendor/konva.min.js")  # fmt: skip


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    make_world(tmp_path)
    with TestClient(app_over(tmp_path), cookies={"person": "anna"}) as client:
        yield client


def post(client: TestClient, path: str, body: Any = None, **headers: str) -> Any:
    return client.post(path, json={} if body is None else body, headers={**MARKS, **headers})


def test_every_route_asks_for_a_login(client: TestClient) -> None:
    client.cookies.clear()
    for path in READS:
        assert client.get(path).status_code == 401, path
    for word in ("take", "release", "give", "compare", "clips/1/shared"):
        assert post(client, f"{PLACE}/{word}").status_code == 401
    for path in ("/docs", "/openapi.json", "/redoc"):
        assert client.get(path).status_code == 404
    for route in client.app.routes:  # type: ignore[attr-defined]
        assert isinstance(route, APIRoute), f"{route} is mounted beside the routes and asks nobody"


def test_every_answer_says_what_a_browser_may_do(client: TestClient) -> None:
    for path in READS:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"] == CSP
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in CSP and "script-src 'self'" in CSP
    page = client.get(f"{PLACE}/").text
    assert (
        "<script>" not in page and "style=" not in page and " on" not in page.replace(" one", "").replace(" on ", " ")
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}, {"X-Clipquarry": ""},
        {"Sec-Fetch-Site": "", "Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "", "Origin": "null"},
    ],
)  # fmt: skip
def test_other_sites_can_do_nothing_in_a_persons_name(client: TestClient, headers: dict[str, str]) -> None:
    for word in ("take", "release", "give", "compare", "clips/1/shared"):
        answer = post(client, f"{PLACE}/{word}", {"clip": "1", "seen": 0, "operations": []}, **headers)
        assert answer.status_code == 403
    assert (
        post(
            client, CLIP, {"seen": 0, "operations": []}, **{"Sec-Fetch-Site": "", "Origin": "http://testserver"}
        ).status_code
        == 200
    )


def test_a_form_and_broken_bodies_are_refused(client: TestClient) -> None:
    assert client.post(CLIP, data={"a": "b"}, headers=MARKS).status_code == 415
    for content, status in ((b"{", 400), (b"[]", 400), (b"[" * 100_000, 400), (b" " * (MAX_BODY + 1), 413)):
        headers = {**MARKS, "Content-Type": "application/json"}
        assert client.post(CLIP, content=content, headers=headers).status_code == status
    for body in ({}, {"seen": "0", "operations": []}, {"seen": 0, "operations": {}}, {"seen": True, "operations": []}):
        assert post(client, CLIP, body).status_code == 400
    assert post(client, CLIP, {"seen": 0, "operations": [{}] * 501}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/p/secret/first/project", "/p/own_ava/nothing/project", "/p/own_ava/..%2f..%2f/project", "/p/OWN/first/project",
        "/p/..%2f/first/project", f"{PLACE}/clips/..%2f1/shared", f"{PLACE}/clips/9/shared", f"{PLACE}/clips/1/first",
        f"{PLACE}/clips/1/..%2fseats", f"{PLACE}/images/1/99", f"{PLACE}/images/1/-1", f"{PLACE}/images/9/0", f"{PLACE}/strips/1/0/99",
        f"{PLACE}/strips/1/99/0", "/static/..%2fapp.py", "/static/app.py", "/static/", "/vendor/..%2f..%2fapp.py", "/static/%2e%2e/guard.py",
    ],
)  # fmt: skip
def test_no_address_leaves_its_place(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (403, 404), answer.text
    assert "sentence" in answer.json()


def test_an_image_is_served_only_from_below_the_data_root(client: TestClient, tmp_path: Path) -> None:
    frames = tmp_path / "choose_frames_middle/1"
    first, second = sorted(frames.iterdir())[:2]
    outside = tmp_path.parent / f"{tmp_path.name}-outside.jpg"
    outside.write_bytes(first.read_bytes())
    first.unlink()
    first.symlink_to(outside)
    second.unlink()
    second.symlink_to(tmp_path / "secret.txt")
    (tmp_path / "secret.txt").write_text("secret")
    for number in (0, 1):
        assert client.get(f"{PLACE}/images/1/{number}").status_code == 404
    assert client.get(f"{PLACE}/images/1/2").headers["content-type"] == "image/jpeg"
    outside.unlink()


def test_who_may_only_look_cannot_label(client: TestClient) -> None:
    client.cookies.set("person", "guest")
    assert client.get(CLIP).status_code == 200
    for word in ("take", "release", "give", "compare"):
        assert post(client, f"{PLACE}/{word}", {"clip": "1"}).status_code == 403
    assert post(client, CLIP, {"seen": 0, "operations": []}).status_code == 403
    client.cookies.set("person", "anna")
    assert post(client, f"{PLACE}/give", {"clip": "1", "seat": "shared", "annotator": "ben"}).status_code == 403
    client.cookies.set("person", "chief")
    assert post(client, f"{PLACE}/give", {"clip": "1", "seat": "shared", "annotator": "ben"}).status_code == 200
    client.cookies.set("person", "a" * 201)
    assert client.get(f"{PLACE}/project").status_code == 403


def test_operations_are_kept_and_the_news_come_back(client: TestClient) -> None:
    assert post(client, f"{PLACE}/take").json() == {"clip": "1", "seat": "shared"}
    fine = operation(["image1_1", "labels/1", ["0"]])
    bad = operation(["nobody", "labels/1", ["0"]])
    answer = post(client, CLIP, {"seen": 0, "operations": [fine.plain(), bad.plain(), {"op": "<script>"}]}).json()
    assert answer["kept"] == {fine.op: 1} and set(answer["refused"]) == {bad.op, "<script>"}
    assert [one["by"] for one in answer["news"]] == ["anna"]
    client.cookies.set("person", "ben")
    theirs = {
        **operation(["image1_1", "labels/1", ["1"]], client="window-b").plain(),
        "by": "anna",
        "seq": 77,
        "at": "x",
    }
    answer = post(client, CLIP, {"seen": 0, "operations": [theirs]}).json()
    assert [(one["seq"], one["by"]) for one in answer["news"]] == [(1, "anna"), (2, "ben")], (
        "the server says who it was"
    )
    told = client.get(CLIP).json()
    assert [value[0] for value in told["state"]["regions"]["image1_1"]["labels/1"]] == [["0"], ["1"]]
    assert [frame["second"] for frame in told["frames"]] == [2, 3, 4, 5, 6, 7, 8] and told["frames"][0]["strip"] == 6
    project = client.get(f"{PLACE}/project").json()
    assert project["me"] == "ben" and project["clips"][0]["seats"][0]["conflicts"] == 1
    assert project["clips"][0]["seats"][0]["holder"] == "anna"
    assert client.get("/projects").json()["projects"] == [
        {"dataset": "own_ava", "project": "first", "title": "Our own actions", "clips": 2, "done": 0}
    ]


def test_two_people_do_not_see_each_others_work_before_it_is_compared(tmp_path: Path) -> None:
    make_world(tmp_path, annotators=2)
    done = ["@clip", "done", True]
    with TestClient(app_over(tmp_path)) as client:
        for person, seat in (("anna", "first"), ("ben", "second")):
            client.cookies.set("person", person)
            assert post(client, f"{PLACE}/take", {"clip": "1"}).json()["seat"] == seat
            body = {
                "seen": 0,
                "operations": [operation(["image1_1", "labels/1", ["0"]], done, client=f"of-{person}-x").plain()],
            }
            assert post(client, f"{PLACE}/clips/1/{seat}", body).status_code == 200
            assert client.get(f"{PLACE}/clips/1/agreed").status_code == 409
            told = [operation(["image1_2", "labels/1", ["0"]]).plain()]
            answer = post(client, f"{PLACE}/clips/1/agreed", {"seen": 0, "operations": told})
            assert answer.status_code == 409, "nobody looks past the end of the other's work"
        for empty in ([], body["operations"]):
            assert post(client, f"{PLACE}/clips/1/first", {"seen": 0, "operations": empty}).status_code == 409
        answer = client.get(f"{PLACE}/clips/1/first")
        assert answer.status_code == 409 and "anna" in answer.json()["sentence"]
        assert post(client, f"{PLACE}/compare", {"clip": "2"}).status_code == 409
        stages = [one["stage"] for one in client.get(f"{PLACE}/project").json()["clips"]]
        assert stages == ["both", "open"]
        assert post(client, f"{PLACE}/compare", {"clip": "1"}).json()["seat"] == "agreed"
        assert client.get(f"{PLACE}/clips/1/first").status_code == 200
        told = client.get(f"{PLACE}/agreement").json()
        assert (told["clips"], told["boxes"], told["alone"]) == (1, 21, 0)


def test_a_damaged_journal_is_said_and_a_full_disk_is_tried_again(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    body = {"seen": 0, "operations": [operation(["image1_1", "labels/1", ["0"]]).plain()]}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        answer = post(client, CLIP, body)
    assert answer.status_code == 503 and "full" in answer.json()["sentence"]
    assert post(client, CLIP, body).json()["seq"] == 1
    journal = tmp_path / ".clipquarry/labelling/own_ava/first/clips/1/shared.jsonl"
    journal.write_text(json.dumps({"odd": 1}) + "\n")
    answer = post(client, CLIP, {"seen": 0, "operations": []})
    assert "restore" in answer.json()["sentence"]


def test_konva_is_the_published_one_with_its_licence() -> None:
    folder = module.HERE / "vendor"
    assert hashlib.sha256((folder / "konva.min.js").read_bytes()).hexdigest() == KONVA
    assert (folder / "konva.LICENSE").read_text().startswith("MIT License")
    assert {one.name for one in folder.iterdir()} == {"konva.min.js", "konva.LICENSE"}


@pytest.mark.slow  # loads Airflow
def test_airflows_login_stands_before_every_route() -> None:
    asked = {one.dependency.__name__ for route in module.make_app().routes for one in route.dependencies}  # type: ignore[attr-defined]
    assert asked == {"inner", "remember"}
    with TestClient(module.make_app()) as client:
        for path in ("/", "/projects", "/static/label.js", f"{PLACE}/project"):
            assert client.get(path).status_code in (401, 403)
