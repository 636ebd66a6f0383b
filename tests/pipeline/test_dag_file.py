"""The text of DAG files: those in ``dags/`` are what ``clipquarry new-dag`` writes, and nobody's words become a program."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from clipquarry.cli import main
from clipquarry.datasets.load import find_spec, load_all
from clipquarry.pipeline.dag_file import dag_file

DAGS = Path(__file__).parents[2] / "dags"
OTHERS = {"own_datasets", "dataset_errors", "chains", "housekeeping"}


def new_dag(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["new-dag", *map(str, arguments)])


def test_dags_hold_a_file_for_each_packaged_data_set() -> None:
    specs = load_all()[0]
    assert {path.stem for path in DAGS.glob("*.py")} == {*specs, *OTHERS}
    stale = [
        name for name, spec in specs.items() if (DAGS / f"{name}.py").read_text(encoding="utf-8") != dag_file(spec)
    ]
    assert stale == [], "remove these files from dags/, and write each anew with 'clipquarry new-dag NAME'"


def test_airflow_reads_every_file() -> None:
    """Its safe mode skips files that do not mention both words."""
    for path in DAGS.glob("*.py"):
        text = path.read_text(encoding="utf-8").lower()
        assert "dag" in text and "airflow" in text, path.name


def test_the_recipe_names_every_part_with_its_sentence() -> None:
    recipe = ast.get_docstring(ast.parse(dag_file(find_spec("ava_kinetics")))) or ""
    assert recipe.startswith("AVA-Kinetics: AVA's actions")
    for word in ("prepare\n", "merge: Joins", "kinetics700 (derived)", "youtube (crawl)", "ava_kinetics_refresh"):
        assert word in recipe, word
    assert max(map(len, recipe.splitlines())) <= 120


@pytest.mark.parametrize(
    "words",
    ['"""', '""""""', '"', "\\", '\\"""', 'x"', "x\\", "a\nimport os", "a\x00b\x85c", "{name} {0}", "\\N{DIGIT ONE}"],
)
def test_words_of_a_yaml_stay_words(words: str) -> None:
    spec = find_spec("kinetics400").model_copy(update={"title": words, "description": words})
    docstring, *body = ast.parse(dag_file(spec)).body
    assert [ast.unparse(line) for line in body] == [
        "from clipquarry_airflow.dag_files import data_set_dags",
        "globals().update(data_set_dags('kinetics400'))",
    ]
    assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())
    assert str(docstring.value.value).startswith(f"{plain}: {plain}")


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    assert new_dag("kinetics400", "--into", tmp_path).exit_code == 0
    file = tmp_path / "kinetics400.py"
    assert file.read_text(encoding="utf-8") == dag_file(find_spec("kinetics400"))
    file.write_text("# mine\n")
    again = new_dag("kinetics400", "--into", tmp_path)
    assert again.exit_code == 2
    assert file.read_text() == "# mine\n"
    assert [path.name for path in tmp_path.iterdir()] == ["kinetics400.py"], "nothing unfinished is left"
    (tmp_path / "ava.py").symlink_to(tmp_path / "elsewhere.py")
    assert new_dag("ava", "--into", tmp_path).exit_code == 2
    assert not (tmp_path / "elsewhere.py").exists()


@pytest.mark.parametrize("name", ["../kinetics400", "kinetics9", "", "kinetics400.py", "KINETICS400"])
def test_a_name_is_that_of_a_data_set(name: str, tmp_path: Path) -> None:
    done = new_dag(name, "--into", tmp_path)
    assert done.exit_code == 2
    assert f"There is no data set '{name}'" in str(done.output)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    done = new_dag("kinetics400", "--into", tmp_path / "dgas")
    assert done.exit_code == 2
    assert "is no folder" in done.output
    assert not (tmp_path / "dgas").exists()


def test_a_data_set_of_ones_own_gets_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DAGS.parent / "include/clipquarry/datasets/kinetics_demo.yaml").read_text()
    (tmp_path / "my_clips.yaml").write_text(text.replace("name: kinetics_demo", "name: my_clips"))
    (tmp_path / "bad.yaml").write_text("schema: dataset-spec/v1\nname: bad\ncolour: blue\n")
    monkeypatch.setenv("CLIPQUARRY_DATASETS", str(tmp_path))
    assert new_dag("my_clips", "--into", tmp_path).exit_code == 0
    assert 'data_set_dags("my_clips")' in (tmp_path / "my_clips.py").read_text()
    done = new_dag("bad", "--into", tmp_path)
    assert (done.exit_code, "bad.yaml, line" in done.output) == (2, True)
