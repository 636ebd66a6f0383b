"""Folders of steps besides the data root: writable ones (extra roots) and read-only ones.

Syntax: ``/ssd,volume:/frames``. The path after the colon is the folder in the step and in the worker. Before the
colon, if it differs, stands its name on the Docker engine (a folder of its host, or a volume) or in the cluster (a
claim).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clipquarry.errors import UserError

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
    """``CLIPQUARRY_EXTRA_ROOTS``: folders outside the data root that links in a data set's layout may lead to, and
    steps may write.
    """
    return pairs("CLIPQUARRY_EXTRA_ROOTS", environ, root)


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


_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LOOPBACK = re.compile(r"https?://(?:localhost|127\.[0-9.]+|\[::1\])(?=[:/]|$)[^/]*", re.IGNORECASE)


def _addresses(params: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """A step's sources: addresses and folders of this machine, as far as they are the same for all items."""
    replaced = params.get("overrides") or {}
    for source in params.get("sources") or []:
        given = (
            [replaced[source.get("id")]]
            if source.get("id") in replaced
            else [source.get("url"), source.get("path"), *source.get("urls", [])]
        )
        for text in filter(None, given):
            yield _PLACEHOLDER.split(_VARIABLE.sub(lambda found: environ.get(found[1], ""), text))[0].removeprefix(
                "file://"
            )


def loopback(params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """An address of this machine itself among a step's sources, or an empty text."""
    return next((found[0] for text in _addresses(params, environ) if (found := _LOOPBACK.match(text))), "")


def check_folders(
    params: Mapping[str, Any],
    root: Path,
    known: tuple[str, ...],
    environ: Mapping[str, str] = os.environ,
    *,
    places: str,
) -> None:
    """Check that a step has every folder that it needs: links in the data set's layout, and local sources.

    ``known`` are the folders that the step has besides the data root; ``places`` names the settings that would add
    one. Raises UserError with the folder.
    """
    inside = (str(root.resolve()), str(root), *known, *(str(Path(one).resolve()) for one in known))

    def reached(folder: str) -> bool:
        return any(Path(folder).is_relative_to(one) for one in inside)

    for folder in _addresses(params, environ):
        if folder.startswith("/") and not reached(folder):
            raise UserError(f"The step reads {Path(folder)}, which it does not see: let {places} name that folder.")
    layout = str(params.get("root") or "")
    if not layout:
        return
    for link in [root / layout] if (root / layout).is_symlink() else _links(root / layout, 2):
        target = Path(os.path.realpath(link))
        if target.is_file():
            continue  # clips are followed one by one
        if not reached(str(target)):
            raise UserError(
                f"{link} is a link to {target}, which the step does not see: let {places} name that folder."
            )
