"""Datumaro, which shares no code with mmaction2, reads a release of one's own AVA and what ``labels export`` writes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from checkout import PROJECT, datumaro_block
from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.families.boxes.own.sample import RATE
from clipquarry.families.boxes.sample.walkers import HEIGHT, WIDTH
from once import shared_folder
from own_ava_release import released_sample

pytestmark = pytest.mark.timeout(600)
HERE = Path(__file__).parent
ACTIONS = ["stand", "walk", "watch"]
"""Of the sample, in the order of their numbers."""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with Datumaro, made from the package index."""
    uv = PROJECT / ".venv/bin/uv"
    with shared_folder(tmp_path_factory, "datumaro") as folder:
        if not (folder / "ready").exists():
            packages = [
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--python",
                folder / "env",
                "-r",
                HERE / "datumaro.txt",
            ]
            for words in (["venv", "--quiet", "--python", PROJECT / ".venv/bin/python", folder / "env"], packages):
                done = subprocess.run([uv, *words], capture_output=True, text=True, timeout=300, check=False)
                if done.returncode:
                    pytest.skip(f"Datumaro cannot be installed here: {' '.join(done.stderr.split())[:200]}")
            (folder / "ready").touch()
        return folder / "env/bin/python"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root of a whole run of the sample."""
    return released_sample(tmp_path_factory.mktemp("own_ava"))


def read(python: Path, folder: Path, form: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, HERE / "read_datumaro.py", folder, form], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows_of(data: Path) -> dict[tuple[str, str], list[list[str]]]:
    found = defaultdict(list)
    for split in ("train", "val"):
        with open(data / f"custom_ava/annotations/{split}.csv", newline="") as handle:
            for name, second, *rest in csv.reader(handle):
                found[split, f"{name}/{second}"].append(rest)
    return found


def test_boxes_actions_people_and_frames_of_a_release(python: Path, made: Path, tmp_path: Path) -> None:
    subprocess.run(
        ["bash", "-ec", datumaro_block()],
        cwd=tmp_path,
        check=True,
        env={"PATH": os.environ["PATH"], "DATA": str(made), "FPS": str(RATE)},
    )
    told, rows = read(python, tmp_path / "ava", "ava"), rows_of(made)
    assert told["classes"] == ["no action", *ACTIONS]
    assert {(subset, item) for subset, item, _ in told["items"]} == set(rows)
    for subset, item, boxes in told["items"]:
        name, second = item.split("/")
        picture = tmp_path / f"ava/frames/{name}/{name}_{second}.jpg"
        assert picture.samefile(made / f"custom_ava/rawframes/{name}/img_{RATE * int(second) + 1:05d}.jpg")
        wanted = rows[subset, item]
        assert len(boxes) == len(wanted)
        for (*box, action, attributes), (x1, y1, x2, y2, number, person) in zip(boxes, wanted, strict=True):
            assert box == pytest.approx(
                [float(one) for one in (x1, y1, x2, y2)], abs=0.00501
            )  # Datumaro keeps two digits
            assert (action, attributes["track_id"]) == (ACTIONS[int(number) - 1], int(person))


@pytest.mark.parametrize("form", ["coco", "cvat"])
def test_what_labels_export_writes(form: str, python: Path, made: Path, tmp_path: Path) -> None:
    target = tmp_path / ("coco/annotations/instances_all.json" if form == "coco" else "cvat")
    target.parent.mkdir(parents=True, exist_ok=True)
    words = ["labels", "export", "custom_ava", "--data", str(made), "--to", form, str(target)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    (tmp_path / "coco/images").mkdir(parents=True, exist_ok=True)  # Datumaro asks for the folder, not for the pictures
    told = read(python, tmp_path / form, form)
    found = []
    for subset, item, boxes in told["items"]:
        for *box, name, attributes in boxes:
            if form == "coco":
                clip, _, frame = item.rpartition("_")
                number, actions = int(frame), set(attributes["actions"])
            elif attributes["outside"]:  # CVAT's way to end a track behind the frame
                continue
            else:
                clip, number = subset, int(item.removeprefix("frame_")) + 1
                actions = {action for action in ACTIONS if attributes[action]}
            assert name == "person"
            found.append((clip, number, tuple(round(one) for one in box), tuple(sorted(actions))))
    wanted = defaultdict(set)
    for (_, key), rows in rows_of(made).items():
        clip, second = key.split("/")
        for x1, y1, x2, y2, action, _ in rows:
            box = tuple(
                round(float(one) * size) for one, size in zip((x1, y1, x2, y2), (WIDTH, HEIGHT) * 2, strict=True)
            )
            wanted[clip, RATE * int(second) + 1, box].add(ACTIONS[int(action) - 1])
    assert sorted(found) == sorted((*key, tuple(sorted(actions))) for key, actions in wanted.items())
