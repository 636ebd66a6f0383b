"""Which source holds which annotation file, and how the file comes out of it."""

from __future__ import annotations

import io
import pickle
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from annotation_world import (
    ACTIONS,
    CSV,
    EXCLUDED,
    PBTXT,
    PROPOSALS,
    SECONDS,
    SPLIT_CSV,
    TRAIN,
    VAL,
    boxes_spec,
    clips_spec,
    download,
    download_splits,
    left_in_scratch,
    save_tar,
    save_zip,
    single,
    tarred,
    zipped,
)
from clipquarry.acquire.annotation_files import download_annotations, files_of_splits
from clipquarry.acquire.annotation_source import FileWanted
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.native import library
from clipquarry.acquire.download import Downloaded, Downloader
from clipquarry.datasets.load import find_spec, load_all
from clipquarry.demo.origin import Origin
from clipquarry.errors import MachineError, UserError
from clipquarry.files import sha256_of
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot

NAMES = "annotations/ava_file_names_trainval_v2.1.txt"


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


def test_a_zip_is_unpacked_flat_and_fetched_once(origin: Origin, served: Path, data: DataRoot) -> None:
    save_zip(served / "ava_v2.2.zip")
    spec = boxes_spec(zipped(origin))
    got = download(spec, data, TRAIN, ACTIONS, EXCLUDED, optional=(SECONDS,))
    assert set(got.values()) == {"google"}
    assert list(got) == [TRAIN, ACTIONS, EXCLUDED, SECONDS], "their order"
    folder = data.root / "ava/annotations"
    assert sorted(path.name for path in folder.iterdir()) == sorted(Path(path).name for path in got), "and nothing else"
    assert (folder / "ava_train_v2.2.csv").read_bytes() == CSV
    assert origin.asked == {"ava_v2.2.zip": 1}
    assert left_in_scratch(data) == []
    assert download(spec, data, TRAIN, optional=(SECONDS,)) == {TRAIN: "kept", SECONDS: "kept"}
    assert origin.asked == {"ava_v2.2.zip": 1}


def test_a_tar_gives_the_files_of_all_splits_under_their_names(origin: Origin, served: Path, data: DataRoot) -> None:
    save_tar(served / "k.tar.gz", dict.fromkeys(["train.csv", "validate.csv", "test.csv", "train.json"], SPLIT_CSV))
    spec = clips_spec(tarred(f"{origin.url}/k.tar.gz"))
    assert download_splits(spec, data, "train", "val") == {"train": "deepmind", "val": "deepmind"}
    folder = data.root / "kinetics400/annotations"
    assert sorted(path.name for path in folder.iterdir()) == ["kinetics_train.csv", "kinetics_val.csv"]
    assert (folder / "kinetics_val.csv").read_bytes() == SPLIT_CSV
    assert left_in_scratch(data) == []
    assert download_splits(spec, data, "train", "val") == {"train": "kept", "val": "kept"}
    assert origin.asked["k.tar.gz"] == 1


def test_a_renamed_member_comes_under_its_new_name_alone(origin: Origin, served: Path, data: DataRoot) -> None:
    """An archive may hold another file of the new name, and a name in capitals."""
    members = {"kinetics_val.csv": b"other,columns\n", "Validate.CSV": SPLIT_CSV, "._validate.csv": b"junk"}
    save_tar(served / "k.tar.gz", members)
    rename = {"Validate.CSV": "kinetics_val.csv"}
    spec = clips_spec(tarred(f"{origin.url}/k.tar.gz", archive={"into": "annotations", "rename": rename}))
    assert download_splits(spec, data, "val") == {"val": "deepmind"}
    assert (data.root / "kinetics400/annotations/kinetics_val.csv").read_bytes() == SPLIT_CSV
    with pytest.raises(UserError, match=r"the archive holds no kinetics_train\.csv"):
        download_splits(spec, data, "train")


