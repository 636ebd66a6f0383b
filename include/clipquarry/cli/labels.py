"""``clipquarry labels``: action labels between tools, and into and out of the crops of a person's own AVA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clipquarry.cli.common import chain, data_option, settings_for
from clipquarry.errors import UserError

if TYPE_CHECKING:
    from clipquarry.annotations.own_ava.exchange import FrameSizes, Made
    from clipquarry.annotations.own_ava.refused import Refused
    from clipquarry.annotations.own_ava.via_clips import LeftOut
    from clipquarry.annotations.own_ava.via_project import Size

_NAMES = ("via", "yolo", "cvat", "label-studio", "coco")
_METAVAR = "|".join(_NAMES)
_HEADER = 1 << 18
"""First bytes of a picture in which its size stands; cameras put a small picture in front."""


_from = click.option(
    "--from", "source_kind", metavar=_METAVAR, type=click.Choice(_NAMES), required=True, help="Format of the source."
)
_to = click.option(
    "--to", "target_kind", metavar=_METAVAR, type=click.Choice(_NAMES), required=True, help="Format of the target."
)
_replace = click.option("--replace", is_flag=True, help="Move a target that is there aside, to `{name}.former-1`.")
_reading = chain(
    click.option("--clip", metavar="NAME", help="Name of the clip of a CVAT file. Default: the name of its task."),
    click.option("--class", "classes", metavar="N", type=click.IntRange(0), multiple=True,
                 help="Class of YOLO's source that is a person; repeat for more. Default: 0."),
)  # fmt: skip
_writing = chain(
    click.option("--write-class", metavar="N", type=click.IntRange(0), help="Class of people in YOLO's target. Default: 0."),
    click.option("--scores", is_flag=True,
                 help="YOLO's target also has scores and tracks, as detectors write them. Training does not read such lines."),
    _replace,
)  # fmt: skip


@click.group()
def labels() -> None:
    """Convert action labels between tools, and bring them into a data set and out of it."""


@labels.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@_from
@_to
@click.option(
    "--frames",
    "folders",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    help="Folder with the frames, or with a folder of frames a clip; repeat for more. Default: the source's folder.",
)
@click.option(
    "--size", metavar="WxH", help="Size of all frames in pixels, such as `1280x720`, in the place of `--frames`."
)
@click.option(
    "--actions",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Groups of actions for VIA and CVAT: `.pbtxt`, or YAML. Default: the source's, or one group of all that are there.",
)
@click.option(
    "--length",
    metavar="FRAMES",
    type=click.IntRange(1),
    help="Frames of each clip, for CVAT's target. Default: up to the last one that is labelled.",
)
@_reading
@_writing
def convert(
    source: Path, target: Path, source_kind: str, target_kind: str, folders: tuple[Path, ...], size: str | None,
    actions: Path | None, length: int | None, clip: str | None, classes: tuple[int, ...], write_class: int | None,
    scores: bool, replace: bool,
) -> None:  # fmt: skip
    """Write the labels of SOURCE as TARGET, in another format. What does not fit is listed beside TARGET."""
    from clipquarry.annotations.own_ava.actions import read_attributes
    from clipquarry.annotations.own_ava.exchange import FrameSizes, make_labels, read_labels

    _named(target)
    if folders and size:
        raise UserError("The frames' size is given twice: leave --frames or --size out.")
    _idle(source_kind, target_kind, clip, classes, write_class, scores)
    if length and target_kind != "cvat":
        raise UserError("--length is for CVAT's target alone: leave it out.")
    if actions and target_kind not in ("via", "cvat"):
        raise UserError("--actions is for VIA's and CVAT's targets alone: leave it out.")
    places = folders or (source if source.is_dir() else source.parent,)
    sizes: FrameSizes = FrameSizes(places, _measure, _size(size) if size else None)
    known = read_attributes(actions) if actions else None
    found = read_labels(source_kind, source, sizes, classes=classes or (0,), clip=clip)
    _stop(found.refused, source, target)
    if not found.clips:
        raise UserError(f"{source} names no clip: nothing is there to convert.")
    lengths = {one.name: length for one in found.clips} if length else None
    made = make_labels(
        target_kind, found, target, attributes=known, frames=lengths, kind_number=write_class or 0, scores=scores
    )
    _stop(made.refused, source, target)
    _place(made, target, replace)
    boxes = sum(len(one.boxes) for one in found.clips)
    click.echo(f"{target}: {boxes} boxes of {len(found.clips)} clips.")


@labels.command("import")
@click.argument("dataset")
@click.argument("source", type=click.Path(path_type=Path))
@_from
@_reading
@_replace
@data_option
def import_(
    dataset: str,
    source: Path,
    source_kind: str,
    clip: str | None,
    classes: tuple[int, ...],
    replace: bool,
    data: Path | None,
) -> None:
    """Write the labels of SOURCE as the finished projects of DATASET's crops, for its next run with labels=true."""
    from clipquarry.annotations.own_ava.crop_labels import finished_of, write_finished
    from clipquarry.annotations.own_ava.exchange import FrameSizes, read_labels

    if source_kind == "yolo":
        raise UserError("YOLO's texts hold no actions: convert them to VIA, and label that.")
    _idle(source_kind, "via", clip, classes, None, False)
    middle = _middle(dataset, data)
    told = middle.parent / "label_import"
    found = read_labels(source_kind, source, FrameSizes([middle], _measure), clip=clip)
    done = finished_of(middle, found, _measure)
    _stop(done.refused, source, told)
    if not done.texts:
        raise UserError(f"{source} names no clip: nothing is there to import.")
    for former in write_finished(done, replace=replace):
        click.echo(f"The former project was moved to {former}.", err=True)
    _tell_left(done.left, told)
    if done.without:
        click.echo(f"{len(done.without)} crops are not in {source}, the first is {done.without[0]}.", err=True)
    click.echo(f"{middle}: {done.boxes} boxes of {len(done.texts)} crops.")


