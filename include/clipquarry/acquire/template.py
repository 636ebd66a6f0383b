"""Templates of urls and paths: ``{id} {clip} {class} {label} {split} {start} {end}`` and ``${ENVIRONMENT}``.

``start`` and ``end`` take a zero-padded form as in ``{start:06d}``. Values are untrusted: the caller gives the function
that makes them safe (percent-encoding for a url, a check for plain names for a path).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping

from clipquarry import microseconds
from clipquarry.acquire.answer import ClipRequest
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
        """The names of the template's placeholders."""
        return {name for _, name, _ in self._pieces if name}

    def fill(self, want: ClipRequest, safe: Callable[[str], str]) -> str:
        """The address of one clip."""
        if self._plain is not None:  # {clip} or {id} alone: filled for half a million clips
            return safe(getattr(want, self._plain))
        values: dict[str, str | int | float] = {
            "id": want.video_id, "clip": want.clip_id, "class": want.class_dir, "label": want.label or want.class_dir,
            "split": want.split, "start": want.start, "end": want.end,
        }  # fmt: skip
        return "".join(
            literal + (safe(_shown(values[name], form)) if name else "") for literal, name, form in self._pieces
        )


def _shown(value: str | int | float, form: str) -> str:
    """A value as text. A padded time is truncated to whole seconds, as ``%06d`` does in the reference's names."""
    if isinstance(value, str):
        return value
    return format(int(value), form) if form else microseconds.text(microseconds.of(value))
