"""What killed writers left half-made is removed when a run begins."""

from __future__ import annotations

from clipquarry.files import sweep_unfinished
from clipquarry.pipeline.context import RunContext
from clipquarry.store import Store

HALF_MADE_SECONDS = 3600
"""How long a half-made thing whose maker is not known to be dead must lie untouched beside what others use."""

_SHARED = ("state", "announced", "annotations", "models")
"""Folders of the private folder that all data sets write into."""


def sweep(ctx: RunContext) -> None:
    """Remove half-made things from the run folders, the releases, the shared folders and the layout of a data set.

    Folders of images are not looked into. What ``scratch`` holds is swept by ``fetch``.
    """
    Store(ctx.data.store).sweep(HALF_MADE_SECONDS)
    sweep_unfinished(ctx.data.runs(ctx.spec.name))
    sweep_unfinished(ctx.data.release(ctx.spec.name), depth=0)
    for name in _SHARED:
        sweep_unfinished(ctx.data.private / name, older_than=HALF_MADE_SECONDS, depth=0)
    # Lists, annotations, proposals; a folder of the layout may be a link to another disk, and is looked into by its own name.
    sweep_unfinished(ctx.data.dataset(ctx.spec.root), older_than=HALF_MADE_SECONDS, depth=1)
    classes = 1 if ctx.spec.annotation_format == "kinetics_csv" and ctx.spec.arrangement != "flat" else 0
    for name in ("videos", "resized", "excerpts", "rawframes"):
        for part in ctx.spec.parts if ctx.spec.layout.get(name) else ():
            folder = ctx.data.dataset(ctx.spec.root, ctx.spec.layout[name].format(part=part))
            sweep_unfinished(folder, older_than=HALF_MADE_SECONDS, depth=classes)
