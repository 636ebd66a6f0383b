"""The official annotation files: kept, fetched, or a sentence for a person."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.acquire.network import Network
from clipquarry.acquire.official import obtain_annotations
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit, RetryLater, UserError
from clipquarry.files import sha256_of
from clipquarry.settings import DataRoot

CSV = b"label,youtube_id,time_start,time_end,split,is_cc\nabseiling,0wR5jVB-WPk,417,427,val,0\n"


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[Origin]:
    (tmp_path / "served").mkdir()
    with Origin(tmp_path / "served") as server:
        yield server


@pytest.fixture
def data(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path / "data")


def spec_with(sources: list[dict[str, Any]]) -> DatasetSpec:
    spec = find_spec("kinetics400").model_dump(mode="json", by_alias=True)
    youtube = {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video"}
    return DatasetSpec.model_validate({**spec, "sources": [*sources, youtube]})


def tar_source(url: str, **more: Any) -> dict[str, Any]:
    rename = {"train.csv": "kinetics_train.csv", "validate.csv": "kinetics_val.csv", "test.csv": "kinetics_test.csv"}
    archive = {"format": "tar.gz", "into": "annotations", "rename": rename}
    return {
        "id": "deepmind",
        "kind": "http",
        "provides": "annotations",
        "url": url,
        "archive": archive,
        "attempts": 1,
        **more,
    }


def file_source(url: str, **more: Any) -> dict[str, Any]:
    into = "annotations/kinetics_{split}.csv"
    return {
        "id": "openmmlab",
        "kind": "http",
        "provides": "annotations",
        "url": url,
        "into": into,
        "attempts": 1,
        **more,
    }


def save_tar(path: Path, names: list[str], body: bytes = CSV) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(f"kinetics400/{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))


def obtain(spec: DatasetSpec, data: DataRoot, parts: list[str]) -> dict[str, str]:
    quick = Downloader(Limits(attempts=1, connect=1, read=1, backoff=0.01))
    return {o.part: o.source for o in obtain_annotations(spec, data, parts=parts, downloader=quick)}


def test_one_tar_gives_all_parts_under_their_names(origin: Origin, data: DataRoot, tmp_path: Path) -> None:
    save_tar(tmp_path / "served/k.tar.gz", ["train.csv", "validate.csv", "test.csv", "train.json"])
    spec = spec_with([tar_source(f"{origin.url}/k.tar.gz")])
    assert obtain(spec, data, ["train", "val"]) == {"train": "deepmind", "val": "deepmind"}
    assert origin.asked["k.tar.gz"] == 1
    folder = data.root / "kinetics400/annotations"
    assert sorted(path.name for path in folder.iterdir()) == ["kinetics_train.csv", "kinetics_val.csv"]
    assert (folder / "kinetics_val.csv").read_bytes() == CSV
    assert list((data.scratch / "annotations").iterdir()) == []
    assert obtain(spec, data, ["train", "val"]) == {"train": "kept", "val": "kept"}
    assert origin.asked["k.tar.gz"] == 1


def test_the_next_source_is_asked_part_by_part(origin: Origin, data: DataRoot, tmp_path: Path) -> None:
    save_tar(tmp_path / "served/k.tar.gz", ["train.csv"])
    (tmp_path / "served/val.csv").write_bytes(CSV)
    spec = spec_with([tar_source(f"{origin.url}/k.tar.gz"), file_source(f"{origin.url}/{{split}}.csv")])
    assert obtain(spec, data, ["train", "val"]) == {"train": "deepmind", "val": "openmmlab"}


@pytest.mark.parametrize("plan", ["html", "404", "truncate"])
def test_a_page_or_half_a_file_never_becomes_an_annotation(
    origin: Origin, data: DataRoot, tmp_path: Path, plan: str
) -> None:
    (tmp_path / "served/val.csv").write_bytes(CSV)
    origin.set_plan({"val.csv": plan})
    with pytest.raises(UserError if plan != "truncate" else RetryLater) as caught:
        obtain(spec_with([file_source(f"{origin.url}/{{split}}.csv")]), data, ["val"])
    target = data.root / "kinetics400/annotations/kinetics_val.csv"
    assert f"Place it by hand as {target}" in str(caught.value)
    assert "openmmlab: " in str(caught.value)
    assert not target.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(CSV)
    assert obtain(spec_with([]), data, ["val"]) == {"val": "kept"}


@pytest.mark.parametrize("content", [b"", b"  \n", b"<!DOCTYPE html><html>", b"\x1f\x8b\x08\x00", b'{"a": [1, 2]}'])
def test_a_file_that_is_no_csv_is_named_and_left_alone(data: DataRoot, content: bytes) -> None:
    target = data.root / "kinetics400/annotations/kinetics_val.csv"
    target.parent.mkdir(parents=True)
    target.write_bytes(content)
    with pytest.raises(UserError, match="is not an annotation csv"):
        obtain(spec_with([]), data, ["val"])
    assert target.read_bytes() == content


def test_checksums_of_the_yaml_are_held(origin: Origin, data: DataRoot, tmp_path: Path) -> None:
    (tmp_path / "served/val.csv").write_bytes(CSV)
    good = sha256_of(tmp_path / "served/val.csv")
    with pytest.raises(UserError, match="sha256"):
        obtain(spec_with([file_source(f"{origin.url}/{{split}}.csv", sha256={"val": "0" * 64})]), data, ["val"])
    assert obtain(spec_with([file_source(f"{origin.url}/{{split}}.csv", sha256={"val": good})]), data, ["val"])


def test_local_manual_and_unset_sources(data: DataRoot, tmp_path: Path) -> None:
    manual = {"id": "form", "kind": "manual", "provides": "annotations", "howto": "Ask the authors for it."}
    unset = file_source("${NOT_SET_HERE}/{split}.csv", id="unset")
    with pytest.raises(UserError, match="Ask the authors for it") as caught:
        obtain(spec_with([manual, unset]), data, ["val"])
    assert "NOT_SET_HERE is not set" in str(caught.value)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/kinetics_val.csv").write_bytes(CSV)
    local = {"id": "local", "kind": "local", "provides": "annotations", "path": str(tmp_path / "mine")}
    assert obtain(spec_with([local]), data, ["val"]) == {"val": "local"}
    assert (tmp_path / "mine/kinetics_val.csv").exists()
    with pytest.raises(UserError, match="has no part 'nope'"):
        obtain(spec_with([local]), data, ["nope"])


def test_without_a_network_it_is_tried_again(data: DataRoot) -> None:
    """The input is right, and the cable may be back in a minute: no person is needed."""

    def unreachable(host: str, port: int, timeout: float) -> None:
        raise OSError(101, "Network is unreachable")

    down = Downloader(
        Limits(attempts=1, backoff=0.01), network=Network(connect=unreachable, route=lambda: True, proxies=dict)
    )
    spec = spec_with([file_source("http://no-such-host.invalid/{split}.csv")])
    with pytest.raises(RetryLater, match="no_network") as caught:
        obtain_annotations(spec, data, parts=["val"], downloader=down)
    assert caught.value.exit_code is Exit.RETRY


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_a_person_put_in_a_csvs_place_is_not_replaced(
    origin: Origin, data: DataRoot, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "served/kinetics_train.csv").write_bytes(CSV)
    place = data.dataset("kinetics400", "annotations/kinetics_train.csv")
    place.parent.mkdir(parents=True)
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(tmp_path / "a disk that is not mounted/train.csv")
    with pytest.raises(UserError, match="no file" if kind == "folder" else "leads nowhere: mount the disk"):
        obtain_annotations(spec_with([file_source(origin.url)]), data, parts=["train"])
    assert place.is_symlink() == (kind == "link")
