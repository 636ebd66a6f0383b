"""Lists of names that are shipped as data: whole, and in order."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from clipquarry.annotations.name_lists import FOLDER, LISTS, known_names
from clipquarry.errors import UserError

NTU = re.compile(r"S\d{3}C\d{3}P\d{3}R\d{3}A\d{3}")
TRAIN_60 = {1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38}
TRAIN_120 = TRAIN_60 | {45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78} | {
    80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103,
}  # fmt: skip
"""Numbers of the people whose samples train; of NTU RGB+D and of NTU RGB+D 120."""


@pytest.mark.parametrize("which", LISTS)
def test_every_list_is_the_published_one(which: str) -> None:
    names = known_names(which)
    assert len(names) == LISTS[which].count
    assert all(name == name.strip() and name.isprintable() for name in names)
    assert re.search(r"/blob/[0-9a-f]{40}/", LISTS[which].source), "a version, not a branch"


def test_each_file_has_an_entry() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(one.file for one in LISTS.values())


def test_actions_of_activitynet_are_in_the_order_of_models() -> None:
    names = known_names("activitynet")
    assert names[:5] == ("Applying sunscreen", "Arm wrestling", "Assembling bicycle", "BMX", "Baking cookies")
    assert (names[10], names[-1]) == ("Playing ten pins", "Playing badminton")
    assert len(set(names)) == 200


def test_actions_of_several_moments() -> None:
    names = known_names("moments313")
    assert (
        len(set(names)) == 313 and names[:3] == ("crafting", "paddling", "raining") and names[17] == "stroking/petting"
    )


def test_two_elements_of_finegym_have_one_name() -> None:
    names = known_names("finegym99")
    assert names[58] == names[70] == "(BB) salto backward tucked"
    assert len(set(names)) == 98
    assert [sum(name.startswith(f"({where})") for name in names) for where in ("VT", "FX", "BB", "UB")] == [
        6,
        35,
        33,
        25,
    ]


def test_samples_of_ntu_leave_the_published_numbers_of_skeletons() -> None:
    few, many = known_names("ntu60_missing"), known_names("ntu120_missing")
    assert all(NTU.fullmatch(name) for name in many)
    assert list(many) == sorted(set(many)) and many[: len(few)] == few
    person, camera, setup = slice(9, 12), slice(5, 8), slice(1, 4)
    assert 40_320 - sum(int(name[person]) in TRAIN_60 for name in few) == 40_091
    assert 37_920 - sum(int(name[camera]) in (2, 3) for name in few) == 37_646
    by_people = sum(int(name[person]) in TRAIN_120 for name in many)
    by_setup = sum(int(name[setup]) % 2 == 0 for name in many)
    assert (63_360 - by_people, 51_120 - len(many) + by_people) == (63_026, 50_919)
    assert (54_720 - by_setup, 59_760 - len(many) + by_setup) == (54_468, 59_477)


@pytest.mark.parametrize(
    "damage",
    [lambda text: text[:-1], lambda text: text.replace(b"\n", b"\r\n"), lambda text: text + b"Tickling\n", lambda text: b"\xff"],
    ids=["cut", "line ends", "one more", "no text"],
)  # fmt: skip
def test_a_damaged_list_is_one_sentence(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    path = Path(shutil.copy(FOLDER / LISTS["activitynet"].file, tmp_path))
    assert len(known_names("activitynet", tmp_path)) == 200
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"is not the list that was shipped \(200 names.*install clipquarry again\.$"):
        known_names("activitynet", tmp_path)


def test_a_list_that_is_gone_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        known_names("finegym99", tmp_path)
