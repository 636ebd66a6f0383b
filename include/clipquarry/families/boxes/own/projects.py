"""What a person labels: the labelling page's project, and one of VIA 3 for each crop, beside its key frames. Nothing is chosen."""

from __future__ import annotations

import logging
from typing import Any

from clipquarry.annotations.own_ava.crop_labels import MIDDLE
from clipquarry.annotations.own_ava.via_project import project_of_proposals, project_text
from clipquarry.annotations.proposals import Boxes, read_proposals
from clipquarry.families.boxes.own.label_page import page_of, renew_page
from clipquarry.families.boxes.own.params import CropsParams
from clipquarry.families.boxes.own.people import proposal_file
from clipquarry.families.boxes.own.run_files import OwnFiles
from clipquarry.families.boxes.own.to_label import actions_of, crops_to_label
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.files import writing
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import needs_made, needs_plan

log = logging.getLogger(__name__)


def make_projects(ctx: RunContext) -> dict[str, Any]:
    """The labelling project, and ``choose_frames_middle/{crop}/{crop}_proposal.json``; a file that holds the same is left as it is."""
    needs_plan(ctx)
    if not ctx.chosen(CropsParams).labels:
        raise NothingToDo("Nobody asked for labels.")
    needs_made(OwnFiles(ctx.folder).key_frames, "key_frames")
    attributes = actions_of(ctx)
    proposed: dict[str, dict[str, Boxes]] = {
        split: read_proposals(proposal_file(ctx, split))[0] for split in BoxFiles(ctx.folder).proposal_splits()
    }
    made = []
    for one in crops_to_label(ctx):
        own = project_of_proposals(
            one.crop, one.seconds, one.size, proposed.get(one.split, {}), attributes, fps=ctx.chosen(CropsParams).fps
        )
        text = project_text(own)
        if not one.proposal.is_file() or one.proposal.read_text(encoding="utf-8", errors="replace") != text:
            with writing(one.proposal) as handle:
                handle.write(text)
        made.append((one, own))
    told = renew_page(ctx, made, attributes) if made else ()
    boxes = sum(len(own.regions) for _, own in made)
    log.info(f"{len(made)} crops with {boxes} boxes are to be labelled at {page_of(ctx.spec.name)}")
    log.info(f"Projects of VIA 3 lie in {ctx.data.dataset(ctx.spec.root, MIDDLE)}")
    for sentence in told:
        log.warning("%s", sentence)
    return {"projects": len(made), "boxes": boxes, "no_longer_fits": list(told)}
