"""A release of the sample of one's own AVA, made by a whole run."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.families.boxes.own.sample import SAMPLE


def released_sample(folder: Path) -> Path:
    """The data root below ``folder``, after the run."""
    data = folder / "data"
    SAMPLE.make(folder / "made").place(data / "custom_ava")
    settings = [
        word for name, value in SAMPLE.params.items() if name != "shards" for word in ("--set", f"{name}={value}")
    ]
    done = CliRunner().invoke(main, ["run", "custom_ava", "--run", "one", "--data", str(data), *settings])
    assert done.exit_code == 0, done.output
    return data
