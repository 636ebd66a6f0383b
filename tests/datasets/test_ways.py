"""How the items of a data set come, what can expire, and what a person must do first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.datasets.load import PACKAGED, find_spec
from clipquarry.datasets.model import DatasetSpec, Source
from clipquarry.datasets.ways import asks_of_a_person, by_itself, can_expire, passwords_of, ways_of

YOUTUBE = {"id": "youtube", "kind": "youtube", "content": "video"}
MIRROR = {"id": "mirror", "kind": "http", "content": "clip", "url": "https://example.org/{clip}.mp4"}
OFFER = MIRROR | {"id": "offer", "url": "${MIRROR}/{clip}.mp4"}
PARTS = {
    "id": "parts",
    "kind": "http",
    "content": "clip",
    "volume_lists": {"train": "https://example.org/a.txt"},
    "archive": {"into": "v"},
}
ARCHIVE = {
    "id": "whole",
    "kind": "http",
    "content": "clip",
    "url": "https://example.org/all.tar",
    "archive": {"into": "v"},
}
LOCAL = {"id": "local", "kind": "local", "content": "clip", "path": "${CLIPS}"}
PLACED = {"id": "placed", "kind": "local", "content": "clip", "path": "/lab/clips"}
BY_HAND = {"id": "by_hand", "kind": "manual", "howto": "ask the authors for clips.zip"}
OTHER = {"id": "other", "kind": "dataset", "dataset": "kinetics700"}


def spec_of(*sources: dict[str, Any], access: str = "open") -> DatasetSpec:
    spec = find_spec("kinetics400")
    own = [Source.model_validate({"provides": "items", **source}) for source in sources]
    return spec.model_copy(update={"sources": own, "access": spec.access.model_copy(update={"kind": access})})


@pytest.mark.parametrize(
    ("sources", "ways", "expires"),
    [
        ([YOUTUBE], ["crawl"], True),
        ([LOCAL, OFFER, PARTS, YOUTUBE], ["archive", "crawl"], True),
        ([LOCAL, OFFER, PARTS], ["archive"], False),
        ([ARCHIVE], ["archive"], False),
        ([MIRROR], ["mirror"], True),
        ([LOCAL, OFFER], ["mirror"], True),
        ([LOCAL], ["by hand"], False),
        ([PLACED], ["by hand"], False),
        ([BY_HAND, ARCHIVE], ["by hand", "archive"], False),
        ([OTHER], ["derived"], False),
        ([OTHER, LOCAL, YOUTUBE, YOUTUBE | {"id": "again"}], ["derived", "crawl"], True),
    ],
)
def test_ways(sources: list[dict[str, Any]], ways: list[str], expires: bool) -> None:
    assert (ways_of(spec_of(*sources)), can_expire(spec_of(*sources))) == (ways, expires)


def test_what_a_person_must_do() -> None:
    assert list(asks_of_a_person(spec_of(LOCAL, OFFER, PARTS))) == []
    assert list(asks_of_a_person(spec_of(YOUTUBE, access="crawl"))) == []
    (asks,) = asks_of_a_person(spec_of(YOUTUBE, access="request-form"))
    assert asks.startswith("Ask for the data set at https://github.com/cvdfoundation")
    assert list(asks_of_a_person(spec_of(BY_HAND))) == ["Place the files by hand: ask the authors for clips.zip."]
    assert len(list(asks_of_a_person(spec_of(PLACED, access="registration")))) == 2


def test_what_comes_by_itself() -> None:
    csv = {"id": "csv", "kind": "http", "provides": "annotations", "url": "https://example.org/{split}.csv"}
    assert by_itself(spec_of(csv, LOCAL, OFFER, PARTS)) == by_itself(spec_of(csv, YOUTUBE)) == ["annotations", "items"]
    assert by_itself(spec_of(csv, BY_HAND)) == by_itself(spec_of(csv, PLACED)) == ["annotations"]
    locked = ARCHIVE | {"archive": {"into": "v", "password_env": "THE_PASSWORD"}}
    spec = spec_of(locked, access="registration")
    assert (by_itself(spec), passwords_of(spec)) == ([], ["THE_PASSWORD"])
    assert (
        list(asks_of_a_person(spec))[1]
        == "Put the password of the archives into the workers' environment, as THE_PASSWORD."
    )
    assert passwords_of(spec_of(ARCHIVE)) == []


def test_a_schedule_that_nothing_follows_is_told(tmp_path: Path) -> None:
    text = (PACKAGED / "kinetics_demo.yaml").read_text(encoding="utf-8")
    mine = yaml.safe_load(text)
    local = [source for source in mine["sources"] if source["provides"] == "annotations" or source["kind"] == "local"]
    file = tmp_path / "mine.yaml"

    def told(**more: Any) -> str:
        file.write_text(yaml.safe_dump({**mine, "name": "mine", **more}, sort_keys=False))
        done = CliRunner().invoke(main, ["spec", str(file)])
        assert done.exit_code == 0, done.output
        return done.output

    assert "no refresh DAG" in told(sources=local, refresh={"schedule": "@weekly"})
    assert "no refresh DAG" not in told(sources=local, refresh={"schedule": None})
    assert "no refresh DAG" not in told(refresh={"schedule": "@weekly"})
