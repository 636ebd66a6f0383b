"""The documentation names everything that the code has, and nothing that it has not.

``make docs`` writes the tables that follow from the code; here they are compared. Reasons have tests of their own, beside the ledger.
"""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from clipquarry.datasets import model
from clipquarry.datasets.families import packaged_families
from clipquarry.datasets.load import find_spec, load_all, load_spec
from clipquarry.datasets.ways import asks_of_a_person, can_expire
from clipquarry.errors import Exit
from clipquarry.pipeline.family import params_model, tasks_of
from clipquarry.pipeline.stages import stages
from clipquarry.quality.params import GateParams
from clipquarry.steps.registry import STEPS
from clipquarry_airflow.runtimes import RUNTIMES
from doc_pages import DAGS, KEYS, OPERATING, PAGES, README, ROOT, fenced, rows, section
from pydantic.fields import FieldInfo

SPECS, _ = load_all()
RUNNABLE = list(SPECS.values())
MODELS = [
    kind
    for module in (model, *(import_module(f"clipquarry.families.{name}.options") for name in packaged_families()))
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, model.Model) and kind not in (model.Model, model.Options) and kind.__module__ == module.__name__
]


# --- links


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            yield f"{page.name}: {target}"


def test_relative_links_lead_somewhere() -> None:
    assert [link for page in PAGES for link in dead_links(page)] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert [name for name in sorted(pages) if f"]({name})" not in index] == []


def test_the_readme_is_short_and_shows_a_dag_a_report_and_the_labelling_page() -> None:
    by_hand = re.sub(r"<!-- generated.*?<!-- end of generated -->", "", README, flags=re.DOTALL)
    assert len(by_hand.splitlines()) <= 120, "besides the table of data sets, which grows with them"
    shown = re.findall(r"!\[[^\]]+\]\((\S+)\)", README)
    assert shown == [f"docs/images/{name}.png" for name in ("dag", "report", "labelling-clip")]


def test_the_readme_names_every_runtime_among_its_limits() -> None:
    """Its limits denied two that existed."""
    limits = section(README, "Limits").lower()
    assert "not there yet" not in limits
    assert [name for name in RUNTIMES if name != "auto" and name not in limits] == []


# --- what a person reads without a checkout


def spoken(file: Path) -> Iterator[str]:
    """Texts of a module that are no docstrings: errors, log lines, advice."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    silent = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.value


def test_no_message_sends_a_person_to_a_file_of_the_repository() -> None:
    """Who reads a task's log, a report or an error of the installed package has no ``docs/``."""
    code = [
        (file, text) for room in ("include", "plugins") for file in (ROOT / room).rglob("*.py") for text in spoken(file)
    ]
    pages = [(file, file.read_text(encoding="utf-8")) for file in (ROOT / "include").rglob("*.j2")]
    assert [f"{file.relative_to(ROOT)}: {found}" for file, text in [*code, *pages]
            for found in re.findall(r"\S*docs/[a-z-]+\.md|ARCHITECTURE\.md|README\.md", text)] == []  # fmt: skip


# --- generated regions (make docs)


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``docs/generate``: its modules by their own names, as ``make docs`` sees them."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "generate"))
    return import_module("regions")


def test_generated_regions_are_those_of_this_version(generator: ModuleType) -> None:
    assert generator.stale() == [], "run: make docs"


