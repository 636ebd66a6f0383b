"""Every reader of files over mutated good files: whatever is in them, only errors of our own come out, and never a traceback.

Seeds are written here as the published files are; where ``../shared`` is, real files are mutated too. The examples are the same in
every run, so that a failure is one for everybody.
"""

from __future__ import annotations

import io
import json
import pickle
import random
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.acquire.annotation_files import AnnotationFile
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.volume_list import list_volumes
from clipquarry.acquire.archives.wanted import members
from clipquarry.acquire.breaker import Breaker
from clipquarry.acquire.download import Downloader
from clipquarry.annotations.action_list import publish_action_list, read_action_list
from clipquarry.annotations.ava_csv import write_boxes, write_key_frames
from clipquarry.annotations.box_csv import Form, read_boxes
from clipquarry.annotations.file_list import ListFormat, read_list
from clipquarry.annotations.finegym import FineGym
from clipquarry.annotations.interval_files import read_intervals
from clipquarry.annotations.items import Item, item_problem
from clipquarry.annotations.kinetics_catalog import build_catalog
from clipquarry.annotations.labels import LabelIndex, read_label_map
from clipquarry.annotations.own_ava.exchange import FrameSizes, make_labels, read_labels
from clipquarry.annotations.own_ava.frame_boxes import Clip, FrameBox
from clipquarry.annotations.own_ava.via_clips import Found
from clipquarry.annotations.own_ava.via_project import Size
from clipquarry.annotations.proposal_list import read_blocks
from clipquarry.annotations.proposals import read_proposals
from clipquarry.cli.runs import existing_run
from clipquarry.datasets.load import PACKAGED, find_spec, load_spec
from clipquarry.errors import ClipquarryError
from clipquarry.families.boxes.on_videos import _file_names
from clipquarry.manifest import CATALOG_FIELDS, read_rows, read_table, schema_of, write_rows
from clipquarry.people.frame_file import FrameError, read_frame
from clipquarry.pipeline.annotation_choice import remember
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.inherit import last_params
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.pins import pin
from clipquarry.pipeline.reporting import collect
from clipquarry.reasons import Reason
from clipquarry.release.lock import LockHeader, LockRow, open_lock, write_lock
from clipquarry.report.gates import read_gates
from clipquarry.report.index import read_summary
from clipquarry.run_order import run_order
from clipquarry.settings import DataRoot, Settings
from clipquarry.store import Store
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = 60
TOKENS = (
    b"", b"\n", b"\r", b"\r\n", b"\n\n", b",", b".", b"-", b"+", b'"', b"'", b" ", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85",
    "٣".encode(), b"0", b"1e999", b"nan", b"-1", b"1" * 40, b"9" * 5000, b"0x1F", b"12.0", b"x" * 9000, b"[" * 3000, b"{", b"}", b":", b"null",
    b"Infinity", b"!!int ''", b"*a", b"&a", b"../", b"(", b"q\xff", b"\x85" * 60, b"\x94", b"R", b"b", b"u", b".",
)  # fmt: skip
A = "AAAAAAAAAAA"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SPEC = find_spec("kinetics400")


def mutated(seed: bytes, numbers: random.Random) -> bytes:
    """A few places of a file overwritten, doubled, moved, taken out, cut off or filled with what readers dislike."""
    body = bytearray(seed)
    for _ in range(numbers.randint(1, 4)):
        begin = numbers.randrange(len(body) + 1)
        end = min(len(body), begin + numbers.choice((0, 1, 1, 2, 8, 40)))
        match numbers.randrange(6):
            case 0:
                body[begin:end] = numbers.choice(TOKENS)
            case 1:
                body[begin:end] = bytes(body[begin:end]) * 3
            case 2:
                other = numbers.randrange(len(body) + 1)
                body[begin:end] = body[other : other + 20]
            case 3:
                body[begin:end] = numbers.randbytes(end - begin)
            case 4:
                del body[begin:end]
            case 5 if numbers.random() < 0.3:
                del body[begin:]
    return bytes(body)


