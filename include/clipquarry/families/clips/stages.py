"""The stages of labelled clips that the families do not share."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipquarry.datasets.namespace import namespace_of
from clipquarry.datasets.splits import file_name
from clipquarry.families.clips.params import ClipsParams, FoldersParams, LabelledParams, ReleasesParams
from clipquarry.families.clips.readers import write_beside, write_catalog
from clipquarry.files import sha256_of, write_json
from clipquarry.layout import place_link
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.ledgers import namespaces
from clipquarry.pipeline.nothing import NothingToDo
from clipquarry.pipeline.stage import (
    begin,
    needs_of_gate,
    needs_plan,
    publish,
    tell_ledger,
)
from clipquarry.pipeline.stage import gate as run_gate
from clipquarry.pipeline.stage import plan as make_plan
from clipquarry.quality.params import GateParams
from clipquarry.run_documents import read_label_groups, read_label_maps, read_lists

if TYPE_CHECKING:
    from clipquarry.release.lists import ListSummary

log = logging.getLogger(__name__)


def read_annotations(ctx: RunContext) -> dict[str, Any]:
    """Download the annotation files, write the catalog, begin the run in the ledger."""
    begin(ctx)
    told = write_catalog(ctx)
    write_json(ctx.place.catalog_file, told)
    tell_ledger(ctx)
    return {"rows": told["rows"]}


def plan(ctx: RunContext) -> dict[str, Any]:
    """See :func:`clipquarry.pipeline.stage.plan`."""
    from clipquarry.families.clips.jobs import write_jobs

    return make_plan(ctx, write_jobs=write_jobs)


def _same_ids(ctx: RunContext, others: Iterable[str]) -> tuple[str, ...]:
    """Data sets whose ids have the same meaning as this one's; without those whose YAML is gone."""
    if not (names := list(others)):
        return ()
    whose = namespaces(ctx.settings)
    return tuple(name for name in names if whose.get(name) == namespace_of(ctx.spec))


def gate(ctx: RunContext, name: str) -> str:
    """Run one of the gates; it is skipped if its subject was not requested."""
    chosen = ctx.chosen(LabelledParams)
    needs_of_gate(ctx, name)
    if name == "frames":
        _asks_for_frames(chosen)
    params = GateParams(
        annotation_counts=chosen.annotation_counts,
        rejected_error=ctx.spec.rejected.error,
        splits=tuple(ctx.splits),
        label_map=bool(chosen.label_map),
        **_made_of_videos(chosen),
        flow=chosen.flow,
        list_thirds=chosen.list_thirds,
        releases_apart=not isinstance(chosen, ReleasesParams) or chosen.keeps_apart,
        compare_with=tuple(chosen.compare_with),
        same_ids=_same_ids(ctx, chosen.compare_with),
    )
    return run_gate(ctx, name, params)


def _asks_for_frames(chosen: LabelledParams) -> None:
    """Raises NothingToDo where the gate ``frames`` has nothing to check."""
    if not isinstance(chosen, ClipsParams):
        if not (chosen.flow or (isinstance(chosen, FoldersParams) and chosen.encode)):
            raise NothingToDo("Neither optical flow nor videos were asked for.")
    elif not (chosen.resize or chosen.frames or chosen.audio):
        raise NothingToDo("Neither resized copies nor frames nor sound were asked for.")


def _made_of_videos(chosen: LabelledParams) -> dict[str, Any]:
    """Parameters of gates on what is made of videos, or of folders of frames."""
    if not isinstance(chosen, ClipsParams):
        encode = isinstance(chosen, FoldersParams) and chosen.encode
        return {"resize": False, "frames": False, "audio": False, "audio_features": False, "encode": encode}
    return {
        "resize": chosen.resize,
        "short_edge": chosen.short_edge,
        "frames": chosen.frames,
        "audio": chosen.audio,
        "audio_features": chosen.audio_features,
        "frame_short_edge": None if chosen.frame_width else chosen.short_edge,
        "frame_size": (chosen.frame_width, chosen.frame_height) if chosen.frame_width else None,
        "frame_fps": chosen.frame_rate or None,
    }


