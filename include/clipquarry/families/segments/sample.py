"""The family's sample: a small THUMOS'14, whose annotations a person places, with a list of proposals for each split."""

from __future__ import annotations

from pathlib import Path

from clipquarry.demo.videos import make_video
from clipquarry.files import publish, temporary_beside, writing
from clipquarry.pipeline.sample import Sample, Served

SECONDS = 6
CLASSES = ("Diving", "LongJump")
_ID = {"val": "video_validation", "test": "video_test"}

INTERVALS: dict[str, dict[str, tuple[tuple[int, str, str], ...]]] = {
    "val": {
        "Diving": ((51, "0.5", "2.1"), (51, "3.0", "5.9"), (52, "1.0", "2.5")),
        "LongJump": ((52, "3.1", "4.4"), (53, "0.0", "6.0")),
        "Ambiguous": ((53, "1.2", "1.9"),),
    },
    "test": {
        "Diving": ((4, "0.2", "1.7"),),
        "LongJump": ((6, "2.0", "3.3"), (6, "4.0", "5.0")),
        "Ambiguous": (),
    },
}
"""By split and class: the number of the video, start and end in seconds."""


def video_name(split: str, number: int) -> str:
    """``video_validation_0000051``"""
    return f"{_ID[split]}_{number:07d}"


def videos_of(split: str) -> list[str]:
    """The annotated videos."""
    numbers = {number for rows in INTERVALS[split].values() for number, _, _ in rows}
    return [video_name(split, number) for number in sorted(numbers)]


def annotation(split: str, name: str) -> str:
    """The text of a class's file, spaced as the published ones are."""
    return "".join(f"{video_name(split, number)}  {start} {end}\n" for number, start, end in INTERVALS[split][name])


def proposal_text(split: str) -> str:
    """The published list: fractions of each video; two proposals for each interval, the second one is background."""
    blocks = []
    for index, video in enumerate(videos_of(split)):
        found = [
            (label, float(start) / SECONDS, float(end) / SECONDS)
            for label, name in enumerate(CLASSES, 1)
            for number, start, end in INTERVALS[split][name]
            if video_name(split, number) == video
        ]
        truths = "".join(f"{label} {start:.6f} {end:.6f}\n" for label, start, end in found)
        proposals = "".join(
            f"{label} 0.9000 0.9500 {start:.6f} {end:.6f}\n0 0.1000 0.2500 {start / 2:.6f} {end / 2:.6f}\n"
            for label, start, end in found
        )
        blocks.append(f"# {index}\n{video}\n1000\n1\n{len(found)}\n{truths}{2 * len(found)}\n{proposals}")
    return "".join(blocks)


def make_thumos(folder: Path) -> Served:
    """Make what is not there yet below ``folder`` (``videos/{split}/``, ``proposals/``, and ``placed/`` by hand)."""
    count = 0
    for split, classes in INTERVALS.items():
        for name in classes:
            with writing(folder / f"placed/annotations_{split}/{name}_{split}.txt") as handle:
                handle.write(annotation(split, name))
        with writing(folder / f"proposals/thumos14_tag_{split}_normalized_proposal_list.txt") as handle:
            handle.write(proposal_text(split))
        for video in videos_of(split):
            count += 1
            path = folder / f"videos/{split}/{video}.mp4"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = temporary_beside(path)
                make_video(temporary, SECONDS, fps=10, label=video, gop=20)
                publish(temporary, path)
    return Served(folder, {}, f"{count} videos and two lists of proposals", by_hand=folder / "placed")


SAMPLE = Sample(dataset="thumos14_demo", params={"frames": True, "shards": 2}, make=make_thumos)
