"""The section "Boxes" of the report: labelled persons, proposals, and the frames that they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipquarry.families.boxes.report.collect import collect_boxes
from clipquarry.families.boxes.report.data import Boxes
from clipquarry.families.boxes.report.key_frames import drawings
from clipquarry.report.section import Section


def _plots(boxes: Boxes) -> Mapping[str, str | None]:
    from clipquarry.families.boxes.report.plots import all_plots  # loads matplotlib

    return all_plots(boxes)


def _values(boxes: Boxes, root: Path) -> Mapping[str, Any]:
    return {"drawings": drawings(boxes.key_frames, root)}


SECTION = Section("boxes", Path(__file__).with_name("boxes.html.j2"), collect_boxes, _plots, _values)
