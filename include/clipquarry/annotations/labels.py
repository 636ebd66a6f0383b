"""Class names and their numbers.

The index of a class is the 0-based position of its normalised name (blanks become ``_``) in the code-point order of
the classes of the TRAIN csv; or its line in a label map (text, one name per line, line 0 is index 0, blanks or
``_``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clipquarry.annotations.kinetics_csv import read_header, read_labels, why_no_row_is_good
from clipquarry.annotations.name_lists import LISTS, known_names
from clipquarry.errors import UserError
from clipquarry.files import writing
from clipquarry.ids import label_problem, normalise_label, shared_folder

TRAIN = "train"
_MAX_MAP_BYTES = 16_000_000
_SPLITS = frozenset({"train", "val", "validate", "validation", "test"})


@dataclass(frozen=True)
class LabelIndex:
    """Normalised names (folder names) in index order, and their source (a phrase for people)."""

    names: tuple[str, ...]
    origin: str = ""
    _positions: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_positions", {name: index for index, name in enumerate(self.names)})

    def __len__(self) -> int:
        return len(self.names)

    def get(self, class_dir: str) -> int | None:
        """0-based index of a normalised name, or None."""
        return self._positions.get(class_dir)

    @classmethod
    def from_labels(cls, labels: Iterable[str], origin: str = "") -> LabelIndex:
        """Number the classes by their normalised names in code-point order. Raises :class:`UserError` for two with one name."""
        labels = set(labels)
        if problem := shared_folder(labels):
            raise UserError(f"{problem}: give one of them another name, or both the same.")
        return cls(tuple(sorted({normalise_label(label) for label in labels})), origin)


def numbered_labels(path: Path, names: Mapping[int, str], first: int) -> LabelIndex:
    """The classes of a file that gives their numbers, which begin with ``first``. Raises :class:`UserError` for a gap."""
    if missing := [at for at in range(first, max(names, default=first) + 1) if at not in names]:
        raise UserError(f"{path}: the class {missing[0]} is missing; classes are numbered from {first}.")
    return LabelIndex(tuple(names[at] for at in sorted(names)), path.name)


def published_labels(which: str) -> LabelIndex:
    """The class names of a data set whose annotations have their numbers only: a list of
    :mod:`clipquarry.annotations.name_lists`. Raises UserError for a damaged installation.

    A folder's name holds no slash: ``head height/closed Ring`` becomes ``head height or closed Ring``.
    """
    names = (normalise_label(name.replace("/", " or ")) for name in known_names(which))
    return LabelIndex(tuple(names), LISTS[which].what)


def read_label_map(path: Path, *, unique: bool = True) -> LabelIndex:
    """Read a label map. Raises :class:`UserError` with the line for a blank or unfit name, and for a repeated one if names are
    ``unique``.
    """
    try:
        if path.stat().st_size > _MAX_MAP_BYTES:
            raise UserError(f"{path} is larger than {_MAX_MAP_BYTES} bytes: that is not a label map.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"The label map {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"The label map {path} is not UTF-8 (byte {error.start}): save it as UTF-8.") from error
    if not text.strip():
        raise UserError(f"The label map {path} is empty: expected one class name per line.")
    names, positions = list[str](), dict[str, int]()
    for number, line in enumerate(text.rstrip().replace("\r\n", "\n").split("\n"), start=1):
        name = line.strip(" ")
        if (problem := label_problem(name)) is not None:
            raise UserError(f"The label map {path}, line {number}: {problem}; expected one class name per line.")
        folder = normalise_label(name)
        if unique and folder in positions:
            first = positions[folder] + 1
            raise UserError(f"The label map {path}, line {number}: the class of line {first} is given again.")
        positions[folder] = number - 1
        names.append(folder)
    return LabelIndex(tuple(names), f"label map {path.name}")


def write_label_map(index: LabelIndex, path: Path, *, as_folders: bool = False) -> None:
    """Write one name per line, with blanks for ``_`` as the published label maps are; ``as_folders``: as the names are."""
    with writing(path) as handle:
        handle.writelines(f"{name if as_folders else name.replace('_', ' ')}\n" for name in index.names)


def index_labels(
    csvs: Mapping[str, Path], *, label_map: Path | None, expected: int | None, own_ids: bool = False
) -> LabelIndex:
    """The label index of a data set from the csvs by split.

    An explicit map comes first, then the train csv. Without either, the classes of all csvs together are used, but only
    when they are exactly ``expected`` in number: fewer would shift every index behind the gap. Csvs without any label
    column need no index and get an empty one. Raises :class:`UserError` when no index can be trusted.
    """
    if label_map is not None:
        index = read_label_map(label_map)
        if expected is not None and len(index) != expected:
            raise UserError(
                f"The label map {label_map} has {len(index)} classes, the data set has {expected}: "
                "give the map that belongs to it."
            )
        return index
    if TRAIN in csvs:
        index = LabelIndex.from_labels(read_labels(csvs[TRAIN], TRAIN, own_ids=own_ids), "train csv")
        if not index.names:
            why = why_no_row_is_good(csvs[TRAIN], TRAIN, own_ids=own_ids) or "it has no rows: download it again"
            raise UserError(f"{csvs[TRAIN]}: classes cannot be numbered, because {why}.")
        if set(index.names) <= _SPLITS:
            raise UserError(f"{csvs[TRAIN]}: the column 'label' holds the names of splits: columns are swapped.")
        return index
    if csvs and not any("label" in read_header(path) for path in csvs.values()):
        return LabelIndex((), "no labels")
    union: set[str] = set().union(*(read_labels(path, split, own_ids=own_ids) for split, path in csvs.items()))
    index = LabelIndex.from_labels(union, f"{', '.join(csvs)} csv")
    if expected is None or len(index) != expected:
        known = "an unknown number" if expected is None else str(expected)
        raise UserError(
            f"Classes cannot be numbered: there is no train csv, and the csvs of {', '.join(csvs) or 'no split'} name "
            f"{len(index)} classes of {known}; provide the train csv or a label map."
        )
    return index
