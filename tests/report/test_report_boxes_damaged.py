"""The section "Boxes" when its tables are absent, damaged or hostile."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from boxes_fixture import (
    ALL,
    LEFT,
    RIGHT,
    A,
    B,
    annotate,
    ava,
    bare_world,
    boxes,
    excerpt_row,
    name_actions,
    propose,
    text_of,
    write_excerpt,
    written,
)
from clipquarry.datasets.load import find_spec
from report_fixture import World
from report_pages import HOSTILE, html


def test_a_data_set_without_boxes_has_no_section(tmp_path: Path) -> None:
    world = bare_world(tmp_path, "ava")
    assert "no annotation with boxes has been read" in written(world).text
    other = World(find_spec("kinetics400"), world.data, world.run, "")
    written(other)
    assert 'id="boxes"' not in html(other)
    with pytest.raises(KeyError):
        boxes(other)


def test_absent_tables_are_named(tmp_path: Path) -> None:
    world = bare_world(tmp_path, "ava_kinetics")
    annotate(world.folder, "train", [(A, "17.070000", LEFT, 1)])
    text = text_of(written(world))
    for name in (
        "annotations/actions.json",
        "prepared/train.boxes.parquet",
        "prepared/train.json",
        "proposals/train.parquet",
    ):
        assert f"{name} is not there" in text, name
    assert "merged.json is not there" in text and "frames/ holds no table" in text
    assert boxes(world)["splits"][0]["persons"] == 1 and boxes(world)["recall"] == []
    assert boxes(world)["actions"][0]["name"] == "(no name)"


EVERY = (
    "annotations/train.boxes.parquet", "annotations/train.key_frames.parquet", "annotations/train.excluded.parquet",
    "annotations/train.rejected.parquet", "annotations/actions.json", "proposals/train.parquet", "proposals/train.json",
    "proposals/train.rejected.json", "excerpt/part-00000.parquet",
)  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_a_damaged_table_is_named_and_the_rest_is_shown(tmp_path: Path, name: str) -> None:
    world = ava(tmp_path)
    (world.folder / name).write_bytes(b"PAR1 garbage {")
    text = text_of(written(world))
    assert f"{name} cannot be read" in text
    other = "Scores" if "boxes" in name else "labelled persons on"
    assert other in text


@pytest.mark.parametrize(
    "content", ["[]", "3", '{"names": 4}', '{"names": {"x": "y"}}', '{"names": {"1": null}, "evaluated": [[]]}']
)
def test_other_json_than_expected_is_named(tmp_path: Path, content: str) -> None:
    world = ava(tmp_path)
    (world.folder / "annotations" / "actions.json").write_text(content)
    assert "annotations/actions.json cannot be read" in written(world).text


def rows_without(column: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(path).drop_columns([column]), path)

    return damage


def test_a_column_less_is_said(tmp_path: Path) -> None:
    world = ava(tmp_path)
    rows_without("score")(world.folder / "proposals" / "train.parquet")
    rows_without("second")(world.folder / "annotations" / "train.boxes.parquet")
    text = text_of(written(world))
    assert "proposals/train.parquet cannot be read: train.parquet has no column “score”." in text
    assert "has no column “second”" in text


def test_impossible_numbers_are_left_out(tmp_path: Path) -> None:
    world = ava(tmp_path)
    nan = float("nan")
    labelled = [
        (A, "0902", LEFT, 1),
        (A, "0902", (nan, 0, 1, 1), 1),
        (A, "99999999999", ALL, 1),
        (A, "0903", RIGHT, -4),
    ]
    annotate(world.folder, "train", labelled)
    propose(
        world.folder,
        "train",
        [(A, 902, LEFT, nan), (A, 902, (0, 0, nan, 1), 0.9), (A, -4, LEFT, 0.9), (A, 902, LEFT, 0.8)],
    )
    written(world)
    assert boxes(world)["splits"][0]["rows"] == 2
    assert boxes(world)["recall"][0]["found"] == [1, 1, 1, 0, 1]


def test_empty_tables(tmp_path: Path) -> None:
    world = bare_world(tmp_path, "ava")
    annotate(world.folder, "test", [], without=[(A, "0902"), (A, "0903")], excluded=[])
    name_actions(world.folder)
    text = text_of(written(world))
    assert boxes(world)["splits"][0]["empty"] == 2 and boxes(world)["per_key_frame"]["counts"] == [2]
    assert "proposals/test.parquet is not there" not in text  # nobody is labelled: none are needed
    propose(world.folder, "test", [])
    annotate(world.folder, "test", [])
    written(world)
    assert boxes(world)["splits"][0]["key_frames"] == 0


def test_hostile_text_is_text(tmp_path: Path) -> None:
    world = ava(tmp_path)
    name_actions(world.folder, {1: HOSTILE, 12: "</title></svg><script>alert(3)</script>", 80: "$\\frac{x}$"})
    video = "../../../../etc/passwd"
    annotate(
        world.folder,
        "train",
        [(A, "0902", LEFT, 1), (A, "0902", LEFT, 12), (video, "0902", LEFT, 80), (HOSTILE, "0902", ALL, 1)],
    )
    annotate(world.folder, "<img src=x onerror=alert(4)>", [(B, "0902", ALL, 12)])
    propose(world.folder, "train", [(A, 902, LEFT, 0.5)], source=HOSTILE, rejected={HOSTILE: HOSTILE})
    write_excerpt(
        world.folder, [excerpt_row(A), excerpt_row(B, images=1, evidence=HOSTILE), excerpt_row(HOSTILE[:40], images=2)]
    )
    page = written(world)
    assert page.tags["script"] == 0 and not page.handlers and page.images_without_alt == 0
    assert {address for address in page.addresses if not address.startswith(("data:image/jpeg;base64,", "#"))} == set()
    assert "<script>alert(1)</script>" in page.text and "\u202e" not in page.text and "W" * 400 not in page.text
    assert "root:" not in page.text and "url(http" not in html(world)
    assert len(html(world)) < 2_000_000
    assert 'style="' in html(world) and not re.search(r'style="[^"]*(url|expression)', html(world))


def test_the_section_is_readable_without_eyes(tmp_path: Path) -> None:
    world = ava(tmp_path)
    written(world)
    text = html(world)
    for table in re.findall(r"<table.*?</table>", text[text.index('id="boxes"') :], re.DOTALL):
        assert "<th scope=" in table
    assert text.count("<svg viewBox=") == text.count('aria-hidden="true" focusable="false"')
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
