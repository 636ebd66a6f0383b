"""Imports Great Expectations without what it loads for checks and pages that are not used here.

Its package imports all expectations and all actions, and those ``scipy.stats`` (distributions) and ``altair`` (plots): two fifths of the
time. Both are put off until somebody asks for something in them, by the standard library's lazy loader.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

LATE: Final = ("scipy.stats", "altair")
"""Modules that are loaded when one of their names is first asked for."""


class _Late(MetaPathFinder):
    """Finds the modules of :data:`LATE`, each once, and puts their loading off."""

    def __init__(self) -> None:
        self._left = set(LATE)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._left:
            return None
        self._left.remove(fullname)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


@contextmanager
def late_imports() -> Iterator[None]:
    """Inside, the modules of :data:`LATE` are loaded late; those that are loaded already stay as they are."""
    finder = _Late()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
