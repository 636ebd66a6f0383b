"""The table of labels: one or several of an item, streamed beside its catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clipquarry.annotations.kinetics_catalog import build_catalog
from clipquarry.annotations.label_table import FIELDS, KIND, Label, LabelWriter, read_labels, with_labels
from clipquarry.errors import ManifestError
from clipquarry.manifest import CATALOG_FIELDS, read_rows, read_table, schema_of, write_rows
from clipquarry.run_folder import labels_beside
from memory import traced_peak

SEVERAL = {"a": [Label(3, "run"), Label(0, "talk (to a person)")], "b": [], "c": [Label(7, "sit")], "d": []}


def rows() -> Iterator[tuple[str]]:
    return iter([(name,) for name in SEVERAL])


def save(path: Path) -> Path:
    with LabelWriter(path) as labels:
        for name, several in SEVERAL.items():
            labels.add(name, several)
    return path


def test_there_and_back(tmp_path: Path) -> None:
    table = save(tmp_path / "labels.parquet")
    assert list(read_rows(table))[1] == {"item_id": "a", "position": 1, "index": 0, "name": "talk (to a person)"}
    assert dict(read_labels(table)) == {name: tuple(several) for name, several in SEVERAL.items() if several}
    assert [(row[0], list(found)) for row, found in with_labels(rows(), table)] == list(SEVERAL.items())


def test_a_table_of_another_kind_or_another_catalog_is_refused(tmp_path: Path) -> None:
    table = save(tmp_path / "labels.parquet")
    for wrong in (["a"], ["c", "a"], []):
        with pytest.raises(ManifestError, match="is not where the catalog has it"):
            list(with_labels(((name,) for name in wrong), table))
    write_rows(tmp_path / "other.parquet", schema_of(CATALOG_FIELDS, "catalog"), [])
    with pytest.raises(ManifestError, match="a table of 'catalog', not of labels"):
        list(read_labels(tmp_path / "other.parquet"))
    turned = [{"item_id": "a", "position": place, "index": 1, "name": "x"} for place in (1, 0)]
    write_rows(tmp_path / "turned.parquet", schema_of(FIELDS, KIND), turned)
    with pytest.raises(ManifestError, match="the labels of 'a' are not in order"):
        list(read_labels(tmp_path / "turned.parquet"))


def test_every_labelled_item_of_a_catalog_has_its_labels_beside_it(tmp_path: Path) -> None:
    csv = tmp_path / "train.csv"
    csv.write_text(
        "label,youtube_id,time_start,time_end,split\nzumba,aaaaaaaaaaa,0,10,train\nair drumming,-bbbbbbbbb_,1,11,train\n"
        "zumba,../x,0,10,train\n"
    )
    test = tmp_path / "test.csv"
    test.write_text("youtube_id,time_start,time_end,split\nfffffffffff,17,27,test\n")
    catalog = tmp_path / "run" / "catalog.parquet"
    build_catalog({"train": csv, "test": test}, catalog)
    assert labels_beside(catalog) == tmp_path / "run" / "labels.parquet"
    assert list(read_rows(labels_beside(catalog))) == [
        {"item_id": "train/zumba/aaaaaaaaaaa_000000_000010", "position": 0, "index": 1, "name": "zumba"},
        {"item_id": "train/air_drumming/-bbbbbbbbb__000001_000011", "position": 0, "index": 0, "name": "air drumming"},
    ]
    found = dict(read_labels(labels_beside(catalog)))
    for row in read_table(catalog).to_pylist():
        assert (row["label_index"] in (None, -1)) == (row["item_id"] not in found)


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    def build_and_read(count: int) -> None:
        table = tmp_path / f"{count}.parquet"
        with LabelWriter(table) as labels:
            for number in range(count):
                labels.add(f"train/class/{number:011d}_000000_000010", [Label(number % 700, "class")] * (number % 3))
        pairs = with_labels(((f"train/class/{number:011d}_000000_000010",) for number in range(count)), table)
        assert sum(len(found) for _, found in pairs) == sum(number % 3 for number in range(count))

    # 30,000 rows fill several groups of what is held at a time; another 60,000 as objects would have 10 MB
    assert traced_peak(lambda: build_and_read(90_000)) < 1.2 * traced_peak(lambda: build_and_read(30_000))
