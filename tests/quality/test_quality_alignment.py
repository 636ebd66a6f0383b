"""Labelled persons against proposals: every change of the labels is told by its name, and a true set raises no alarm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from clipquarry.families.boxes.gates.alignment import suites
from clipquarry.quality.engine import Suite
from clipquarry.quality.params import GateParams

BOX = ["x1", "y1", "x2", "y2"]
VIDEOS = ("-5KQ66BBWC4", "0f39OWEqJ24", "_a_film_00x", "1j20qq1JyX4")
SECONDS = range(902, 942)


def people(seed: int = 0, moving: float = 0.3) -> pd.DataFrame:
    """Two persons a second in each video, who walk about in the left half of the picture."""
    rng = np.random.default_rng(seed)
    rows = []
    for video in VIDEOS:
        for second in SECONDS:
            for _ in range(2):
                x, y = rng.random() * moving, rng.random() * 0.3
                rows.append((video, second, x, y, x + 0.12, y + 0.5))
    return pd.DataFrame(rows, columns=["video_id", "second", *BOX])


def detected(rows: pd.DataFrame, share: float = 0.94) -> pd.DataFrame:
    """Most of the people, by boxes that are a little off."""
    rng = np.random.default_rng(1)
    found = rows[rng.random(len(rows)) < share].copy()
    found[BOX] = found[BOX] + rng.normal(0, 0.005, (len(found), 4))
    return found.reset_index(drop=True)


def checked(labels: pd.DataFrame, proposals: pd.DataFrame, source: str = "FAIR") -> dict[str, Suite]:
    frames = labels[["video_id", "second"]].drop_duplicates(ignore_index=True)
    made = suites("val", labels, frames, proposals, source, GateParams(), "seed")
    return {suite.name.removesuffix("_val"): suite for suite in made}


def alarms(found: dict[str, Suite]) -> dict[str, str]:
    table = found["aligned"].table
    return {row["item_id"]: row["seems"] for row in table.to_dict("records") if row["seems"]}


@pytest.mark.parametrize("moving", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("share", [1.0, 0.94, 0.3, 0.02])
def test_a_true_set_raises_no_alarm_however_much_was_detected(moving: float, share: float) -> None:
    rows = people(moving=moving)
    found = checked(rows, detected(rows, share))
    assert alarms(found) == {}
    assert found["video_recall"].table["enough"].all()


def swapped(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(x1=rows["y1"], y1=rows["x1"], x2=rows["y2"], y2=rows["x2"])


def mirrored(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(x1=1 - rows["x2"], x2=1 - rows["x1"])


def upside_down(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(y1=1 - rows["y2"], y2=1 - rows["y1"])


def sized(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(x2=rows["x2"] - rows["x1"], y2=rows["y2"] - rows["y1"])


CHANGED = {
    "boxes are x and y exchanged": swapped,
    "boxes are mirrored left to right": mirrored,
    "boxes are upside down": upside_down,
    "boxes are turned by 180 degrees": lambda rows: mirrored(upside_down(rows)),
    "boxes are turned by 90 degrees": lambda rows: swapped(mirrored(rows)),
    "boxes are turned by 270 degrees": lambda rows: swapped(upside_down(rows)),
    "boxes are width and height in place of the second corner": sized,
    "seconds are 1 s too late": lambda rows: rows.assign(second=rows["second"] + 1),
    "seconds are 1 s too early": lambda rows: rows.assign(second=rows["second"] - 1),
    "seconds are 2 s too late": lambda rows: rows.assign(second=rows["second"] + 2),
}


@pytest.mark.parametrize("what", CHANGED)
def test_every_change_of_the_labels_is_told_by_its_name(what: str) -> None:
    rows = people()
    found = checked(CHANGED[what](rows), detected(rows))
    assert alarms(found) == {f"val/{name}": what for name in (*VIDEOS, "all")}
    assert found["aligned"].rules[0].block_share == 0.0


@pytest.mark.parametrize("what", CHANGED)
def test_a_single_video_is_told_and_the_others_are_not(what: str) -> None:
    rows = people()
    one = rows["video_id"] == VIDEOS[1]
    labels = pd.concat([rows[~one], CHANGED[what](rows[one])], ignore_index=True)
    told = alarms(checked(labels, detected(rows)))
    assert told.pop("val/all", what) == what
    assert told == {f"val/{VIDEOS[1]}": what}


def test_recall_by_source_and_of_a_video_under_anothers_id() -> None:
    rows = people()
    found = checked(rows, detected(rows))
    (rule,) = found["recall"].rules
    assert (rule.max_share, rule.block_share) == (0.2, 0.5)
    assert found["recall"].table["met"].mean() > 0.9
    assert checked(rows, detected(rows), "cascade_rcnn")["recall"].rules[0].block_share == 0.8
    assert checked(rows, detected(rows), "hog")["recall"].skipped[0][0] == "proposals.recall"
    assert "too few" in checked(rows.head(10), detected(rows))["recall"].skipped[0][1]
    foreign = rows.copy()
    one = foreign["video_id"] == VIDEOS[2]
    foreign.loc[one, BOX] = people(seed=9)[BOX].to_numpy()[one] + [0.5, 0.0, 0.5, 0.0]
    table = checked(foreign, detected(rows))["video_recall"].table
    assert table.loc[~table["enough"], "item_id"].tolist() == [f"val/{VIDEOS[2]}"]


def test_no_proposals_at_all() -> None:
    rows = people()
    found = checked(rows, rows.head(0))
    assert alarms(found) == {} and found["video_recall"].table.empty
