"""Translation of a data set's YAML with keys of earlier versions, so that people's own YAMLs go on working.

Before families, a YAML had ``family: crawl`` with ``annotation_format``, ``arrangement`` and ``detection``. Later ones
called splits and archive volumes ``parts``. ``docs/upgrading.md`` shows the new keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Where = tuple[str | int, ...]

_KEYS = ("annotation_format", "arrangement", "detection")
_FLAT_FRAMES = {"rate": 30, "quality": 1, "even": True}
_FORMER, _NOW = "{part}", "{split}"


class FormerKeyError(ValueError):
    """A former key that only a person can translate: the end of a sentence, and the key's place as it was written."""

    def __init__(self, text: str, where: Where) -> None:
        super().__init__(text)
        self.where = where


def translated(value: dict[str, Any]) -> dict[str, Any]:
    """The content of a YAML with the keys of today. Raises :class:`FormerKeyError`."""
    return _with_splits(_with_family(value))


def _with_family(value: dict[str, Any]) -> dict[str, Any]:
    format_ = value.get("annotation_format")
    if value.get("family") != "crawl" or format_ is None or "options" in value:
        if found := next((key for key in _KEYS if key in value), None):
            todo = "write 'options' now, whose keys 'clipquarry spec --json-schema' prints"
            if "options" in value:
                todo = "leave it out, because 'options' is there, which has its place now"
            raise FormerKeyError(f"it is of an older version: {todo}", (found,))
        return value
    arrangement = value.get("arrangement", "windows")
    if arrangement not in ("windows", "flat"):
        raise FormerKeyError(f"{str(arrangement)[:60]!r} is neither 'windows' nor 'flat'", ("arrangement",))
    new = {key: one for key, one in value.items() if key not in _KEYS}
    flat = arrangement == "flat"
    detection = {"detection": value["detection"]} if "detection" in value else {}
    if format_ == "kinetics_csv":
        options = {"reader": "kinetics_csv", **({"frames": _FLAT_FRAMES} if flat else {}), **detection}
        return {**new, "family": "clips", "options": options}
    if format_ == "ava_csv":
        return {**new, "family": "boxes", "options": {"items": "videos", **detection}}
    if format_ == "ava_kinetics_csv" and flat:
        return {**new, "family": "boxes", "options": {"items": "key_frames", **detection}}
    raise FormerKeyError(
        f"{str(format_)[:60]!r} is of an older version: write 'family' and 'options', whose keys 'clipquarry spec --json-schema' prints",
        ("annotation_format",),
    )


def _with_splits(value: dict[str, Any]) -> dict[str, Any]:
    new = _renamed(value, "default_parts", "default_splits", ())
    if isinstance(splits := new.get("splits"), list):
        new["splits"] = _one_mapping(splits)
    for key in ("layout", "lists"):
        if isinstance(names := new.get(key), dict):
            new[key] = {
                name: path.replace(_FORMER, _NOW) if isinstance(path, str) else path for name, path in names.items()
            }
    if isinstance(expected := new.get("expected"), dict):
        new["expected"] = _expected(expected, ("expected",))
    return new


def with_volume_lists(source: Any) -> Any:
    """A source's content with the key ``volume_lists``, which plans of earlier versions call ``parts_list`` too."""
    return _renamed(source, "parts_list", "volume_lists", ()) if isinstance(source, dict) else source


def _renamed(value: dict[str, Any], former: str, now: str, where: Where) -> dict[str, Any]:
    """A copy whose key ``former`` is called ``now``, in its place."""
    if former in value and now in value:
        raise FormerKeyError(f"it is the former name of '{now}', which is there too: keep that one", (*where, former))
    return {now if key == former else key: one for key, one in value.items()}


def _one_mapping(splits: list[Any]) -> dict[str, Any]:
    """``[{parts: {train: a.csv}}]`` as ``{train: a.csv}``."""
    found: dict[str, Any] = {}
    for index, split in enumerate(splits):
        where: Where = ("splits", index)
        if not isinstance(split, dict):
            raise FormerKeyError("write 'splits' as a mapping of each split to its annotation file", where)
        if unknown := next((key for key in split if key != "parts"), None):
            raise FormerKeyError(
                "unknown key; 'clipquarry spec --json-schema' prints those that there are", (*where, unknown)
            )
        parts = split.get("parts")
        if not isinstance(parts, dict):
            raise FormerKeyError("it names no annotation file of a split", where)
        for name, path in parts.items():
            if name in found:
                raise FormerKeyError(f"the split '{name}' is given twice", (*where, "parts", name))
            found[name] = path
    return found


