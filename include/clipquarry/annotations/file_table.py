"""The table of a person's own files: a csv with the columns ``file``, ``label`` and, where there are several, ``split``.

``file`` is a path below the folder of the files, with ``/``: a video's, or that of a folder of frames. Files may be called anything. In the layout an item has a name
that every reader of lists can read: white space becomes ``_``, and of several files that would share a name each gets a hash
of its path behind it.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from clipquarry.annotations.csv_records import BOM, Lines, Record, records, visible
from clipquarry.annotations.items import RejectedRow
from clipquarry.errors import UserError
from clipquarry.frame_names import FrameForm, form_of
from clipquarry.ids import MAX_ID_BYTES, id_problem, label_problem, normalise_label, stems
from clipquarry.reasons import Reason

HEADER = ("file", "label", "split")
_EXPECTED = "expected 'file,label,split' or 'file,label'"
_HASH = 8


class FileRow(NamedTuple):
    """A usable row. ``line`` is 1-based (1 is the header); ``clip_id`` is the item's name in its class folder."""

    line: int
    file: str
    label: str
    split: str
    clip_id: str

    @property
    def class_dir(self) -> str:
        return normalise_label(self.label)


def read_file_table(path: Path, splits: Iterable[str], *, folders: bool = False) -> list[FileRow | RejectedRow]:
    """Every row in order. A row's split is one of ``splits``; where there is one only, the column may be absent. ``folders``:
    ``file`` is a folder of frames.

    Raises :class:`UserError` for a file that is no such table.
    """
    known = list(splits)
    with _open(path) as handle:
        lines = Lines(handle)
        names = _header(path, lines)
        if "split" not in names and len(known) > 1:
            raise UserError(f"{path} has no column 'split', and the data set has the splits {', '.join(known)}.")
        found = [_row(record, names, known, folders) for record in records(lines, len(names))]
    return list(_named(found))


def splits_of(path: Path) -> list[str]:
    """The splits that a table names: train, val, test, then others as they come; empty without such a column."""
    with _open(path) as handle:
        lines = Lines(handle)
        names = _header(path, lines)
        if "split" not in names:
            return []
        at = names.index("split")
        found = dict.fromkeys(
            one.fields[at].strip() for one in records(lines, len(names)) if one.fields and not one.problem
        )
    known = [split for split in dict.fromkeys(SPLIT_FOLDERS.values()) if split in found]
    return [*known, *(split for split in found if split not in known and re.fullmatch(r"[a-z0-9_]{1,40}", split))]


def _open(path: Path) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise UserError(f"The table of files {path} cannot be read: {error.strerror}.") from error


def _header(path: Path, lines: Lines) -> list[str]:
    read = lines.next()
    if read is None:
        raise UserError(f"{path} is empty: {_EXPECTED}.")
    try:
        names = [name.strip() for name in next(csv.reader([read[1].removeprefix(BOM).decode()]))]
    except (UnicodeDecodeError, csv.Error, StopIteration):
        names = []
    wrong = [name for name in ("file", "label") if name not in names] or [n for n in names if names.count(n) > 1]
    if wrong:
        shown = visible(read[1][:80].decode(errors="backslashreplace"), 80)
        raise UserError(f"{path} begins with '{shown}', which is no header of a table of files: {_EXPECTED}.")
    return names


def _row(record: Record, names: list[str], splits: list[str], folders: bool) -> FileRow | RejectedRow:
    if record.problem or record.fields is None:
        return RejectedRow(record.line, Reason.BAD_ROW, record.problem, visible(record.raw))
    values = dict(zip(names, record.fields, strict=True))
    # A blank before a first column is no typing error but the name of a file or folder.
    file = values["file"].rstrip() if names[0] == "file" else values["file"].strip()
    label = values["label"].strip()
    split = values["split"].strip() if "split" in values else splits[0]
    if problem := _file_problem(file, folders):
        what = "folder" if folders else "file"
        return RejectedRow(record.line, Reason.BAD_ID, f"the {what} {problem}", visible(record.raw))
    if problem := label_problem(label):
        return RejectedRow(record.line, Reason.BAD_LABEL, problem, visible(record.raw))
    if split not in splits:
        told = f"the split {split[:40]!r} is not one of the data set's: {', '.join(splits)}"
        return RejectedRow(record.line, Reason.BAD_ROW, told, visible(record.raw))
    last = PurePosixPath(file).name
    name = last if folders else next(iter(stems(last)), "")
    clip = re.sub(r"\s+", "_", name).lstrip(".") or "clip"
    while len(clip.encode()) > MAX_ID_BYTES - _HASH - 1:
        clip = clip[:-1]
    if problem := id_problem(clip):
        return RejectedRow(record.line, Reason.BAD_ID, f"the name of the file {problem}", visible(record.raw))
    return FileRow(record.line, file, label, split, clip)


def _file_problem(file: str, folders: bool) -> str | None:
    """Why a path cannot be that of a video, or of a folder of frames, below the folder; None if it can."""
    parts = file.split("/")
    if not file or file.startswith("/") or "\\" in file or any(part in ("", ".", "..") for part in parts):
        return "is no path below the folder: neither absolute nor with '..' or a backslash"
    if not file.isprintable():
        return "holds a control character"
    return None if folders or next(iter(stems(parts[-1])), "") else "has no suffix of a video"