@labels.command()
@click.argument("dataset")
@click.argument("target", type=click.Path(path_type=Path))
@_to
@click.option("--proposed", is_flag=True, help="The projects as the run made them, in the place of the finished ones.")
@_writing
@data_option
def export(
    dataset: str, target: Path, target_kind: str, proposed: bool, write_class: int | None, scores: bool, replace: bool,
    data: Path | None,
) -> None:  # fmt: skip
    """Write the finished projects of all of DATASET's crops as TARGET. Crops without one are named."""
    from clipquarry.annotations.own_ava.crop_labels import labelled_crops
    from clipquarry.annotations.own_ava.exchange import make_labels

    _idle("via", target_kind, None, (), write_class, scores)
    middle = _middle(dataset, data)
    found, without = labelled_crops(middle, _measure, proposed=proposed)
    _stop(found.refused, middle, target)
    frames = {one.name: _count(middle.parent / "frames" / one.name) for one in found.clips}
    made = make_labels(target_kind, found, target, frames=frames, kind_number=write_class or 0, scores=scores)
    _stop(made.refused, middle, target)
    _place(made, target, replace)
    if without:
        click.echo(f"{len(without)} crops are not labelled yet, the first is {without[0]}.", err=True)
    click.echo(f"{target}: {sum(len(one.boxes) for one in found.clips)} boxes of {len(found.clips)} clips.")


@labels.command("without-heads")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--reference", is_flag=True, help="As upstream's filter: a larger body counts only further down in the file."
)
@_replace
def heads(source: Path, target: Path, reference: bool, replace: bool) -> None:
    """Write the label texts of the folder SOURCE, of classes 0 (head) and 1 (body), without bodies that are heads."""
    from clipquarry.annotations.own_ava.head_folder import without_heads
    from clipquarry.annotations.own_ava.placed import place_folder

    texts, taken, refused = without_heads(source, reference=reference)
    _stop(refused, source, target)
    if former := place_folder(target, texts, replace=replace):
        click.echo(f"The former target was moved to {former}.", err=True)
    click.echo(f"{target}: {len(texts)} frames, {taken} bodies that are heads were taken out.")


