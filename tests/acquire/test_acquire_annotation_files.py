"""Annotation files of data sets that have many: kept, fetched flat out of archives, or a sentence for a person."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from clipquarry.acquire.annotation_files import FileWanted, file_problem, obtain_files
from clipquarry.acquire.answer import NotHad
from clipquarry.acquire.download import Downloaded, Downloader, Limits
from clipquarry.datasets.load import find_spec
from clipquarry.datasets.model import DatasetSpec
from clipquarry.demo.origin import Origin
from clipquarry.errors import RetryLater, UserError
from clipquarry.files import sha256_of
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot

TRAIN, VAL = "annotations/ava_train_v2.2.csv", "annotations/ava_val_v2.2.csv"
ACTIONS = "annotations/ava_action_list_v2.2.pbtxt"
SECONDS = "annotations/ava_included_timestamps_v2.2.txt"
NAMES = "annotations/ava_file_names_trainval_v2.1.txt"
PROPOSALS = "annotations/ava_dense_proposals_train.FAIR.recall_93.9.pkl"
CSV = b"-5KQ66BBWC4,0902,0.077,0.151,0.283,0.811,80,1\n"
PBTXT = b'item {\n  name: "bow"\n  id: 2\n}\n'
PKL = pickle.dumps({"-5KQ66BBWC4,0902": [0.1] * 5}, protocol=2)
MEMBERS = {
    "ava_train_v2.2.csv": CSV, "ava_val_v2.2.csv": CSV * 2, "ava_action_list_v2.2.pbtxt": PBTXT,
    "ava_included_timestamps_v2.2.txt": b"0902\n0903\n", "ava_train_excluded_timestamps_v2.2.csv": b"",
}  # fmt: skip


@pytest.fixture
def served(tmp_path: Path) -> Path:
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


@pytest.fixture
def origin(served: Path) -> Iterator[Origin]:
    with Origin(served) as server:
        yield server


@pytest.fixture
def data(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path / "data")


def spec_of(*sources: dict[str, Any]) -> DatasetSpec:
    items = {"id": "items", "kind": "http", "provides": "items", "content": "video", "url": "http://127.0.0.1:9/{clip}"}
    return DatasetSpec.model_validate(
        {
            "schema": "dataset-spec/v1", "name": "ava", "title": "AVA", "family": "crawl", "task": "detection", "root": "ava",
            "access": {"kind": "open"}, "layout": {"annotations": "annotations", "videos": "videos"},
            "labels": {"source": "file"}, "variants": ["v2.1", "v2.2"], "default_variant": "v2.2",
            "sources": [*sources, items],
        }
    )  # fmt: skip


def zipped(origin: Origin, **more: Any) -> dict[str, Any]:
    archive = {"format": "zip", "into": "annotations", "flatten": True, **more.pop("archive", {})}
    return {
        "id": "google", "kind": "http", "provides": "annotations", "url": f"{origin.url}/ava_{{version}}.zip",
        "archive": archive, "attempts": 1, **more,
    }  # fmt: skip


def single(origin: Origin, id_: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": id_, "kind": "http", "provides": "annotations", "url": f"{origin.url}/{name}", "into": f"annotations/{name}",
        "attempts": 1, **more,
    }  # fmt: skip


def save_zip(path: Path, members: dict[str, bytes] = MEMBERS, folder: str = "deep/er/") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(f"{folder}{name}", body)


def obtain(
    spec: DatasetSpec, data: DataRoot, *paths: str, optional: tuple[str, ...] = (), **more: Any
) -> dict[str, str]:
    quick = Downloader(Limits(attempts=1, connect=1, read=1, backoff=0.01))
    wanted = [*map(FileWanted, paths), *(FileWanted(path, optional=True) for path in optional)]
    got = obtain_files(spec, data, wanted, downloader=quick, **more)
    for one in got:
        assert one.path == data.root / "ava" / one.part
        assert (one.sha256, one.bytes) == (sha256_of(one.path), one.path.stat().st_size)
    return {one.part: one.source for one in got}


def left_in_scratch(data: DataRoot) -> list[Path]:
    return [path for path in data.scratch.rglob("*") if path.is_file()]


def test_a_zip_is_unpacked_flat_and_fetched_once(origin: Origin, served: Path, data: DataRoot) -> None:
    save_zip(served / "ava_v2.2.zip")
    spec = spec_of(zipped(origin))
    got = obtain(spec, data, TRAIN, ACTIONS, "annotations/ava_train_excluded_timestamps_v2.2.csv", optional=(SECONDS,))
    assert set(got.values()) == {"google"}
    assert list(got) == [TRAIN, ACTIONS, "annotations/ava_train_excluded_timestamps_v2.2.csv", SECONDS], "their order"
    folder = data.root / "ava/annotations"
    assert sorted(path.name for path in folder.iterdir()) == sorted(Path(path).name for path in got), "and nothing else"
    assert (folder / "ava_train_v2.2.csv").read_bytes() == CSV
    assert origin.asked == {"ava_v2.2.zip": 1}
    assert left_in_scratch(data) == []
    assert obtain(spec, data, TRAIN, optional=(SECONDS,)) == {TRAIN: "kept", SECONDS: "kept"}
    assert origin.asked == {"ava_v2.2.zip": 1}


def test_the_version_chooses_addresses_and_sources(origin: Origin, served: Path, data: DataRoot) -> None:
    save_zip(served / "ava_v2.1.zip", {"ava_train_v2.1.csv": CSV})
    only = single(origin, "old", "ava_action_list_v2.1.pbtxt", variants=["v2.1"])
    (served / "ava_action_list_v2.1.pbtxt").write_bytes(PBTXT)
    spec = spec_of(zipped(origin), only)
    both = ("annotations/ava_train_v2.1.csv", "annotations/ava_action_list_v2.1.pbtxt")
    with pytest.raises(UserError) as caught:
        obtain(spec, data, *both)
    assert "old: " not in str(caught.value), "a source of another version is not asked"
    assert obtain(spec, data, *both, version="v2.1") == {both[0]: "google", both[1]: "old"}


def test_mirrors_of_a_tar_are_asked_in_order_and_names_may_be_mapped(
    origin: Origin, served: Path, data: DataRoot
) -> None:
    with tarfile.open(served / "k.tar.gz", "w:gz") as tar:
        for name in ("ava_train_v2.2.csv", "actions.pbtxt"):
            info = tarfile.TarInfo(f"./ava_kinetics_v1_0/{name}")
            body = CSV if name.endswith("csv") else PBTXT
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    rename = {"rename": {"actions.pbtxt": "ava_action_list_v2.2.pbtxt"}}
    spec = spec_of(
        zipped(origin, id="gone", url=f"{origin.url}/gone.tar.gz", archive=rename),
        zipped(origin, id="mirror", url=f"{origin.url}/k.tar.gz", archive=rename),
    )
    assert obtain(spec, data, TRAIN, ACTIONS) == {TRAIN: "mirror", ACTIONS: "mirror"}
    assert origin.asked == {"gone.tar.gz": 1, "k.tar.gz": 1}


def test_optional_files_come_along_but_nobody_fetches_an_archive_for_them(
    origin: Origin, served: Path, data: DataRoot
) -> None:
    save_zip(served / "ava_v2.2.zip")
    spec = spec_of(zipped(origin), single(origin, "names", "ava_file_names_{split}_v2.1.txt"))
    assert obtain(spec, data, optional=(SECONDS, NAMES)) == {}
    assert "ava_v2.2.zip" not in origin.asked
    assert obtain(spec, data, TRAIN, optional=(SECONDS, NAMES)) == {TRAIN: "google", SECONDS: "google"}
    (served / "ava_file_names_trainval_v2.1.txt").write_bytes(b"-5KQ66BBWC4.mkv\n")
    assert obtain(spec, data, optional=(NAMES,)) == {NAMES: "names"}


def test_single_files_are_found_by_the_split_in_their_name(origin: Origin, served: Path, data: DataRoot) -> None:
    (served / "mirror").mkdir()
    (served / "mirror/p_training.pkl").write_bytes(PKL)
    url = f"{origin.url}/mirror/p_{{split}}.pkl"
    source = single(
        origin, "fair", "ava_dense_proposals_{split}.FAIR.recall_93.9.pkl", url=url, split_names={"train": "training"}
    )
    assert obtain(spec_of(source), data, PROPOSALS) == {PROPOSALS: "fair"}
    assert (data.root / "ava" / PROPOSALS).read_bytes() == PKL
    with pytest.raises(UserError, match="names no source of it"):
        obtain(spec_of(source), data, "annotations/ava_dense_proposals_train.other.pkl")


def test_a_large_file_is_resumed_by_a_later_call(origin: Origin, served: Path, data: DataRoot) -> None:
    body = pickle.dumps(b"x" * (5 << 20))
    (served / "ava_dense_proposals_train.FAIR.recall_93.9.pkl").write_bytes(body)
    origin.set_plan({"*.pkl": "truncate"})
    spec = spec_of(single(origin, "fair", "ava_dense_proposals_{split}.FAIR.recall_93.9.pkl"))
    once = Downloader(Limits(attempts=1, connect=1, read=1, backoff=0.01))
    with pytest.raises(RetryLater, match="Place it by hand as"):
        obtain_files(spec, data, [FileWanted(PROPOSALS)], downloader=once)
    (part,) = data.scratch.rglob("*.part.pkl")
    had = part.stat().st_size
    assert had > 1 << 20
    assert not (data.root / "ava").exists()
    origin.set_plan({})
    sent: list[int] = []
    handler: Any = origin._server.RequestHandlerClass

    class Counting(handler):  # type: ignore[misc]
        def _send(self, read: Any, length: int, *, trickle: bool) -> None:
            sent.append(length)
            super()._send(read, length, trickle=trickle)

    origin._server.RequestHandlerClass = Counting
    assert obtain(spec, data, PROPOSALS) == {PROPOSALS: "fair"}
    assert sent == [len(body) - had]
    assert (data.root / "ava" / PROPOSALS).read_bytes() == body
    assert left_in_scratch(data) == []


@pytest.mark.parametrize("plan", ["html", "404", "cut", "garbage"])
def test_what_is_no_annotation_never_takes_its_place(origin: Origin, served: Path, data: DataRoot, plan: str) -> None:
    (served / "ava_dense_proposals_train.FAIR.recall_93.9.pkl").write_bytes(PKL)
    save_zip(served / "ava_v2.2.zip")
    origin.set_plan({"*": plan})
    spec = spec_of(zipped(origin), single(origin, "fair", "ava_dense_proposals_{split}.FAIR.recall_93.9.pkl"))
    with pytest.raises(UserError if plan != "cut" else (UserError, RetryLater)) as caught:
        obtain(spec, data, TRAIN, PROPOSALS)
    sentence = str(caught.value)
    assert f"Place it by hand as {data.root}/ava/{TRAIN} (and {PROPOSALS} likewise), then run this again." in sentence
    assert "google: " in sentence
    assert "\n" not in sentence
    assert not (data.root / "ava").exists()
    assert left_in_scratch(data) == []


def test_what_could_be_had_is_there_although_another_file_is_missing(
    origin: Origin, served: Path, data: DataRoot
) -> None:
    save_zip(served / "ava_v2.2.zip", {"ava_val_v2.2.csv": CSV})
    manual = {"id": "form", "kind": "manual", "provides": "annotations", "howto": "Ask the authors for it."}
    with pytest.raises(UserError, match=r"the archive holds no ava_train_v2\.2\.csv; form: no_source: Ask the authors"):
        obtain(spec_of(zipped(origin), manual), data, TRAIN, VAL)
    assert (data.root / "ava" / VAL).read_bytes() == CSV
    (data.root / "ava" / TRAIN).write_bytes(CSV)
    assert obtain(spec_of(), data, TRAIN, VAL) == {TRAIN: "kept", VAL: "kept"}


def test_hostile_members_are_not_unpacked(origin: Origin, served: Path, data: DataRoot, tmp_path: Path) -> None:
    with tarfile.open(served / "ava_v2.2.zip", "w:gz") as tar:  # told by its bytes, not by its name
        link = tarfile.TarInfo("ava_train_v2.2.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
        for name, body in (
            (f"{tmp_path}/ava_val_v2.2.csv", CSV), ("../../evil.csv", CSV), ("../../ava_action_list_v2.2.pbtxt", PBTXT),
            ("a\\ava_train_v2.2.csv", CSV * 3), ("b/ava_train_v2.2.csv", CSV * 9),
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    assert set(obtain(spec_of(zipped(origin)), data, TRAIN, VAL, ACTIONS).values()) == {"google"}
    folder = data.root / "ava/annotations"
    assert (folder / "ava_train_v2.2.csv").read_bytes() == CSV * 3, "no link; of two files the first"
    assert sorted(path.name for path in tmp_path.rglob("*.csv")) == ["ava_train_v2.2.csv", "ava_val_v2.2.csv"]
    for hostile in ("../../x.csv", "annotations/../../x.csv", "/etc/x.csv", ""):
        with pytest.raises(UserError):
            obtain(spec_of(zipped(origin)), data, hostile)


def test_an_archive_is_not_fetched_for_files_that_its_source_does_not_claim(origin: Origin, data: DataRoot) -> None:
    spec = spec_of(zipped(origin, files=["ava_*_{version}.csv"]))
    with pytest.raises(UserError, match="names no source of it"):
        obtain(spec, data, PROPOSALS)
    assert not origin.asked
    with pytest.raises(UserError, match="google: not_found"):
        obtain(spec, data, TRAIN)
    assert origin.asked == {"ava_v2.2.zip": 1}


class Noting(Downloader):
    """Asks nobody, and remembers whom it was to ask."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def download(self, url: str, scratch: Path, suffix: str, cancelled: Event, *, pages: bool = False) -> Downloaded:
        self.urls.append(url)
        raise NotHad(Reason.GONE, "not asked")


