"""The old compose deployment's settings and volumes."""

from __future__ import annotations

import stat
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from clipquarry import former
from clipquarry.adopt.deployment import VOLUMES, adopt_env, adopt_volumes
from clipquarry.errors import UserError


def test_settings_have_their_new_names_and_the_old_file_stays(tmp_path: Path) -> None:
    env = tmp_path / ".env"
    old = (
        f"# Settings ({former.PREFIX}...) may be added\n{former.PREFIX}POSTGRES_PASSWORD=a=b#c\nOTHER=1\n"
        f"{former.PREFIX}POSTGRES_IMAGE={former.NAME}-postgres:0.1.0\n{former.PREFIX}REDIS_IMAGE=redis:8\n"
        f"{former.PREFIX}DOCKER_DATA={former.NAME}_data\n{former.PREFIX}COOKIES=/data/{former.PRIVATE}/cookies.txt\n"
    )
    env.write_text(old)
    env.chmod(0o600)
    assert "5 settings" in adopt_env(env)
    assert env.read_text() == (
        "# Settings (CLIPQUARRY_...) may be added\nCLIPQUARRY_POSTGRES_PASSWORD=a=b#c\nOTHER=1\n"
        "CLIPQUARRY_REDIS_IMAGE=redis:8\nCLIPQUARRY_COOKIES=/data/.clipquarry/cookies.txt\n"
    )
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert (tmp_path / ".env.before-adopt").read_text() == old
    assert "no setting of the old name" in adopt_env(env)


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, text=True, capture_output=True).stdout


@pytest.fixture
def names(docker_engine: str) -> Iterator[tuple[str, str]]:
    """An old and a new name of this test's own; volumes of both are removed at its end."""
    token = uuid.uuid4().hex[:8]
    pair = (f"oldname{token}", f"newname{token}")
    yield pair
    for name in pair:
        for form in VOLUMES:
            subprocess.run(["docker", "volume", "rm", "--force", form.format(name)], capture_output=True)


def test_volumes_move_by_renames(names: tuple[str, str], media_image: str) -> None:
    old, new = names

    def shell(volume: str, script: str) -> str:
        return _docker(
            "run",
            "--rm",
            "--network=none",
            "--user=0:0",
            "--volume",
            f"{volume}:/v",
            "--entrypoint=sh",
            media_image,
            "-euc",
            script,
        )

    _docker("volume", "create", f"{old}_data")
    _docker("volume", "create", f"{old}_state")
    shell(
        f"{old}_data",
        "mkdir -p '/v/a b' /v/.hidden; echo one >'/v/a b/x'; ln '/v/a b/x' /v/.hidden/y; chown 10001:10001 /v; chmod 750 /v",
    )
    user = _docker("create", "--volume", f"{old}_data:/v", media_image).strip()
    with pytest.raises(UserError, match="1 containers still use"):
        adopt_volumes(media_image, old_name=old, new_name=new)
    _docker("rm", user)
    said = adopt_volumes(media_image, old_name=old, new_name=new)
    assert said == f"Volumes: {old}_data to {new}_data, {old}_state to {new}_state."
    found = shell(f"{new}_data", "cat '/v/a b/x'; stat -c '%h' /v/.hidden/y; stat -c '%u %a' /v")
    assert found.split("\n") == ["one", "2", "10001 750", ""], "hard links, owner and mode stay"
    assert not _docker("volume", "ls", "--quiet", "--filter", f"name={old}").split()
    assert "none of the old name" in adopt_volumes(media_image, old_name=old, new_name=new)

    _docker("volume", "create", f"{old}_data")
    shell(f"{old}_data", "mkdir '/v/a b'")
    with pytest.raises(UserError, match="is there already"):
        adopt_volumes(media_image, old_name=old, new_name=new)
    assert shell(f"{new}_data", "cat '/v/a b/x'") == "one\n"
