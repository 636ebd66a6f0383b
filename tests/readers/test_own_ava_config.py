"""mmaction2 reads a release of one's own AVA by the config that the release brings."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from clipquarry.families.boxes.own.sample import ACTIONS, RATE
from own_ava_release import released_sample
from real_readers import prove, skip_without_readers

pytestmark = pytest.mark.timeout(1200)
CONFIG = "data/custom_ava/annotations/mmaction2_config.py"
FRAMES = 4 * RATE
"""Of each crop: three labelled seconds, and the one behind them."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    skip_without_readers()
    folder = tmp_path_factory.mktemp("readers_of_own_ava")
    data = released_sample(folder)
    return data / "custom_ava", prove(data, folder, configs=[CONFIG])["configs"][CONFIG]


@pytest.mark.parametrize("split", ["train", "val"])
def test_every_labelled_second_is_read_with_its_frames_people_and_actions(
    made: tuple[Path, dict[str, Any]], split: str
) -> None:
    root, told = made
    with open(root / f"annotations/{split}.csv", newline="") as handle:
        rows = list(csv.reader(handle))
    wanted = {(name, int(second)) for name, second, *_ in rows}
    found = told[split]
    assert wanted and (found["class"], found["samples"]) == ("AVADataset", len(wanted))
    seen = set()
    for one in found["told"]:
        name, second = Path(one["path"]).name, int(one["timestamp"])
        seen.add((name, second))
        assert one["path"] == f"data/custom_ava/rawframes/{name}"
        assert abs(one["key_image"] - (RATE * second + 1)) <= 1, "the reader takes the key frame or its neighbour"
        assert all(1 <= number <= FRAMES for number in one["frame_inds"])
        of = [row for row in rows if (row[0], int(row[1])) == (name, second)]
        people = {tuple(map(float, row[2:6])): set() for row in of}
        for row in of:
            people[tuple(map(float, row[2:6]))].add(int(row[6]))
        assert sorted(map(tuple, one["gt_bboxes"])) == [pytest.approx(box, abs=1e-6) for box in sorted(people)]
        assert sorted(map(sorted, one["actions"])) == sorted(map(sorted, people.values()))
    assert seen == wanted


def test_classes_and_metric(made: tuple[Path, dict[str, Any]]) -> None:
    _, told = made
    assert ACTIONS.count("stand") == 1 and told["classes"] == 4, "stand, walk, watch, and 0"
    assert told["metric"] == "AVAMetric"