@pytest.mark.parametrize(
    ("name", "file", "version", "urls"),
    [
        ("ava", "annotations/ava_val_v2.1.csv", "v2.1", ["https://research.google.com/ava/download/ava_v2.1.zip"]),
        ("ava", "annotations/ava_train_excluded_timestamps_v2.2.csv", None,
         ["https://research.google.com/ava/download/ava_v2.2.zip"]),
        ("ava", "annotations/ava_action_list_v2.1_for_activitynet_2018.pbtxt", "v2.1",
         ["https://research.google.com/ava/download/ava_v2.1.zip"]),
        ("ava", "annotations/ava_file_names_trainval_v2.1.txt", None,
         ["https://s3.amazonaws.com/ava-dataset/annotations/ava_file_names_trainval_v2.1.txt"]),
        ("ava", "annotations/ava_file_names_test_v2.1.txt", "v2.1",
         ["https://s3.amazonaws.com/ava-dataset/annotations/ava_file_names_test_v2.1.txt"]),
        ("ava", "annotations/ava_dense_proposals_val.FAIR.recall_93.9.pkl", None,
         ["https://download.openmmlab.com/mmaction/dataset/ava/ava_dense_proposals_val.FAIR.recall_93.9.pkl"]),
        ("ava_kinetics", "ava_kinetics_v1_0/kinetics_train_v1.0.csv", None,
         ["https://storage.googleapis.com/deepmind-media/Datasets/ava_kinetics_v1_0.tar.gz",
          "https://s3.amazonaws.com/kinetics/700_2020/annotations/ava_kinetics_v1_0.tar.gz"]),
        ("ava_kinetics", "ava_kinetics_v1_0/ava_action_list_v2.2.pbtxt", None,
         ["https://storage.googleapis.com/deepmind-media/Datasets/ava_kinetics_v1_0.tar.gz",
          "https://s3.amazonaws.com/kinetics/700_2020/annotations/ava_kinetics_v1_0.tar.gz",
          "https://research.google.com/ava/download/ava_v2.2.zip"]),
    ],
)  # fmt: skip
def test_the_packaged_data_sets_ask_the_official_places_in_order(
    data: DataRoot, name: str, file: str, version: str | None, urls: list[str]
) -> None:
    asked = Noting()
    with pytest.raises(UserError, match="by_hand: no_source: the page https://research"):
        obtain_files(find_spec(name), data, [FileWanted(file)], version=version, downloader=asked)
    assert asked.urls == urls


