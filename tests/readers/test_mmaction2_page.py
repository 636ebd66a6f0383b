"""docs/mmaction2.md has a row for every data set, with the folders, names and numbers of its YAML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clipquarry.datasets.load import load_all
from clipquarry.datasets.model import DatasetSpec

PAGE = (Path(__file__).parents[2] / "docs/mmaction2.md").read_text(encoding="utf-8")
SPECS = {name: spec for name, spec in load_all()[0].items() if not name.endswith("_demo")}


def row_of(name: str) -> list[str]:
    table = PAGE.partition("## Data sets")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    found = [row for row in rows if f"`{name}`" in row[0]]
    assert len(found) == 1, f"docs/mmaction2.md has {len(found)} rows of {name}"
    return found[0]


def folder(spec: DatasetSpec, key: str) -> str:
    return spec.layout[key].replace("{split}", "{val,test}") if spec.name == "thumos14" else spec.layout[key]


@pytest.mark.parametrize("name", SPECS)
def test_every_data_set_has_a_row(name: str) -> None:
    spec = SPECS[name]
    _, config, prefix, template, start, lists = row_of(name)
    assert config and lists
    if spec.item.medium == "package":  # files in its own folder
        assert (prefix, template, start) == (f"`{spec.root}`", "–", "–")
        return
    if spec.item.medium == "array":  # no frames
        assert (template, start) == ("–", "–") and f"`{spec.layout['videos']}`" in prefix
        return
    if "rawframes" not in spec.layout:  # videos and pictures alone
        assert (
            (template, start) == ("–", "–")
            and f"`{folder(spec, 'videos')}`" in prefix
            and "`lists/{split}.txt`" in lists
        )
        return
    assert f"`{folder(spec, 'rawframes')}`" in prefix
    if "videos" in spec.lists:
        assert f"`{folder(spec, 'videos')}`" in prefix
    assert template == f"`{spec.item.rgb_pattern.replace('d}', '}')}`"
    assert start.startswith(str(spec.item.start_index))
    for form in spec.lists:
        if form == "audio_features":
            continue
        beginning = spec.list_name(form, next(iter(spec.splits))).removesuffix(f"{form}.txt")
        assert re.sub(r"(train|val)(_split)?(_1)?_", "", beginning).split("_")[0] in lists
