"""The arrows of ARCHITECTURE.md, held over every import, those inside functions too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

import clipquarry

PROJECT = Path(__file__).parents[1]
INCLUDE = PROJECT / "include/clipquarry"
PLUGINS = PROJECT / "plugins"
DAGS = PROJECT / "dags"

GROUND = (
    "reasons",
    "errors",
    "former",
    "files",
    "ids",
    "manifest",
    "store",
    "settings",
    "progress",
    "run_folder",
    "run_order",
    "overlap",
    "layout",
    "fingerprint",
)

ROOMS: dict[str, set[str]] = {
    "datasets": set(),
    "annotations": set(),
    "media": set(),
    "people": set(),
    "ledger": set(),
    "acquire": {"datasets"},
    "quality": {"datasets", "media"},
    "release": {"datasets", "annotations"},
    "report": {"datasets", "ledger", "media"},
    "steps": {"datasets", "acquire", "annotations", "media", "people"},
    "pipeline": {"datasets", "acquire", "annotations", "steps", "ledger", "quality", "release", "report"},
    "adopt": {"ledger"},
    "demo": {"datasets", "media", "pipeline"},
    "cli": {"datasets", "acquire", "media", "steps", "ledger", "release", "report", "pipeline", "adopt"},
    "__main__": {"cli"},
}
"""Room to the rooms it may import; all may import the ground floor."""

GROUND_ARROWS: dict[str, set[str]] = {
    "reasons": set(),
    "errors": {"reasons"},
    "former": {"errors"},
    "files": {"errors"},
    "ids": set(),
    "manifest": {"errors", "files"},
    "store": {"errors", "files"},
    "settings": {"errors", "files", "former"},
    "progress": set(),
    "run_folder": set(),
    "run_order": {"errors", "files"},
    "overlap": set(),
    "layout": {"files", "settings", "store"},
    "fingerprint": set(),
}

NARROW: dict[tuple[str, str], set[str]] = {
    ("acquire", "datasets"): {"datasets.model"},
    ("quality", "datasets"): {"datasets.model"},
    ("quality", "media"): {"media.image_content", "media.errors"},
    ("release", "datasets"): {"datasets.model"},
    ("report", "datasets"): {"datasets.model"},
    ("steps", "datasets"): {"datasets.model"},
    ("release", "annotations"): {"annotations.file_list"},
    ("adopt", "ledger"): {"ledger.engine"},
    ("report", "media"): {"media.thumbnail", "media.errors"},
    ("demo", "media"): {"media.tools", "media.run"},
    ("cli", "media"): {"media.tools"},
    ("cli", "acquire"): {"acquire.preflight"},
}
"""Arrows that are only as wide as these modules: facts and types, never the work of the other room."""


@cache
def _modules(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> tuple[tuple[str, int], ...]:
    """Full names of everything a module imports anywhere, with the line; a relative one begins with its dots."""
    found = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found += [(name.name, node.lineno) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(f"{'.' * node.level}{node.module}.{name.name}", node.lineno) for name in node.names]
    return tuple(found)


def _where(path: Path, line: int) -> str:
    return f"{path.relative_to(PROJECT)}:{line}"


def _inside(name: str) -> str | None:
    """``clipquarry.media.thumbnail.make`` gives ``media.thumbnail``; None for others."""
    parts = name.split(".")
    if parts[0] != "clipquarry" or len(parts) == 1 or parts[1] == "__version__":
        return None
    room = parts[1]
    if (INCLUDE / f"{room}.py").exists():
        return room
    if len(parts) > 2 and ((INCLUDE / room / f"{parts[2]}.py").exists() or (INCLUDE / room / parts[2]).is_dir()):
        return f"{room}.{parts[2]}"
    return room


def _room(path: Path) -> str:
    return path.relative_to(INCLUDE).parts[0].removesuffix(".py")


def _lazy_names(path: Path) -> set[str]:
    """Rooms named in strings for importlib, ``"clipquarry.steps.…"`` among them."""
    names = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("clipquarry."):
            found = _inside(node.value)
            if found is not None and (INCLUDE / found.partition(".")[0]).is_dir() and " " not in node.value:
                names.add(found)
    return names


def _wrong_arrows(path: Path) -> Iterator[str]:
    room = _room(path)
    if path == INCLUDE / "__init__.py":
        others = [(name, line) for name, line in _imports(path) if name != "__future__.annotations"]
        yield from (f"{_where(path, line)} imports {name}" for name, line in others)
        return
    allowed = GROUND_ARROWS[room] if room in GROUND_ARROWS else {*ROOMS[room], *GROUND, room}
    targets = [(_inside(name), line) for name, line in _imports(path)] + [(name, 0) for name in _lazy_names(path)]
    for target, line in targets:
        if target is None:
            continue
        other = target.partition(".")[0]
        narrow = NARROW.get((room, other))
        if other not in allowed:
            yield f"{_where(path, line)} imports clipquarry.{target}"
        elif narrow is not None and target not in narrow:
            yield f"{_where(path, line)} imports clipquarry.{target}; of that room only {sorted(narrow)}"


def test_arrows_between_the_rooms() -> None:
    assert [fault for path in _modules(INCLUDE) for fault in _wrong_arrows(path)] == []


def test_imports_are_absolute() -> None:
    modules = [*_modules(INCLUDE), *_modules(PLUGINS), *_modules(DAGS)]
    assert [_where(path, line) for path in modules for name, line in _imports(path) if name.startswith(".")] == []


def test_every_room_is_in_the_table_and_every_arrow_is_used() -> None:
    rooms = {_room(path) for path in _modules(INCLUDE)} - {"__init__"}
    assert rooms == {*ROOMS, *GROUND_ARROWS}
    used = {
        (_room(path), (_inside(name) or "").partition(".")[0])
        for path in _modules(INCLUDE)
        for name, _ in _imports(path)
    }
    unused = {(room, other) for room, others in ROOMS.items() for other in others} - used
    assert unused <= {("steps", "annotations"), ("demo", "datasets")}, "an arrow nobody uses leaves the table"


def test_the_arrows_make_no_circle() -> None:
    order: list[str] = []
    left = {**ROOMS, **GROUND_ARROWS}
    while left:
        free = [room for room, others in left.items() if not others - set(order)]
        assert free, f"a circle among {sorted(left)}"
        order += free
        left = {room: others for room, others in left.items() if room not in free}


def test_nothing_below_include_knows_airflow() -> None:
    known = ("airflow", "clipquarry_airflow")
    assert [
        _where(path, line) for path in _modules(INCLUDE) for name, line in _imports(path) if name.startswith(known)
    ] == []


def test_importing_everything_below_include_leaves_airflow_alone() -> None:
    names = [
        ".".join(path.relative_to(INCLUDE.parent).with_suffix("").parts)
        for path in _modules(INCLUDE)
        if "migrations" not in path.parts and path.name != "__main__.py"
    ]
    program = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\nprint('airflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr[-2000:]


def test_plugins_do_not_know_the_dags() -> None:
    dags = {"dags", *(dag.stem for dag in _modules(DAGS))}
    assert [
        _where(path, line)
        for path in _modules(PLUGINS)
        for name, line in _imports(path)
        if name.partition(".")[0] in dags
    ] == []


def test_dag_files_are_thin() -> None:
    """A DAG file goes through the plugins; of the library it may know facts, never the work."""
    allowed = {None, "datasets.load", "datasets.model", "settings", "errors"}
    assert [
        f"{_where(path, line)} imports {name}"
        for path in _modules(DAGS)
        for name, line in _imports(path)
        if _inside(name) not in allowed
    ] == []
    assert _longer_than(40, _modules(DAGS)) == []


def _longer_than(most: int, modules: Iterable[Path]) -> list[str]:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    return [f"{path.relative_to(PROJECT)}: {length} lines" for path, length in lengths.items() if length > most]


def test_dag_files_load_nothing_heavy() -> None:
    """The loader and the settings are read at parse time, every 30 seconds."""
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
    assert _longer_than(400, [*_modules(INCLUDE), *_modules(PLUGINS), *_modules(DAGS)]) == []


def test_the_page_names_every_room() -> None:
    page = (PROJECT / "ARCHITECTURE.md").read_text()
    names = [f"  {room}/" for room in ROOMS if room != "__main__"]
    assert [name for name in [*names, *GROUND] if name not in page] == []
