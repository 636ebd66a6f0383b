"""Imports Great Expectations without what it loads for pages, statistics and places of data that are not used here.

Every gate is a process of its own under Airflow, and its package imports all it has: plots and ``scipy.stats``, SQLAlchemy, a class
for each method of Spark, of databases, of clouds and of pandas' files. That is 3.6 CPU s of which two thirds can be left out:

- :data:`LATE` modules are loaded when somebody asks for something in them, by the standard library's lazy loader;
- :data:`OPTIONAL` ones are not found unless they are loaded already, as if they were not installed, which the library allows for;
- kinds of data sources other than tables in memory become modules whose classes are empty;
- the collector of garbage rests: an import makes half a million objects and throws none away.

All expectations stay. What is loaded already stays as it is.
"""

from __future__ import annotations

import gc
import importlib.util
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

LATE: Final = ("scipy.stats", "altair")
OPTIONAL: Final = ("sqlalchemy",)
_SOURCES: Final = "great_expectations.datasource.fluent."
_OTHERS: Final = re.compile(
    rf"{re.escape(_SOURCES)}(?!pandas_datasource\Z|invalid_datasource\Z)(\w+_datasource|fabric)"
)
_READERS: Final = f"{_SOURCES}dynamic_pandas"
"""Makes a class for each ``pandas.read_…``; where a version of pandas lacks one, the library goes on without."""


class _Empty(Loader):
    """A module that has every class that it is asked for; none of them does anything."""

    def exec_module(self, module: ModuleType) -> None:
        def asked(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            made = type(name, (), {"__module__": module.__name__})
            setattr(module, name, made)
            return made

        module.__dict__["__getattr__"] = asked


class _NoReaders(Loader):
    """The module :data:`_READERS`, which then finds no method of pandas to make a class for."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__dict__["_extract_io_methods"] = lambda *_args, **_kwargs: []


class _Light(MetaPathFinder):
    """Finds modules before anybody else does, and decides how they are loaded."""

    def __init__(self) -> None:
        self._asking = ""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in OPTIONAL:
            raise ModuleNotFoundError(f"No module named '{fullname}'", name=fullname)
        if _OTHERS.fullmatch(fullname):
            return ModuleSpec(fullname, _Empty())
        if fullname == self._asking or fullname not in (*LATE, _READERS):
            return None
        self._asking = fullname
        spec = importlib.util.find_spec(fullname)
        self._asking = ""
        if spec is not None and spec.loader is not None:
            spec.loader = _NoReaders(spec.loader) if fullname == _READERS else importlib.util.LazyLoader(spec.loader)
        return spec


@contextmanager
def light_imports() -> Iterator[None]:
    """Inside, Great Expectations is imported as this module says."""
    finder, collecting = _Light(), gc.isenabled()
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if collecting:
            gc.freeze()  # or the first collection looks at all of it
            gc.enable()