def test_checksums_of_the_yaml_are_held(origin: Origin, served: Path, data: DataRoot) -> None:
    save_zip(served / "ava_v2.2.zip")
    (served / "ava_val_v2.2.csv").write_bytes(CSV)
    bad = spec_of(
        zipped(origin, sha256={"ava_v2.2.zip": "0" * 64}),
        single(origin, "one", "ava_{split}_v2.2.csv", sha256="1" * 64),
    )
    with pytest.raises(UserError, match=r"google: corrupt: its sha256 is .*one: corrupt: its sha256 is"):
        obtain(bad, data, VAL)
    sums = {"ava_v2.2.zip": sha256_of(served / "ava_v2.2.zip")}
    assert obtain(spec_of(zipped(origin, sha256=sums)), data, VAL) == {VAL: "google"}


def test_local_folders_and_unset_variables(data: DataRoot, tmp_path: Path) -> None:
    local = {"id": "local", "kind": "local", "provides": "annotations", "path": "${MY_AVA}"}
    with pytest.raises(UserError, match="the variable MY_AVA is not set"):
        obtain(spec_of(local), data, TRAIN, environ={})
    mine = tmp_path / "mine"
    (mine / "annotations").mkdir(parents=True)
    (mine / "ava_train_v2.2.csv").write_bytes(CSV)
    (mine / VAL).write_bytes(CSV)
    assert obtain(spec_of(local), data, TRAIN, VAL, environ={"MY_AVA": str(mine)}) == {TRAIN: "local", VAL: "local"}
    assert (mine / "ava_train_v2.2.csv").read_bytes() == CSV
    assert not (mine / "ava_train_v2.2.csv").samefile(data.root / "ava" / TRAIN)


