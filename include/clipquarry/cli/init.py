"""The command ``init``: looks at a folder of a person's own videos, says what it saw, and writes the data set's YAML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from clipquarry.cli.common import settings_for
from clipquarry.errors import SpecError, UserError

if TYPE_CHECKING:
    from clipquarry.datasets.own_files import Seen


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--csv",
    "table",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A table 'file,label,split' (or 'file,label'); default: a csv of this form in the folder, else the class folders.",
)
@click.option("--name", metavar="NAME", default="", help="The data set's name; default: from the folder's.")
@click.option(
    "--val-share",
    metavar="SHARE",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of the videos (or folders of frames) that becomes val, where the folder names no splits.",
)
@click.option("--into", metavar="DIR", type=click.Path(path_type=Path),
              help="Folder of the YAML; default: the first of CLIPQUARRY_DATASETS.")  # fmt: skip
def init(folder: Path, table: Path | None, name: str, val_share: float, into: Path | None) -> None:
    """Describe a folder of your own videos as a data set: class folders, or a csv.

    Folders of numbered frames (class/clip/00001.jpg) are recognised where no video lies. Nothing is moved or renamed.
    """
    from clipquarry.annotations.file_table import overlap_problem
    from clipquarry.datasets.load import load_all
    from clipquarry.datasets.own_files import name_of, yaml_text
    from clipquarry.ids import shared_folder

    folder = folder.absolute()
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: name the one that your videos lie in.")
    if not str(folder).isprintable():
        raise UserError(f"{_shown(str(folder))} has a character in its name that does not print: rename it.")
    if any(char in str(folder) for char in "{}$"):
        raise UserError(f"{folder} has a brace or a '$' in its name, which mean something else in a YAML: rename it.")
    settings = settings_for(None)
    places = settings.dataset_folders
    place = into or (places[0] if places else None)
    if place is None:
        raise UserError("Say where the YAML goes with --into DIR, and let CLIPQUARRY_DATASETS name that folder too.")
    seen = _look(folder, table.absolute() if table else _table_in(folder))
    if not seen.items:
        raise UserError(f"{_nothing(seen)}: nothing is written.")
    if problem := shared_folder(seen.classes):
        raise UserError(f"{problem}: give one of them another name, or both the same.")
    chosen = name or name_of(folder)
    if not re.fullmatch(r"[a-z0-9_]{1,60}", chosen):  # it becomes a file's name
        raise UserError(
            f"--name {chosen[:80]!r} is no name of a data set: use lower-case letters, digits and '_', 60 at most."
        )
    if not seen.csv and (problem := overlap_problem(folder, settings.data.dataset(chosen))):
        raise UserError(f"{problem[:-1]}, or give another --name.")
    target = place / f"{chosen}.yaml"
    if target.exists() or chosen in load_all(places)[0]:
        raise UserError(f"There is a data set '{chosen}' already: give this one another name with --name.")
    if val_share and (seen.has_splits or seen.csv):
        raise UserError("--val-share is for class folders without splits: your splits are given already. Leave it out.")
    if val_share:
        _divide(seen, val_share)
    _write(target, yaml_text(chosen, seen, val_share=val_share))
    click.echo("\n".join((f"{folder}: ", *(f"  {line}" for line in seen.sentences()))))
    click.echo(f"Written: {target}. Run it with 'clipquarry run {chosen}', or its DAG {chosen} in Airflow.")
    if place not in places:
        click.echo(f"Set CLIPQUARRY_DATASETS={place} first: that is where data sets of your own are found.")


def _divide(seen: Seen, val_share: float) -> None:
    """Count the videos of both splits. A run would stop at an empty one."""
    from clipquarry.annotations.file_table import assigned, look_through

    names = ["train", "val"]
    labelled = (one for one in look_through(seen.folder, _is_frame(seen)) if one.label)
    seen.splits = Counter(assigned(one, names, val_share) for one in labelled)
    if lacking := [name for name in names if not seen.splits[name]]:
        raise UserError(
            f"With --val-share {val_share:g} the hashes of {sum(seen.splits.values())} paths leave no video for {lacking[0]}: give "
            "another share, or folders train and val."
        )


def _shown(text: str) -> str:
    """A name as it can be printed: it need not be UTF-8, and may hold anything."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _nothing(seen: Seen) -> str:
    """Why there is no video to describe."""
    if seen.csv is None:
        why = ", and links to folders are not followed" if seen.links else ""
        return f"No video lies in {seen.folder}{why}, and no folder of frames with numbers from 0 or 1"
    what = "folder of frames" if seen.form else "video"
    if seen.unusable:
        return f"No row of {seen.csv} names a {what} in {seen.folder} that can be used (the first: {seen.unusable[0]})"
    return f"No row of {seen.csv} names a {what} that lies in {seen.folder}"


