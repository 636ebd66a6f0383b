"""Suites of the gate ``frames`` of labelled intervals."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from clipquarry.datasets.model import DatasetSpec
from clipquarry.quality.engine import Suite
from clipquarry.quality.flow_suites import FLOW_CHECKS, flow_suites
from clipquarry.quality.frame_suites import FRAME_CHECKS, asked_clips, frame_suites, is_off
from clipquarry.quality.params import GateParams
from clipquarry.quality.tables import RunTables
from clipquarry.settings import DataRoot


def suites(spec: DatasetSpec, run: RunTables, data: DataRoot, params: GateParams) -> Iterator[Suite]:
    """The suites of the gate ``frames``."""
    if is_off(run, "frames", params.frames):
        skipped = [(name, "the frames stage was off") for name in (*FRAME_CHECKS, *FLOW_CHECKS)]
        yield Suite("frames", pd.DataFrame(), skipped=skipped)
    else:
        clips = asked_clips(run, spec)
        yield from frame_suites(spec, run, clips, data, params)
        yield from flow_suites(spec, run, clips, data, params)
