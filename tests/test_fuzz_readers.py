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
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipyard.acquire.answer import NotHad
from clipyard.acquire.archive import members
from clipyard.acquire.download import Downloader
from clipyard.annotations.action_list import publish_action_list, read_action_list
from clipyard.annotations.ava_csv import write_boxes, write_key_frames
from clipyard.annotations.box_csv import Form, read_boxes
from clipyard.annotations.catalog import build_catalog
from clipyard.annotations.file_list import ListFormat, read_list
from clipyard.annotations.labels import read_label_map
from clipyard.annotations.proposals import read_proposals
from clipyard.datasets.load import PACKAGED, load_spec
from clipyard.errors import ClipyardError
from clipyard.release.lock import LockHeader, LockRow, open_lock, write_lock
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = 60
TOKENS = (
    b"", b"\n", b"\r", b"\r\n", b"\n\n", b",", b".", b"-", b"+", b'"', b"'", b" ", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85",
    "٣".encode(), b"0", b"1e999", b"nan", b"-1", b"1" * 40, b"9" * 5000, b"0x1F", b"12.0", b"x" * 9000, b"[" * 3000, b"{", b"}", b":", b"null",
    b"Infinity", b"!!int ''", b"*a", b"&a", b"../", b"(", b"q\xff", b"\x85" * 60, b"\x94", b"R", b"b", b"u", b".",
)  # fmt: skip
A = "AAAAAAAAAAA"


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
    except NotHad:
        pass


def actions(path: Path) -> None:
    read_action_list(path)
    publish_action_list(path, path.with_name("published.pbtxt"))


def packed(kind: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=kind, format=tarfile.PAX_FORMAT) as tar:
        for name in (f"a/{A}_000001_000011.mp4", "ü" * 60 + ".txt"):
            info = tarfile.TarInfo(name)
            info.size = 300
            tar.addfile(info, io.BytesIO(b"x" * 300))
    return buffer.getvalue()


def written_lock(folder: Path) -> bytes:
    rows = [LockRow(f"k/a/{n}.mp4", f"{A}_000001_000011", "train", 1, "0" * 64, 10, 10.0, 250) for n in range(3)]
    write_lock(folder / "seed.lock", LockHeader("kinetics400", "abc", {"train": "0" * 64}), rows)
    return (folder / "seed.lock").read_bytes()


KINETICS = "label,youtube_id,time_start,time_end,split,is_cc,url\n" + "".join(
    f'"{label}",abcdefghij{n},{n},{n + 10},val,0,"a, ""b"""\n' for n, label in enumerate(("abseiling", "it's (a) class"))
)  # fmt: skip
BOX_ROWS = f"{A},0902,0.077,0.151,0.283,0.811,80,1\n{A},0903,.5,1e-3,1.0,1,9,0\n"
RAW_ROWS = f"{A},22.070270,0.077,0.151,0.283,0.811,80\n{A},9.000000\n"
NAMES = 'item {\n  name: "bow"\n  id: 2\n}\nlabel {\n  name: "stand"\n  label_id: 12\n  label_type: X\n}\n'
PROPOSALS = {f"{A},0902": np.array([[0.1, 0.2, 0.3, 0.4, 0.9]]), f"{A},0903": [[0.1, 0.2, 0.3, 0.4]]}
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
    "list as JSON": ("a.json", JSON_LIST.encode(), lists("videos")),
    **{f"pickle {protocol}": ("a.pkl", pickle.dumps(PROPOSALS, protocol=protocol), read_proposals) for protocol in range(6)},
    "yaml": ("a.yaml", (PACKAGED / "ava.yaml").read_bytes(), load_spec),
    "tar": ("a.tar", packed("w"), archive),
    "tar.gz": ("a.tar.gz", packed("w:gz"), archive),
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
        except ClipyardError as error:
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
