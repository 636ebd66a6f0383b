"""AVA and AVA-Kinetics in small: annotation files placed by hand, films with a drawn person in a folder or behind a server."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clipquarry.annotations.proposals import write_proposals
from clipquarry.families.boxes.sample.data_set import pbtxt
from clipquarry.families.boxes.sample.walkers import box, make_walk
from clipquarry.pipeline.context import Kind, RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.run import run_all
from clipquarry.settings import DataRoot, Settings
from once import shared_folder

FILM, SHORT, GONE, VAL = "-5KQ66BBWC4", "0f39OWEqJ24", "gone_film_0", "val-film_01"
AVA_SECONDS = (902, 903, 905)
ACTIONS = {1: "bend/bow (at the waist)", 12: "stand", 80: "watch (a person)"}
KINETICS, OTHER, NET = "kin_clip-00", "-kin_clip_1", "net-clip_02"


@pytest.fixture(scope="session")
def box_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film that ends at 908 s, one that ends before the excerpt begins, one for val that ends at 907 s, and one of YouTube's."""
    with shared_folder(tmp_path_factory, "box_films") as folder:
        if not (folder / f"{NET}.mp4").exists():
            make_walk(folder / f"{FILM}.mkv", 908)
            make_walk(folder / f"{SHORT}.mp4", 30)
            make_walk(folder / f"{VAL}.mp4", 907)
            make_walk(folder / f"{NET}.mp4", 70, fps=10)
    return folder


def link_films(films: Path, folder: Path) -> Path:
    """A folder of one's own with the same films, to which others may be added."""
    folder.mkdir(parents=True, exist_ok=True)
    for film in films.iterdir():
        os.link(film, folder / film.name)
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def serve(folder: Path) -> tuple[ThreadingHTTPServer, str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_address[1]}"


def ava_row(video: str, second: int, action: int, person: int = 0) -> str:
    return f"{video},{second:04d},{','.join(f'{value:.3f}' for value in box(second))},{action},{person}\n"


def place_ava(data: Path) -> None:
    """AVA's annotation files: two films in train (one of them is nowhere), one in val; a second excluded."""
    folder = data / "ava/annotations"
    folder.mkdir(parents=True)
    rows = {"train": [FILM, SHORT, GONE], "val": [VAL]}
    for split, films in rows.items():
        text = "".join(ava_row(film, s, a) for film in films for s in AVA_SECONDS for a in (12, 80))
        (folder / f"ava_{split}_v2.2.csv").write_text(text)
        (folder / f"ava_{split}_excluded_timestamps_v2.2.csv").write_text(f"{films[0]},0904\n\n")
        proposals = {f"{film},{s:04d}": np.array([[*box(s), 0.99]]) for film in films for s in AVA_SECONDS}
        write_proposals(proposals, folder / f"ava_dense_proposals_{split}.FAIR.recall_93.9.pkl")
    (folder / "ava_action_list_v2.2.pbtxt").write_text(pbtxt(ACTIONS))
    (folder / "ava_action_list_v2.2_for_activitynet_2019.pbtxt").write_text(
        pbtxt({12: "stand", 80: "watch (a person)"})
    )
    (folder / "ava_file_names_trainval_v2.1.txt").write_text(f"{FILM}.mkv\n{SHORT}.mp4\n{GONE}.mp4\n{VAL}.mp4\n")


def place_flat(data: Path) -> None:
    """The raw csvs once more, for the flat layout: one film, two key seconds, one of them without boxes."""
    folder = data / "ava_kinetics_flat/ava_kinetics_v1_0"
    folder.mkdir(parents=True)
    coordinates = ",".join(f"{value:.3f}" for value in box(55))
    (folder / "kinetics_train_v1.0.csv").write_text(
        f"{NET},55.400000,{coordinates},12\n{NET},2.000000,{coordinates},80\n"
    )
    (folder / "kinetics_val_v1.0.csv").write_text(f"{SHORT},20.000000,{coordinates},12\n{SHORT},25.250000\n")
    (folder / "kinetics_test_v1.0.csv").write_text(f"{VAL},20.000000\n")
    (folder / "ava_action_list_v2.2.pbtxt").write_text(pbtxt(ACTIONS))