def lists(ctx: RunContext) -> list[dict[str, Any]]:
    """Write the list files from the catalog and what is on disk."""
    from clipquarry.annotations.label_groups import LabelGroups
    from clipquarry.release.lists import ListOptions, also_as_json, build_lists

    needs_plan(ctx)
    chosen = ctx.chosen(LabelledParams)
    groups = LabelGroups(read_label_groups(ctx.place)) if ctx.spec.labels.groups else None
    summaries = build_lists(
        ctx.spec,
        ctx.data,
        ctx.catalog,
        ctx.folder,
        recorded=ctx.state if ctx.state.exists() else None,
        splits=ctx.splits,
        options=ListOptions(shuffle_seed=chosen.shuffle_seed, thirds=chosen.list_thirds, groups=groups),
    )
    write_beside(ctx)
    content = [{**summary.as_json(), "sha256": sha256_of(summary.path)} for summary in summaries]
    for one in content:
        one["groups"] = [{**group, "sha256": sha256_of(Path(group["path"]))} for group in one["groups"]]
    for summary in summaries if chosen.list_json else ():
        also_as_json(ctx.data, summary)
    write_json(ctx.place.lists, content)
    for summary in summaries:
        log.info(f"{summary.path.name}: {summary.lines} lines, {summary.missing} missing of {summary.rows} rows")
        for group in summary.groups:
            log.info(f"{group.path.name}: {group.lines} lines")
        moved = [summary.moved, *(group.moved for group in summary.groups), *_aliases(ctx, summary, summaries)]
        for sentence in filter(None, moved):
            log.info(f"{summary.path.name}: {sentence}")
    return content


def _aliases(ctx: RunContext, summary: ListSummary, written: Sequence[ListSummary]) -> Iterator[str]:
    """Make the second names of a list, or of its groups' lists; yields a sentence for each where something of a person's lay. A
    name that one of the lists has is not made: that list is meant.
    """
    name = ctx.spec.aliases.get(summary.format)
    if name is None:
        return
    taken = {path for one in written for path in (one.path, *(group.path for group in one.groups))}
    lists = [(group.group, group.path) for group in summary.groups] if "{group}" in name else [("", summary.path)]
    for group, path in lists:
        named = file_name(name, summary.split, ctx.spec.name, group)
        if (link := ctx.data.dataset(ctx.spec.root, named)) not in taken:
            yield place_link(ctx.data, link, path)


def release(ctx: RunContext) -> str:
    """Publish lists, missing clips, label map and lock."""
    from clipquarry.annotations.download_report import write_download_report
    from clipquarry.annotations.labels import LabelIndex, write_label_map
    from clipquarry.families.clips.leaks import COLUMNS, write_exclusions
    from clipquarry.families.clips.options import clips_options
    from clipquarry.quality.tables import REJECTED, RunTables, pick
    from clipquarry.release.verify import verify_copies

    def fill(folder: Path) -> None:
        lists = read_lists(ctx.place)
        for summary in lists:
            shutil.copy2(summary["path"], folder)
            if ctx.chosen(LabelledParams).list_json:
                shutil.copy2(Path(summary["path"]).with_suffix(".json"), folder)
        of_groups = [group for one in lists for group in one.get("groups", [])]
        for group in of_groups:
            shutil.copy2(group["path"], folder)
        sums = {Path(one["path"]).name: one["sha256"] for one in [*lists, *of_groups] if "sha256" in one}
        verify_copies(folder, sums, f"{ctx.spec.name}, run {ctx.run},")
        for form in sorted({summary["format"] for summary in lists}):
            # A copy, because edits of a release's table must not change the run's.
            shutil.copy2(ctx.place.missing_csv(form), folder)
        for path in write_beside(ctx):
            shutil.copy2(path, folder)
        for split in ctx.splits:
            write_download_report(ctx.recorded, split, folder)
        if clips_options(ctx.spec).kept_apart:
            catalog = RunTables(ctx.folder).load("catalog", (*COLUMNS, "status"))
            write_exclusions(ctx.spec, ctx.data, pick(catalog, catalog["status"] != REJECTED), folder)
        for release, names in read_label_maps(ctx.place).items():
            # Of a label in a group, a "_" is its own, and no blank of a class that became one.
            write_label_map(
                LabelIndex(tuple(names)),
                folder / f"label_map{'_' * bool(release)}{release}.txt",
                as_folders=bool(ctx.spec.labels.groups),
            )

    return publish(ctx, fill, (ctx.place.lists, "lists"))
