"""The section "Boxes" of the report: labelled persons, proposals, and the frames that they lie on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.options import boxes_options
from clipquarry.families.boxes.report.collect import collect_boxes
from clipquarry.families.boxes.report.data import Boxes
from clipquarry.families.boxes.report.key_frames import drawings
from clipquarry.families.boxes.report.own_collect import collect_own
from clipquarry.families.boxes.report.own_data import OwnBoxes
from clipquarry.report.section import Section


def _collect(spec: DatasetSpec, data: Path, folder: Path, params: Mapping[str, Any]) -> Boxes | OwnBoxes | None:
    collect = collect_own if boxes_options(spec).items == "crops" else collect_boxes
    return collect(spec, data, folder, params)


def _plots(boxes: Boxes | OwnBoxes) -> Mapping[str, str | None]:
    from clipquarry.families.boxes.report.own_plots import own_plots  # loads matplotlib
    from clipquarry.families.boxes.report.plots import all_plots

    return own_plots(boxes) if isinstance(boxes, OwnBoxes) else all_plots(boxes)


def _values(boxes: Boxes | OwnBoxes, root: Path) -> Mapping[str, Any]:
    return {"drawings": drawings(boxes.key_frames, root)}


SECTION = Section("boxes", Path(__file__).with_name("boxes.html.j2"), _collect, _plots, _values)
