"""Removal of unfinished files of killed writers when a run begins."""

from __future__ import annotations

from clipquarry.datasets.model import HERE
from clipquarry.files import sweep_unfinished
from clipquarry.pipeline.context import RunContext
from clipquarry.store import Store

HALF_MADE_SECONDS = 3600
"""Seconds that an unfinished file must be untouched in a shared folder if its writer is not known to be dead."""


def sweep(ctx: RunContext) -> None:
    """Remove half-made things from the run folders, the releases, the shared folders and the layout of a data set.

    Frame folders are not searched. In ``scratch`` only unfinished files near the top are removed here, such as the facts of a kept
    source. The steps that fetch sweep the rest.
    """
    Store(ctx.data.store).sweep(HALF_MADE_SECONDS)
    sweep_unfinished(ctx.data.runs(ctx.spec.name))
    sweep_unfinished(ctx.data.release(ctx.spec.name), depth=0)
    for folder in ctx.data.written_by_all:
        sweep_unfinished(folder, older_than=HALF_MADE_SECONDS, depth=0)
    sweep_unfinished(ctx.data.scratch, older_than=HALF_MADE_SECONDS, depth=1)
    # Lists, annotations, proposals; a folder of the layout may be a link to another disk, and is searched by its own name.
    sweep_unfinished(ctx.data.dataset(ctx.spec.root), older_than=HALF_MADE_SECONDS, depth=1)
    classes = ctx.spec.item.level - 1
    for name in ("videos", "resized", "excerpts", "rawframes", "audio", "audio_features", "features"):
        for split in ctx.spec.splits if ctx.spec.layout.get(name) else ():
            if ctx.spec.folder(name, split) == HERE:  # searched above
                continue
            folder = ctx.data.dataset(ctx.spec.root, ctx.spec.folder(name, split))
            sweep_unfinished(folder, older_than=HALF_MADE_SECONDS, depth=classes)
    if "sources" in ctx.spec.layout:
        folder = ctx.data.dataset(ctx.spec.root, ctx.spec.layout["sources"])
        sweep_unfinished(folder, older_than=HALF_MADE_SECONDS, depth=0)
