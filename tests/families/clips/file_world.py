"""A data set of whole files in small: the packaged YAML with its addresses turned to a local server, and the command line.

The counts of the packaged YAML are the published ones, so that runs of a small world only warn of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import clipquarry
from click.testing import CliRunner, Result
from clipquarry.cli import main
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.files import read_json
from clipquarry.manifest import read_rows

PACKAGED = Path(clipquarry.__file__).parent / "datasets"


@cache
def film(folder: Path, name: str, suffix: str = ".avi", *, seconds: int = 1) -> bytes:
    """A real video of this suffix, that shows its name."""
    path = folder / f"{sha256(name.encode()).hexdigest()[:16]}{suffix}"
    # Without B-frames: in avi, libavcodec gives those of H.264 no times.
    return make_video(path, seconds, 8, label=name, b_frames=0).read_bytes()


def small(name: str, *changes: tuple[str, str]) -> str:
    """The packaged YAML, called ``small_{name}``, whose hosts are the server at ``${SMALL_URL}``; ``changes`` are texts."""
    text = (PACKAGED / f"{name}.yaml").read_text()
    text = re.sub(r"https?://[^/\"]+/(?=[^\" ]+\.(?:zip|rar|gz|json)\")[^\"]*/", "${SMALL_URL}/", text)
    text = text.replace(f"name: {name}\n", f"name: small_{name}\n", 1).replace(
        f"root: {name}\n", f"root: small_{name}\n"
    )
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return text


@dataclass
class World:
    """A data root, a server of archives, and the command line. ``name``: of the small data set."""

    folder: Path
    name: str
    origin: Origin
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "specs").mkdir(exist_ok=True)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def root(self) -> Path:
        return self.data / self.name

    def spec(self, text: str) -> None:
        (self.folder / "specs" / f"{self.name}.yaml").write_text(text)

    def __call__(self, *arguments: str, code: int = 0) -> Result:
        unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CLIPQUARRY_")}
        env = {
            **unset, "SMALL_URL": self.origin.url, "NO_PROXY": "127.0.0.1", "CLIPQUARRY_DATA": str(self.data),
            "CLIPQUARRY_DATASETS": str(self.folder / "specs"), **self.variables,
        }  # fmt: skip
        done = CliRunner().invoke(main, list(arguments), env=env)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        assert done.exit_code == code, done.output
        return done

    def run(self, run: str = "one", *more: str, code: int = 0) -> Result:
        return self("run", self.name, "--run", run, "--jobs", "2", "--set", "annotation_counts=warn", *more, code=code)

    def run_folder(self, run: str = "one") -> Path:
        return self.data / ".clipquarry/runs" / self.name / run

    def gate(self, gate: str, run: str = "one") -> dict[str, Any]:
        found: dict[str, Any] = read_json(self.run_folder(run) / f"gates/{gate}.json")
        return found

    def rows(self, table: str, run: str = "one") -> list[dict[str, Any]]:
        return list(read_rows(self.run_folder(run) / f"{table}.parquet"))

    def files(self, below: str = "videos") -> set[str]:
        return {str(path.relative_to(self.root)) for path in (self.root / below).rglob("*") if path.is_file()}


def serve(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder with these files, to be served."""
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
