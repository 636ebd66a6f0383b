"""Differences between two copies of a data set, from their lock files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from clipquarry.errors import UserError
from clipquarry.files import writing
from clipquarry.release.lock import Lock, LockHeader, LockRow, approval_text, open_lock

DURATION_TOLERANCE = 0.0005
"""Seconds; locks keep milliseconds."""


class Difference(NamedTuple):
    """One line of the full list: ``what`` is ``only in a``, ``only in b`` or an aspect of :data:`ASPECTS`."""

    path: str
    what: str
    a: str
    b: str


ASPECTS = ("content", "duration", "frames", "label", "identity")
"""Aspects in which clips can differ: sha256, seconds, decoded frames, label index, clip id (with its namespace),
split.
"""


@dataclass
class LockDiff:
    """Counts, and the first few examples of each. A clip that differs in two aspects counts in both."""

    a: str
    b: str
    header: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    """Key of the header (``tools.ffmpeg``) to its two values, where they differ."""
    same: int = 0
    differing: int = 0
    only_a: int = 0
    only_b: int = 0
    aspects: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ASPECTS, 0))
    examples: dict[str, list[Difference]] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """True when the clips are the same, whatever the headers say."""
        return not (self.differing or self.only_a or self.only_b)

    def as_json(self) -> dict[str, Any]:
        examples = {what: [d._asdict() for d in found] for what, found in self.examples.items()}
        return {**asdict(self), "examples": examples, "equal": self.is_equal}

    def text(self) -> str:
        """Text for a terminal: the differences, most important first, with examples."""
        lines = [f"a: {self.a}", f"b: {self.b}"]
        lines += [f"{key}: a has {a!r}, b has {b!r}" for key, (a, b) in self.header.items()]
        if self.is_equal:
            return "\n".join([*lines, f"The clips are the same: {self.same} in both."])
        lines.append(f"{self.same} clips are the same, {self.differing} differ.")
        counts = {"only in a": self.only_a, "only in b": self.only_b, **self.aspects}
        for what, count in counts.items():
            if count:
                lines.append(f"{what if what.startswith('only') else f'{what} differs'}: {count}")
                lines += [f"  {_example(difference)}" for difference in self.examples[what]]
                if (more := count - len(self.examples[what])) > 0:
                    lines.append(f"  and {more} more")
        return "\n".join(lines)


def _example(difference: Difference) -> str:
    path, what, a, b = difference
    return path if what.startswith("only") else f"{path}: {a} / {b}"


def _flat(header: LockHeader) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in asdict(header).items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        elif key == "approved":
            flat |= {"approved": "; ".join(map(approval_text, value))} if value else {}
        elif key not in ("clips", "version"):
            flat[key] = value
    return flat


def _headers(a: LockHeader, b: LockHeader) -> dict[str, tuple[Any, Any]]:
    """Differences of the headers, except those that only one version's locks have."""
    flat_a, flat_b = _flat(a), _flat(b)
    if a.version != b.version:  # the hash covered more in version 1
        flat_a["spec"] = flat_b["spec"]
    if not (a.namespace and b.namespace):
        flat_a["namespace"] = flat_b["namespace"]
    keys = sorted(flat_a.keys() | flat_b.keys())
    return {key: (flat_a.get(key), flat_b.get(key)) for key in keys if flat_a.get(key) != flat_b.get(key)}


def _pairs(a: Lock, b: Lock) -> Iterator[tuple[LockRow | None, LockRow | None]]:
    """Merge of the two sorted files; None for a missing row."""
    rows_a, rows_b = iter(a), iter(b)
    left, right = next(rows_a, None), next(rows_b, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.path < right.path):
            yield left, None
            left = next(rows_a, None)
        elif left is None or right.path < left.path:
            yield None, right
            right = next(rows_b, None)
        else:
            yield left, right
            left, right = next(rows_a, None), next(rows_b, None)


def _differences(a: LockRow | None, b: LockRow | None, whose: tuple[str, str]) -> Iterator[Difference]:
    """Differences of two rows; ``whose`` is the ids' namespace, ``{namespace}:``, or "" if it makes no difference."""
    if b is None:
        assert a is not None
        yield Difference(a.path, "only in a", a.sha256, "")
    elif a is None:
        yield Difference(b.path, "only in b", "", b.sha256)
    else:
        if a.sha256 != b.sha256:
            yield Difference(a.path, "content", a.sha256, b.sha256)
        if abs(a.duration - b.duration) > DURATION_TOLERANCE:
            yield Difference(a.path, "duration", f"{a.duration:.3f} s", f"{b.duration:.3f} s")
        if a.frames != b.frames:
            yield Difference(a.path, "frames", str(a.frames), str(b.frames))
        if a.label_index != b.label_index:
            yield Difference(a.path, "label", str(a.label_index), str(b.label_index))
        is_a, is_b = (f"{row.split} {namespace}{row.clip_id}" for row, namespace in zip((a, b), whose, strict=True))
        if is_a != is_b:
            yield Difference(a.path, "identity", is_a, is_b)


def diff_locks(a: Path, b: Path, *, examples: int = 5, full: Path | None = None) -> LockDiff:
    """Compare two lock files. Memory does not grow with their length; ``full`` is a csv of every difference.

    Raises :class:`UserError` when one of them is no lock file, is damaged, or has a newer format, and when ``full``
    is one of them.
    """
    if full is not None and any(full.exists() and one.exists() and full.samefile(one) for one in (a, b)):
        raise UserError(f"{full} is one of the two lock files, and would be replaced by the csv: name another file.")
    diff = LockDiff(str(a), str(b))
    with ExitStack() as stack:
        lock_a, lock_b = stack.enter_context(open_lock(a)), stack.enter_context(open_lock(b))
        diff.header = _headers(lock_a.header, lock_b.header)
        one, other = diff.header.get("namespace", ("", ""))
        whose = (f"{one}:", f"{other}:") if one else ("", "")
        table = csv.writer(stack.enter_context(writing(full)), lineterminator="\n") if full else None
        if table is not None:
            table.writerow(Difference._fields)
        for left, right in _pairs(lock_a, lock_b):
            found = list(_differences(left, right, whose))
            if right is None:
                diff.only_a += 1
            elif left is None:
                diff.only_b += 1
            elif found:
                diff.differing += 1
            else:
                diff.same += 1
            for difference in found:
                if difference.what in diff.aspects:
                    diff.aspects[difference.what] += 1
                shown = diff.examples.setdefault(difference.what, [])
                if len(shown) < examples:
                    shown.append(difference)
                if table is not None:
                    table.writerow(difference)
    return diff
