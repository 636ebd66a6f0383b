"""The documentation names everything that the code has, and nothing that it has not.

Reasons and checks have tests of their own, beside the code that they document.
"""

from __future__ import annotations

import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from clipquarry import cli
from clipquarry.datasets import model
from clipquarry.datasets.load import find_spec, load_all, load_spec
from clipquarry.errors import Exit
from clipquarry.pipeline.graph import GRAPHS, stages_of, steps_of
from clipquarry.pipeline.params import PARAMS, BoxParams, KineticsParams, RunParams
from clipquarry.steps.registry import STEPS
from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
DAGS, COMMANDS, KEYS, OPERATING = (
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("dags", "commands", "dataset-yaml", "operating")
)
SPECS, _ = load_all()
RUNNABLE = [spec for spec in SPECS.values() if spec.is_runnable]
MODELS = [
    kind for _, kind in inspect.getmembers(model, inspect.isclass)
    if issubclass(kind, model.Model) and kind is not model.Model
]  # fmt: skip


def section(page: str, title: str) -> str:
    """The text below a heading up to the next of its level or above; a pattern for the title's text."""
    found = re.search(rf"^(#+) {title}.*?$(.*?)(?=^#{{1,3}} |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"there is no heading {title!r}"
    return found[2]


def rows(text: str) -> dict[str, list[str]]:
    """First cell of each table row, without its marks, to all cells."""
    cells = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line[:1] == "|"
    ]
    return {row[0].replace("`", "").removesuffix(" *"): row for row in cells}