def _expected(value: dict[str, Any], where: Where) -> dict[str, Any]:
    new = _renamed(value, "parts", "rows", where)
    if isinstance(variants := new.get("variants"), dict):
        new["variants"] = {
            name: _expected(one, (*where, "variants", name)) if isinstance(one, dict) else one
            for name, one in variants.items()
        }
    if "videos" in new:
        new["videos"] = _videos(new["videos"])
    return new


def _videos(value: Any) -> Any:
    """``{parts: {train: …}}`` as ``{train: …}``; a split may be called ``parts``."""
    if value is None:
        return {}
    former = isinstance(value, dict) and set(value) == {"parts"} and isinstance(value["parts"], dict)
    return value["parts"] if former and "count" not in value["parts"] else value


def place_of_error(value: dict[str, Any], error: Mapping[str, Any]) -> Where:
    """As :func:`as_written`, of one of pydantic's errors: its ``loc`` also names the branches of unions, which nobody wrote."""
    found: Where = ()
    for index, step in enumerate(error["loc"]):
        ahead = error["loc"][index + 1 :]
        is_absent_key = error["type"] == "missing" and not ahead
        if _holds(value, as_written(value, (*found, step))) or is_absent_key or ahead == ("[key]",):
            found = (*found, step)
    raised = (error.get("ctx") or {}).get("error")
    return (*as_written(value, found), *(raised.where if isinstance(raised, FormerKeyError) else ()))


def as_written(value: dict[str, Any], where: Where) -> Where:
    """The place of a key in the content ``value`` of a YAML before its translation; ``where`` is the place after it."""
    if where[:1] == ("options",) and "options" not in value and "annotation_format" in value:
        where = where[1:] if where[1:2] == ("detection",) else ("annotation_format",)
    found: list[str | int] = []
    here: Any = value
    for step in where:
        former = next((one for one in _former_steps(step, found, here) if _holds(here, one)), (step,))
        found += former
        for one in former:
            here = here[one] if _holds(here, (one,)) else None
    return tuple(found)


def _former_steps(step: str | int, before: list[str | int], here: Any) -> list[Where]:
    """What ``step`` below the place ``before`` may have been called."""
    if before == ["splits"] and isinstance(here, list):
        return [(index, "parts", step) for index in range(len(here))]
    if before[:1] == ["expected"] and before[-1:] == ["videos"] and here is not None:
        return [(step,), ("parts", step)]
    names = {"default_splits": "default_parts", "volume_lists": "parts_list", "rows": "parts"}
    return [(step,), (names[step],)] if step in names else [(step,)]


def _holds(value: Any, where: Where) -> bool:
    """Whether there is such a place in ``value``."""
    for step in where:
        if isinstance(value, dict) and step in value:
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
            value = value[step]
        else:
            return False
    return True


def in_former_words(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a data set (without defaults, as JSON) under its former keys: lock files have always hashed these."""
    old = _renamed(content, "default_splits", "default_parts", ())
    if "splits" in old:
        old["splits"] = [{"parts": old["splits"]}]
    for key in ("layout", "lists"):
        if key in old:
            old[key] = {name: path.replace(_NOW, _FORMER) for name, path in old[key].items()}
    if (frames := old.get("options", {}).get("frames", {})).get("even"):  # such frames were never enlarged
        old["options"] = {**old["options"], "frames": {**frames, "enlarge": False}}
    if "sources" in old:
        old["sources"] = [_renamed(source, "volume_lists", "parts_list", ()) for source in old["sources"]]
    if "expected" in old:
        old["expected"] = _expected_before(old["expected"])
    return old


def _expected_before(value: dict[str, Any]) -> dict[str, Any]:
    old = _renamed(value, "rows", "parts", ())
    if "variants" in old:
        old["variants"] = {name: _expected_before(one) for name, one in old["variants"].items()}
    if "videos" in old:
        old["videos"] = {"parts": old["videos"]}
    return old