def boxes(form: Form) -> Callable[[Path], Any]:
    def read(path: Path) -> None:
        table = read_boxes(path, form, range(1, 81))
        write_boxes(table.boxes, path.with_name("written.csv"))
        write_key_frames(table.key_frames, path.with_name("frames.csv"))
        for written, rows in (("written.csv", table.boxes), ("frames.csv", table.key_frames)):
            if form == "ava_kinetics":  # has no people, and times of its own
                continue
            again = read_boxes(path.with_name(written), "ava" if written == "written.csv" else "excluded")
            assert again.rejected.num_rows == 0
            assert again.boxes.num_rows + again.key_frames.num_rows == rows.num_rows

    return read


def intervals(path: Path) -> None:
    labels = LabelIndex(("Diving",))
    path.with_name("Ambiguous_val.txt").write_bytes(path.read_bytes())
    list(read_intervals(path.parent, "val", labels))


def finegym(path: Path) -> None:
    lines = path.with_name("list.txt")
    lines.write_text(f"{A}_E_000001_000004_A_0000_0002 98\n{A}_E_000005_000006_A_0000_0002 1\n")
    read = FineGym(path)
    found = [*read.events(), *read.segments(lines, LabelIndex(tuple(map(str, range(99)))))]
    for item in found:
        if isinstance(item, Item):
            item_problem(item, 99)
    read.write_events(io.StringIO(), {A})


def finegym_list(path: Path) -> None:
    annotation = path.with_name("annotation.json")
    annotation.write_bytes(GYM)
    list(FineGym(annotation).segments(path, LabelIndex(tuple(map(str, range(99))))))


def lists(format_: ListFormat, **how: bool) -> Callable[[Path], Any]:
    return lambda path: list(read_list(path, format_, **how))


def lock(path: Path) -> None:
    with open_lock(path) as found:
        list(found)


def archive(path: Path) -> None:
    scratch = path.with_name("scratch")
    scratch.mkdir(exist_ok=True)
    try:
        for member in members(str(path), lambda _: True, scratch, Downloader(), threading.Event()):
            member.path.unlink()
    except FetchFailed:
        pass


def parts(path: Path) -> None:
    with suppress(FetchFailed):
        list_volumes(str(path), Downloader(), threading.Event())


def picture(path: Path) -> None:
    with suppress(FrameError):
        read_frame(path)


def run_file(path: Path) -> None:
    """``run.json``, as reports, the command line, later refreshes and the order of runs read it."""
    data, spec = DataRoot(path.parent / "data"), SPEC
    folder = data.run(spec.name, "one")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "plan.json", "lists.json", "catalog.json", "stops.json"):
        (folder / name).write_bytes(path.read_bytes())
    last_params(spec, data)
    run_order(folder)
    collect(spec, data, "one", None, NOW)
    existing_run(spec.name, "one", data.root)


def summary(path: Path) -> None:
    (path.parent / "run/report").mkdir(parents=True, exist_ok=True)
    (path.parent / "run/report/summary.json").write_bytes(path.read_bytes())
    read_summary(path.parent / "run", "k")


def gate(path: Path) -> None:
    (path.parent / "run/gates").mkdir(parents=True, exist_ok=True)
    (path.parent / "run/gates/clips.json").write_bytes(path.read_bytes())
    read_gates(path.parent / "run", None)


def notes(path: Path) -> None:
    """What the store, the breaker and the download of a part remember."""
    store = Store(path.parent / "store")
    for suffix in (".mp4", ".json"):
        place = store.path("clips", "a", "k", suffix)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    store.get("clips", "a", "k"), store.noted("clips", "a", "k"), list(store.all_noted("clips", "a"))
    (path.parent / "breaker.json").write_bytes(path.read_bytes())
    (path.parent / "breaker.history.jsonl").write_bytes(path.read_bytes())
    breaker = Breaker(path.parent)
    breaker.peek(), breaker.history(), breaker.refused_others("a", Reason.HTTP_429), breaker.enter(threading.Event())


@cache
def context() -> RunContext:
    return make_context(SPEC.name, "one", {})


