"""HVU's table of tags and its rows: numbers of tags, and names of clips in tenths of a second."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clipquarry.annotations.hvu import Tags
from clipquarry.datasets.load import load_spec
from clipquarry.errors import UserError
from families.clips.file_world import PACKAGED
from families.clips.hvu_world import CATEGORIES, FIRST, HEADER


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Tag,Category\nrun,action\nrun,object\n", "line 3: the tag 'run' is in line 2 already"),
        ("Tag,Category\nrun,sport\n", "line 2: the category 'sport' is none of action, object"),
        ("Tag,Category\nrun|jump,action\n", "line 2: the tag holds a blank or a bar"),
        ("Tag,Category\nrun\n", "line 2: 1 columns where the header has 2"), ("run,action\n", "begins with 'run,action', not with 'tag,category'"),
        ("Tag,Category\n", "names no tag"), ("", "begins with ''"), ("Tag,Category\n\u0000,action\n", "line 2: the label holds a control character"),
    ],
)  # fmt: skip
def test_a_table_of_tags_that_numbers_nothing_is_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "hvu_categories.csv"
    path.write_text(text)
    with pytest.raises(UserError, match="get the file again") as caught:
        Tags(path, {"action": 2, "object": 3})
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("start", "end", "name"),
    [
        ("0", "10", "000000_000100"), ("1.1", "3.1", "000011_000031"), ("0.29", "1.15", "000002_000011"), ("1999.9", "2000.", "019999_020000"),
        ("8.7", "12345.6", "000087_123456"), ("84.0", "94.00", "000840_000940"),
    ],
)  # fmt: skip
def test_names_are_tenths_cut_off(tmp_path: Path, start: str, end: str, name: str) -> None:
    (tmp_path / "c.csv").write_text(CATEGORIES)
    (tmp_path / "t.csv").write_text(f"{HEADER}run,{FIRST},{start},{end}\r\n")
    (row,) = Tags(tmp_path / "c.csv", load_spec(PACKAGED / "hvu.yaml").labels.groups).rows(tmp_path / "t.csv")
    assert row.clip_id == f"{FIRST}_{name}"
    assert name == f"{int(float(start) * 10):06d}_{int(float(end) * 10):06d}", "the reference's rule"


def test_every_tenth_has_the_reference_s_name(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CATEGORIES)
    (tmp_path / "t.csv").write_text(
        HEADER + "".join(f"run,{FIRST},{n / 10},{n / 10 + 10:.1f}\n" for n in range(20_000))
    )
    rows = Tags(tmp_path / "c.csv", load_spec(PACKAGED / "hvu.yaml").labels.groups).rows(tmp_path / "t.csv")
    assert [row.clip_id for row in rows] == [f"{FIRST}_{n:06d}_{n + 100:06d}" for n in range(20_000)]


@pytest.mark.shared
def test_clips_have_the_names_and_lengths_of_the_crawler_s(tmp_path: Path) -> None:
    oracle = Path(__file__).parents[2].parent / "shared/oracles/hvu_download_trim"
    (tmp_path / "c.csv").write_text(CATEGORIES)
    tags = Tags(tmp_path / "c.csv", load_spec(PACKAGED / "hvu.yaml").labels.groups)
    rows = list(tags.rows(oracle / "inputs/data/hvu/annotations/hvu_val.csv"))
    report = json.loads((oracle / "expected/with_tmp_dir_renamed/tools/data/hvu/download_report.json").read_text())
    assert [row.clip_id for row in rows] == [name for name, _, _ in report]
    probed = json.loads((oracle / "expected/with_tmp_dir_renamed_probe.json").read_text())
    lengths = {Path(name).stem: float(one["duration"]) for name, (one,) in probed.items()}
    assert {row.clip_id: (row.end - row.start) / 1e6 for row in rows if row.clip_id in lengths} == lengths
