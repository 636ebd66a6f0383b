"""How the environment with mmaction2 is made, as far as that can be seen without making one."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from real_readers import PROJECT

NAME = f"mmcv-2.1.0-cp3{sys.version_info.minor}-cp3{sys.version_info.minor}-linux_{platform.machine()}.whl"


@pytest.fixture
def torch(tmp_path: Path) -> str:
    """A folder for PYTHONPATH that says a torch is installed: only its version is asked for before a build."""
    facts = tmp_path / "site" / "torch-2.13.0+cpu.dist-info" / "METADATA"
    facts.parent.mkdir(parents=True)
    facts.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0+cpu\n")
    return str(tmp_path / "site")


def mmcv(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script, with a cache of its own and without a compiler."""
    tools = tmp_path / "tools"
    if not tools.is_dir():
        tools.mkdir()
        for tool in ("bash", "uname", "env"):
            (tools / tool).symlink_to(str(shutil.which(tool)))
    clean = {"PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    return subprocess.run(
        [PROJECT / "docker" / "wheels" / "mmcv.sh", *arguments],
        env={**clean, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_script_works_where_the_code_is_not(tmp_path: Path, torch: str) -> None:
    """As in the build of the image ``detect``, which has a Python and only the folder ``docker``."""
    kept = put(tmp_path / "cache" / "clipquarry" / "wheels" / "torch-2.13.0+cpu")
    script = tmp_path / "src/docker/wheels/mmcv.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(PROJECT / "docker/wheels/mmcv.sh", script)
    env = {
        "PATH": os.environ["PATH"],
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
        "PYTHONPATH": torch,
    }
    done = subprocess.run([script, sys.executable], env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{kept}\n", "")


def put(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / NAME).touch()
    return folder / NAME


def test_a_given_wheel_comes_before_the_cache(tmp_path: Path, torch: str) -> None:
    kept = put(tmp_path / "cache" / "clipquarry" / "wheels" / "torch-2.13.0+cpu")
    assert mmcv(tmp_path, sys.executable, PYTHONPATH=torch).stdout == f"{kept}\n"
    given = put(tmp_path / "given")
    folders = f"{tmp_path / 'none'}:{given.parent}"
    assert mmcv(tmp_path, sys.executable, PYTHONPATH=torch, CLIPQUARRY_WHEELS=folders).stdout == f"{given}\n"


def test_the_cache_keeps_a_wheel_for_its_torch_only(tmp_path: Path, torch: str) -> None:
    put(tmp_path / "cache" / "clipquarry" / "wheels" / "torch-2.12.0")
    done = mmcv(tmp_path, sys.executable, PYTHONPATH=torch)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and f"{NAME} is neither in CLIPQUARRY_WHEELS nor in" in done.stderr
    assert "no C++ compiler" in done.stderr


def test_without_torch_there_is_no_wheel(tmp_path: Path) -> None:
    done = mmcv(tmp_path, sys.executable, PYTHONPATH="")
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no torch" in done.stderr
    assert mmcv(tmp_path).stderr == "usage: mmcv.sh PYTHON\n"


def test_every_version_is_exact() -> None:
    lines = (PROJECT / "tests" / "readers" / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 40
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9.]+", line)] == []
    assert len({line.split("==")[0] for line in pins}) == len(pins)


def test_an_environment_that_fits_is_left_alone(tmp_path: Path) -> None:
    script = PROJECT / "tests" / "readers" / "setup.sh"
    parts = [PROJECT / "tests" / "readers" / "requirements.txt", script, PROJECT / "docker" / "wheels" / "mmcv.sh"]
    stamp = subprocess.run(["sha256sum"], input=b"".join(part.read_bytes() for part in parts), capture_output=True, check=True).stdout[:16]  # fmt: skip
    (tmp_path / "installed").write_bytes(stamp + b"\n")
    done = subprocess.run([script, tmp_path], capture_output=True, text=True, check=False, env={**os.environ, "CLIPQUARRY_WHEELS": ""})  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [file.name for file in tmp_path.iterdir()] == ["installed"]


def test_both_environments_have_one_pytorch_on_disk() -> None:
    found = [
        next((PROJECT / name / "lib").glob("python3*/site-packages/torch/lib/libtorch_cpu.so"), None)
        for name in (".venv-readers", ".venv-detect")
    ]
    readers, detect = found
    if readers is None or detect is None:
        pytest.skip("make readers-env detect-env makes the two environments; one of them is not here")
    if readers.stat().st_nlink == 1:
        pytest.skip(
            "uv's cache is on another file system than this checkout, so that it copies files instead of linking them"
        )
    assert readers.samefile(detect)
