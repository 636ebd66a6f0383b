"""The parts of a run, in order, for each annotation format: the command line walks them, and the DAGs are made of them.

Nothing heavy is imported: DAG files read this at parse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from clipquarry.datasets.model import AnnotationFormat

Pool = Literal["clipquarry_egress", "clipquarry_cpu"]
EGRESS: Pool = "clipquarry_egress"
"""Tasks that ask the internet."""
CPU: Pool = "clipquarry_cpu"
"""Tasks that decode, encode or read whole tables."""


@dataclass(frozen=True)
class Part:
    """A stage of the pipeline, or a step (``is_step``) that is mapped over its shards.

    ``needs`` are the parts before it, by name; empty: the one above. ``always``: runs whatever happened before it.
    ``outlet``: what others may wait for when it ends well (``videos`` is the asset ``{dataset}/videos``).
    """

    name: str
    needs: tuple[str, ...] = ()
    pool: Pool = CPU
    is_step: bool = False
    always: bool = False
    outlet: str = ""


def _step(name: str, *needs: str, pool: Pool = CPU) -> Part:
    return Part(name, needs, pool, is_step=True)


def _chained(*parts: Part) -> tuple[Part, ...]:
    """The parts with what they need written out."""
    before = ""
    chained = []
    for part in parts:
        needs = part.needs or ((before,) if before else ())
        chained.append(Part(part.name, needs, part.pool, part.is_step, part.always, part.outlet))
        before = part.name
    return tuple(chained)


_BEGIN = (Part("annotations", pool=EGRESS), Part("gate_annotations"), Part("plan"))
# A record is made also after failed shards; a failed plan still stops what follows it.
_RECORD = (Part("record", always=True), Part("gate_clips", ("record", "plan"), outlet="videos"))
_END = (Part("release", outlet="release"), Part("report", always=True))

GRAPHS: dict[AnnotationFormat, tuple[Part, ...]] = {
    "kinetics_csv": _chained(
        *_BEGIN,
        _step("unpack", pool=EGRESS),
        _step("fetch", pool=EGRESS),
        *_RECORD,
        _step("resize"),
        _step("frames", "gate_clips"),
        Part("gate_frames", ("resize", "frames"), outlet="frames"),
        Part("lists"),
        Part("gate_lists", outlet="lists"),
        *_END,
    ),
    "ava_csv": _chained(
        *_BEGIN,
        _step("download", pool=EGRESS),
        *_RECORD,
        _step("excerpt"),
        Part("gate_frames", outlet="frames"),
        _step("detect"),
        Part("proposals", pool=EGRESS),
        Part("gate_proposals"),
        *_END,
    ),
    "ava_kinetics_csv": _chained(
        *_BEGIN,
        _step("fetch", pool=EGRESS),
        *_RECORD,
        _step("frames"),
        Part("gate_frames", outlet="frames"),
        Part("boxes"),
        Part("gate_boxes"),
        _step("detect"),
        Part("proposals"),
        Part("gate_proposals"),
        Part("merge"),
        Part("gate_merged"),
        *_END,
    ),
}
"""Every part names what it needs."""


def graph_of(format_: AnnotationFormat | None) -> tuple[Part, ...]:
    """The parts of a runnable data set's run."""
    assert format_ is not None, "a data set without annotation format has no run"
    return GRAPHS[format_]


def steps_of(format_: AnnotationFormat | None) -> list[str]:
    """Names of the steps, in order."""
    return [part.name for part in graph_of(format_) if part.is_step]


def stages_of(format_: AnnotationFormat | None) -> Iterator[str]:
    """Names of the stages that run in a worker, in order; ``fetch_shards`` makes the shards of the step ``fetch``."""
    for part in graph_of(format_):
        yield f"{part.name}_shards" if part.is_step else part.name
