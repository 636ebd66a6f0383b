"""The steps by name."""

from __future__ import annotations

import subprocess
import sys

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
    with pytest.raises(
        UserError,
        match="Known: audio, audio_features, collect, collect_features, collect_frames, collect_mixed, collect_packages, detect, download, encode_video, excerpt, extract, fetch, flow, frames, pool_features, resize, track, unpack",
    ):
        make_step("explode")


def test_a_step_whose_package_is_not_here_is_a_sentence() -> None:
    """As in an image that was made without it."""
    program = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'av': raise ModuleNotFoundError('no av', name='av')\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from clipquarry.__main__ import main\n"
        "main()\n"
    )
    command = ["step", "resize", "--items", "x.parquet", "--out", "y.parquet", "--data", "."]
    done = subprocess.run([sys.executable, "-c", program, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "The step 'resize' needs the package av" in done.stderr and "image clipquarry-media" in done.stderr