def known_files(path: Path) -> None:
    """Where annotation files came from, and what was announced."""
    ctx = replace(context(), settings=Settings(DataRoot(path.parent / "data"), "sqlite://"))
    place = ctx.annotation_csvs().get("val") or ctx.data.dataset(SPEC.root, SPEC.splits["val"])
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"a")
    for told in (ctx.data.private / "annotations" / f"{SPEC.name}.json", ctx.state.with_name(f"{SPEC.name}.pins.json")):
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_bytes(path.read_bytes())
    pin(ctx, [place])
    remember(ctx, [AnnotationFile("val", place, "x", "0" * 64, 1)])


def table(path: Path) -> None:
    for _ in read_rows(path):
        pass
    read_table(path, ["item_id"])


def actions(path: Path) -> None:
    read_action_list(path)
    publish_action_list(path, path.with_name("published.pbtxt"))


def labels(kind: str) -> Callable[[Path], Any]:
    """Labels of people in one of the tools' formats: what was read is written in every other one."""

    def read(path: Path) -> None:
        source = path.parent if kind == "yolo" else path
        found = read_labels(kind, source, FrameSizes([], lambda _: None, Size(200, 100)))
        for other in ("via", "yolo", "cvat", "label-studio", "coco"):
            with suppress(ClipquarryError):
                make_labels(other, found, Path("out"))

    return read


def labelled(kind: str) -> bytes:
    boxes_of = [
        FrameBox(31, 1.5, 2.0, 60.0, 90.0, 3, ("stand", "a <b>")),
        FrameBox(61, 1.0, 2.0, 9.0, 9.0, None, ("sit",), 0.5),
    ]
    made = make_labels(
        kind, Found([Clip("a", Size(200, 100), boxes_of)]), Path("a.xml" if kind == "cvat" else "a.json"), scores=True
    )
    return (next(iter(made.texts.values())) if made.text is None else made.text).encode()


def packed(kind: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=kind, format=tarfile.PAX_FORMAT) as tar:
        for name in (f"a/{A}_000001_000011.mp4", "ü" * 60 + ".txt"):
            info = tarfile.TarInfo(name)
            info.size = 300
            tar.addfile(info, io.BytesIO(b"x" * 300))
    return buffer.getvalue()


