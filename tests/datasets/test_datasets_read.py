"""Every key of a data set's YAML is read by a run: whoever writes one sees an effect."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from clipquarry.datasets import model
from clipquarry.datasets.families import packaged_families

NEVER_READ = {("DatasetSpec", "schema_"), ("DatasetSpec", "options")}
"""The version is settled by its type alone. Of the options each field is held, in the family's own model."""


@pytest.fixture(scope="module")
def read() -> set[tuple[str, str]]:
    """Model and field of every access in the product."""
    script = Path(__file__).with_name("fields_read.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    return {(name, field) for name, field in json.loads(done.stdout)}


def test_every_field_of_every_model_is_read(read: set[tuple[str, str]]) -> None:
    modules = [model, *(import_module(f"clipquarry.families.{name}.options") for name in packaged_families())]
    named = {kind for module in modules for kind in vars(module).values() if isinstance(kind, type)}
    models = [kind for kind in named if issubclass(kind, model.Model)]
    fields = {(kind.__name__, name) for kind in models for name in kind.model_fields}
    assert len(fields) > 60 and {("BoxesOptions", "items"), ("FrameOptions", "even")} <= fields
    assert sorted(fields - read - NEVER_READ) == [], "take it out of the model, or read it"


def test_what_is_not_read_is_seen(read: set[tuple[str, str]]) -> None:
    """The same names are read of other models: the type decides."""
    assert ("Source", "path") in read and ("Labels", "path") in read
    assert not {("Source", "size"), ("Split", "name"), ("Access", "sha256")} & read
