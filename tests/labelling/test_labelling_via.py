"""Labelling with VIA 3 itself: the zip down, the finished project up, and what is wrong with it in a sentence each."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clipquarry.annotations.own_ava.via_reading import parse_project
from clipquarry.label_exchange.via_files import MOST_FINISHED
from clipquarry.labelling.project import Project
from clipquarry.labelling.renewal import renew
from fastapi.testclient import TestClient
from labelling_server import MARKS, PLACE, app_over, make_world
from labelling_world import material, operation, write_images

VIA = f"{PLACE}/via/1"
FOLDER = "choose_frames_middle/1"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    make_world(tmp_path)
    with TestClient(app_over(tmp_path), cookies={"person": "anna"}) as client:
        yield client


def down(client: TestClient) -> zipfile.ZipFile:
    answer = client.get(VIA)
    assert answer.status_code == 200 and "1_via.zip" in answer.headers["content-disposition"]
    return zipfile.ZipFile(io.BytesIO(answer.content))


def finished(client: TestClient) -> dict[str, Any]:
    """The project as a person finishes it: everybody talks."""
    value: dict[str, Any] = json.loads(down(client).read("1/1_proposal.json"))
    for region in value["metadata"].values():
        region["av"]["1"] = "0"
    return value


def up(client: TestClient, content: Any, **headers: str) -> Any:
    content = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client.post(VIA, content=content, headers={**MARKS, "Content-Type": "application/json", **headers})


def test_frames_and_the_project_as_it_is_now_come_down(client: TestClient, tmp_path: Path) -> None:
    project = Project(tmp_path / ".clipquarry/labelling/own_ava/first")
    project.submit("1", "shared", "anna", [operation(["image1_1", "labels/2", ["2"]])], 0)
    archive = down(client)
    names = [one.name for one in project.material("1").clip.frames]
    assert archive.namelist() == [*(f"1/{name}" for name in names), "1/1_proposal.json", "1/README.txt"]
    assert archive.read(f"1/{names[0]}") == (tmp_path / FOLDER / names[0]).read_bytes()
    found = parse_project(archive.read("1/1_proposal.json"), "x", frames=names)
    assert not found.refused and len(found.project.regions) == 21
    assert dict(found.project.regions["image1_1"].choices) == {"1": "", "2": "2", "3": ""}


def test_a_finished_project_is_kept_and_the_former_one_too(client: TestClient, tmp_path: Path) -> None:
    value = finished(client)
    told = {"kept": "1_finish.json", "former": "", "boxes": 21, "without": 0, "aside": 0, "lacking": ""}
    assert up(client, value).json() == told
    target = tmp_path / FOLDER / "1_finish.json"
    assert json.loads(target.read_text()) == value
    assert up(client, value).json()["former"] == "", "the same again needs no copy"
    value["metadata"].popitem()
    former = [up(client, value).json()["former"]]
    value["metadata"].popitem()
    former.append(up(client, value).json()["former"])
    assert len({*former}) == 2 and all(one.startswith("1_finish.2") for one in former)
    boxes = [len(json.loads((target.parent / one).read_text())["metadata"]) for one in (*former, target.name)]
    assert boxes == [21, 20, 19]
    assert [one["file"] for one in client.get(f"{PLACE}/project").json()["clips"]] == ["1_finish.json", ""]


def test_what_is_wrong_comes_back_with_a_sentence_each_and_nothing_is_written(
    client: TestClient, tmp_path: Path
) -> None:
    first, second, *_ = list(finished(client)["metadata"])
    broken = finished(client)
    broken["metadata"][first]["xy"] = [2, 0, 0, 9000, 5]
    broken["metadata"][second]["av"]["2"] = "7"
    renamed, empty = finished(client), finished(client)
    renamed["attribute"]["1"]["options"]["0"] = "<script>shout</script>"
    for region in empty["metadata"].values():
        region["av"] = {}
    for content, words in (
        (broken, ("leaves the frame", "is no option of")), (renamed, ("not those of this run",)), (empty, ("No box in it",)),
        (b'{"a": ', ("is no JSON",)), (b"[]", ("is no VIA 3 project",)), (b"[" * 50_000, ("is no JSON",)),
    ):  # fmt: skip
        answer = up(client, content)
        faults = answer.json()["faults"]
        assert answer.status_code == 422 and len(faults) == len(words)
        assert all(word in fault for word, fault in zip(words, faults, strict=True)), faults
    assert not list((tmp_path / FOLDER).glob("*.json"))


def test_many_faults_are_not_all_shown(client: TestClient) -> None:
    value = finished(client)
    value["metadata"] = {f"r{n}": {"vid": "99", "xy": [], "av": {}} for n in range(500)}
    faults = up(client, value).json()["faults"]
    assert len(faults) == 51 and faults[-1] == "And 450 more."


def test_who_may_not_label_gives_nothing_back(client: TestClient, tmp_path: Path) -> None:
    value = finished(client)
    assert up(client, value, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert up(client, value, **{"X-Clipquarry": ""}).status_code == 403
    assert up(client, value, **{"Content-Type": "text/plain"}).status_code == 415
    assert up(client, b" " * (MOST_FINISHED + 1)).status_code == 413
    client.cookies.set("person", "guest")
    assert client.get(VIA).status_code == 200 and up(client, value).status_code == 403
    client.cookies.clear()
    assert client.get(VIA).status_code == 401 and up(client, value).status_code == 401
    assert not list((tmp_path / FOLDER).glob("*.json"))


def test_no_frame_from_elsewhere_goes_down_and_nothing_goes_up_there(client: TestClient, tmp_path: Path) -> None:
    value = finished(client)
    frame = sorted((tmp_path / FOLDER).iterdir())[0]
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    frame.unlink()
    frame.symlink_to(tmp_path / "secret.jpg")
    assert "leads out of its folder" in client.get(VIA).json()["sentence"]
    frame.unlink()
    assert "is not there" in client.get(VIA).json()["sentence"]
    folder, outside = tmp_path / FOLDER, tmp_path.parent / f"{tmp_path.name}-outside"
    folder.rename(outside)
    folder.symlink_to(outside)
    assert client.get(VIA).status_code == 404 and up(client, value).status_code == 404
    assert not list(outside.glob("*.json"))
    assert client.get(f"{PLACE}/via/..%2f1").status_code == 404


def changed(tmp_path: Path, begin: int, end: int) -> None:
    """The clip has only some of its seven seconds now, and the folder their frames."""
    whole = material("1")
    frames = whole.clip.frames[begin:end]
    names = {one.name for one in frames}
    regions = tuple(one for one in whole.clip.regions if one.frame in names)
    strips = {name: one for name, one in whole.strips.items() if name in names}
    less = replace(whole, clip=replace(whole.clip, frames=frames, regions=regions), strips=strips)
    folder = tmp_path / ".clipquarry/labelling/own_ava/first"
    renew(folder, Project(folder).plan, [less], known={"1", "2"})
    write_images(tmp_path, less)
    for path in (tmp_path / FOLDER).glob("*.jpg"):
        if path.name not in names:
            path.unlink()


def test_a_clip_that_has_shrunk_is_shown_and_labelled_as_it_is_now(client: TestClient, tmp_path: Path) -> None:
    before = finished(client)
    project = Project(tmp_path / ".clipquarry/labelling/own_ava/first")
    project.submit("1", "shared", "anna", [operation(["image1_1", "labels/2", ["2"]])], 0)
    changed(tmp_path, 1, 6)
    told = client.get(f"{PLACE}/clips/1/shared").json()
    assert [one["second"] for one in told["frames"]] == [3, 4, 5, 6, 7]
    for at, one in enumerate(told["frames"]):
        assert client.get(f"{PLACE}/images/1/{at}").status_code == 200
        assert client.get(f"{PLACE}/images/1/{at}?name={one['name']}").status_code == 200
    line = client.get(f"{PLACE}/project").json()["clips"]
    (clip,) = (one for one in line if one["clip"] == "1")
    assert (clip["aside"], clip["aside_boxes"]) == (["1_000061.jpg"], 1) and clip["seats"][0]["boxes"] == 15
    now = finished(client)
    assert len(now["file"]) == 5 and up(client, now).json()["boxes"] == 15
    answer = up(client, before).json()
    assert (answer["boxes"], answer["aside"]) == (15, 6), "begun before the clip shrank: the file is kept whole"
    assert json.loads((tmp_path / FOLDER / "1_finish.json").read_text()) == before


def test_a_clip_that_has_grown_comes_down_with_the_labels_of_its_file(client: TestClient, tmp_path: Path) -> None:
    changed(tmp_path, 1, 6)
    answer = up(client, finished(client)).json()
    assert answer["boxes"] == 15 and answer["lacking"] == ""
    former = finished(client)
    changed(tmp_path, 0, 7)
    value = json.loads(down(client).read("1/1_proposal.json"))
    frames = {key: one["fname"] for key, one in value["file"].items()}
    talk = [frames[one["vid"]] for one in value["metadata"].values() if one["av"]["1"] == "0"]
    assert len(frames) == 7 and len(value["metadata"]) == 21
    assert len(talk) == 15 and not {"1_000061.jpg", "1_000241.jpg"} & {*talk}
    told = up(client, former).json()["lacking"]
    assert "2 frames to label are not in it, the first is 1_000061.jpg" in told
    assert up(client, finished(client)).json()["lacking"] == ""


def test_two_people_s_clip_neither_comes_down_nor_takes_a_file(tmp_path: Path) -> None:
    make_world(tmp_path / "one")
    with TestClient(app_over(tmp_path / "one"), cookies={"person": "anna"}) as client:
        value = finished(client)
    make_world(tmp_path / "two", annotators=2)
    with TestClient(app_over(tmp_path / "two"), cookies={"person": "anna"}) as client:
        assert (
            "two people" in client.get(VIA).json()["sentence"] and "two people" in up(client, value).json()["sentence"]
        )
    assert not list((tmp_path / "two" / FOLDER).glob("*.json"))
