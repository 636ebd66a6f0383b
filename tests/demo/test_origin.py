"""The web server that plays dead links."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from clipquarry.demo.origin import Origin
from clipquarry.errors import UserError

BODY = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "served/val").mkdir(parents=True)
    (tmp_path / "served/val/a b.mp4").write_bytes(BODY)
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "served"


def test_files_ranges_and_validators(folder: Path) -> None:
    with Origin(folder) as origin:
        url = f"{origin.url}/val/a%20b.mp4"
        whole = requests.get(url, timeout=60)
        assert (whole.status_code, whole.content, whole.headers["Content-Type"]) == (200, BODY, "video/mp4")
        part = requests.get(url, headers={"Range": "bytes=100-199"}, timeout=60)
        assert (part.status_code, part.content) == (206, BODY[100:200])
        assert part.headers["Content-Range"] == f"bytes 100-199/{len(BODY)}"
        rest = requests.get(url, headers={"Range": "bytes=10000-", "If-Range": whole.headers["ETag"]}, timeout=60)
        assert rest.content == BODY[10000:]
        changed = requests.get(url, headers={"Range": "bytes=10000-", "If-Range": '"other"'}, timeout=60)
        assert (changed.status_code, changed.content) == (200, BODY)
        assert requests.get(url, headers={"Range": "bytes=999999-"}, timeout=60).status_code == 416
        assert requests.head(url, timeout=60).headers["Content-Length"] == str(len(BODY))
        for path in ("/..%2fsecret", "/%2e%2e/secret", "/val", "/none.mp4"):
            assert requests.get(origin.url + path, timeout=60).status_code == 404


def test_the_plan_is_played(folder: Path) -> None:
    with Origin(folder, {"/val/a b.mp4": "410", "other/*": "403"}) as origin:
        url = f"{origin.url}/val/a b.mp4"
        assert requests.get(url, timeout=60).status_code == 410
        assert requests.get(f"{origin.url}/other/x", timeout=60).status_code == 403
        origin.set_plan({"val/a b.mp4": {"do": "429", "retry_after": 7, "times": 1}})
        refused = requests.get(url, timeout=60)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
        assert requests.get(url, timeout=60).status_code == 200
        origin.set_plan({"val/a b.mp4": {"do": "cut", "share": 0.25}})
        assert requests.get(url, timeout=60).content == BODY[: len(BODY) // 4]
        origin.set_plan({"val/a b.mp4": "garbage"})
        assert len(requests.get(url, timeout=60).content) == len(BODY)
        assert requests.get(url, timeout=60).content != BODY
        origin.set_plan({"val/a b.mp4": "html"})
        assert requests.get(url, timeout=60).text.startswith("<!DOCTYPE html>")
        origin.set_plan({"val/a b.mp4": "truncate"})
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(url, timeout=60)
        origin.set_plan({"val/a b.mp4": {"do": "slow", "seconds": 5}})
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.get(url, timeout=0.3)


@pytest.mark.parametrize("plan", [{"a": "explode"}, {"a": {"what": 1}}, ["a"], {"a": 404}])
def test_a_wrong_plan_is_a_sentence(folder: Path, plan: object) -> None:
    with pytest.raises(UserError):
        Origin(folder, plan)  # type: ignore[arg-type]


def test_as_a_program_with_a_plan_that_changes(folder: Path, tmp_path: Path) -> None:
    plan, ready, log = tmp_path / "plan.json", tmp_path / "ready.json", tmp_path / "log"
    plan.write_text(json.dumps({"val/a b.mp4": "404"}))
    arguments = ["--folder", str(folder), "--plan", str(plan), "--ready-file", str(ready), "--log", str(log)]
    child = subprocess.Popen([sys.executable, "-m", "clipquarry.demo.origin", *arguments], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        url = json.loads(ready.read_text())["url"] + "/val/a b.mp4"
        assert requests.get(url, timeout=60).status_code == 404
        plan.write_text("{ half written")
        assert requests.get(url, timeout=60).status_code == 404, "the last good plan holds"
        plan.write_text("{}")
        assert requests.get(url, timeout=60).content == BODY, "the link came back"
        child.send_signal(signal.SIGTERM)
        assert child.wait(5) == 0
        assert "404" in log.read_text()
    finally:
        child.kill()
        child.wait()
