"""Every file of a run's folder is named by its owner, and nowhere else; and the readers of its documents."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from inspect import signature
from pathlib import Path

import pytest
from clipquarry.errors import UserError
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.segments.run_files import SegmentFiles
from clipquarry.families.tubes.run_files import TubeFiles
from clipquarry.run_documents import (
    known_run_facts,
    read_catalog_facts,
    read_label_maps,
    read_lists,
    read_plan,
    read_run_facts,
    verdicts,
)
from clipquarry.run_folder import RunFolder, all_begun_runs, begun_runs, gates_of_runs
from clipquarry.settings import DataRoot

PROJECT = Path(__file__).parents[1]
INCLUDE = PROJECT / "include/clipquarry"
OWNERS = {
    INCLUDE / "run_folder.py": RunFolder,
    INCLUDE / "families/boxes/run_files.py": BoxFiles,
    INCLUDE / "families/segments/run_files.py": SegmentFiles,
    INCLUDE / "families/tubes/run_files.py": TubeFiles,
}
ELSEWHERE = {
    ("demo/deployment.py", "plan.json"): "what the demo's web server plays; it lies beside the data root",
    ("families/boxes/sample/data_set.py", "folder / 'ava'"): "a folder of the demo's web server",
    ("families/clips/sample.py", "folder / 'annotations'"): "a folder of the demo's web server",
}
"""Names that a run's folder has too, of files and folders that lie in none."""

_FILE = re.compile(r"[^/]*\.[a-z]+\.(?:json|jsonl|parquet|csv)|[^/]*\w\.(?:json|jsonl|parquet|csv|html)")
"""The name of a file, or an end of one that says more than how it is written: ``run.json``, ``.rows.csv``; not ``.json``."""


def _texts(tree: ast.AST) -> Iterator[ast.Constant]:
    """Strings of a program: those that stand for themselves are docstrings."""
    nodes = list(ast.walk(tree))
    told = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _folders(owner: type) -> set[str]:
    """Names of the folders that an owner's files lie in, by asking it for every file."""
    found: set[str] = set()
    place = owner(Path("/run"))
    for name in dir(owner):
        if name.startswith("_") or name == "root":
            continue
        value = getattr(place, name)
        if callable(value):
            wanted = [one.name for one in signature(value).parameters.values() if one.default is one.empty]
            known = {"what": "boxes", "number": 0}
            value = value(*(known.get(one, "x") for one in wanted))
        if isinstance(value, Path):
            found |= {part for part in value.relative_to("/run").parts[:-1] if part != "x"}
    return found


@cache
def _names() -> tuple[set[str], set[str]]:
    """File names (and ends of them), and folders."""
    texts = {node.value for path in OWNERS for node in _texts(_parse(path))}
    return {text for text in texts if _FILE.fullmatch(text)}, set().union(*map(_folders, OWNERS.values()))


def _faults(tree: ast.AST, files: set[str], folders: set[str]) -> Iterator[tuple[int, str]]:
    """Names of files as text or at the end of one, such as ``{run}/report/index.html``; names of folders that a path is joined with."""
    for node in _texts(tree):
        name = node.value.rpartition("/")[2]
        if name in files:
            yield node.lineno, name
    runs = {"folder", "run", "run_dir", "place"}
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant):
            if node.right.value not in folders:
                continue
            left = ast.unparse(node.left)
            if left.rpartition(".")[2] in runs or ".run(" in left:
                yield node.lineno, f"{left} / {node.right.value!r}"


def test_a_file_of_a_runs_folder_is_named_by_its_owner_alone() -> None:
    files, folders = _names()
    assert {"run.json", "index.html", ".boxes.parquet", ".rows.csv", ".result.json"} <= files
    assert {"plan", "gates", "failures", "report", "detection", "prepared", "proposals"} <= folders
    found = [
        (path.relative_to(INCLUDE if path.is_relative_to(INCLUDE) else PROJECT).as_posix(), line, name)
        for folder in (INCLUDE, PROJECT / "plugins")
        for path in sorted(folder.rglob("*.py"))
        if path not in OWNERS
        for line, name in _faults(_parse(path), files, folders)
    ]
    assert [fault for fault in found if (fault[0], fault[2]) not in ELSEWHERE] == []
    assert ELSEWHERE.keys() <= {(where, name) for where, _, name in found}, "a name that is gone leaves the table"


