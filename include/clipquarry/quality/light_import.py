"""Import of Great Expectations without its modules for pages, statistics and data sources that are not used here.

Every gate is a process of its own under Airflow, and the package imports all its modules: plots and ``scipy.stats``,
SQLAlchemy, a class for each method of Spark, of databases, of clouds and of pandas' files. That takes 3.6 CPU s, of
which two thirds can be saved:

- :data:`LATE` modules are loaded when something in them is used, by the standard library's lazy loader;
- :data:`OPTIONAL` ones are not found unless they are loaded already, as if they were not installed, which the
library allows for;
- kinds of data sources other than tables in memory become modules whose classes are empty;
- the garbage collector is off, because an import creates half a million objects and frees none.

All expectations stay. Modules that are loaded already stay as they are.
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
"""Creates a class for each ``pandas.read_…``; if a version of pandas lacks one, the library goes on without it."""


class _Empty(Loader):
    """A module with every class that is asked for; none of them does anything."""

    def exec_module(self, module: ModuleType) -> None:
        def asked(name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            made = type(name, (), {"__module__": module.__name__})
            setattr(module, name, made)
            return made

        module.__dict__["__getattr__"] = asked


class _NoReaders(Loader):
    """The module :data:`_READERS`, which then finds no method of pandas to create a class for."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.__dict__["_extract_io_methods"] = lambda *_args, **_kwargs: []


class _Light(MetaPathFinder):
    """A finder that comes before all others and decides how modules are loaded."""

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
    """A context in which Great Expectations is imported as this module describes."""
    finder, collecting = _Light(), gc.isenabled()
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if collecting:
            gc.freeze()  # or the first collection examines all of it
            gc.enable()
