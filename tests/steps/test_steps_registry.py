"""The steps by name."""

from __future__ import annotations

import pytest
from clipquarry.errors import UserError
from clipquarry.steps.registry import STEPS, make_step


@pytest.mark.parametrize("name", sorted(STEPS))
def test_every_step_can_be_made_and_knows_its_name(name: str) -> None:
    step = make_step(name)
    assert step.name == name
    assert step.version >= 1
    assert step.schema().names[:10] == make_step("fetch").schema().names[:10], "the item comes first in every manifest"


def test_an_unknown_step_is_a_sentence() -> None:
    with pytest.raises(UserError, match="Known: detect, download, excerpt, fetch, frames, resize, unpack"):
        make_step("explode")