def zipped(compression: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name in (f"a/{A}_000001_000011.mp4", "ü" * 60 + ".txt"):
            archive.writestr(name, b"x" * 300)
    return buffer.getvalue()


def catalog() -> bytes:
    row = {"item_id": "val/a", "split": "val", "status": "done", "reason": "ok", "evidence": "", "row": 2}
    with tempfile.TemporaryDirectory() as folder:
        write_rows(
            Path(folder) / "c.parquet",
            schema_of(CATALOG_FIELDS, "catalog"),
            [{**row, "item_id": f"val/{n}"} for n in range(30)],
        )
        return (Path(folder) / "c.parquet").read_bytes()


def jpeg() -> bytes:
    import cv2

    return bytes(cv2.imencode(".jpg", np.tile(np.arange(64, dtype=np.uint8), (48, 1)))[1])


def as_json(**value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def written_lock(folder: Path) -> bytes:
    rows = [LockRow(f"k/a/{n}.mp4", f"{A}_000001_000011", "train", 1, "0" * 64, 10, 10.0, 250) for n in range(3)]
    write_lock(folder / "seed.lock", LockHeader("kinetics400", "abc", {"train": "0" * 64}), rows)
    return (folder / "seed.lock").read_bytes()


GYM = as_json(**{A: {"E_000001_000004": {"event": 1, "timestamps": [[1.5, 4]], "segments": {
    "A_0000_0002": {"stages": 2, "timestamps": [[0.1, 0.5], [0.5, 1.9]]}}}, "E_000005_000006": {"segments": None, "timestamps": [[5, 6]]}}})  # fmt: skip
KINETICS = "label,youtube_id,time_start,time_end,split,is_cc,url\n" + "".join(
    f'"{label}",abcdefghij{n},{n},{n + 10},val,0,"a, ""b"""\n' for n, label in enumerate(("abseiling", "it's (a) class"))
)  # fmt: skip
BOX_ROWS = f"{A},0902,0.077,0.151,0.283,0.811,80,1\n{A},0903,.5,1e-3,1.0,1,9,0\n"
RAW_ROWS = f"{A},22.070270,0.077,0.151,0.283,0.811,80\n{A},9.000000\n"
NAMES = 'item {\n  name: "bow"\n  id: 2\n}\nlabel {\n  name: "stand"\n  label_id: 12\n  label_type: X\n}\n'
PROPOSALS = {f"{A},0902": np.array([[0.1, 0.2, 0.3, 0.4, 0.9]]), f"{A},0903": [[0.1, 0.2, 0.3, 0.4]]}
TEMPORAL = b"# 0\na\n9\n1\n1\n7 0.1 0.5\n1\n7 0.9 0.8 0.1 0.4\n# 1\nb\n9\n1\n0\n0\n"
JSON_LIST = json.dumps([{"filename": "a/b.mp4", "label": [1]}, {"frame_dir": "a/b", "total_frames": 3, "label": [1]}])

READERS: dict[str, tuple[str, bytes, Callable[[Path], Any]]] = {
    "kinetics csv": ("a.csv", KINETICS.encode(), lambda path: build_catalog({"val": path, "train": path}, path.with_name("c.parquet"))),
    "ava csv": ("a.csv", BOX_ROWS.encode(), boxes("ava")),
    "ava-kinetics csv": ("a.csv", RAW_ROWS.encode(), boxes("ava_kinetics")),
    "excluded seconds": ("a.csv", f"{A},0904\n\n{A},0905\n".encode(), boxes("excluded")),
    "action list": ("a.pbtxt", NAMES.encode(), actions),
    "label map": ("a.txt", b"abseiling\nit's (a) class\n", read_label_map),
    "list of videos": ("a.txt", b"a/b.mp4 1\nc/d.mp4 2\n", lists("videos")),
    "list of many labels": ("a.txt", b"a/b.mp4 1 2\nc/d.mp4 2\n", lists("videos", multi_label=True)),
    "list of frames": ("a.txt", b"a/b 30 1\nc/d 20 2\n", lists("rawframes")),
    "list of frames with offsets": ("a.txt", b"a/b 1 30 1\nc/d 1 20 2\n", lists("rawframes", with_offset=True)),
    "list of temporal proposals": ("a.txt", TEMPORAL, lambda path: list(read_blocks(path, normalised=True))),
    "list of temporal proposals in frames": ("a.txt", TEMPORAL.replace(b"0.", b""), lambda path: list(read_blocks(path, normalised=False))),
    "labelled intervals": ("Diving_val.txt", b"video_validation_0000001  0.5 1.5\nvideo_validation_0000001 2 3\n", intervals),
    "annotation of FineGYM": ("a.json", GYM, finegym),
    "list of FineGYM": ("a.txt", f"{A}_E_000001_000004_A_0000_0002 98\n".encode(), finegym_list),
    "list as JSON": ("a.json", JSON_LIST.encode(), lists("videos")),
    **{f"pickle {protocol}": ("a.pkl", pickle.dumps(PROPOSALS, protocol=protocol), read_proposals) for protocol in range(6)},
    "labels of VIA": ("a.json", labelled("via"), labels("via")),
    "labels of YOLO": ("a_000031.txt", labelled("yolo"), labels("yolo")),
    "labels of CVAT": ("a.xml", labelled("cvat"), labels("cvat")),
    "labels of Label Studio": ("a.json", labelled("label-studio"), labels("label-studio")),
    "labels of COCO": ("a.json", labelled("coco"), labels("coco")),
    "yaml": ("a.yaml", (PACKAGED / "ava.yaml").read_bytes(), load_spec),
    "tar": ("a.tar", packed("w"), archive),
    "tar.gz": ("a.tar.gz", packed("w:gz"), archive),
    "zip": ("a.zip", zipped(zipfile.ZIP_DEFLATED), archive),
    "zip without compression": ("a.zip", zipped(zipfile.ZIP_STORED), archive),
    "list of archives": ("a.txt", b"http://h/part_0.tar.gz\npart_1.tar.gz\n\n", parts),
    "list of file names": ("a.txt", f"{A}.mkv\nBBBBBBBBBBB.mp4\n".encode(), lambda path: list(_file_names(path))),
    "picture": ("a.jpg", jpeg(), picture),
    "catalog": ("a.parquet", catalog(), table),
    "run file": ("a.json", as_json(dataset="kinetics400", run="one", kind="full", number=3, egress="default", started=NOW.isoformat(),
                                  params={"splits": ["val"], "limit": 3, "sources": ["youtube"]}, inherited={}, left=3, nothing_due=False,
                                  stops=[{"at": NOW.isoformat(), "until": NOW.isoformat(), "why": "x"}], tools={"a": "1"}), run_file),
    "summary": ("a.json", as_json(title="K", at=NOW.isoformat(), level="good", word="Complete", headline="x", gates={"clips": "passed"},
                                  counts={"expected": 3, "present": 3, "missing": 0, "rejected": 0, "failed": 0, "not_asked": 0}), summary),
    "gate": ("a.json", as_json(schema="gate-result/v1", gate="clips", verdict="pass", sentence="x", rows=0, rows_file="x.csv", seconds=1.0,
                               checks=[{"id": "a.b", "title": "x", "severity": "error", "success": False, "unexpected": 3, "worst": [{"item_id": "a"}]}]), gate),
    "notes": ("a.json", as_json(bytes=3, mtime_ns=4, sha256="0" * 64, key="k", state="open", reason="http_429", evidence="x", row=1,
                                opened_at=1.0, wait=3600.0, heard=[["a", "http_429"]], asking={"h:1:1": 1.0}, event="opened", at=NOW.isoformat()), notes),
    "known files": ("a.json", as_json(**{"annotations/kinetics_val.csv": {"source": "x", "sha256": "0" * 64, "run": "one"}}), known_files),
}  # fmt: skip


def attack(folder: Path, name: str, seed: bytes, read: Callable[[Path], Any], examples: int) -> None:
    failures: list[str] = []

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 1 << 32))
    def one(number: int) -> None:
        body = mutated(seed, random.Random(number))
        (folder / name).write_bytes(body)
        try:
            read(folder / name)
        except ClipquarryError as error:
            if len(str(error)) > 1500 or "\n" in str(error):
                failures.append(f"not one sentence: {str(error)[:200]!r} for {body[:300]!r}")
        except Exception as error:
            failures.append(f"{error!r} for {body[:300]!r}")

    read_whole = folder / name
    read_whole.write_bytes(seed)
    read(read_whole)
    one()
    assert failures == []


