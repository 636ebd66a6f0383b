"""``make demo-ava``: AVA in small, whose people are found by the embedded detector."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from clipquarry.demo.ava_set import GONE, YOURS, AvaSet, make_ava_set
from clipquarry.demo.deployment import Deployment, Ran
from clipquarry.demo.films import START, OwnFilm, own_film
from clipquarry.files import read_json

DATASET = "ava_demo"
PARAMS = {"shards": 1}


def run_demo(home: Path, project: Path, film: Path | None = None) -> None:
    """Make the films, serve them, run the DAG, say what happened and who was found. ``film``: one of the user's."""
    own = own_film(film) if film is not None else None  # what is wrong with it is told before any work
    demo = Deployment(home, project, DATASET)
    demo.begin()
    made = make_ava_set(home / "origin", own)
    for sentence in _what_is_in_them(made, film, own):
        print(sentence)
    what = f"serves {len(made.films) - len(made.plan)} films and plays {len(made.plan)} dead link ({GONE.name})"
    with demo.serving(made.folder, made.plan, what) as url:
        ran = demo.run(url, DATASET, PARAMS)
    demo.tell(f"the DAG {DATASET}", ran)
    for sentence in _who_was_found(demo, ran):
        print(f"  {sentence}")
    print(f"report:    {demo.report(ran) / 'index.html'}")
    print(f"release:   {demo.data.release(DATASET) / ran.name}")
    print(f"proposals: {demo.data.dataset(DATASET, 'annotations')}/ava_dense_proposals_*.hog.pkl")
    print("look at it in Airflow: make demo-ava-up")


def _what_is_in_them(made: AvaSet, film: Path | None, own: OwnFilm | None) -> Iterator[str]:
    yield (
        f"films: people walk and watch from second {START} on, behind one picture that is shown for a quarter of an hour"
    )
    if own is not None:
        again = "" if own.seconds > YOURS.seconds - 1 else f" ({own.seconds:.1f} s, again and again)"
        yield (
            f"your film: {film}{again} is {YOURS.name}, all of the split val. Nobody has labelled it: its key frames are "
            "excluded from every count, and the box in the report is the whole picture"
        )


def _who_was_found(demo: Deployment, ran: Ran) -> Iterator[str]:
    """Two numbers a split, from the report: key frames with people, and labelled people that were found."""
    boxes = read_json(demo.report(ran) / "report.json").get("boxes") or {}
    recall = {row["name"]: row for row in boxes.get("recall", ())}
    key_frames = {row["split"]: row["key_frames"] for row in boxes.get("splits", ())}
    for row in boxes.get("proposals", ()):
        split = row["split"]
        without = _without_images(demo, ran, split)
        lost = f" ({without} have no image: their film is missing or ends before them)" if without else ""
        said = f"people in {split}: {row['boxes']} proposals on {row['keys']} of {key_frames[split]} key frames{lost}"
        if split in recall:  # not where all is excluded
            truth = recall[split]
            said += f"; {truth['found'][0]} of {truth['persons']} labelled people are met by one (IoU 0.5)"
        yield said


def _without_images(demo: Deployment, ran: Ran, split: str) -> int:
    """Key frames that the release leaves out."""
    table = demo.data.release(DATASET) / ran.name / f"left_out_of_ava_{split}_v2.2.csv"
    if not table.is_file():
        return 0
    with table.open(newline="") as handle:
        return sum(1 for _ in csv.DictReader(handle))
