"""Choice of the ffmpeg program: the one that the environment names, the system's, or the one in a Python wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import imageio_ffmpeg

from clipquarry.errors import MachineError

Origin = Literal["environment", "system", "wheel"]

VARIABLE = "CLIPQUARRY_FFMPEG"
_VERSION_LINE = re.compile(r"ffmpeg version (\S+)")
_NUMBERS = re.compile(r"n?(\d+)\.(\d+)")
_FPS_MODE_SINCE = (5, 1)
_FORGETS_DURATIONS_SINCE = 6
_ASK_SECONDS = 30


@dataclass(frozen=True)
class Tool:
    """An ffmpeg program that was run once and encodes H.264 with libx264."""

    path: Path
    version: str
    origin: Origin
    encodes_vp9: bool = True

    @property
    def fps_mode_option(self) -> str:
        """The option (without its dash) that chooses how frames are timed: ``vsync`` was renamed in ffmpeg 5.1."""
        numbers = _NUMBERS.match(self.version)
        old = numbers is not None and (int(numbers[1]), int(numbers[2])) < _FPS_MODE_SINCE
        return "vsync" if old else "fps_mode"

    @property
    def last_frame_options(self) -> dict[str, str]:
        """Output options without which the filter ``setpts`` loses the last frame.

        ffmpeg 6 and 7 forget the durations of frames there. The last one then has no duration, and no decoder shows
        it (7.0.2: 49 frames of 50). Older ffmpeg does not know the last duration here, so it must not be told to
        write it.
        """
        numbers = _NUMBERS.match(self.version)
        old = numbers is not None and int(numbers[1]) < _FORGETS_DURATIONS_SINCE
        return {} if old else {"bsf:v": "setts=pts=PTS:dts=DTS:duration=max(DURATION\\,1)"}

    def __str__(self) -> str:
        return f"ffmpeg {self.version} ({self.origin}: {self.path})"


def _ask(path: Path, *arguments: str) -> str:
    answer = subprocess.run(
        [str(path), "-hide_banner", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_ASK_SECONDS,
        check=True,
    )
    return answer.stdout.decode("utf-8", "replace")


def _examine(path: Path, origin: Origin) -> Tool | str:
    """The tool, or why it cannot be used."""
    try:
        version = _VERSION_LINE.search(_ask(path, "-version"))
        encoders = _ask(path, "-encoders")
    except subprocess.TimeoutExpired:
        return f"{path} did not answer within {_ASK_SECONDS} s"
    except subprocess.CalledProcessError as error:
        return f"{path} ended with code {error.returncode} when asked for its version"
    except OSError as error:
        return f"{path} cannot be run ({error.strerror})"
    if version is None:
        return f"{path} is not an ffmpeg"
    if not re.search(r"^\s*V\S*\s+libx264\s", encoders, re.MULTILINE):
        return f"{path} was built without libx264"
    return Tool(path, version[1], origin, bool(re.search(r"^\s*V\S*\s+libvpx-vp9\s", encoders, re.MULTILINE)))


def _candidates(named: str, search: str) -> Iterator[tuple[Path, Origin] | str]:
    if named:
        found = shutil.which(named, path=search)
        yield (Path(found), "environment") if found else f"{VARIABLE} names {named}, which is not a program"
        return  # a named program is used or refused; no other takes its place
    system = shutil.which("ffmpeg", path=search)
    yield (Path(system), "system") if system else "the system has no ffmpeg"
    try:
        yield Path(imageio_ffmpeg.get_ffmpeg_exe()), "wheel"
    except RuntimeError:
        yield "the imageio-ffmpeg package has no binary for this platform"


@lru_cache(maxsize=8)
def _find(named: str, search: str) -> Tool:
    problems = []
    for candidate in _candidates(named, search):
        answer = candidate if isinstance(candidate, str) else _examine(*candidate)
        if isinstance(answer, Tool):
            return answer
        problems.append(answer)
    advice = (
        f"set {VARIABLE} to an ffmpeg with libx264, or unset it"
        if named
        else f"install ffmpeg with libx264, or name one in {VARIABLE}"
    )
    raise MachineError(f"There is no usable ffmpeg: {'; '.join(problems)}; {advice}.")


def ffmpeg() -> Tool:
    """``CLIPQUARRY_FFMPEG`` if set, else the system's, else the wheel's. MachineError if none can encode H.264 with
    libx264.
    """
    return _find(os.environ.get(VARIABLE, ""), os.environ.get("PATH", os.defpath))
