"""A private PostgreSQL server for tests, thrown away at the end."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from ports import free_port


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    return folders[-1].parent if folders else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a server's ``postgres`` database; it is thrown away at the end."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("No PostgreSQL server is installed: the ledger is tested on SQLite only.")
    identity: dict[str, object] = {}
    folder = Path(tempfile.mkdtemp(prefix="clipquarry-pg-"))
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        names = {entry.pw_name for entry in pwd.getpwall()}
        user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        os.chown(folder, user.pw_uid, user.pw_gid)
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    options = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder, "env": environment}
    data, port = folder / "data", free_port()
    password = folder / "password"
    password.write_text("se cret/%")
    password.chmod(0o644)
    control = [str(binaries / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
    access = ["-U", "clipquarry", "-A", "scram-sha-256", f"--pwfile={password}"]
    subprocess.run([binaries / "initdb", "-D", data, "--no-sync", "-E", "UTF8", *access], **options, **identity)
    flags = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off -c full_page_writes=off"
    subprocess.run([*control, "-o", flags, "start"], **options, **identity)
    try:
        yield f"postgresql://clipquarry:se%20cret%2F%25@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **options, **identity)
        shutil.rmtree(folder, ignore_errors=True)


def fresh_schema(server: str) -> str:
    """A schema of its own is as good as a database, and made in no time."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f"CREATE SCHEMA {name}")
    return f"{server}?options=-csearch_path%3D{name}"
