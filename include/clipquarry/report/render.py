"""The Jinja environment of all pages: autoescape on, undefined names are errors, our own filters."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from clipquarry.report import reason_texts, text

TEMPLATES = Path(__file__).parent / "templates"

CSP = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""What a page may do: show its own styles and images. No scripts, no network."""


@cache
def _environment(*folders: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, *folders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clean": text.clean, "number": text.number, "share": text.share, "size": text.size, "span": text.span,
        "seconds": text.seconds, "moment": text.moment, "day": text.day, "distance": text.distance,
        "words": reason_texts.reason_text, "again": reason_texts.again,
    }  # fmt: skip
    return environment


def render(template: str, *, folders: tuple[Path, ...] = (), **values: Any) -> str:
    """A whole page; ``folders`` hold templates besides our own. Everything in ``values`` is escaped, unless it is :class:`~markupsafe.Markup` of our own making."""
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704  our own file
    return _environment(*folders).get_template(template).render(style=style, **values)
