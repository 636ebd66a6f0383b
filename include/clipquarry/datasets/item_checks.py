"""Checks of what a data set's YAML says of a sample: its medium, the suffixes of videos, the names of frames."""

from __future__ import annotations

from collections.abc import Iterator

from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.problem import Problem, Where, path_problem
from clipquarry.frame_names import pattern_of
from clipquarry.ids import VIDEO_SUFFIXES


def item_problems(spec: DatasetSpec) -> Iterator[Problem]:
    """All errors in ``item`` and in what depends on it."""
    yield from _frame_names(spec)
    yield from _medium(spec)


def _medium(spec: DatasetSpec) -> Iterator[Problem]:
    """Errors in the medium and the suffixes of samples."""
    medium, suffixes = spec.item.medium, spec.item.ext
    if spec.has_folders:
        yield from _folders(spec)
        return
    if medium == "array":
        if not spec.has_files:
            yield Problem(("item", "medium"), "arrays are whole files: all sources of items have content: file")
        if suffixes != ["csv"]:
            yield Problem(("item", "ext"), "arrays are csv files: write [csv]")
        return
    if medium == "package":
        if suffixes != ["pkl"]:
            yield Problem(("item", "ext"), "packages are pickles: write [pkl]")
        return
    if not suffixes:
        yield Problem(("item", "ext"), "name at least one suffix of the videos, such as mp4")
    for index, suffix in enumerate(suffixes):
        where: Where = ("item", "ext", index)
        if f".{suffix.lower()}" not in VIDEO_SUFFIXES:
            known = ", ".join(one.removeprefix(".") for one in VIDEO_SUFFIXES)
            yield Problem(where, f"{suffix[:60]!r} is no suffix of a video (without its dot): known are {known}")
        elif suffix.lower() in (one.lower() for one in suffixes[:index]):
            yield Problem(where, f"the suffix '{suffix}' is given twice")


def _folders(spec: DatasetSpec) -> Iterator[Problem]:
    """Errors in a data set whose items are folders of frames: keys of videos, frames that no step can read."""
    item = spec.item
    if "ext" in item.model_fields_set:
        yield Problem(("item", "ext"), "an item is a folder of frames, whose name has no suffix: leave it out")
    for key in sorted({"resized", "excerpts", "audio", "audio_features"} & set(spec.layout)):
        yield Problem(("layout", key), "an item is a folder of frames: nothing is made that this folder would hold")
    if "audio_features" in spec.lists:
        told = "an item is a folder of frames: there are lists of rawframes, and of the videos that are made of them"
        yield Problem(("lists", "audio_features"), told)
    if "rawframes" not in spec.layout:
        yield Problem(("layout",), "items that are folders of frames need the folder 'rawframes' in it")
    if pattern_of(item.rgb_pattern) is None:
        yield Problem(
            ("item", "rgb_pattern"), f"{item.rgb_pattern!r} names no JPEG or PNG by its number, such as {{:05d}}.jpg"
        )
    elif not item.rgb_pattern.startswith(item.rgb_prefix):
        wrong = f"{item.rgb_prefix!r} does not begin the names of {item.rgb_pattern!r}"
        yield Problem(("item", "rgb_prefix"), f"{wrong}: write what comes before the number, which may be nothing")
    for index, source in enumerate(spec.sources):
        if source.provides == "items" and source.content != "file":
            told = "an item is a folder of frames as published: content is file"
            yield Problem(("sources", index, "content"), told)
        elif source.provides == "items" and source.kind == "http" and source.archive is None:
            yield Problem(
                ("sources", index, "archive"), "a folder of frames has no address: only an archive of them has"
            )


def _frame_names(spec: DatasetSpec) -> Iterator[Problem]:
    pattern = spec.item.rgb_pattern
    try:
        names = [pattern.format(number) for number in (1, 2, 123456)]
    except (ValueError, LookupError, AttributeError):
        names = [""]
    if len(set(names)) < 3 or any("/" in name or path_problem(name) for name in names):
        yield Problem(
            ("item", "rgb_pattern"), f"{pattern!r} must name each frame by its number, such as img_{{:05d}}.jpg"
        )