def _private_faults(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Names that a path in the private folder, or in a folder of releases or runs, is joined with; and such paths as text."""
    owned = re.compile(r"\b(private|PRIVATE)$|\.(release|runs|store|scratch|states)(\([^()]*\))?$")
    for node in ast.walk(tree):
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
            continue
        if isinstance(node.right, ast.Constant | ast.JoinedStr):
            left = ast.unparse(node.left)
            if owned.search(left):
                yield node.lineno, f"{left} / {ast.unparse(node.right)}"
    for text in _texts(tree):
        if re.match(r"(\.clipquarry/\w|ledger\.sqlite$)", text.value):
            yield text.lineno, text.value


def test_what_lies_in_the_private_folder_is_named_by_the_data_root_alone() -> None:
    """``{data}/.clipquarry/state/{dataset}.parquet`` was joined in five rooms."""
    modules = [path for folder in (INCLUDE, PROJECT / "plugins") for path in sorted(folder.rglob("*.py"))]
    found = [
        f"{path.relative_to(PROJECT)}:{line}: {what}"
        for path in modules
        if path != INCLUDE / "settings.py"
        for line, what in _private_faults(_parse(path))
    ]
    assert found == []
    owner = [node for node in _parse(INCLUDE / "settings.py").body if isinstance(node, ast.Assign | ast.ClassDef)]
    owner = [node for node in owner if isinstance(node, ast.Assign) or node.name == "DataRoot"]
    names = [text.value for node in owner for text in _texts(node) if re.fullmatch(r"[a-z-]{5,}", text.value)]
    assert sorted(names) == sorted(set(names)), "nor twice there"
    assert {"state", "releases", "announced", "latest"} <= set(names)


@pytest.mark.parametrize(
    "line",
    [
        'data.private / "state" / f"{name}.parquet"',
        "root / PRIVATE / 'models'",
        'ctx.data.release(ctx.spec.name) / "latest"',
        'settings.data.states / f"{name}.pins.json"',
        '".clipquarry/state/x.parquet"',
    ],
)
def test_another_place_that_names_what_is_private_is_found(line: str) -> None:
    assert list(_private_faults(ast.parse(f"value = {line}")))
    assert not list(_private_faults(ast.parse(f'def it():\n    """See {line!r}."""')))


def test_the_private_folder_has_the_layout_that_data_on_disk_has(tmp_path: Path) -> None:
    data, private = DataRoot(tmp_path), tmp_path / ".clipquarry"
    assert (
        data.run("ava", "manual__2026-11-21T01:02:03+00:00") == private / "runs/ava/manual__2026-11-21T01_02_03_00_00"
    )
    assert data.latest_release("ava") == private / "releases/ava/latest"
    assert (data.state("ava"), data.state("ava", "detections")) == (
        private / "state/ava.parquet", private / "state/ava.detections.parquet",
    )  # fmt: skip
    assert (data.last_params("ava"), data.pins("ava")) == (
        private / "state/ava.params.json",
        private / "state/ava.pins.json",
    )
    assert (data.annotation_origins("ava"), data.announced("ava")) == (
        private / "annotations/ava.json", private / "announced/ava.json",
    )  # fmt: skip
    assert (data.ledger, data.models, data.set_aside) == tuple(
        private / x for x in ("ledger.sqlite", "models", "set-aside")
    )
    assert [path.name for path in data.written_by_all] == ["state", "announced", "annotations", "models"]
    assert data.data_sets_with_state() == []
    data.states.mkdir(parents=True)
    for path in (data.state("ava"), data.state("ava", "detections"), data.pins("ava"), data.state("kinetics400")):
        path.touch()
    assert data.data_sets_with_state() == ["ava", "kinetics400"]
    assert [data.has_state(name) for name in ("ava", "kinetics600", "../state/ava", "")] == [True, False, False, False]


@pytest.mark.parametrize(
    "line",
    [
        'folder / "run.json"',
        'f"/runs/{dataset}/report/index.html"',
        'f"{split}.boxes.parquet"',
        'self.run_dir / "gates"',
        'data.run(name, run) / "report"',
    ],
)
def test_another_place_that_names_a_file_is_found(line: str) -> None:
    assert list(_faults(ast.parse(f"value = {line}"), *_names()))
    assert not list(_faults(ast.parse(f'def it():\n    """See {line!r}."""'), *_names()))


def test_the_owners_name_no_file_twice() -> None:
    shared, *own = ({node.value for node in _texts(_parse(path)) if _FILE.fullmatch(node.value)} for path in OWNERS)
    assert not shared & set().union(*own)


def test_runs_that_began_are_those_with_a_file(tmp_path: Path) -> None:
    for name in ("set/b", "set/a", "other/c", "set/empty"):
        place = RunFolder(tmp_path / name)
        place.root.mkdir(parents=True)
        if name != "set/empty":
            place.run_file.write_text("{}")
    gate = RunFolder(tmp_path / "set/a").gate("clips")
    gate.parent.mkdir()
    gate.write_text('{"verdict": "warn"}')
    (gate.parent / ".half.json").write_text("{")
    assert [path.name for path in begun_runs(tmp_path / "set")] == ["a", "b"]
    assert [path.name for path in all_begun_runs(tmp_path)] == ["c", "a", "b"]
    assert gates_of_runs(tmp_path / "set", "clips") == [gate]
    assert verdicts(RunFolder(tmp_path / "set/a")) == {"clips": "warn"}
    assert verdicts(RunFolder(tmp_path / "set/b")) == {}


@pytest.mark.parametrize("text", ["[]", "{", '"run"', "3"])
def test_a_damaged_document_is_one_sentence_or_nothing(tmp_path: Path, text: str) -> None:
    place = RunFolder(tmp_path)
    place.run_file.write_text(text)
    place.plan_file.write_text(text)
    assert known_run_facts(tmp_path) == {}
    for read in (lambda: read_run_facts(tmp_path), lambda: read_plan(place)):
        with pytest.raises(UserError, match=str(tmp_path)):
            read()


def test_lists_that_are_none_are_one_sentence(tmp_path: Path) -> None:
    place = RunFolder(tmp_path)
    assert known_run_facts(tmp_path) == {}
    place.lists.write_text("{}")
    with pytest.raises(UserError, match="not a list"):
        read_lists(place)


@pytest.mark.parametrize(
    ("name", "content", "read", "key"),
    [
        ("lists.json", "[{}]", read_lists, "'split' of list 1"),
        ("lists.json", "[7]", read_lists, "'split' of list 1"),
        ("lists.json", '[{"split": "val", "format": "videos", "path": 7}]', read_lists, "'path' of list 1"),
        ("plan.json", "{}", read_plan, "'counts'"),
        ("plan.json", '{"counts": {}, "jobs": [], "dry_run": false}', read_plan, "'jobs'"),
        ("plan.json", '{"counts": {}, "jobs": {"fetch": 7}, "dry_run": false}', read_plan, "'fetch' of the jobs"),
        (
            "plan.json",
            '{"counts": {}, "jobs": {"fetch": [{"name": "a"}]}, "dry_run": false}',
            read_plan,
            "'items' of a job of fetch",
        ),
        ("plan.json", '{"counts": {}, "jobs": {}, "dry_run": false, "files": []}', read_plan, "'files'"),
        (
            "plan.json",
            '{"counts": {}, "jobs": {}, "dry_run": false, "sources": {}}',
            read_plan,
            "'keys' of the sources",
        ),
        ("catalog.json", "{}", read_catalog_facts, "'splits'"),
        ("catalog.json", '{"splits": {"val": null}}', read_catalog_facts, "'sha256' of val"),
        ("catalog.json", '{"splits": {}}', read_label_maps, "'label_names'"),
    ],
)
def test_a_document_without_what_is_needed_is_one_sentence(
    tmp_path: Path, name: str, content: str, read: Callable[[RunFolder], object], key: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=f"{name} has no usable {key}: it was damaged or edited; run the stage"):
        read(RunFolder(tmp_path))