def _write(target: Path, text: str) -> None:
    """Write the YAML once it is known to be one: a wrong one that lies there would stop the next attempt."""
    from clipquarry.datasets.load import load_spec
    from clipquarry.files import publish_new, temporary_beside

    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(target)
    try:
        temporary.write_text(text, encoding="utf-8")
        load_spec(temporary)
        publish_new(temporary, target)
    except SpecError as error:
        raise UserError(str(error).replace(str(temporary), str(target))) from None
    except FileExistsError:
        raise UserError(f"{target} is there already: it stays as it is. Give another --name.") from None
    finally:
        temporary.unlink(missing_ok=True)


def _table_in(folder: Path) -> Path | None:
    """The only csv in the folder whose header names files and labels."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        if not path.is_file():
            continue
        with open(path, "rb") as handle:
            header = handle.readline(4096).decode("utf-8-sig", "replace").strip()
        if {"file", "label"} <= {name.strip(' "') for name in header.split(",")}:
            found.append(path)
    if len(found) > 1:
        raise UserError(f"{found[0].name} and {found[1].name} are both tables of files: name the right one with --csv.")
    return found[0] if found else None


def _look(folder: Path, table: Path | None) -> Seen:
    from clipquarry.annotations.file_table import frame_form, has_videos, look_through, top_folders
    from clipquarry.datasets.own_files import Seen

    seen = Seen(folder, table, form=None if has_videos(folder) else frame_form(folder))
    is_frame = _is_frame(seen)
    if table is not None:
        _look_at_table(seen, table)
        return seen
    split, other = top_folders(folder, is_frame)
    seen.split_like = split[0] if split and other else ""
    seen.has_splits = bool(split and not other)
    for one in look_through(folder, is_frame):
        if not _is_there(seen, one.file):
            seen.absent += 1
            seen.splits[one.split or "train"] += 0  # runs know its split
            continue
        _count(seen, one.file)
        if one.label:
            seen.classes[_shown(one.label)] += 1
            seen.splits[one.split or "train"] += 1
        else:
            seen.unlabelled += 1
    _count_others(seen)
    return seen


def _is_frame(seen: Seen) -> Callable[[str], bool] | None:
    from clipquarry.frame_names import frame_number, pattern_of

    pattern = pattern_of(seen.form.template) if seen.form else None
    return None if pattern is None else lambda name: frame_number(name, pattern) is not None


def _is_there(seen: Seen, file: str) -> bool:
    return (seen.folder / file).is_dir() if seen.form else (seen.folder / file).is_file()


def _look_at_table(seen: Seen, table: Path) -> None:
    from clipquarry.annotations.file_table import FileRow, read_file_table

    splits = _splits_of(table)
    for row in read_file_table(table, splits, folders=seen.form is not None):
        if not isinstance(row, FileRow):
            seen.unusable.append(f"line {row.line}: {row.sentence}")
        elif not _is_there(seen, row.file):
            seen.absent += 1
            seen.splits[row.split] += 0  # runs know its split
        else:
            _count(seen, row.file)
            seen.classes[row.label] += 1
            seen.splits[row.split] += 1


def _splits_of(table: Path) -> Iterable[str]:
    """The splits that the table names; ``train`` where it has no such column."""
    from clipquarry.annotations.file_table import splits_of

    return splits_of(table) or ["train"]


def _count(seen: Seen, file: str) -> None:
    if seen.form is not None:
        _count_frames(seen, seen.folder / file, seen.form.first)
        return
    seen.suffixes[PurePosixPath(file).suffix.removeprefix(".").lower()] += 1
    seen.bytes += (seen.folder / file).stat().st_size


def _count_frames(seen: Seen, folder: Path, first: int) -> None:
    from clipquarry.frame_names import frame_number, pattern_of

    pattern = pattern_of(seen.form.template if seen.form else "") or ""
    found = [(number, path) for path in folder.iterdir() if (number := frame_number(path.name, pattern)) is not None]
    numbers = [number for number, _ in found]
    seen.folders += 1
    seen.frames += len(found)
    seen.gaps += sorted(numbers) != list(range(first, first + len(numbers)))
    seen.bytes += sum(path.stat().st_size for _, path in found if path.is_file())


def _count_others(seen: Seen) -> None:
    from clipquarry.ids import stems

    is_item = _is_frame(seen) or (lambda name: bool(next(iter(stems(name)), "")))
    for path in seen.folder.rglob("*"):
        if path.is_symlink() and path.is_dir():
            seen.links += 1
        elif path.is_file() and not path.name.startswith(".") and not is_item(path.name):
            seen.others[_shown(path.suffix.removeprefix(".").lower()) or "none"] += 1
