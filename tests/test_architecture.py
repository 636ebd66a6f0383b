"""The arrows of ARCHITECTURE.md, held over every import, those inside functions too."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from source_tree import DAGS, INCLUDE, PLUGINS, PROJECT, imports_of, modules_of, tree_of, where

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
    "layout": {"file_lock", "files", "settings", "store"},
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
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("clipquarry."):
            found = _inside(node.value)
            if found is not None and (INCLUDE / found.partition(".")[0]).is_dir() and " " not in node.value:
                names.add(found)
    return names


def _wrong_arrows(path: Path) -> Iterator[str]:
    room = _room(path)
    if path == INCLUDE / "__init__.py":
        others = [(name, line) for name, line in imports_of(path) if name != "__future__.annotations"]
        yield from (f"{where(path, line)} imports {name}" for name, line in others)
        return
    allowed = GROUND_ARROWS[room] if room in GROUND_ARROWS else {*ROOMS[room], *GROUND, room}
    lazy = set() if path == INCLUDE / "datasets/families.py" else _lazy_names(path)
    targets = [(_inside(name), line) for name, line in imports_of(path)] + [(name, 0) for name in lazy]
    for target, line in targets:
        if target is None:
            continue
        other = target.partition(".")[0]
        narrow = NARROW.get((room, other))
        if other not in allowed:
            yield f"{where(path, line)} imports clipquarry.{target}"
        elif narrow is not None and target not in narrow:
            yield f"{where(path, line)} imports clipquarry.{target}; of that room only {sorted(narrow)}"


def test_arrows_between_the_rooms() -> None:
    assert [fault for path in modules_of(INCLUDE) for fault in _wrong_arrows(path)] == []


def test_a_family_reaches_another_one_through_its_description() -> None:
    families = INCLUDE / "families"
    others = [
        f"{where(path, line)} imports {name}"
        for path in modules_of(families)
        if path.parent != families
        for name, line in imports_of(path)
        if name.startswith("clipquarry.families.")
        and name.split(".")[2] != path.relative_to(families).parts[0]
        and name.split(".")[3:4] != ["family"]
    ]
    assert others == []


def test_every_room_is_in_the_table_and_every_arrow_is_used() -> None:
    rooms = {_room(path) for path in modules_of(INCLUDE)} - {"__init__"}
    assert rooms == {*ROOMS, *GROUND_ARROWS}
    used = {
        (_room(path), (_inside(name) or "").partition(".")[0])
        for path in modules_of(INCLUDE)
        for name, _ in imports_of(path)
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
    modules = {_module_name(path): path for path in modules_of(INCLUDE)}
    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        graph[name] = set()
        for node in _of_program(tree_of(path)):
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
        where(path, line) for path in modules_of(INCLUDE) for name, line in imports_of(path) if name.startswith(known)
    ] == []


def test_importing_everything_below_include_leaves_airflow_alone() -> None:
    names = [
        ".".join(path.relative_to(INCLUDE.parent).with_suffix("").parts)
        for path in modules_of(INCLUDE)
        if "migrations" not in path.parts and path.name != "__main__.py"
    ]
    program = f"import sys, importlib\nfor n in {names!r}: importlib.import_module(n)\nprint('airflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr[-2000:]


def test_plugins_do_not_know_the_dags() -> None:
    dags = {"dags", *(dag.stem for dag in modules_of(DAGS))}
    assert [
        where(path, line)
        for path in modules_of(PLUGINS)
        for name, line in imports_of(path)
        if name.partition(".")[0] in dags
    ] == []


def test_dag_files_are_thin() -> None:
    """A DAG file is its docstring and a call of the plug-in, which decides what is imported."""
    faults = []
    for path in modules_of(DAGS):
        docstring, *body = tree_of(path).body
        assert isinstance(docstring, ast.Expr) and ast.get_docstring(tree_of(path)), (
            f"{path.name} says nothing of itself"
        )
        faults += [f"{where(path, node.lineno)} is more than a call" for node in body[3:]]
        for name, line in imports_of(path):
            if not name.startswith("clipquarry_airflow.") and _inside(name) != "errors":
                faults.append(f"{where(path, line)} imports {name}")
    assert faults == []


def test_the_page_names_every_room() -> None:
    page = (PROJECT / "ARCHITECTURE.md").read_text()
    names = [f"  {room}/" for room in ROOMS if room != "__main__"]
    assert [name for name in [*names, *GROUND] if name not in page] == []
