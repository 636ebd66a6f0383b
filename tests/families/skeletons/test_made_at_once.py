"""A package that is made here while another run makes it, or a person places one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from annotations.ntu_files import skeleton_text
from clipquarry.errors import UserError
from clipquarry.families.skeletons import made
from clipquarry.families.skeletons.options import skeletons_options
from clipquarry.pipeline.make_context import make_context
from clipquarry.settings import DataRoot, Settings

NAME = "ntu60_3d_raw"


@pytest.fixture
def make(tmp_path: Path) -> Callable[[], int]:
    """Makes the package of one file; the number of its samples."""
    ctx = make_context("skeleton", "one", {}, settings=Settings(DataRoot(tmp_path), f"sqlite:///{tmp_path}/ledger"))
    how = skeletons_options(ctx.spec).packages[NAME].made_of
    assert how is not None
    folder = tmp_path / "skeleton/nturgb+d_skeletons"
    folder.mkdir(parents=True)
    (folder / "S001C001P001R001A001.skeleton").write_bytes(skeleton_text([1, 1], seed=3))
    return lambda: made._make(ctx, NAME, how)


def test_what_another_run_makes_at_this_moment_is_ours(
    make: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = made._noted

    def other_run_comes_next(*args: Any) -> Any:
        before = look(*args)
        monkeypatch.undo()
        assert make() == 1
        return before

    monkeypatch.setattr(made, "_noted", other_run_comes_next)
    assert make() == 1


def test_what_a_person_places_meanwhile_stays(
    make: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert, package = made._convert, tmp_path / f"skeleton/{NAME}.pkl"

    def person_comes_meanwhile(*args: Any) -> Any:
        package.write_bytes(b"mine")
        return convert(*args)

    monkeypatch.setattr(made, "_convert", person_comes_meanwhile)
    with pytest.raises(UserError, match="was placed while it was made here"):
        make()
    assert package.read_bytes() == b"mine"
    assert make() == 0, "it is taken as it is"
