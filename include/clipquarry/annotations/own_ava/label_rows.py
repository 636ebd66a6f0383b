r"""Rows of labels (``video,second,x1,y1,x2,y2,action``) out of labelled projects.

Source: ``json_extract.py`` of Whiffe/Custom-ava-dataset_Custom-Spatio-Temporally-Action-Video-Dataset (``train_without_personID.csv``).
Boxes are fractions of the frame with Python's full text of a float; what is clipped is written ``0`` or ``1``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from clipquarry.annotations.own_ava.actions import Kind, offsets
from clipquarry.annotations.own_ava.key_frames import FPS, parse_frame_name, second_of
from clipquarry.annotations.own_ava.via_project import Project, Size

Box = tuple[float, float, float, float]
"""``x1, y1, x2, y2`` in fractions of the frame; an int 0 or 1 is a clipped value."""


class LabelRow(NamedTuple):
    """An action of a person in a key second: ``second`` of the crop from 0, ``action`` from 1."""

    video: str
    second: int
    box: Box
    action: int

    def fields(self) -> list[str]:
        """The seven texts of its line."""
        return [self.video, str(self.second), *(str(one) for one in self.box), str(self.action)]


def rows_of(
    project: Project, size: Size | Mapping[str, Size] | Callable[[str], Size], *, fps: int = FPS
) -> Iterator[LabelRow]:
    """A row for each chosen option: regions in the project's order, attributes in theirs, options in their order.

    ``size``: of all frames, or by the file's name. Action ids count over all attributes, sorted by id; free texts give no rows.
    """
    before = offsets(project.attributes)
    for region in project.regions.values():
        name = project.file_of(region).name
        frame = parse_frame_name(name)
        of_frame = size if isinstance(size, Size) else size[name] if isinstance(size, Mapping) else size(name)
        box = _fractions(region.box, of_frame)
        for attribute, chosen in region.choices.items():
            if project.attributes[attribute].kind in (Kind.TEXT, Kind.IMAGE):
                continue
            for option in chosen.split(",") if chosen else ():
                yield LabelRow(frame.video, second_of(frame.number, fps), box, before[attribute] + int(option) + 1)


def _fractions(box: tuple[float, float, float, float], size: Size) -> Box:
    x, y, width, height = box
    corners = (x / size.width, y / size.height, (x + width) / size.width, (y + height) / size.height)
    x1, y1, x2, y2 = (0 if one < 0 else 1 if one > 1 else one for one in corners)
    return x1, y1, x2, y2


def lines(rows: Iterable[Iterable[str]], *, crlf: bool = False) -> bytes:
    r"""Rows of texts as a list without header, each with its line end: ``\n``, or CRLF as upstream writes."""
    end = "\r\n" if crlf else "\n"
    return "".join(f"{','.join(row)}{end}" for row in rows).encode()


def rows_text(rows: Iterable[LabelRow], *, crlf: bool = False) -> bytes:
    """The rows as :func:`lines` writes them."""
    return lines((row.fields() for row in rows), crlf=crlf)