def test_a_file_that_an_archive_lacks_is_told_by_its_name_there(origin: Origin, served: Path, data: DataRoot) -> None:
    save_tar(served / "k.tar.gz", {"train.csv": SPLIT_CSV})
    with pytest.raises(UserError, match=r"the archive holds no validate\.csv"):
        download_splits(clips_spec(tarred(f"{origin.url}/k.tar.gz")), data, "val")


def test_an_archive_of_many_small_files(origin: Origin, served: Path, data: DataRoot) -> None:
    """HMDB51 has three text files for each of 51 classes, and UCF101 three lists of each kind."""
    lists = {f"{name}_test_split{n}.txt": f"{name}_#1.avi {n}\n".encode() for name in "abcdefgh" for n in (1, 2, 3)}
    save_zip(served / "ava_v2.2.zip", lists, "testTrainMulti_7030_splits/")
    paths = [f"annotations/{name}" for name in lists]
    assert download(boxes_spec(zipped(origin)), data, *paths) == dict.fromkeys(paths, "google")
    assert origin.asked == {"ava_v2.2.zip": 1}
    with pytest.raises(UserError) as caught:
        download(boxes_spec(zipped(origin)), data, *(f"annotations/{n}.txt" for n in range(20)))
    assert "5.txt and 14 more likewise)" in str(caught.value) and "6.txt" not in str(caught.value)


def test_splits_may_share_a_file(origin: Origin, served: Path, data: DataRoot) -> None:
    """ActivityNet has one JSON for all splits."""
    (served / "all.json").write_bytes(b'{"database": {"v_1": {"subset": "training"}}}')
    spec = clips_spec(single(origin, "net", "all.json"), splits=dict.fromkeys(("train", "val"), "annotations/all.json"))
    assert download_splits(spec, data, "train", "val") == {"train": "net", "val": "net"}
    assert origin.asked == {"all.json": 1}
    (data.root / spec.root / "annotations/all.json").unlink()
    origin.set_plan({"*": "404"})
    with pytest.raises(UserError) as caught:
        download_splits(spec, data, "train", "val")
    assert "likewise" not in str(caught.value)


def test_the_version_chooses_addresses_and_sources(origin: Origin, served: Path, data: DataRoot) -> None:
    save_zip(served / "ava_v2.1.zip", {"ava_train_v2.1.csv": CSV})
    only = single(origin, "old", "ava_action_list_v2.1.pbtxt", variants=["v2.1"])
    (served / "ava_action_list_v2.1.pbtxt").write_bytes(PBTXT)
    spec = boxes_spec(zipped(origin), only)
    both = ("annotations/ava_train_v2.1.csv", "annotations/ava_action_list_v2.1.pbtxt")
    with pytest.raises(UserError) as caught:
        download(spec, data, *both)
    assert "old: " not in str(caught.value), "a source of another version is not asked"
    assert download(spec, data, *both, version="v2.1") == {both[0]: "google", both[1]: "old"}


def test_mirrors_of_a_tar_are_asked_in_order_and_names_may_be_mapped(
    origin: Origin, served: Path, data: DataRoot
) -> None:
    save_tar(served / "k.tar.gz", {"ava_train_v2.2.csv": CSV, "actions.pbtxt": PBTXT}, "./ava_kinetics_v1_0/")
    rename = {"rename": {"actions.pbtxt": "ava_action_list_v2.2.pbtxt"}}
    spec = boxes_spec(
        zipped(origin, id="gone", url=f"{origin.url}/gone.tar.gz", archive=rename),
        zipped(origin, id="mirror", url=f"{origin.url}/k.tar.gz", archive=rename),
    )
    assert download(spec, data, TRAIN, ACTIONS) == {TRAIN: "mirror", ACTIONS: "mirror"}
    assert origin.asked == {"gone.tar.gz": 1, "k.tar.gz": 1}


