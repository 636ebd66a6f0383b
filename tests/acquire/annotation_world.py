"""Data sets with annotation sources on a server of the test: a file for each split (Kinetics), and many files (AVA)."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipquarry.acquire.annotation_files import download_annotations, files_of_splits
from clipquarry.acquire.annotation_source import FileWanted
from clipquarry.acquire.download import Downloader, Limits
from clipquarry.datasets.families import spec_of
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.demo.origin import Origin
from clipquarry.files import sha256_of
from clipquarry.settings import DataRoot

TRAIN, VAL = "annotations/ava_train_v2.2.csv", "annotations/ava_val_v2.2.csv"
ACTIONS = "annotations/ava_action_list_v2.2.pbtxt"
EXCLUDED = "annotations/ava_train_excluded_timestamps_v2.2.csv"
SECONDS = "annotations/ava_included_timestamps_v2.2.txt"
PROPOSALS = "annotations/ava_dense_proposals_train.FAIR.recall_93.9.pkl"
CSV = b"-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1\n"
PBTXT = b'item {\n  name: "bow"\n  id: 2\n}\n'
MEMBERS = {
    "ava_train_v2.2.csv": CSV, "ava_val_v2.2.csv": CSV * 2, "ava_action_list_v2.2.pbtxt": PBTXT,
    "ava_included_timestamps_v2.2.txt": b"0902\n0903\n", "ava_train_excluded_timestamps_v2.2.csv": b"",
}  # fmt: skip
SPLIT_CSV = b"label,youtube_id,time_start,time_end,split,is_cc\nabseiling,0wR5jVB-WPk,417,427,val,0\n"


def quick() -> Downloader:
    return Downloader(Limits(attempts=1, connect=1, read=1, backoff=0.01))


def boxes_spec(*sources: dict[str, Any]) -> DatasetSpec:
    """A data set with many annotation files."""
    items = {"id": "items", "kind": "http", "provides": "items", "content": "video", "url": "http://127.0.0.1:9/{clip}"}
    return spec_of(
        {
            "schema": "dataset-spec/v1", "name": "ava", "title": "AVA", "family": "boxes", "options": {"items": "videos"}, "root": "ava",
            "access": {"kind": "open"}, "layout": {"annotations": "annotations", "videos": "videos"},
            "labels": {"source": "file"}, "variants": ["v2.1", "v2.2"], "default_variant": "v2.2",
            "sources": [*sources, items],
        }
    )  # fmt: skip


def clips_spec(*sources: dict[str, Any], splits: dict[str, str] | None = None) -> DatasetSpec:
    """A data set with a file for each split: Kinetics' csv files unless ``splits`` names others."""
    spec = find_spec("kinetics400").model_dump(mode="json", by_alias=True)
    youtube = {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video"}
    if splits is not None:
        spec |= {"splits": splits, "default_splits": list(splits)}
    return spec_of({**spec, "sources": [*sources, youtube]})


def zipped(origin: Origin, **more: Any) -> dict[str, Any]:
    archive = {"into": "annotations", **more.pop("archive", {})}
    return {
        "id": "google", "kind": "http", "provides": "annotations", "url": f"{origin.url}/ava_{{version}}.zip",
        "archive": archive, "attempts": 1, **more,
    }  # fmt: skip


def tarred(url: str, **more: Any) -> dict[str, Any]:
    rename = {"train.csv": "kinetics_train.csv", "validate.csv": "kinetics_val.csv", "test.csv": "kinetics_test.csv"}
    return {
        "id": "deepmind", "kind": "http", "provides": "annotations", "url": url, "attempts": 1,
        "archive": {"into": "annotations", "rename": rename}, **more,
    }  # fmt: skip


def single(origin: Origin, id_: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_, "kind": "http", "provides": "annotations", "url": f"{origin.url}/{name}", "into": f"annotations/{name}",
        "attempts": 1, **more,
    }  # fmt: skip


def save_zip(path: Path, members: Mapping[str, bytes] = MEMBERS, folder: str = "deep/er/") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(f"{folder}{name}", body)


def save_tar(path: Path, members: Mapping[str, bytes], folder: str = "kinetics400/") -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, body in members.items():
            info = tarfile.TarInfo(f"{folder}{name}")
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))


def download(
    spec: DatasetSpec, data: DataRoot, *paths: str, optional: tuple[str, ...] = (), **more: Any
) -> dict[str, str]:
    """Download files by their paths; path to source."""
    wanted = [FileWanted(path, may_be_empty="excluded" in path) for path in paths]
    wanted += [FileWanted(path, optional=True) for path in optional]
    got = download_annotations(spec, data, wanted, **{"downloader": quick(), **more})
    for one in got:
        assert one.path == data.root / spec.root / one.label
        assert (one.sha256, one.bytes) == (sha256_of(one.path), one.path.stat().st_size)
    return {one.label: one.source for one in got}


def download_splits(spec: DatasetSpec, data: DataRoot, *splits: str, **more: Any) -> dict[str, str]:
    """Download the files of splits; split to source."""
    wanted = files_of_splits(spec, splits)
    got = download_annotations(spec, data, wanted, **{"downloader": quick(), **more})
    assert [one.path for one in got] == [data.dataset(spec.root, spec.splits[split]) for split in splits]
    return {one.label: one.source for one in got}


def left_in_scratch(data: DataRoot) -> list[Path]:
    return [path for path in data.scratch.rglob("*") if path.is_file()]