def place_kinetics(data: Path) -> None:
    """AVA-Kinetics' and Kinetics-700's annotation files: three windows in train, one of them of a clip that is not on disk."""
    folder = data / "ava_kinetics/ava_kinetics_v1_0"
    folder.mkdir(parents=True)
    times = {KINETICS: 17.07, OTHER: 33.0, NET: 55.4}
    lines = [
        f"{video},{time:.6f},{','.join(f'{value:.3f}' for value in box(time))},{action}\n"
        for video, time in times.items()
        for action in (12, 80)
    ]
    lines.append(f"{KINETICS},18.000000\n")
    for split, text in (
        ("train", "".join(lines)),
        ("val", "val_clip-00,5.000000\n"),
        ("test", "test_clip-0,7.000000\n"),
    ):
        (folder / f"kinetics_{split}_v1.0.csv").write_text(text)
    (folder / "ava_action_list_v2.2.pbtxt").write_text(pbtxt(ACTIONS))
    (folder / "ava_action_list_v2.2_for_activitynet_2019.pbtxt").write_text(
        pbtxt({12: "stand", 80: "watch (a person)"})
    )
    csvs = data / "kinetics700/annotations"
    csvs.mkdir(parents=True)
    clips = {
        "train": [(KINETICS, 12), (OTHER, 30), (NET, 50)],
        "val": [("val_clip-00", 1)],
        "test": [("test_clip-0", 2)],
    }
    for split, found in clips.items():
        rows = "".join(f"it's (a) class,{video},{start},{start + 10},{split},1\n" for video, start in found)
        (csvs / f"kinetics_{split}.csv").write_text("label,youtube_id,time_start,time_end,split,is_cc\n" + rows)
    for video, start in clips["train"][:2]:
        clip = data / f"kinetics700/videos_train/it's_(a)_class/{video}_{start:06d}_{start + 10:06d}.mp4"
        make_walk(clip, 10, fps=25, start=start)


def place_cut(data: Path) -> None:
    """The raw csvs for what is cut out of Kinetics-700's clips, and those clips: one whole, one that ends four seconds early,
    one that is nowhere; and a key frame that fits no clip.
    """
    place_kinetics(data)
    coordinates = ",".join(f"{value:.3f}" for value in box(17.07))
    rows = {
        "train": [f"{KINETICS},17.070000,{coordinates},12", f"{KINETICS},13.000000,{coordinates},80", f"{KINETICS},90.000000,{coordinates},12",
                  f"{NET},58.600000,{coordinates},12", f"{NET},54.400000,{coordinates},12"],
        "val": [f"{SHORT},20.000000,{coordinates},12", f"{SHORT},25.250000"],
        "test": ["test_clip-0,7.000000", f"{VAL},20.000000"],
    }  # fmt: skip
    csvs = data / "kinetics700/annotations"
    with open(csvs / "kinetics_val.csv", "a") as handle:
        handle.write(f"it's (a) class,{SHORT},17,27,val,1\n")
    with open(csvs / "kinetics_test.csv", "a") as handle:
        handle.write(f"it's (a) class,{VAL},15,25,test,1\n")
    make_walk(data / f"kinetics700/videos_train/it's_(a)_class/{NET}_000050_000060.mp4", 6, fps=25, start=50)
    for name in ("ava_kinetics_flat_700", "ava_kinetics_flat"):
        folder = data / name / "ava_kinetics_v1_0"
        folder.mkdir(parents=True)
        for split, lines in rows.items():
            (folder / f"kinetics_{split}_v1.0.csv").write_text("".join(f"{line}\n" for line in lines))
        (folder / "ava_action_list_v2.2.pbtxt").write_text(pbtxt(ACTIONS))


class _Kept(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


@contextmanager
def logged(lines: list[str]) -> Iterator[None]:
    """What the product logs in the block is added to ``lines``."""
    logger, handler = logging.getLogger("clipquarry"), _Kept(lines)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class BoxWorld:
    """One data root."""

    def __init__(self, root: Path) -> None:
        self.settings = Settings(DataRoot(root), f"sqlite:///{root}/.clipquarry/ledger.sqlite")
        self.root = root
        root.mkdir(exist_ok=True)
        self.said: list[str] = []

    def context(self, dataset: str, run: str = "one", kind: Kind = "full", **params: Any) -> RunContext:
        return make_context(dataset, run, {"annotation_counts": "warn", **params}, kind=kind, settings=self.settings)

    def go(self, dataset: str, run: str = "one", kind: Kind = "full", **params: Any) -> RunContext:
        ctx = self.context(dataset, run, kind, **params)
        with logged(self.said):
            run_all(ctx)
        return ctx

    def tree(self, folder: str) -> dict[str, int]:
        """Files (and links) below a folder of the data root, with their sizes."""
        base = self.root / folder
        return {
            str(path.relative_to(base)): path.stat().st_size
            for path in sorted(base.rglob("*"))
            if path.is_file() or path.is_symlink()
        }


def unpickled(path: Path) -> dict[str, Any]:
    with open(path, "rb") as handle:
        return dict(pickle.load(handle))