def test_optional_files_come_along_but_nobody_fetches_an_archive_for_them(
    origin: Origin, served: Path, data: DataRoot
) -> None:
    save_zip(served / "ava_v2.2.zip")
    spec = boxes_spec(zipped(origin), single(origin, "names", "ava_file_names_{split}_v2.1.txt"))
    assert download(spec, data, optional=(SECONDS, NAMES)) == {}
    assert "ava_v2.2.zip" not in origin.asked
    assert download(spec, data, TRAIN, optional=(SECONDS, NAMES)) == {TRAIN: "google", SECONDS: "google"}
    (served / "ava_file_names_trainval_v2.1.txt").write_bytes(b"-5KQ66BBWC4.mkv\n")
    assert download(spec, data, optional=(NAMES,)) == {NAMES: "names"}


def test_an_optional_file_that_cannot_be_used_is_left_out(origin: Origin, served: Path, data: DataRoot) -> None:
    save_zip(served / "ava_v2.2.zip", {"ava_train_v2.2.csv": CSV, "ava_included_timestamps_v2.2.txt": b"<html>"})
    assert download(boxes_spec(zipped(origin)), data, TRAIN, optional=(SECONDS,)) == {TRAIN: "google"}
    assert not (data.root / "ava" / SECONDS).exists()


def test_single_files_are_found_by_the_split_in_their_name(origin: Origin, served: Path, data: DataRoot) -> None:
    (served / "mirror").mkdir()
    body = pickle.dumps({"-5KQ66BBWC4,0902": [0.1] * 5}, protocol=2)
    (served / "mirror/p_training.pkl").write_bytes(body)
    url = f"{origin.url}/mirror/p_{{split}}.pkl"
    source = single(
        origin, "fair", "ava_dense_proposals_{split}.FAIR.recall_93.9.pkl", url=url, split_names={"train": "training"}
    )
    assert download(boxes_spec(source), data, PROPOSALS) == {PROPOSALS: "fair"}
    assert (data.root / "ava" / PROPOSALS).read_bytes() == body
    with pytest.raises(UserError, match="names no source for it"):
        download(boxes_spec(source), data, "annotations/ava_dense_proposals_train.other.pkl")


@pytest.mark.parametrize("into", ["annotations/kinetics_{split}.csv", None])
def test_a_split_has_the_name_that_the_source_gives_it(
    origin: Origin, served: Path, data: DataRoot, into: str | None
) -> None:
    (served / "validate.csv").write_bytes(SPLIT_CSV)
    source = single(origin, "one", "{split}.csv", into=into, split_names={"val": "validate"})
    assert download_splits(clips_spec(source), data, "val") == {"val": "one"}
    assert origin.asked == {"validate.csv": 1}


def test_a_source_of_another_file_is_not_asked(origin: Origin, served: Path, data: DataRoot) -> None:
    (served / "names.csv").write_bytes(SPLIT_CSV)
    with pytest.raises(UserError, match=r"names no source for it: by 'into', .* other files come from one") as caught:
        download_splits(clips_spec(single(origin, "one", "names.csv")), data, "val")
    assert "Place it by hand as" in str(caught.value)
    assert not origin.asked


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
    assert set(download(boxes_spec(zipped(origin)), data, TRAIN, VAL, ACTIONS).values()) == {"google"}
    folder = data.root / "ava/annotations"
    assert (folder / "ava_train_v2.2.csv").read_bytes() == CSV * 3, "no link; of two files the first"
    assert sorted(path.name for path in tmp_path.rglob("*.csv")) == ["ava_train_v2.2.csv", "ava_val_v2.2.csv"]
    for hostile in ("../../x.csv", "annotations/../../x.csv", "/etc/x.csv", ""):
        with pytest.raises(UserError):
            download(boxes_spec(zipped(origin)), data, hostile)


def test_an_archive_is_not_fetched_for_files_that_its_source_does_not_claim(origin: Origin, data: DataRoot) -> None:
    spec = boxes_spec(zipped(origin, files=["ava_*_{version}.csv"]))
    with pytest.raises(UserError, match="names no source for it"):
        download(spec, data, PROPOSALS)
    assert not origin.asked
    with pytest.raises(UserError, match="google: not_found"):
        download(spec, data, TRAIN)
    assert origin.asked == {"ava_v2.2.zip": 1}