def test_what_is_generated_is_replaced_and_what_is_written_by_hand_stays(generator: ModuleType) -> None:
    begin, end = '<!-- generated by "make docs": steps -->', "<!-- end of generated -->"
    page = f"before\n\n{begin}\nold\n{end}\n\nafter\n"
    made = generator.filled(page, "page.md")
    assert re.fullmatch(rf"before\n\n{begin}\n\n`NAME` is one of .*`fetch`.*\n\n{end}\n\nafter\n", made)
    assert generator.filled(made, "page.md") == made


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('<!-- generated by "make docs": stepz -->\n<!-- end of generated -->\n', "asks for the region 'stepz'; known: assets,"),
        ('<!-- generated by "make docs": steps -->\n', "without its beginning or its end"),
        ("<!-- end of generated -->\n", "without its beginning or its end"),
        ('<!-- generated by "make docs": options nothing -->\n<!-- end of generated -->\n', "there is no command nothing"),
    ],
)  # fmt: skip
def test_a_wrong_marker_is_one_sentence(generator: ModuleType, text: str, says: str) -> None:
    with pytest.raises(SystemExit, match=re.escape(says)):
        generator.filled(text, "page.md")


def test_a_note_of_nothing_is_one_sentence(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = import_module("tables")
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "clips.gone.md").write_text("A note of a check that was removed.")
    monkeypatch.setattr(tables, "NOTES", tmp_path)
    with pytest.raises(SystemExit, match=r"a note on 'clips\.gone', which the product has not"):
        tables.checks()


def test_every_data_set_task_parameter_and_setting_stands_in_its_table(generator: ModuleType) -> None:
    """The tables are of the product, not of a list in the generator."""
    first = {row[1].strip("`"): row for row in rows(section(README, "Data sets")).values() if len(row) == 5}
    assert {name for name in first if name in SPECS} == set(SPECS) and all(all(row) for row in first.values())
    needs = {name: row for name, row in rows(section(README, "Data sets")).items() if len(row) == 6 and name in SPECS}
    assert set(needs) == {name for name, spec in SPECS.items() if "demo" not in spec.tags} and all(
        map(all, needs.values())
    )
    asking = {name for name, row in needs.items() if not row[2].startswith("nothing")}
    assert asking == {name for name, spec in SPECS.items() if [*asks_of_a_person(spec)] and "demo" not in spec.tags}
    tasks = set(rows(section(DAGS, "Tasks"))) - {"task", "---"}
    assert tasks == {name for spec in RUNNABLE for name in stages(spec)} | {*STEPS, "verdict"}
    assert [spec.name for spec in RUNNABLE if (f"| `{spec.name}_refresh` |" in DAGS) is not can_expire(spec)] == []
    forms = DAGS.partition("## The trigger form")[2]
    assert {
        name for spec in RUNNABLE for name in params_model(spec).model_fields if f"| `{name}` |" not in forms
    } == set()
    checks = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    assert {name for name in GateParams.model_fields if f"| `{name}` |" not in checks} == set()
    described = [
        *GateParams.model_fields.values(),
        *(f for s in RUNNABLE for f in params_model(s).model_fields.values()),
    ]
    assert all(field.description for field in described)


# --- data sets and DAGs


