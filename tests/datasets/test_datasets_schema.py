"""The JSON schema of a data set's YAML, for editors."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.datasets.load import spec_files


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    """The schema, itself checked once: ``jsonschema.validate`` would check it for each file."""
    done = CliRunner().invoke(main, ["spec", "--json-schema"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.mark.parametrize("path", spec_files(), ids=lambda path: path.stem)
def test_packaged_data_sets_are_valid(path: Any, schema: jsonschema.Draft202012Validator) -> None:
    schema.validate(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "change",
    [
        {"rooot": "x"},
        {"family": "torrents"},
        {"name": "a/b"},
        {"stages": []},
        {"labels": {"source": "annotation", "base": 1}},
    ],
)
def test_an_editor_sees_what_is_wrong(change: dict[str, Any], schema: jsonschema.Draft202012Validator) -> None:
    good = yaml.safe_load(next(path for path in spec_files() if path.stem == "kinetics400").read_text())
    with pytest.raises(jsonschema.ValidationError):
        schema.validate({**good, **change})


@pytest.mark.parametrize("arguments", [[], ["a.yaml", "--json-schema"]])
def test_a_file_or_the_schema(arguments: list[str]) -> None:
    done = CliRunner().invoke(main, ["spec", *arguments])
    assert done.exit_code == 2 and "or --json-schema" in done.output
