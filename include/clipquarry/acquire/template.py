"""Addresses with holes: ``{id} {clip} {class} {label} {split} {start} {end}`` and ``${ENVIRONMENT}``.

``start`` and ``end`` take a zero-padded form as in ``{start:06d}``. Values come from outside: the caller says how
they are made safe (percent-encoded for a url, checked as plain names for a path).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping

from clipquarry.acquire.answer import Want
from clipquarry.errors import UserError

_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NUMBER_FORM = re.compile(r"(0[1-9]?d|d)?\Z")
_PLAIN = {"{id}": "video_id", "{clip}": "clip_id"}
NAMES = ("id", "clip", "class", "label", "split", "start", "end")


def unset_variables(text: str, environ: Mapping[str, str]) -> list[str]:
    """Names of the ``${NAME}`` in ``text`` that the environment does not set (or sets empty)."""
    return [name for name in _ENVIRONMENT.findall(text) if not environ.get(name)]


def expand_environment(text: str, environ: Mapping[str, str]) -> str:
    """``${NAME}`` replaced; braces inside a value are kept as they are. Every variable must be set."""
    return _ENVIRONMENT.sub(lambda m: environ[m[1]].rstrip("/").replace("{", "{{").replace("}", "}}"), text)


class Template:
    """A checked template. Raises UserError for an unknown name or a strange form."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces: list[tuple[str, str | None, str]] = []
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError as error:
            raise UserError(f"The template {text!r} of a source is not well formed: {error}.") from error
        for literal, name, form, conversion in parsed:
            if name is not None and (name not in NAMES or conversion or not _NUMBER_FORM.match(form or "")):
                known = ", ".join(f"{{{known}}}" for known in NAMES)
                raise UserError(f"The template {text!r} of a source holds {{{name}}}; known: {known}, {{start:06d}}.")
            self._pieces.append((literal, name, form or ""))
        self._plain = _PLAIN.get(text)

    @property
    def names(self) -> set[str]:
        """The names that occur."""
        return {name for _, name, _ in self._pieces if name}

    def fill(self, want: Want, safe: Callable[[str], str]) -> str:
        """The address of one clip."""
        if self._plain is not None:  # {clip} or {id} alone, of which half a million are asked for
            return safe(getattr(want, self._plain))
        values: dict[str, str | int] = {
            "id": want.video_id, "clip": want.clip_id, "class": want.class_dir, "label": want.label or want.class_dir,
            "split": want.split, "start": want.start, "end": want.end,
        }  # fmt: skip
        return "".join(
            literal + (safe(format(values[name], form if isinstance(values[name], int) else "")) if name else "")
            for literal, name, form in self._pieces
        )