@pytest.mark.parametrize(
    ("name", "body", "wrong"),
    [
        ("ava_train_v2.2.csv", b"", "it is empty"),
        ("ava_train_v2.2.csv", b"no comma here\n", "not that of a csv"),
        ("ava_train_excluded_timestamps_v2.2.csv", b"", None),
        ("ava_train_excluded_timestamps_v2.2.csv", b"0f39OWEqJ24,0903\n", None),
        ("ava_action_list_v2.2.pbtxt", b"nothing of the kind", "not a list of actions"),
        ("ava_action_list_v2.2.pbtxt", PBTXT, None),
        ("ava_file_names_trainval_v2.1.txt", b"<!DOCTYPE html>", "a web page"),
        ("ava_file_names_trainval_v2.1.txt", b"\x00\x01\x02", "not a text file"),
        ("p.pkl", PKL, None),
        ("p.pkl", PKL[:-1], "does not end as a pickle"),
        ("p.pkl", b'{"error": 1}', "a web page or JSON"),
    ],
)
def test_a_file_is_judged_by_what_it_should_be(tmp_path: Path, name: str, body: bytes, wrong: str | None) -> None:
    (tmp_path / name).write_bytes(body)
    problem = file_problem(tmp_path / name, name)
    assert (problem is None) if wrong is None else (wrong in (problem or ""))


def test_a_file_that_cannot_be_what_it_is_called_is_named_and_left_alone(data: DataRoot) -> None:
    place = data.root / "ava" / TRAIN
    place.parent.mkdir(parents=True)
    place.write_bytes(b"<html>")
    with pytest.raises(UserError, match=r"ava_train_v2\.2\.csv cannot be used: it is a web page"):
        obtain(spec_of(), data, TRAIN)
    assert place.read_bytes() == b"<html>"
