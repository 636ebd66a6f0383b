"""The arrows of ARCHITECTURE.md, held over every import, those inside functions too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
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
    "file_lock",
    "airflow_home",
    "microseconds",
    "ids",
    "frame_names",
    "manifest",
    "store",
    "settings",
    "progress",
    "run_folder",
    "run_documents",
    "run_order",
    "waiting",
    "approvals",
    "overlap",
    "layout",
    "item_folder",
    "fingerprint",
)

ROOMS: dict[str, set[str]] = {
    "datasets": set(),
    "annotations": set(),
    "media": set(),
    "people": set(),
    "ledger": set(),
    "labelling": set(),
    "label_exchange": {"annotations", "labelling"},
    "acquire": {"datasets"},
    "quality": {"datasets", "media"},
    "release": {"datasets", "annotations"},
    "report": {"datasets", "ledger", "media"},
    "steps": {"datasets", "acquire", "annotations", "media", "people"},
    "pipeline": {"datasets", "acquire", "steps", "ledger", "quality", "release", "report"},
    "families": {
        "datasets",
        "acquire",
        "annotations",
        "media",
        "people",
        "quality",
        "release",
        "report",
        "pipeline",
        "demo",
        "labelling",
        "label_exchange",
    },
    "adopt": {"ledger"},
    "demo": {"datasets", "media", "pipeline"},
    "cli": {"annotations", "datasets", "acquire", "media", "steps", "release", "report", "pipeline", "adopt"},
    "__main__": {"cli"},
}
"""Room to the rooms it may import; all may import the ground floor. Nobody imports a family: ``datasets.families`` finds it by name."""

GROUND_ARROWS: dict[str, set[str]] = {
    "reasons": set(),
    "errors": {"reasons"},
    "former": {"errors"},
    "files": {"errors"},
    "file_lock": {"errors", "files"},
    "airflow_home": {"errors", "file_lock"},
    "microseconds": set(),
    "ids": {"microseconds"},
    "frame_names": {"ids"},
    "manifest": {"errors", "files", "microseconds"},
    "store": {"errors", "files"},
    "settings": {"errors", "files", "former"},
    "progress": set(),
    "run_folder": set(),
    "approvals": {"errors", "files", "run_folder"},
    "run_documents": {"approvals", "errors", "files", "run_folder"},
    "run_order": {"file_lock", "files", "run_documents", "run_folder"},
    "waiting": {"errors", "files", "reasons", "run_folder"},
    "overlap": set(),
    "layout": {"files", "settings", "store"},
    "item_folder": {"files", "settings", "store"},
    "fingerprint": set(),
}

NARROW: dict[tuple[str, str], set[str]] = {
    ("acquire", "datasets"): {"datasets.model"},
    ("quality", "datasets"): {"datasets.model", "datasets.namespace", "datasets.safe_yaml", "datasets.splits"},
    ("quality", "media"): {"media.frame_content", "media.errors"},
    ("release", "datasets"): {"datasets.model", "datasets.splits"},
    ("report", "datasets"): {"datasets.model", "datasets.namespace", "datasets.ways"},
    ("steps", "datasets"): {"datasets.model"},
    ("release", "annotations"): {"annotations.file_list", "annotations.label_groups", "annotations.label_table"},
    ("adopt", "ledger"): {"ledger.engine"},
    ("report", "media"): {"media.thumbnail", "media.errors"},
    ("families", "media"): {"media.thumbnail", "media.errors", "media.skeleton_drawing", "media.frame_folder"},
    ("families", "people"): {
        "people.rates",
        "people.small",
        "people.small.package",
        "people.tracking.track_file",
        "people.tracking",
    },
    ("families", "demo"): {"demo.videos"},
    ("demo", "media"): {"media.tools", "media.run"},
    ("cli", "media"): {"media.tools", "media.frame_content"},
    ("cli", "annotations"): {"annotations.file_table", "annotations.own_ava", "annotations.ssn_proposals"},
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


@cache
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
    lazy = set() if path == INCLUDE / "datasets/families.py" else _lazy_names(path)
    targets = [(_inside(name), line) for name, line in _imports(path)] + [(name, 0) for name in lazy]
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


def test_a_family_reaches_another_one_through_its_description() -> None:
    families = INCLUDE / "families"
    others = [
        f"{_where(path, line)} imports {name}"
        for path in _modules(families)
        if path.parent != families
        for name, line in _imports(path)
        if name.startswith("clipquarry.families.")
        and name.split(".")[2] != path.relative_to(families).parts[0]
        and name.split(".")[3:4] != ["family"]
    ]
    assert others == []


def test_no_name_of_a_data_set_or_format_in_the_rooms_that_all_families_share() -> None:
    """Text that equals such a name. The families' own names are English words, and gates are called so."""
    formats = {"kinetics_csv", "ava_csv", "ava_kinetics_csv"}
    names = {path.stem for path in (INCLUDE / "datasets").glob("*.yaml")} | formats
    shared = [*(INCLUDE / room for room in ("quality", "report", "pipeline", "steps")), PLUGINS]
    assert [
        f"{_where(path, node.lineno)}: {node.value}"
        for folder in shared
        for path in _modules(folder)
        for node in ast.walk(_tree(path))
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
    assert unused <= {("steps", "annotations")}, "an arrow nobody uses leaves the table"


def test_the_arrows_make_no_circle() -> None:
    order: list[str] = []
    left = {**ROOMS, **GROUND_ARROWS}
    while left:
        free = [room for room, others in left.items() if not others - set(order)]
        assert free, f"a circle among {sorted(left)}"
        order += free
        left = {room: others for room, others in left.items() if room not in free}


def _of_program(node: ast.AST) -> Iterator[ast.stmt]:
    """Import statements in a node, those for the type checker left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            yield from (found for one in child.orelse for found in _of_program(one))
        else:
            yield from _of_program(child)


def _module_name(path: Path) -> str:
    return ".".join(path.relative_to(INCLUDE.parent).with_suffix("").parts).removesuffix(".__init__")


def test_no_module_reaches_itself_through_its_imports() -> None:
    """Those inside functions count: a circle is two modules that are one, wherever its imports stand."""
    modules = {_module_name(path): path for path in _modules(INCLUDE)}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        graph[name] = set()
        for node in _of_program(_tree(path)):
            if isinstance(node, ast.Import):
                graph[name] |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom):
                wanted = {f"{node.module}.{one.name}" for one in node.names}
                graph[name] |= {one if one in modules else str(node.module) for one in wanted}
        graph[name] = (graph[name] & modules.keys()) - {name}
    assert len(graph["clipquarry.pipeline.plan"]) > 5, "the imports are read"
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the modules of a circle


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
    """A DAG file is its docstring and a call of the plug-in, which decides what is imported."""
    faults = []
    for path in _modules(DAGS):
        docstring, *body = _tree(path).body
        assert isinstance(docstring, ast.Expr) and ast.get_docstring(_tree(path)), f"{path.name} says nothing of itself"
        faults += [f"{_where(path, node.lineno)} is more than a call" for node in body[3:]]
        for name, line in _imports(path):
            if not name.startswith("clipquarry_airflow.") and _inside(name) != "errors":
                faults.append(f"{_where(path, line)} imports {name}")
    assert faults == []


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
    assert _longer_than(400, [*_modules(INCLUDE), *_modules(PLUGINS), *_modules(DAGS)]) == []


def test_the_page_names_every_room() -> None:
    page = (PROJECT / "ARCHITECTURE.md").read_text()
    names = [f"  {room}/" for room in ROOMS if room != "__main__"]
    assert [name for name in [*names, *GROUND] if name not in page] == []


def _through_scalar(node: ast.expr) -> bool:
    """``scalar(…)``, or arrow's reader of csv files, which knows no lists."""
    name = node.func if isinstance(node, ast.Call) else None
    return (isinstance(name, ast.Name) and name.id == "scalar") or (
        isinstance(name, ast.Attribute) and name.attr == "read_csv"
    )


def _columns_of_lists(path: Path) -> Iterator[str]:
    """Arrow tables that are joined or become pandas tables without a look at their columns."""
    for node in ast.walk(_tree(path)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        # Others join too: texts, threads, and SQLAlchemy, by a condition.
        named = any(one.arg in ("keys", "join_type") for one in node.keywords)
        named |= len(node.args) > 1 and isinstance(node.args[1], ast.Constant | ast.List)
        joins = node.func.attr == "join" and bool(node.args) and named
        if joins and not all(map(_through_scalar, (node.func.value, node.args[0]))):
            yield f"{_where(path, node.lineno)} joins tables; let them go through manifest.scalar first"
        if node.func.attr == "to_pandas" and not _through_scalar(node.func.value):
            yield f"{_where(path, node.lineno)} makes a pandas table; let it go through manifest.scalar first"


def test_no_column_of_lists_is_joined_or_becomes_a_pandas_column() -> None:
    """``manifest.scalar`` refuses lists, structs and maps; the engine of the checks refuses them too (tests/quality)."""
    modules = [*_modules(INCLUDE), *_modules(PLUGINS)]
    assert [fault for path in modules for fault in _columns_of_lists(path)] == []
