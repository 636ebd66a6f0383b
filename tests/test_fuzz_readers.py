"""Every reader of files that others write, over mutated good files: whatever is in them, only errors of our own come out, and never a traceback.

Seeds are written here as the published files are; where ``../shared`` is, real files are mutated too. The examples are the same in
every run, so that a failure is one for everybody.
"""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.acquire.answer import FetchFailed
from clipquarry.acquire.archives.volume_list import list_volumes
from clipquarry.acquire.archives.wanted import members
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
from clipquarry.datasets.load import PACKAGED, load_spec
from clipquarry.errors import ClipquarryError
from clipquarry.families.boxes.on_videos import _file_names
from clipquarry.people.frame_file import FrameError, read_frame
from fuzzing import EXAMPLES, A, as_json, attack


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


def jpeg() -> bytes:
    import cv2

    return bytes(cv2.imencode(".jpg", np.tile(np.arange(64, dtype=np.uint8), (48, 1)))[1])


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
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_mutated_files_are_read_or_refused(tmp_path: Path, reader: str) -> None:
    attack(tmp_path, *READERS[reader], EXAMPLES)


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
