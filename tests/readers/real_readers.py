"""Where the environment with mmaction2 is, and the way to ask it about a release."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
ENVIRONMENT = PROJECT / ".venv-readers"
SCRIPT = Path(__file__).with_name("prove.py")


def skip_without_readers() -> None:
    """Skip the test, with the reason, where the environment was not made."""
    if (ENVIRONMENT / "installed").is_file():
        return
    why = ENVIRONMENT / "why-not"
    if why.is_file():
        pytest.skip(why.read_text().strip())
    if os.environ.get("CI") == "true":
        pytest.fail("CI was to make the environment with mmaction2, and neither is it here nor a reason")
    pytest.skip("mmaction2 is not here: make readers-env installs it")


def prove(
    data: Path,
    work: Path,
    *,
    boxes: Sequence[str] = (),
    lists: Sequence[str] = (),
    sets: Mapping[str, Mapping[str, Any]] | None = None,
    unreadable: Mapping[str, Mapping[str, Any]] | None = None,
    configs: Sequence[str] = (),
    train: str | None = None,
    numbers: bool = False,
    most: int = 50,
) -> dict[str, Any]:
    """What mmaction2 saw of the release below the data root ``data``; the arguments are those of ``prove.py``."""
    asked, answer = work / "asked.json", work / "answer.json"
    work.mkdir(parents=True, exist_ok=True)
    asked.write_text(json.dumps({
        "data": str(data), "work": str(work / "mmaction2"), "most": most, "numbers": numbers,
        "boxes": list(boxes), "lists": list(lists), "sets": sets or {}, "unreadable": unreadable or {}, "configs": list(configs), "train": train,
    }))  # fmt: skip
    done = subprocess.run(
        [ENVIRONMENT / "bin" / "python", SCRIPT, asked, answer],
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, f"mmaction2 could not read the release:\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    found: dict[str, Any] = json.loads(answer.read_text())
    return found
