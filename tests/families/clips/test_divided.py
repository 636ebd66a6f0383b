"""Groups of clips that no two splits may share: whatever expression finds them."""

from __future__ import annotations

import pandas as pd
import pytest
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.errors import UserError
from clipquarry.families.clips.gates import divided
from clipquarry.families.clips.options import clips_options
from clipquarry.quality import window_overlap


def _spec(expression: str) -> DatasetSpec:
    spec = find_spec("ucf101", ())
    return spec.model_copy(update={"options": clips_options(spec).model_copy(update={"group": expression})})


def _usable() -> pd.DataFrame:
    rows = [
        ("train_split_1", "v_(Jump)_g08_c01"),
        ("test_split_1", "v_(Jump)_g08_c02"),
        ("test_split_1", "v_(Jump)_g09_c01"),
    ]
    table = pd.DataFrame(rows, columns=["split", "clip_id"])
    table["item_id"] = table["split"] + "/Jump/" + table["clip_id"]
    return table.assign(row=1, label="Jump", class_dir="Jump", video_id=table["clip_id"], start=None, end=None)


@pytest.mark.parametrize(
    "expression",
    [
        r"_(g\d+)_", r"^(?:v_).+_(g\d+)_c", r"_(?P<scene>g\d+)_", r"\)_(g[0-9]+)", r"\(Jump\)_(g\d+)", r"[(]Jump[])]_(g\d+)",
        r"[^](x]_(?P<g>g\d\d)_c", r"(?i:V)_.*_((?:g)\d+)_",
    ],
)  # fmt: skip
def test_the_one_group_is_found_in_any_expression(expression: str) -> None:
    table = divided.groups(_spec(expression), _usable()).table
    assert list(table["group"]) == ["1/g08", "1/g09"]
    assert list(table["group_in_train"]) == [True, False]


def test_an_expression_that_cannot_be_searched_for_is_a_sentence() -> None:
    with pytest.raises(UserError, match=r"options\.group of ucf101.*cannot be searched for"):
        divided.groups(_spec(r"(?<=_)(g\d+)"), _usable())


def _released(*rows: tuple[str, str, int]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["split", "video_id", "start"])
    table["end"] = table["start"] + 10
    table["clip_id"] = table["video_id"] + table["start"].astype(str)
    table["item_id"] = table["split"] + "/" + table["clip_id"]
    return table.assign(row=1, label="Jump", class_dir="Jump")


RELEASED = (("k400_train", "a", 0), ("k400_val", "b", 0), ("k600_train", "b", 0), ("k600_test", "a", 4), ("k700_2020_val", "c", 5), ("k400_test", "c", 0))  # fmt: skip


def test_releases_in_one_folder_are_compared_with_each_other_or_each_with_itself() -> None:
    spec, usable = find_spec("kinetics_flat", ()), _released(*RELEASED)
    both = divided.splits(spec, usable).table.set_index("item_id")
    assert both["window_in_train"].to_dict() == {
        "k400_val/b0": True, "k600_test/a4": False, "k700_2020_val/c5": False, "k400_test/c0": False,
    }  # fmt: skip
    assert both["video_in_train"]["k600_test/a4"]
    alone = divided.splits(spec, usable, apart=False).table
    assert not alone["window_in_train"].any() and not alone["video_in_train"].any()


def test_windows_of_two_evaluations_may_overlap() -> None:
    """Two releases evaluate on one video, which is no leak; one trains on what the other evaluates on."""
    (rule,) = (found := window_overlap.suite(_released(*RELEASED))).rules
    assert rule.check == window_overlap.CHECK
    assert found.table.loc[found.table["overlap"] > 0, ["item_id", "with"]].to_numpy().tolist() == [
        ["k600_test/a4", "k400_train/a0"]
    ]
