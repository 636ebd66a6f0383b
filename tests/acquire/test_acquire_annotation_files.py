"""Annotation files: kept, downloaded, or one sentence that says what to place where."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from annotation_world import (
    CSV,
    MEMBERS,
    PROPOSALS,
    SPLIT_CSV,
    TRAIN,
    VAL,
    boxes_spec,
    clips_spec,
    download,
    download_splits,
    left_in_scratch,
    quick,
    save_tar,
    save_zip,
    single,
    tarred,
    zipped,
)
from clipquarry.acquire.annotation_files import download_annotations
from clipquarry.acquire.annotation_source import FileWanted
from clipquarry.acquire.archives import native
from clipquarry.acquire.cache import SourceCache
from clipquarry.acquire.download import Downloaded, Downloader, Limits
from clipquarry.acquire.network import Network
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit, MachineError, RetryLater, UserError
from clipquarry.settings import DataRoot

PKL = pickle.dumps({"-5KQ66BBWC4,0902": [0.1] * 5}, protocol=2)
JSON = b'{"Pushing something": "0", "Holding something": "1"}'
JSON_FILES = {split: f"annotations/sthv2_{split}.json" for split in ("train", "val")}


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


def csvs(origin: Origin, **more: Any) -> dict[str, Any]:
    return single(origin, "openmmlab", "kinetics_{split}.csv", **{"url": f"{origin.url}/{{split}}.csv", **more})


def test_the_next_source_is_asked_file_by_file(origin: Origin, served: Path, data: DataRoot) -> None:
    save_tar(served / "k.tar.gz", {"train.csv": SPLIT_CSV})
    (served / "val.csv").write_bytes(SPLIT_CSV)
    spec = clips_spec(tarred(f"{origin.url}/k.tar.gz"), csvs(origin))
    assert download_splits(spec, data, "train", "val") == {"train": "deepmind", "val": "openmmlab"}
    assert origin.asked["k.tar.gz"] == 1


@pytest.mark.parametrize("plan", ["html", "404", "truncate"])
def test_a_page_or_half_a_file_never_becomes_an_annotation(
    origin: Origin, data: DataRoot, served: Path, plan: str
) -> None:
    (served / "val.csv").write_bytes(SPLIT_CSV)
    origin.set_plan({"val.csv": plan})
    with pytest.raises(UserError if plan != "truncate" else RetryLater) as caught:
        download_splits(clips_spec(csvs(origin)), data, "val")
    target = data.root / "kinetics400/annotations/kinetics_val.csv"
    assert f"Place it by hand as {target}" in str(caught.value)
    assert "The annotation file of kinetics400, split 'val', could not be downloaded (openmmlab: " in str(caught.value)
    assert not target.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(SPLIT_CSV)
    assert download_splits(clips_spec(), data, "val") == {"val": "kept"}


@pytest.mark.parametrize("plan", ["html", "404", "cut", "garbage"])
def test_the_sentence_names_every_file_that_is_missing(origin: Origin, served: Path, data: DataRoot, plan: str) -> None:
    (served / "ava_dense_proposals_train.FAIR.recall_93.9.pkl").write_bytes(PKL)
    save_zip(served / "ava_v2.2.zip")
    origin.set_plan({"*": plan})
    spec = boxes_spec(zipped(origin), single(origin, "fair", "ava_dense_proposals_{split}.FAIR.recall_93.9.pkl"))
    with pytest.raises(UserError if plan != "cut" else (UserError, RetryLater)) as caught:
        download(spec, data, TRAIN, PROPOSALS)
    sentence = str(caught.value)
    assert f"Place it by hand as {data.root}/ava/{TRAIN} (and {PROPOSALS} likewise), or " in sentence
    assert sentence.endswith("ava_v2.2.zip in the folder ava, then run this again.")
    assert "google: " in sentence
    assert caught.value.places == (data.root / "ava/annotations", data.root / "ava")
    assert "\n" not in sentence
    assert not (data.root / "ava").exists()
    assert left_in_scratch(data) == []


def test_an_archive_that_a_person_placed_is_read_and_stays(origin: Origin, served: Path, data: DataRoot) -> None:
    data.dataset("ava").mkdir(parents=True)
    save_zip(data.dataset("ava") / "ava_v2.2.zip")
    before = (data.dataset("ava") / "ava_v2.2.zip").read_bytes()
    assert download(boxes_spec(zipped(origin)), data, TRAIN) == {TRAIN: "google"}
    assert (data.dataset("ava") / "ava_v2.2.zip").read_bytes() == before
    assert sum(origin.asked.values()) == 0


def test_what_could_be_had_is_there_although_another_file_is_missing(
    origin: Origin, served: Path, data: DataRoot
) -> None:
    save_zip(served / "ava_v2.2.zip", {"ava_val_v2.2.csv": CSV})
    manual = {"id": "form", "kind": "manual", "provides": "annotations", "howto": "Ask the authors for it."}
    with pytest.raises(UserError, match=r"the archive holds no ava_train_v2\.2\.csv; form: no_source: Ask the authors"):
        download(boxes_spec(zipped(origin), manual), data, TRAIN, VAL)
    assert (data.root / "ava" / VAL).read_bytes() == CSV
    (data.root / "ava" / TRAIN).write_bytes(CSV)
    assert download(boxes_spec(), data, TRAIN, VAL) == {TRAIN: "kept", VAL: "kept"}


def test_all_other_splits_are_there_before_one_is_missed(origin: Origin, served: Path, data: DataRoot) -> None:
    (served / "val.csv").write_bytes(SPLIT_CSV)
    with pytest.raises(UserError, match="split 'train'"):
        download_splits(clips_spec(csvs(origin)), data, "train", "val")
    assert (data.root / "kinetics400/annotations/kinetics_val.csv").exists()


def test_annotations_may_be_json(origin: Origin, data: DataRoot, served: Path) -> None:
    for path in JSON_FILES.values():
        (served / Path(path).name).write_bytes(JSON)
    spec = clips_spec(single(origin, "one", "sthv2_{split}.json"), splits=JSON_FILES)
    assert download_splits(spec, data, "train", "val") == {"train": "one", "val": "one"}
    assert (data.root / spec.root / JSON_FILES["val"]).read_bytes() == JSON
    assert download_splits(spec, data, "train") == {"train": "kept"}


def test_json_of_an_archive(origin: Origin, data: DataRoot, served: Path) -> None:
    save_tar(served / "labels.tar.gz", {"sthv2_train.json": JSON})
    source = tarred(f"{origin.url}/labels.tar.gz", archive={"into": "annotations"})
    assert download_splits(clips_spec(source, splits=JSON_FILES), data, "train") == {"train": "deepmind"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>sign in</html>", "not annotations in JSON: it is a web page or XML"),
        (b'{"message": "Not Found"}', "a server's error message"),
        (JSON[:-10], "breaks off after 42 characters"),
        (SPLIT_CSV, "neither an object nor an array"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_refused_with_a_sentence(
    origin: Origin, data: DataRoot, served: Path, body: bytes, said: str
) -> None:
    (served / "sthv2_train.json").write_bytes(body)
    spec = clips_spec(single(origin, "one", "sthv2_{split}.json"), splits=JSON_FILES)
    with pytest.raises(
        UserError,
        match=f"could not be downloaded .*corrupt: the downloaded file is not annotations in JSON: .*{said[-20:]}",
    ):
        download_splits(spec, data, "train")
    place = data.root / spec.root / JSON_FILES["train"]
    assert not place.exists()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(body)
    with pytest.raises(UserError, match=r"is not annotations in JSON: .*; delete it") as caught:
        download_splits(spec, data, "train")
    assert said in str(caught.value)
    assert place.read_bytes() == body


def test_a_csv_that_arrives_as_json_stays_refused(origin: Origin, data: DataRoot, served: Path) -> None:
    (served / "train.csv").write_bytes(JSON)
    with pytest.raises(UserError, match="the downloaded file is not an annotation csv: it is a web page or JSON"):
        download_splits(clips_spec(csvs(origin)), data, "train")


@pytest.mark.parametrize("content", [b"", b"  \n", b"<!DOCTYPE html><html>", b"\x1f\x8b\x08\x00", b'{"a": [1, 2]}'])
def test_a_file_that_cannot_be_what_it_is_called_is_named_and_left_alone(data: DataRoot, content: bytes) -> None:
    for spec, path, ask in (
        (clips_spec(), "annotations/kinetics_val.csv", lambda: download_splits(clips_spec(), data, "val")),
        (boxes_spec(), TRAIN, lambda: download(boxes_spec(), data, TRAIN)),
    ):
        place = data.dataset(spec.root, path)
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        with pytest.raises(UserError, match=rf"{place.name} is not an annotation csv: .*; delete it, or put the right"):
            ask()
        assert place.read_bytes() == content


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_a_person_put_in_a_files_place_is_not_replaced(
    origin: Origin, data: DataRoot, served: Path, kind: str
) -> None:
    (served / "train.csv").write_bytes(SPLIT_CSV)
    place = data.dataset("kinetics400", "annotations/kinetics_train.csv")
    place.parent.mkdir(parents=True)
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(served / "a disk that is not mounted/train.csv")
    with pytest.raises(UserError, match="not a file" if kind == "folder" else "a broken link: mount the disk"):
        download_splits(clips_spec(csvs(origin)), data, "train")
    assert place.is_symlink() == (kind == "link")


class Placing(Downloader):
    """While it downloads, a person places a file."""

    def __init__(self, place: Path, body: bytes) -> None:
        super().__init__(Limits(attempts=1, backoff=0.01))
        self.place, self.body = place, body

    def download(self, url: str, scratch: Path, suffix: str, cancelled: Event, *, pages: bool = False) -> Downloaded:
        got = super().download(url, scratch, suffix, cancelled, pages=pages)
        self.place.parent.mkdir(parents=True, exist_ok=True)
        self.place.write_bytes(self.body)
        return got


def test_a_file_that_a_person_places_during_the_download_is_kept(origin: Origin, served: Path, data: DataRoot) -> None:
    (served / "val.csv").write_bytes(SPLIT_CSV)
    place = data.dataset("kinetics400", "annotations/kinetics_val.csv")
    spec, own = clips_spec(csvs(origin)), SPLIT_CSV * 2
    assert download_splits(spec, data, "val", downloader=Placing(place, own)) == {"val": "kept"}
    assert place.read_bytes() == own
    place.unlink()
    with pytest.raises(UserError, match="is not an annotation csv"):
        download_splits(spec, data, "val", downloader=Placing(place, b"<html>"))
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_a_file_in_the_place_of_the_folder_is_named(origin: Origin, served: Path, data: DataRoot) -> None:
    (served / "val.csv").write_bytes(SPLIT_CSV)
    folder = data.dataset("kinetics400", "annotations")
    folder.parent.mkdir(parents=True)
    folder.write_text("mine")
    with pytest.raises(UserError, match=f"{folder} is not a folder: move what is there away"):
        download_splits(clips_spec(csvs(origin)), data, "val")
    assert folder.read_text() == "mine"


def test_manual_and_unset_sources_say_what_to_do(origin: Origin, data: DataRoot) -> None:
    manual = {"id": "form", "kind": "manual", "provides": "annotations", "howto": "Ask the authors for it."}
    unset = csvs(origin, id="unset", url="${NOT_SET_HERE}/{split}.csv")
    with pytest.raises(UserError, match="Ask the authors for it") as caught:
        download_splits(clips_spec(manual, unset), data, "val")
    assert "NOT_SET_HERE is not set" in str(caught.value)


def test_a_split_that_the_data_set_lacks_is_named(data: DataRoot) -> None:
    with pytest.raises(UserError, match="has no split 'nope'; it has train, val, test"):
        download_splits(clips_spec(), data, "nope")


def test_without_a_network_it_is_tried_again(origin: Origin, data: DataRoot) -> None:
    """The input is right, and the cable may be back in a minute: no person is needed."""

    def unreachable(host: str, port: int, timeout: float) -> None:
        raise OSError(101, "Network is unreachable")

    down = Downloader(
        Limits(attempts=1, backoff=0.01), network=Network(connect=unreachable, route=lambda: True, proxies=dict)
    )
    spec = clips_spec(csvs(origin, url="http://no-such-host.invalid/{split}.csv"))
    with pytest.raises(RetryLater, match="no_network") as caught:
        download_splits(spec, data, "val", downloader=down)
    assert caught.value.exit_code is Exit.RETRY


@pytest.mark.parametrize("by_split", [False, True])
def test_a_large_file_is_resumed_by_a_later_call(origin: Origin, served: Path, data: DataRoot, by_split: bool) -> None:
    name = "ava_dense_proposals_train.FAIR.recall_93.9.pkl"
    body = pickle.dumps(b"x" * (5 << 20))
    if by_split:
        name, body = "train.csv", SPLIT_CSV * 60_000
    spec = clips_spec(csvs(origin)) if by_split else boxes_spec(single(origin, "openmmlab", name))
    wanted = FileWanted(spec.splits["train"], "train") if by_split else FileWanted(PROPOSALS)
    (served / name).write_bytes(body)
    origin.set_plan({name: "truncate"})
    with pytest.raises(RetryLater, match="Place it by hand as"):
        download_annotations(spec, data, [wanted], downloader=quick())
    (part,) = data.scratch.rglob(f"*.part{Path(name).suffix}")
    had = part.stat().st_size
    assert had > 1 << 20
    assert not (data.root / spec.root).exists()
    origin.set_plan({})
    sent: list[int] = []
    handler: Any = origin._server.RequestHandlerClass

    class Counting(handler):  # type: ignore[misc]
        def _send(self, read: Any, length: int, *, trickle: bool) -> None:
            sent.append(length)
            super()._send(read, length, trickle=trickle)

    origin._server.RequestHandlerClass = Counting
    assert [one.source for one in download_annotations(spec, data, [wanted], downloader=quick())] == ["openmmlab"]
    assert sent == [len(body) - had]
    assert data.dataset(spec.root, wanted.path).read_bytes() == body
    assert left_in_scratch(data) == []


def test_a_run_that_is_told_to_stop_says_so(origin: Origin, served: Path, data: DataRoot) -> None:
    (served / "val.csv").write_bytes(SPLIT_CSV)
    stopped = Event()
    stopped.set()
    with pytest.raises(RetryLater, match="told to stop while it downloaded annotation files"):
        download_splits(clips_spec(csvs(origin)), data, "val", cancelled=stopped)


def test_one_at_a_time_downloads_and_the_other_keeps_what_came(origin: Origin, served: Path, data: DataRoot) -> None:
    for split in ("train", "val"):
        (served / f"{split}.csv").write_bytes(SPLIT_CSV)
    spec = clips_spec(csvs(origin))
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(download_splits, spec, data, "train", "val") for _ in range(3)]
        told = [run.result() for run in runs]
    assert origin.asked == {"train.csv": 1, "val.csv": 1}
    assert sorted(set(told[0].values()) | set(told[1].values()) | set(told[2].values())) == ["kept", "openmmlab"]


def test_who_waits_for_the_lock_can_be_stopped(origin: Origin, data: DataRoot) -> None:
    stopped = Event()
    with SourceCache(data.scratch, 0).video("annotations-kinetics400", Event()):
        stopped.set()
        with pytest.raises(
            RetryLater, match=r"told to stop while process .* worked on the annotation files of kinetics"
        ):
            download_splits(clips_spec(csvs(origin)), data, "val", cancelled=stopped)
    assert not origin.asked


def test_without_libarchive_a_source_of_single_files_is_asked(
    origin: Origin, served: Path, data: DataRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> None:
        raise MachineError("Archives cannot be read, because this machine has no libarchive.")

    monkeypatch.setattr(native, "library", nowhere)
    save_zip(served / "ava_v2.2.zip")
    name = Path(TRAIN).name
    (served / name).write_bytes(MEMBERS[name])
    assert download(boxes_spec(zipped(origin), single(origin, "alone", name)), data, TRAIN) == {TRAIN: "alone"}
    shutil.rmtree(data.root)
    with pytest.raises(MachineError, match="libarchive"):
        download(boxes_spec(zipped(origin)), data, TRAIN)