@pytest.mark.parametrize("reader", READERS)
def test_mutated_files_are_read_or_refused(tmp_path: Path, reader: str) -> None:
    attack(tmp_path, *READERS[reader], EXAMPLES)


def test_mutated_locks_are_read_or_refused(tmp_path: Path) -> None:
    attack(tmp_path, "a.lock", written_lock(tmp_path), lock, EXAMPLES)


REAL = {
    "ava_sample.csv": boxes("ava"),
    "ava_kinetics_kinetics_test_v1.0.csv": boxes("ava_kinetics"),
    "ava_excluded_timestamps_sample.csv": boxes("excluded"),
    "ava_action_list_v2.1_for_activitynet_2018.pbtxt": actions,
    "ava_proposals_sample.pkl": read_proposals,
    "kinetics400_val.csv": READERS["kinetics csv"][2],
    "kinetics400_test.csv": lambda path: build_catalog({"test": path}, path.with_name("c.parquet")),
}


@pytest.mark.parametrize("name", REAL)
def test_mutated_real_files_are_read_or_refused(tmp_path: Path, shared: Path, name: str) -> None:
    seed = (shared / "real/annotations" / name).read_bytes()
    if name.endswith(".csv"):  # the beginning is enough
        seed = seed[: seed.index(b"\n", min(len(seed) - 1, 4000)) + 1]
    attack(tmp_path, name, seed, REAL[name], 15)
