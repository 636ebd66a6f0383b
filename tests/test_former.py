"""The product's former name: it stops us where it is still in use, and stands nowhere in our own files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from clipquarry import former
from clipquarry.cli import main
from clipquarry.errors import UserError
from clipquarry.settings import PRIVATE, Settings

PROJECT = Path(__file__).parents[1]
ALLOWED = ("CHANGELOG.md", "docs/upgrading.md", "include/clipquarry/former.py")


def test_an_old_setting_is_a_sentence_for_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="set CLIPQUARRY_DATA, CLIPQUARRY_LEDGER instead"):
        Settings.from_env({f"{former.PREFIX}DATA": "x", f"{former.PREFIX}LEDGER": "y"})
    monkeypatch.setenv(f"{former.PREFIX}COOKIES", "c.txt")
    for command in ("datasets", "doctor", "step", "adopt"):
        told = CliRunner().invoke(main, [command])
        assert told.exit_code == 2 and "CLIPQUARRY_COOKIES" in told.output, command


def test_an_unadopted_folder_is_no_fresh_start(tmp_path: Path) -> None:
    (tmp_path / former.PRIVATE).mkdir()
    with pytest.raises(UserError, match="clipquarry adopt --data"):
        Settings.from_env({"CLIPQUARRY_DATA": str(tmp_path)})
    (tmp_path / PRIVATE).mkdir()
    with pytest.raises(UserError, match="Both"):
        Settings.from_env({}, data=tmp_path)


def test_the_scripts_ask_without_any_package(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"A=1\n{former.PREFIX}PORT=1\n")
    (tmp_path / "data" / former.PRIVATE).mkdir(parents=True)
    for argument, cure in ((".env", "compose.sh adopt"), ("data", "clipquarry adopt")):
        told = subprocess.run(
            [sys.executable, "-S", "-B", "-m", "clipquarry.former", tmp_path / argument], text=True, capture_output=True,
            env={"PYTHONPATH": str(PROJECT / "include"), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        assert told.returncode == 2 and cure in told.stderr and "Traceback" not in told.stderr
    fine = subprocess.run([sys.executable, "-m", "clipquarry.former", tmp_path, tmp_path / "none"], capture_output=True)
    assert fine.returncode == 0
    for script in ("compose.sh", "images.sh", "local/up.sh", "wheels/mmcv.sh"):
        assert "-m clipquarry.former" in (PROJECT / "docker" / script).read_text(), script


def test_the_old_name_stands_nowhere_else() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, text=True, capture_output=True)
    if listed.returncode:
        pytest.skip("this is no git checkout: what belongs to it is not known")
    wrong = [
        name for name in listed.stdout.split("\0")
        if name and name not in ALLOWED and (PROJECT / name).is_file()
        and (former.NAME in name.lower() or former.NAME.encode() in (PROJECT / name).read_bytes().lower())
    ]  # fmt: skip
    assert wrong == []
