"""Rules of the code besides the arrows: the size of its modules, their names and imports, and what is loaded when."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import clipquarry
from source_tree import DAGS, INCLUDE, PLUGINS, PROJECT, imports_of, modules_of, tree_of, where


def test_no_name_of_a_data_set_or_format_in_the_rooms_that_all_families_share() -> None:
    """Text that equals such a name. The families' own names are English words, and gates are called so."""
    formats = {"kinetics_csv", "ava_csv", "ava_kinetics_csv"}
    names = {path.stem for path in (INCLUDE / "datasets").glob("*.yaml")} | formats
    shared = [*(INCLUDE / room for room in ("quality", "report", "pipeline", "steps")), PLUGINS]
    assert [
        f"{where(path, node.lineno)}: {node.value}"
        for folder in shared
        for path in modules_of(folder)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Constant) and node.value in names
    ] == []


def test_a_family_is_described_without_the_heavy_libraries() -> None:
    """DAG files read it at parse, and the image of steps holds it: pandas, pyarrow and SQLAlchemy are not there."""
    heavy = ("pandas", "pyarrow", "sqlalchemy", "great_expectations", "matplotlib")
    program = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {heavy!r}: raise ImportError(name + ' is blocked')\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from clipquarry.datasets.load import load_all\n"
        "from clipquarry.pipeline.family import tasks_of\n"
        "from clipquarry.pipeline.family import default_params, params_model\n"
        "specs, errors = load_all()\n"
        "assert not errors, errors\n"
        "for spec in specs.values(): print(spec.name, len(tasks_of(spec)), params_model(spec), default_params(spec))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.splitlines()) == len(list((INCLUDE / "datasets").glob("*.yaml")))


def test_imports_are_absolute() -> None:
    modules = [*modules_of(INCLUDE), *modules_of(PLUGINS), *modules_of(DAGS)]
    assert [where(path, line) for path in modules for name, line in imports_of(path) if name.startswith(".")] == []


def _longer_than(most: int, modules: Iterable[Path]) -> list[str]:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    return [f"{path.relative_to(PROJECT)}: {length} lines" for path, length in lengths.items() if length > most]


def test_dag_files_load_nothing_heavy() -> None:
    """The loader and the settings are read at parse time, every few minutes and before each task."""
    heavy = ["pyarrow", "pandas", "av", "yt_dlp", "great_expectations", "matplotlib", "sqlalchemy", "requests"]
    program = (
        "import sys, clipquarry.datasets.load, clipquarry.settings\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_one_version_everywhere() -> None:
    assert version("clipquarry") == clipquarry.__version__
    assert f'version = "{clipquarry.__version__}"' in (PROJECT / "pyproject.toml").read_text()


def test_modules_are_small() -> None:
    """At most 400 lines, one reason to change."""
    assert _longer_than(400, [*modules_of(INCLUDE), *modules_of(PLUGINS), *modules_of(DAGS)]) == []


def _through_scalar(node: ast.expr) -> bool:
    """``scalar(…)``, or arrow's reader of csv files, which knows no lists."""
    name = node.func if isinstance(node, ast.Call) else None
    return (isinstance(name, ast.Name) and name.id == "scalar") or (
        isinstance(name, ast.Attribute) and name.attr == "read_csv"
    )


def _columns_of_lists(path: Path) -> Iterator[str]:
    """Arrow tables that are joined or become pandas tables without a look at their columns."""
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        # Others join too: texts, threads, and SQLAlchemy, by a condition.
        named = any(one.arg in ("keys", "join_type") for one in node.keywords)
        named |= len(node.args) > 1 and isinstance(node.args[1], ast.Constant | ast.List)
        joins = node.func.attr == "join" and bool(node.args) and named
        if joins and not all(map(_through_scalar, (node.func.value, node.args[0]))):
            yield f"{where(path, node.lineno)} joins tables; let them go through manifest.scalar first"
        if node.func.attr == "to_pandas" and not _through_scalar(node.func.value):
            yield f"{where(path, node.lineno)} makes a pandas table; let it go through manifest.scalar first"


def test_no_column_of_lists_is_joined_or_becomes_a_pandas_column() -> None:
    """``manifest.scalar`` refuses lists, structs and maps; the engine of the checks refuses them too (tests/quality)."""
    modules = [*modules_of(INCLUDE), *modules_of(PLUGINS)]
    assert [fault for path in modules for fault in _columns_of_lists(path)] == []
