"""The final files of labelled crops, as mmaction2's ``AVADataset`` reads them.

Source: the folder ``annotations/`` of Whiffe/Custom-ava-dataset_Custom-Spatio-Temporally-Action-Video-Dataset. Functions return
bytes; :func:`write_split` and :func:`write_common` write them, each file whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from clipquarry.annotations.action_list import write_action_list
from clipquarry.annotations.own_ava.actions import Attributes, action_names
from clipquarry.annotations.own_ava.key_frames import video_problem
from clipquarry.annotations.own_ava.label_rows import lines
from clipquarry.annotations.own_ava.person_ids import PersonRow, Track
from clipquarry.annotations.proposals import Boxes, write_proposals
from clipquarry.errors import UserError
from clipquarry.files import writing

INCLUDED = "included_timestamps.txt"
ACTIONS = "action_list.pbtxt"


def labels_csv(rows: Iterable[PersonRow], *, crlf: bool = False) -> bytes:
    """Eight columns ``video,second,x1,y1,x2,y2,action,person``: no header, seconds not padded, full texts of floats.

    Raises :class:`UserError` for a person without id or a name that the list cannot hold.
    """
    return lines((_checked(row).fields() for row in rows), crlf=crlf)


def _checked(one: PersonRow) -> PersonRow:
    if one.person < 0:
        raise UserError(f"A person of {one.row.video} at second {one.row.second} has no id: complete the ids first.")
    if problem := video_problem(one.row.video):
        raise UserError(f"The crop's name {one.row.video[:80]!r} {problem}: rename the video.")
    return one


def excluded_csv(keys: Iterable[tuple[str, int]] = (), *, crlf: bool = False) -> bytes:
    """``video,second`` a line, four digits as in AVA's own list; empty where nothing is excluded."""
    return lines(((video, f"{second:04d}") for video, second in keys), crlf=crlf)


def included_txt(seconds: Iterable[int]) -> bytes:
    """The labelled seconds, sorted, two digits or more, one a line, without a line end behind the last."""
    return "\n".join(f"{second:02d}" for second in sorted(set(seconds))).encode()


def action_list(attributes: Attributes) -> bytes:
    """``item { name id }`` records in the order of ids, as :func:`~clipquarry.annotations.action_list.write_action_list` does."""
    names = action_names(attributes)
    return "".join(f'item {{\n  name: "{name}"\n  id: {action}\n}}\n' for action, name in names.items()).encode()


def split_names(split: str) -> dict[str, str]:
    """The names of a split's files: ``labels``, ``excluded`` and ``proposals``."""
    return {
        "labels": f"{split}.csv",
        "excluded": f"{split}_excluded_timestamps.csv",
        "proposals": f"dense_proposals_{split}.pkl",
    }


def write_split(
    folder: Path,
    split: str,
    rows: Sequence[PersonRow],
    proposals: Mapping[str, Boxes],
    *,
    excluded: Sequence[tuple[str, int]] = (),
    crlf: bool = False,
) -> list[Path]:
    """Write a split's three files. Raises :class:`UserError` before anything is written if rows cannot be."""
    names = split_names(split)
    texts = {names["labels"]: labels_csv(rows, crlf=crlf), names["excluded"]: excluded_csv(excluded, crlf=crlf)}
    write_proposals(proposals, folder / names["proposals"])
    return [folder / names["proposals"], *(_write(folder / name, content) for name, content in texts.items())]


def seen_name(split: str) -> str:
    """The reference's name of the list of who was tracked at the labelled seconds of a split."""
    return f"{split}_personID.csv"


def seen_fields(one: Track) -> list[str]:
    """The seven texts of a tracked person's line, ``video,second,x1,y1,x2,y2,id``: four digits of the second, ids from 1."""
    return [one.video, f"{one.second:04d}", *(repr(float(side)) for side in one.box), str(one.person)]


def write_seen(path: Path, seen: Iterable[Track]) -> None:
    """Write that list in the form of ``yolov5_to_deepsort.py``: CRLF, without header."""
    path.write_bytes(lines((seen_fields(one) for one in seen), crlf=True))


def copy_split(folder: Path, split: str, other: str) -> list[Path]:
    """Copy a split's files to those of another split, as upstream does with train and val."""
    names = zip(split_names(split).values(), split_names(other).values(), strict=True)
    return [_write(folder / copy, (folder / name).read_bytes()) for name, copy in names]


def write_common(folder: Path, attributes: Attributes, seconds: Iterable[int]) -> list[Path]:
    """Write the list of actions and the list of labelled seconds, which all splits share."""
    write_action_list(action_names(attributes), folder / ACTIONS)
    return [folder / ACTIONS, _write(folder / INCLUDED, included_txt(seconds))]


def _write(path: Path, content: bytes) -> Path:
    with writing(path, "wb") as handle:
        handle.write(content)
    return path
