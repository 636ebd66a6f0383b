"""Folders that steps have besides the data root: those that they may write (extra roots) and those that they may only read.

Text such as ``/ssd,volume:/frames``: the folder in the step and in the worker, before it, where it differs, its name on the Docker engine
(a folder of its host, or a volume) or in the cluster (a claim).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from clipyard.errors import UserError

Pair = tuple[str, str]
"""Source (of the engine's host or the cluster) and target (in the worker and the step)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")


def pairs(variable: str, environ: Mapping[str, str], root: Path) -> tuple[Pair, ...]:
    """The (source, target) pairs of a variable. ``root`` is the data root. Raises UserError."""
    found: list[Pair] = []
    for text in filter(None, map(str.strip, environ.get(variable, "").split(","))):
        source, colon, target = text.partition(":")
        target = target if colon else source
        if not _is_folder(target) or not (_is_folder(source) or _NAME.fullmatch(source)):
            raise UserError(f"{variable} holds '{text}'; write /folder or SOURCE:/folder, separated by commas.")
        if "docker.sock" in text:
            raise UserError(f"{variable} names the engine's socket; a step must never have it.")
        if target == "/tmp" or root.is_relative_to(target) or target in (other for _, other in found):  # noqa: S108
            raise UserError(
                f"{variable} holds '{text}', and {target} is taken; write a folder that is not /tmp, not named twice, and "
                "not the data root or above it."
            )
        found.append((source, target))
    return tuple(found)


def _is_folder(text: str) -> bool:
    return text.startswith("/") and text != "/" and ".." not in Path(text).parts and text == str(Path(text))


def extra_roots(root: Path, environ: Mapping[str, str] = os.environ) -> tuple[Pair, ...]:
    """``CLIPYARD_EXTRA_ROOTS``: folders outside of the data root that a link in a data set's layout may lead to, and steps may write."""
    return pairs("CLIPYARD_EXTRA_ROOTS", environ, root)


def _links(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if entry.is_symlink():
            yield Path(entry.path)
        elif depth > 1 and entry.is_dir():
            yield from _links(Path(entry.path), depth - 1)


def check_links(root: Path, layout: str, known: tuple[str, ...], *, places: str) -> None:
    """Every link in the two upper levels of a data set's layout leads to where the step can follow it.

    ``layout`` is the data set's folder below the data root, itself perhaps a link; ``known`` are the folders that the step has besides
    the root; ``places`` names the settings that would give it another. Raises UserError with the link and where it leads.
    """
    folder = root / layout if layout else root
    inside = (str(root.resolve()), *(str(Path(one).resolve()) for one in known))
    for link in [folder] if folder.is_symlink() else _links(folder, 2):
        target = Path(os.path.realpath(link))
        if link.is_symlink() and not target.is_dir() and target.exists():
            continue  # a file: clips are read and linked one by one
        if not any(target.is_relative_to(one) for one in inside):
            raise UserError(
                f"{link} is a link to {target}, which the step cannot reach: let {places} name that folder, and restart the workers."
            )