def fenced(text: str) -> list[tuple[str, str]]:
    """Language and text of each code block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


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


# --- data sets and DAGs


def test_readme_lists_the_data_sets_with_their_states() -> None:
    listed = {row[1].strip("`"): row for row in rows(section(README, "Data sets")).values() if len(row) == 3}
    states = {name: (row[0], row[2].startswith("runs")) for name, row in listed.items() if name in SPECS}
    assert states == {spec.name: (spec.title, spec.is_runnable) for spec in SPECS.values()}


def test_readme_lists_no_data_set_that_is_not_there() -> None:
    names = re.findall(r"^\|[^|]+\| `([a-z0-9_]+)` \|", section(README, "Data sets"), re.MULTILINE)
    assert sorted(names) == sorted(SPECS)


def test_both_dags_are_documented_with_the_schedule() -> None:
    found = {row[1]: row[2:] for row in rows(DAGS).values() if len(row) == 4}
    wanted = {
        f"`{spec.name}`": [
            f"`{spec.name}_refresh`",
            f"`{spec.refresh.schedule}`" if spec.refresh.schedule else "by hand",
        ]
        for spec in RUNNABLE
    }
    assert {name: found.get(name) for name in wanted} == wanted


def test_all_tasks_are_documented() -> None:
    documented = set(rows(section(DAGS, "Tasks"))) - {"task", "---"}
    assert documented == {name for format_ in GRAPHS for name in stages_of(format_)} | {*STEPS, "verdict"}
    graphs = [text for kind, text in fenced(DAGS) if kind == "mermaid"]
    assert len(graphs) == len(GRAPHS)
    for format_, text in zip(GRAPHS, graphs, strict=True):
        names = {*stages_of(format_), *steps_of(format_), "verdict"}
        assert set(re.findall(r"\w+", text)) - {"flowchart", "LR"} == names


@pytest.mark.parametrize(
    ("title", "known"),
    [
        ("The trigger form", set(KineticsParams.model_fields)),
        ("AVA and AVA-Kinetics", {name for kind in PARAMS.values() if issubclass(kind, BoxParams) for name in kind.model_fields}
         - set(RunParams.model_fields)),
    ],
)  # fmt: skip
def test_all_run_parameters_are_documented(title: str, known: set[str]) -> None:
    assert set(rows(section(DAGS, title))) - {"parameter", "---"} == known


def _source(name: str) -> str:
    return (ROOT / "plugins" / "clipquarry_airflow" / name).read_text(encoding="utf-8")


def test_assets_and_pools_are_documented() -> None:
    parts = [part for graph in GRAPHS.values() for part in graph]
    assets = {f"{{dataset}}/{part.outlet}" for part in parts if part.outlet}
    assert assets and assets == set(rows(section(DAGS, "Assets"))) - {"asset", "---"}
    pools = {str(part.pool) for part in parts}
    assert pools and pools == set(rows(section(DAGS, "Pools"))) - {"pool", "---"}


def test_parameters_that_a_refresh_lacks_are_documented() -> None:
    found = re.search(r"_REFRESH_LEAVES_OUT = frozenset\(\{(.*?)\}\)", _source("params.py"))
    assert found
    names = sorted(re.findall(r'"(\w+)"', found[1]))
    assert f"Refresh DAGs lack {' and '.join(f'`{name}`' for name in names)}." in DAGS


# --- the command line


def command(name: str) -> click.Command:
    found = cli.main.get_command(click.Context(cli.main), name)
    assert found is not None
    return found


def options_of(command: click.Command) -> set[str]:
    params = [param for param in command.params if isinstance(param, click.Option)]
    return {name for param in params for name in (*param.opts, *param.secondary_opts)}


def test_commands_are_documented_with_all_options_and_an_example() -> None:
    documented, examples = {}, set()
    for name in cli.COMMANDS:
        text = section(COMMANDS, f"`clipquarry {name}\\b")
        same_as_run = "Same options as `run`" in text
        table = section(COMMANDS, "`clipquarry run\\b") if same_as_run else text
        documented[name] = {word for first in rows(table) for word in re.findall(r"--[a-z][a-z-]*", first)}
        if any(f"clipquarry {name}" in code for language, code in fenced(text) if language == "sh"):
            examples.add(name)
    assert documented == {name: options_of(command(name)) for name in cli.COMMANDS}
    assert examples == set(cli.COMMANDS)


def test_stages_of_the_command_line_are_documented() -> None:
    argument = command("stage").params[0]
    assert isinstance(argument.type, click.Choice)
    text = section(COMMANDS, "`clipquarry stage\\b")
    assert not [name for name in argument.type.choices if f"`{name}`" not in text]
    assert not [name for name in STEPS if f"`{name}`" not in section(COMMANDS, "`clipquarry step\\b")]


def shell_lines(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    blocks = [line for language, code in fenced(text) if language == "sh" for line in code.splitlines()]
    return [*blocks, *re.findall(r"`(clipquarry [^`\n]+)`", text)]


def wrong_commands(page: Path) -> Iterator[str]:
    for line in shell_lines(page):
        words = shlex.split(line.replace("\\|", "|"), comments=True)
        if len(words) < 2 or words[0] != "clipquarry":
            continue
        name, rest = words[1], words[2:]
        if name in ("--version", "--help", "-h", "COMMAND"):
            continue
        if name not in cli.COMMANDS:
            yield f"{page.name}: {line!r}: there is no command {name}"
            continue
        known = options_of(command(name)) | {"--help", "--"}
        unknown = [word for word in rest if word.startswith("--") and word not in known]
        yield from (f"{page.name}: {line!r}: {name} has no {word}" for word in unknown)


def test_pages_name_only_commands_and_options_that_exist() -> None:
    assert [fault for page in PAGES for fault in wrong_commands(page)] == []


def test_pages_name_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = {*re.findall(r"`make ([a-z-]+)", text), *re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)}
        if named - targets:
            unknown[page.name] = sorted(named - targets)
    assert unknown == {}, "the Makefile has none of these"


def test_the_documented_help_works() -> None:
    assert CliRunner().invoke(cli.main, ["run", "-h"]).exit_code == 0


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
    assert load_spec(file).is_runnable
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