def _idle(
    source: str, target: str, clip: str | None, classes: Sequence[int], write_class: int | None, scores: bool
) -> None:
    """Refuse options that would do nothing."""
    for given, kind, wanted, name in (
        (clip is not None, source, "cvat", "--clip is for CVAT's source"),
        (bool(classes), source, "yolo", "--class is for YOLO's source"),
        (write_class is not None, target, "yolo", "--write-class is for YOLO's target"),
        (scores, target, "yolo", "--scores is for YOLO's target"),
    ):
        if given and kind != wanted:
            raise UserError(f"{name} alone: leave it out.")


def _middle(dataset: str, data: Path | None) -> Path:
    from clipquarry.annotations.own_ava.crop_labels import MIDDLE
    from clipquarry.datasets.load import find_spec

    settings = settings_for(data)
    return settings.data.dataset(find_spec(dataset, settings.dataset_folders).root, MIDDLE)


def _count(folder: Path) -> int:
    return sum(one.suffix == ".jpg" for one in folder.iterdir()) if folder.is_dir() else 0


def _size(text: str) -> Size:
    from clipquarry.annotations.own_ava.frame_boxes import size_of
    from clipquarry.annotations.own_ava.refused import number_of_text

    width, _, height = text.partition("x")
    found = size_of(number_of_text(width), number_of_text(height))
    if found is None:
        raise UserError(f"--size {text[:40]!r}: write width and height in pixels, such as 1280x720.")
    return found


def _measure(path: Path) -> Size | None:
    """The size of a frame; None for what is no JPEG or PNG, or is not there."""
    from clipquarry.annotations.own_ava.via_project import Size
    from clipquarry.media.frame_content import frame_size

    try:
        with open(path, "rb") as handle:
            found = frame_size(handle.read(_HEADER), path.name.lower())
    except OSError:
        return None
    return Size(*found) if found else None


def _named(target: Path) -> None:
    """Faults and losses are listed beside the target, under its name."""
    if target.name in ("", ".."):
        raise UserError(f"{target} is no name to write to: name a file or a folder in it.")


def _stop(refused: Sequence[Refused], source: Path, target: Path) -> None:
    """Raise one sentence for all faults, which stand in a table beside the target."""
    if not refused:
        return
    from clipquarry.annotations.own_ava.placed import write_table

    table = target.with_name(f"{target.name}.problems.csv")
    write_table(table, ("where", "why"), refused)
    more = f" All {len(refused)} faults are in {table}." if len(refused) > 1 else f" It stands in {table} too."
    raise UserError(f"{source} was not taken, and nothing was written. {refused[0].where}: {refused[0].why}{more}")


def _tell_left(left: Sequence[LeftOut], target: Path) -> None:
    from clipquarry.annotations.own_ava.placed import write_table

    for end in (".problems.csv", ".what-was-left-out.csv"):  # of an earlier try
        target.with_name(f"{target.name}{end}").unlink(missing_ok=True)
    if left:
        table = target.with_name(f"{target.name}.what-was-left-out.csv")
        write_table(table, ("clip", "frame", "what", "why"), left)
        click.echo(f"{table}: {len(left)} things were left out, each with its reason.", err=True)


def _place(made: Made, target: Path, replace: bool) -> None:
    from clipquarry.annotations.own_ava.placed import place_file, place_folder

    former = (
        place_folder(target, made.texts, replace=replace)
        if made.text is None
        else place_file(target, made.text, replace=replace)
    )
    if former is not None:
        click.echo(f"The former target was moved to {former}.", err=True)
    _tell_left(made.left, target)
