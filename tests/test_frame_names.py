"""Names of numbered frames: their forms, in both ways of writing them, and the numbers in them."""

from __future__ import annotations

import pytest
from clipquarry.frame_names import FrameForm, form_of, frame_number, pattern_of, pattern_problem


@pytest.mark.parametrize(
    ("template", "pattern"),
    [
        ("img_{:05d}.jpg", "img_%05d.jpg"), ("{:06d}.jpg", "%06d.jpg"), ("frame{:d}.jpg", "frame%d.jpg"), ("a b-{:03d}.jpg", "a b-%03d.jpg"),
        ("{:05d}.png", "%05d.png"), ("{:05d}.bmp", None), ("flow_x_{:05d}.png", None), ("img.jpg", None), ("{:d}{:d}.jpg", None), ("a/{:05d}.jpg", None), ("{:5d}.jpg", None), ("{}.jpg", None),
        ("flow_x_{:05d}.jpg", None), (".{:05d}.jpg", None), ("100%{:05d}.jpg", None), ("img_{:012d}.jpg", None),
    ],
)  # fmt: skip
def test_patterns_of_both_kinds(template: str, pattern: str | None) -> None:
    assert pattern_of(template) == pattern
    if pattern is not None:
        assert pattern_problem(pattern) is None
        assert pattern % 7 == template.format(7)


@pytest.mark.parametrize(
    ("name", "pattern", "number"),
    [
        ("00012.jpg", "%05d.jpg", 12), ("100000.jpg", "%05d.jpg", 100000), ("012.jpg", "%05d.jpg", None), ("0000012.jpg", "%05d.jpg", None),
        ("img_00000.jpg", "img_%05d.jpg", 0), ("img_00001.jpg", "%05d.jpg", None), ("frame10.jpg", "frame%d.jpg", 10), ("frame010.jpg", "frame%d.jpg", None),
        ("flow_x_00001.jpg", "%05d.jpg", None), ("0001².jpg", "%05d.jpg", None), ("00001.JPG", "%05d.jpg", None), ("-0001.jpg", "%05d.jpg", None),
        ("00012.png", "%05d.png", 12), ("00012.jpg", "%05d.png", None), ("00012.png", "%05d.jpg", None),
    ],
)  # fmt: skip
def test_numbers_of_names(name: str, pattern: str, number: int | None) -> None:
    assert frame_number(name, pattern) == number


@pytest.mark.parametrize(
    ("names", "form"),
    [
        (["00001.jpg", "00002.jpg"], FrameForm("{:05d}.jpg", "", 1)),
        (["img_00000.jpg", "img_00001.jpg", "flow_x_00000.jpg", "flow_y_00000.jpg"], FrameForm("img_{:05d}.jpg", "img_", 0)),
        ([f"f{n}.jpg" for n in range(1, 12)], FrameForm("f{:d}.jpg", "f", 1)),
        (["99999.jpg", "100000.jpg"], FrameForm("{:05d}.jpg", "", 99999)),
        (["c2_001.jpg", "c2_002.jpg", "cover1.jpg", "notes.txt"], FrameForm("c2_{:03d}.jpg", "c2_", 1)),
        (["1.jpg", "02.jpg"], None),
        (["00001.png"], None),
        ([".00001.jpg"], None),
        ([], None),
    ],
)  # fmt: skip
def test_the_form_of_a_folder(names: list[str], form: FrameForm | None) -> None:
    assert form_of(names) == form