class Noting(Downloader):
    """Asks nobody, and remembers whom it was to ask."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def download(self, url: str, scratch: Path, suffix: str, cancelled: Event, *, pages: bool = False) -> Downloaded:
        self.urls.append(url)
        raise FetchFailed(Reason.GONE, "not asked")


@pytest.mark.parametrize(
    ("name", "file", "version", "urls"),
    [
        ("ava", "annotations/ava_val_v2.1.csv", "v2.1", ["https://research.google.com/ava/download/ava_v2.1.zip"]),
        ("ava", EXCLUDED, None, ["https://research.google.com/ava/download/ava_v2.2.zip"]),
        ("ava", "annotations/ava_action_list_v2.1_for_activitynet_2018.pbtxt", "v2.1",
         ["https://research.google.com/ava/download/ava_v2.1.zip"]),
        ("ava", NAMES, None,
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
        ("kinetics400", "annotations/kinetics_val.csv", None,
         ["https://storage.googleapis.com/deepmind-media/Datasets/kinetics400.tar.gz",
          "https://download.openmmlab.com/mmaction/dataset/kinetics400/annotations/kinetics_val.csv"]),
    ],
)  # fmt: skip
def test_the_packaged_data_sets_ask_the_official_places_in_order(
    data: DataRoot, name: str, file: str, version: str | None, urls: list[str]
) -> None:
    asked = Noting()
    with pytest.raises(UserError, match="not asked"):
        download_annotations(find_spec(name), data, [FileWanted(file)], version=version, downloader=asked)
    assert asked.urls == urls


def test_every_split_of_the_packaged_clips_has_a_source(data: DataRoot) -> None:
    specs = [spec for spec in load_all()[0].values() if spec.family == "clips"]
    for spec in specs:
        person = [source.howto[:40] for source in spec.annotation_sources if source.howto]
        asked = any(source.kind == "http" for source in spec.annotation_sources)
        for one in files_of_splits(spec):
            with pytest.raises(UserError, match="not asked" if asked else re.escape(person[0])):
                download_annotations(
                    spec, data, [one], downloader=Noting(), environ={"CLIPQUARRY_DEMO_URL": "http://127.0.0.1:9"}
                )
    assert len(specs) > 4


def test_checksums_of_the_yaml_are_held(origin: Origin, served: Path, data: DataRoot) -> None:
    save_zip(served / "ava_v2.2.zip")
    (served / "ava_val_v2.2.csv").write_bytes(CSV)
    bad = boxes_spec(
        zipped(origin, sha256={"ava_v2.2.zip": "0" * 64}),
        single(origin, "one", "ava_{split}_v2.2.csv", sha256="1" * 64),
    )
    with pytest.raises(UserError, match=r"google: corrupt: its sha256 is .*one: corrupt: its sha256 is"):
        download(bad, data, VAL)
    member = boxes_spec(zipped(origin, sha256={"ava_val_v2.2.csv": "2" * 64}))
    with pytest.raises(UserError, match=r"google: corrupt: its sha256 is .* says 2222"):
        download(member, data, VAL)
    sums = {"ava_v2.2.zip": sha256_of(served / "ava_v2.2.zip")}
    address = f"{origin.url}/ava_{{version}}.zip?as=file"
    assert download(boxes_spec(zipped(origin, sha256=sums, url=address)), data, VAL) == {VAL: "google"}


def test_checksums_of_splits_are_held(origin: Origin, served: Path, data: DataRoot) -> None:
    (served / "kinetics_val.csv").write_bytes(SPLIT_CSV)
    good = sha256_of(served / "kinetics_val.csv")

    def spec(digest: str) -> Any:
        return clips_spec(single(origin, "one", "kinetics_{split}.csv", sha256={"val": digest}))

    with pytest.raises(UserError, match="sha256"):
        download_splits(spec("0" * 64), data, "val")
    assert download_splits(spec(good.upper()), data, "val") == {"val": "one"}


def test_local_folders_and_unset_variables(data: DataRoot, tmp_path: Path) -> None:
    local = {"id": "local", "kind": "local", "provides": "annotations", "path": "${MY_AVA}"}
    with pytest.raises(UserError, match="the variable MY_AVA is not set"):
        download(boxes_spec(local), data, TRAIN, environ={})
    mine = tmp_path / "mine"
    (mine / "annotations").mkdir(parents=True)
    (mine / "ava_train_v2.2.csv").write_bytes(CSV)
    (mine / VAL).write_bytes(CSV)
    environ = {"MY_AVA": str(mine)}
    assert download(boxes_spec(local), data, TRAIN, VAL, environ=environ) == {TRAIN: "local", VAL: "local"}
    assert (mine / "ava_train_v2.2.csv").read_bytes() == CSV
    assert not (mine / "ava_train_v2.2.csv").samefile(data.root / "ava" / TRAIN)


def test_a_local_file_serves_the_file_that_it_is(data: DataRoot, tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_bytes(SPLIT_CSV)
    local = {"id": "local", "kind": "local", "provides": "annotations", "path": str(tmp_path / "val.csv")}
    for split in ("train", "val"):
        with pytest.raises(UserError, match=rf"val\.csv is not called kinetics_{split}\.csv: name the file by"):
            download_splits(clips_spec(local), data, split)
    named = clips_spec({**local, "into": "annotations/kinetics_val.csv"})
    with pytest.raises(UserError, match="names no source for it"):
        download_splits(named, data, "train")
    assert download_splits(named, data, "val") == {"val": "local"}
    (tmp_path / "train.csv").write_bytes(SPLIT_CSV)
    assert download_splits(clips_spec({**local, "path": f"{tmp_path}/{{split}}.csv"}), data, "train") == {
        "train": "local"
    }


def test_a_local_archive_is_read_and_stays(data: DataRoot, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lists.zip", "w") as archive:
        archive.writestr("ucfTrainTestlist/trainlist01.txt", "A/v_A_g01_c01.avi 1\n")
    paths = {"train": "annotations/trainlist01.txt", "val": "annotations/testlist01.txt"}
    source = {"id": "mine", "kind": "local", "provides": "annotations", "path": str(tmp_path / "lists.zip"),
              "archive": {"into": "annotations"}}  # fmt: skip
    spec = clips_spec(source, splits=paths)
    with pytest.raises(UserError, match=r"mine: not_found: the archive holds no testlist01\.txt"):
        download_splits(spec, data, "train", "val")
    assert download_splits(spec, data, "train") == {"train": "kept"}
    assert (tmp_path / "lists.zip").exists()
    (tmp_path / "lists.zip").unlink()
    with pytest.raises(UserError, match=r"lists\.zip: No such file"):
        download_splits(spec, data, "val")


def test_a_source_that_gives_no_annotations_says_so(data: DataRoot) -> None:
    source = {"id": "you", "kind": "youtube", "provides": "annotations"}
    with pytest.raises(
        UserError, match="you: no_source: annotations cannot be fetched from a source of kind 'youtube'"
    ):
        download_splits(clips_spec(source), data, "val")


def test_a_machine_without_libarchive_is_no_fault_of_the_source(
    origin: Origin, served: Path, data: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other sources would not help, and the sentence says what to install."""
    save_zip(served / "ava_v2.2.zip")
    monkeypatch.setitem(sys.modules, "libarchive.ffi", None)
    library.cache_clear()
    try:
        with pytest.raises(MachineError, match="libarchive"):
            download(boxes_spec(zipped(origin)), data, TRAIN)
    finally:
        library.cache_clear()
    assert left_in_scratch(data) == []