def _named(rows: list[FileRow | RejectedRow]) -> Iterator[FileRow | RejectedRow]:
    """The rows, with a hash behind the names that several files of a class would have."""
    files = {(row.class_dir, row.clip_id, row.file) for row in rows if isinstance(row, FileRow)}
    count = Counter((folder, clip) for folder, clip, _ in files)
    for row in rows:
        if isinstance(row, FileRow) and count[row.class_dir, row.clip_id] > 1:
            yield row._replace(clip_id=f"{row.clip_id}-{hashlib.sha256(row.file.encode()).hexdigest()[:_HASH]}")
        else:
            yield row


SPLIT_FOLDERS: Mapping[str, str] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test",
}  # fmt: skip
"""Names of folders, in lower case, to the splits that they mean."""


class Found(NamedTuple):
    """A file in a folder of classes, or of splits with classes in them."""

    file: str
    label: str
    """Empty for a file that lies in no class folder."""
    split: str
    """Empty where no folder names one."""


def overlap_problem(folder: Path, root: Path) -> str | None:
    """Why ``folder`` cannot be looked through for the data set in ``root``, or None: what runs make would be found as new
    videos.
    """
    mine, made = folder.resolve(), root.resolve()
    if mine != made and mine not in made.parents and made not in mine.parents:
        return None
    what = "is" if mine == made else "lies in" if made in mine.parents else "holds"
    return f"The folder of the videos, {folder}, {what} the folder that runs fill, {root}: move one of them elsewhere."


IsFrame = Callable[[str], bool]
"""Whether a file of this name is a frame: then the items are the folders that hold one."""


def look_through(folder: Path, is_frame: IsFrame | None = None) -> Iterator[Found]:
    """The videos below ``folder``, ``CLASS/…/FILE`` or ``SPLIT/CLASS/…/FILE``, sorted, with links that lead to no file; with
    ``is_frame`` the folders of frames. Hidden files and other suffixes are left out, links to folders are not followed. Raises
    :class:`UserError` where it cannot be read.
    """
    split_folders, others = top_folders(folder, is_frame)
    by_split = bool(split_folders) and not others
    for path in _items(folder, "", is_frame):
        parts = path.split("/")
        split = SPLIT_FOLDERS[parts[0].lower()] if by_split and len(parts) > 1 else ""
        inside = parts[1:] if split else parts
        yield Found(path, inside[0] if len(inside) > 1 else "", split)


def top_folders(folder: Path, is_frame: IsFrame | None = None) -> tuple[list[str], list[str]]:
    """The visible folders in it that are called like splits, and the others that hold an item. Only without the second do the
    first mean splits. Raises :class:`UserError` where they cannot be read.
    """
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be read: {error.strerror}.") from error
    split = [name for name in names if name.lower() in SPLIT_FOLDERS]
    if not split:
        return [], names
    others = (folder / name for name in names if name not in split)
    return split, [one.name for one in others if not one.is_symlink() and _holds_an_item(one, is_frame)]


def _holds_an_item(folder: Path, is_frame: IsFrame | None) -> bool:
    return (is_frame is not None and _has_frame(folder, is_frame)) or any(_items(folder, "", is_frame))


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def _has_frame(folder: Path, is_frame: IsFrame) -> bool:
    return any(is_frame(entry.name) for entry in _entries(folder))


def has_videos(folder: Path) -> bool:
    """Whether any video lies below a folder."""
    return any(_items(folder, "", None))


def frame_form(folder: Path) -> FrameForm | None:
    """How the frames of most folders below ``folder`` are named, of those whose numbers begin with 0 or 1; None where no folder
    holds any.
    """
    forms: Counter[FrameForm] = Counter()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        form = form_of(files) if Path(place) != folder else None
        if form is not None and form.first in (0, 1):
            forms[form] += 1
    return forms.most_common(1)[0][0] if forms else None


def _items(folder: Path, below: str, is_frame: IsFrame | None) -> Iterator[str]:
    for entry in _entries(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            if is_frame is not None and _has_frame(entry, is_frame):
                yield f"{below}{entry.name}"
            else:
                yield from _items(entry, f"{below}{entry.name}/", is_frame)
        elif is_frame is None and (entry.is_file() or _leads_nowhere(entry)) and next(iter(stems(entry.name)), ""):
            yield f"{below}{entry.name}"


def _leads_nowhere(entry: Path) -> bool:
    """Whether it is a link to a file that is not there now: the run reports it as missing, a disk may not be mounted."""
    return entry.is_symlink() and not entry.exists()


def assigned(found: Found, splits: list[str], val_share: float) -> str:
    """The split of a file: its folder's; else ``val`` for about this share of the files, by a hash of the path, so that a
    file keeps its split when others come; else the first of ``splits``.
    """
    if found.split:
        return found.split
    path = found.file.encode(errors="surrogateescape")
    number = int.from_bytes(hashlib.sha256(path).digest()[:8], "big") / 2**64
    return "val" if number < val_share and "val" in splits else splits[0]


def table_text(found: Iterable[Found], splits: list[str], val_share: float) -> Iterator[str]:
    """The lines of the csv for the files of a folder."""
    out = _Line()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    yield out.text
    for one in found:
        writer.writerow((one.file, one.label, assigned(one, splits, val_share)))
        yield out.text


class _Line:
    text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)