def test_how_often_dag_files_are_read_is_said_once_and_the_same_everywhere() -> None:
    """A file a data set: with Airflow's own interval of 30 s forty of them would keep a core busy."""
    name = "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL"
    compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))
    local = re.search(rf"{name}=\$\{{{name}:-(\d+)\}}", (ROOT / "docker/local/up.sh").read_text(encoding="utf-8"))
    told = re.search(rf"`{name}` \* \| (\d+):", (ROOT / "docs/operating.md").read_text(encoding="utf-8"))
    astro = re.search(rf"{name}=(\d+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert local and told and astro
    assert {local[1], told[1], astro[1], compose["services"]["dag-processor"]["environment"][name]} == {"300"}


def test_dag_files_and_boxes_are_documented() -> None:
    files = {path.name for path in (ROOT / "dags").glob("*.py") if path.stem not in SPECS} | {"{dataset}.py"}
    assert set(rows(section(DAGS, "DAG files"))) - {"file", "---"} == files
    boxes = {task.phase for spec in RUNNABLE for task in tasks_of(spec)}
    assert set(rows(section(DAGS, "Task graphs"))) - {"box", "---"} == boxes


def _source(name: str) -> str:
    return (ROOT / "plugins" / "clipquarry_airflow" / name).read_text(encoding="utf-8")


def test_parameters_that_a_refresh_lacks_are_documented() -> None:
    found = re.search(r"_REFRESH_LEAVES_OUT = frozenset\(\{(.*?)\}\)", _source("params.py"))
    assert found
    names = sorted(re.findall(r'"(\w+)"', found[1]))
    assert f"Refresh DAGs lack {' and '.join(f'`{name}`' for name in names)}." in DAGS


# --- the YAML


def as_documented(field: FieldInfo) -> str | None:
    """The default as the page has it; None where it may say it in words of its own."""
    if field.is_required():
        return "—"
    value = field.default
    if not isinstance(value, str | int | float) or isinstance(value, bool) or value == "":
        return None
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_all_keys_of_the_models_are_documented() -> None:
    keys, defaults = {}, {}
    for kind in MODELS:
        documented = rows(section(KEYS, f"{kind.__name__}$"))
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        if wrong := set(fields) ^ (set(documented) - {"key", "---"}):
            keys[kind.__name__] = wrong
        for name in fields.keys() & documented.keys():
            wanted, found = as_documented(fields[name]), documented[name][2].strip("`")
            if found != wanted and (wanted is not None or found == "—"):
                defaults[f"{kind.__name__}.{name}"] = (found, wanted)
    assert keys == {}, "documented or in the model, not both"
    assert defaults == {}, "documented, and what the model has"


def test_the_example_is_a_valid_data_set(tmp_path: Path) -> None:
    example = dict(fenced(section(KEYS, "An example")))["yaml"]
    file = tmp_path / "my_actions.yaml"
    file.write_text(example)
    load_spec(file)
    assert find_spec("my_actions", [tmp_path]).title == "My actions"


# --- operating


def test_all_environment_variables_are_documented() -> None:
    table = rows(section(OPERATING, "Environment"))
    compose = section((ROOT / "docs" / "compose.md").read_text(encoding="utf-8"), "Settings")
    documented = {name for cell in [*table, compose] for name in re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z]", cell)}
    used = {"DOCKER_HOST"}  # docker-py reads it
    files = [ROOT / "Makefile", ROOT / "Dockerfile"]
    for folder in ("include", "plugins", "docker", "dags"):
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".sh", ".yaml")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        used |= set(re.findall(r"\b(?:CLIPQUARRY|YTDLP)_[A-Z_]*[A-Z]\b", text))
        used |= set(re.findall(r"\bAIRFLOW_(?:HOME|_[A-Z_]*[A-Z])\b", text))
    assert {"CLIPQUARRY_DATA", "YTDLP_NO_PLUGINS", "AIRFLOW_HOME"} <= used
    assert used <= documented, f"docs lack {sorted(used - documented)}"
    assert documented <= used, f"nothing reads {sorted(documented - used)}"


def test_all_exit_codes_are_documented() -> None:
    table = rows(section(OPERATING, "Exit codes"))
    assert {(row[0], row[1]) for row in table.values() if row[1].isupper()} == {(str(int(e)), e.name) for e in Exit}


# --- the astro CLI


def _pins(file: Path) -> set[str]:
    lines = (line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return {line.replace("[binary]", "") for line in lines if "==" in line}


def test_astro_requirements_are_those_of_the_lock_file() -> None:
    pins = _pins(ROOT / "requirements.txt")
    assert pins and pins <= _pins(ROOT / "requirements.lock")


def test_astro_requirements_are_complete() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    left = re.search(r"Left to the image, .*?: (.*)\.", text)
    assert left
    given = {re.split(r"[=\[]", line)[0] for line in text.splitlines() if "==" in line} | set(left[1].split(", "))
    needs = [*project["dependencies"], *project["optional-dependencies"]["pipeline"]]
    assert given == {re.split(r"[=<>\[]", need)[0] for need in needs}
