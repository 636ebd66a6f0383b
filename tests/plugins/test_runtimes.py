"""The runtime ``auto``: what it chooses and says, against a stand-in for the engine. The real one: ``tests/operators/test_folders.py``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import clipquarry
import pytest
from clipquarry.datasets.load import find_spec
from clipquarry_airflow.choice import choose, choose_for
from clipquarry_airflow.code_digest import LABEL, code_digest
from clipquarry_airflow.dags import dag_doc
from clipquarry_airflow.housekeeping import build_housekeeping
from clipquarry_airflow.runtimes import place_of, places
from docker_engine import PROJECT

MEDIA = f"clipquarry-media:{clipquarry.__version__}"


class _Engine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        (asked,) = json.loads(parse_qs(urlsplit(self.path).query)["filters"][0])["reference"]
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        labels = self.server.images.get(asked)  # type: ignore[attr-defined]
        text = json.dumps([] if labels is None else [{"Labels": labels}]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def engine(folder: Path, images: dict[str, Any], asked: list[str] | None = None) -> Iterator[dict[str, str]]:
    """The environment in which an engine with these images (name to labels) answers; ``asked`` gets the image of each question."""
    with _Server(str(folder / "e.sock"), _Engine) as server:
        server.images = images  # type: ignore[attr-defined]
        server.asked = [] if asked is None else asked  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield {"DOCKER_HOST": f"unix://{folder}/e.sock"}
        server.shutdown()


def test_docker_where_an_engine_answers_and_the_image_is_of_this_code(tmp_path: Path) -> None:
    with engine(tmp_path, {MEDIA: {LABEL: code_digest()}}) as environ:
        assert choose("frames", environ).runtime == "docker"
        assert choose("detect", environ).runtime == "process", "its image is not there"
        assert places(["fetch", "frames", "detect"], environ) == (
            f"fetch, frames in containers of Docker, because an engine answers, and has {MEDIA}; detect as processes of the worker, because the "
            f"image clipquarry-detect:{clipquarry.__version__} is not on the engine"
        )
        assert "clipquarry_housekeeping" in build_housekeeping(environ)
        told = choose("frames", environ | {"CLIPQUARRY_FFMPEG": "/usr/bin/ffmpeg"})
        assert (told.runtime, told.why) == ("process", "CLIPQUARRY_FFMPEG names a program of this machine")
        assert place_of("frames", environ | {"CLIPQUARRY_RUNTIME": "process"}).runtime == "process"
    for old in ({}, None, {LABEL: "0" * 16}):
        (tmp_path / "e.sock").unlink()
        with engine(tmp_path, {MEDIA: old or {}}) as environ:
            assert "was made of other code" in choose("frames", environ).why


def test_a_page_asks_once_for_an_image_and_a_task_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each DAG of each file has a page with all its steps, and is parsed every few minutes."""
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    asked: list[str] = []
    with engine(tmp_path, {MEDIA: {LABEL: code_digest()}}, asked) as environ:
        for _ in range(5):
            places(["fetch", "frames", "resize", "frames"], environ)
        assert asked == [MEDIA]
        assert [choose("frames", environ).runtime, choose("frames", environ).runtime] == ["docker"] * 2
        assert asked == [MEDIA] * 3
        clock[0] += 11
        places(["fetch"], environ)
        assert asked == [MEDIA] * 4


def test_processes_where_no_engine_answers(tmp_path: Path) -> None:
    environ = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    assert "no Docker engine answers" in choose("frames", environ).why
    assert build_housekeeping(environ) == {}
    assert "DOCKER_HOST names an engine elsewhere" in choose("frames", {"DOCKER_HOST": "tcp://127.0.0.1:1"}).why
    far = {"DOCKER_HOST": "tcp://127.0.0.1:1", "CLIPQUARRY_DOCKER_DATA": "/data"}
    assert "no Docker engine answers" in choose("frames", far).why
    assert choose("frames", far | {"DOCKER_HOST": "ssh://host"}).runtime == "process"


def test_what_only_the_worker_reaches_is_done_by_the_worker(tmp_path: Path) -> None:
    params = tmp_path / "params.json"
    with engine(tmp_path, {MEDIA: {LABEL: code_digest()}}) as environ:

        def chosen(source: dict[str, str], **extra: str) -> tuple[str, str]:
            params.write_text(json.dumps({"root": "k", "sources": [{"id": "a", **source}]}))
            choice = choose_for("fetch", params, tmp_path, environ | extra)
            return choice.runtime, choice.why

        assert chosen({"url": "https://mirror.example.org/{clip}.mp4"})[0] == "docker"
        assert chosen({"url": "${U}/{clip}.mp4"}, U="http://127.0.0.1:8000") == (
            "process", "http://127.0.0.1:8000 is an address of this machine, which a container does not reach"
        )  # fmt: skip
        assert chosen({"url": "http://127.0.0.1:8000/x"}, CLIPQUARRY_DOCKER_NETWORK="host")[0] == "docker"
        assert chosen({"path": "/nas/{clip}.mp4"}) == ("process", "the step reads /nas, which it does not see")
        assert chosen({"path": "/nas/{clip}.mp4"}, CLIPQUARRY_DOCKER_MOUNTS="/nas")[0] == "docker"


def test_the_dags_page_says_where_steps_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_RUNTIME", "process")
    page = dag_doc(find_spec("kinetics400", ()), "full")
    assert "| steps run | " in page
    assert "audio_features as processes of the worker, because CLIPQUARRY_RUNTIME says so |" in page


def test_the_images_script_computes_the_same_digest(tmp_path: Path) -> None:
    """With Python alone, as ``docker/images.sh`` does it; a changed step changes it, a changed report does not."""
    for room in ("include/clipquarry", "plugins/clipquarry_airflow"):
        shutil.copytree(PROJECT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))

    def digest() -> str:
        paths = f"{tmp_path}/include:{tmp_path}/plugins"
        argv = [sys.executable, "-S", "-B", "-m", "clipquarry_airflow.code_digest"]
        return subprocess.run(
            argv, env={"PYTHONPATH": paths}, text=True, capture_output=True, check=True
        ).stdout.strip()

    assert digest() == code_digest()
    (tmp_path / "include/clipquarry/report/text.py").write_text("")
    assert digest() == code_digest()
    with open(tmp_path / "include/clipquarry/steps/fetch.py", "a") as handle:
        handle.write("\n")
    assert digest() != code_digest()
    assert f'--label "{LABEL}=$code"' in (PROJECT / "docker/images.sh").read_text()
