"""What is wrong in a YAML of the family is one sentence with its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.datasets.load import PACKAGED, load_spec
from clipquarry.errors import SpecError

GOOD = (PACKAGED / "thumos14.yaml").read_text()

BROKEN = [
    ("reader: thumos14", "reader: other", "options.reader", "there is no reader 'other'; known: activitynet, activitynet_bsn, thumos14"),
    ("Billiards: 12", "Billiards: 9", "options.classes", "two classes have one number"),
    ("Billiards: 12", '"a/b": 12', "options.classes", "slash"),
    ("Billiards: 12", '"Ice hockey": 12', "options.classes", "without blanks"),
    ("count: 20", "count: 21", "labels.count", "options.classes names 20 classes, not 21"),
    ("test: annotations_test}", "test: annotations_val}", "splits.val", "the folder of two splits"),
    ("test: annotations_test}", "test: annotations_test.csv}", "splits.test", "a folder with a file for each class"),
    ("level: 1", "level: 2", "item.level", "no class folder"),
    ('alias: "thumos14_tag_{split}_proposal_list.txt"', "alias: list.txt", "options.proposals.alias", "one file for all splits"),
    ('list: "proposals/', 'list: "../proposals/', "options.proposals.list", "must be a path below the data set's folder"),
    ('list: "proposals/', 'list: ".clipquarry/', "options.proposals.list", "Clipquarry's own"),
    ('list: "proposals/', 'list: "{name}/', "options.proposals.list", "another placeholder"),
    ("into: videos/val, flatten", "into: films/val, flatten", "archive.into", "items are looked for in 'videos/{split}'"),
    ('  videos: "videos/{split}"', '  films: "videos/{split}"', "layout", "needs the folder 'videos'"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "key", "says"), BROKEN)
def test_a_wrong_key_is_one_sentence(tmp_path: Path, before: str, after: str, key: str, says: str) -> None:
    assert before in GOOD
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace(before, after, 1))
    with pytest.raises(SpecError) as error:
        load_spec(path)
    assert key in str(error.value) and says in str(error.value), str(error.value)
