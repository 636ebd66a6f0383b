"""The program ``denseflow`` (open-mmlab), where it is installed: its command lines, and its flow under our names.

It is in no package registry. Its exit status is 0 for most failures, so that only what it wrote says what it did.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Literal

from clipquarry.errors import MachineError
from clipquarry.files import link_or_copy
from clipquarry.ids import FLOW_X, FLOW_Y
from clipquarry.media.errors import MediaError
from clipquarry.media.flow import FlowRecipe, FlowTool, opencv
from clipquarry.media.frame_folder import Direction, flow_name, unfinished
from clipquarry.media.run import run
from clipquarry.reasons import Reason

VARIABLE = "CLIPQUARRY_DENSEFLOW"
ALGORITHMS = {"tvl1": "tvl1", "farneback": "farn"}
"""Types of flow by the names that denseflow has for them; it has no DIS."""
_HOURS = 6 * 3600.0


def find_denseflow() -> str:
    """Path of the program: ``CLIPQUARRY_DENSEFLOW`` if set, else the system's. Raises MachineError without one."""
    named = os.environ.get(VARIABLE) or "denseflow"
    found = shutil.which(named)
    if found is None:
        raise MachineError(
            f"There is no program {named}: build https://github.com/open-mmlab/denseflow, name it in {VARIABLE}, or "
            "leave flow_tool=opencv."
        )
    return found


def needs_tool(tool: FlowTool) -> None:
    """Raise MachineError if this machine lacks the tool."""
    if tool == "denseflow":
        find_denseflow()
        return
    try:
        opencv()
    except ModuleNotFoundError:
        raise MachineError(
            "Optical flow needs OpenCV, which is not installed here: run the step in the image clipquarry-media, or "
            "install the project's dependencies with 'make setup'."
        ) from None


def denseflow_argv(
    program: str,
    source: Path,
    out: Path,
    task: Literal["rgb", "flow"],
    *,
    kind: str = "tvl1",
    bound: int = 20,
    short: int = 0,
    width: int = 0,
    height: int = 0,
    frames: bool = False,
) -> list[str]:
    """The arguments as mmaction2's ``build_rawframes.py`` passes them; denseflow writes into ``{out}/{stem}``.

    ``kind`` is denseflow's name of an algorithm. ``short`` (pixels) comes before ``width`` and ``height``; all 0 keep
    the size. ``frames``: ``source`` is a folder of JPEGs, all of which it reads, by name.
    """
    size = [f"-ns={short}"] if short else [f"-nw={width}", f"-nh={height}"]
    what = [f"-a={kind}", f"-b={bound}", "-s=1"] if task == "flow" else [f"-b={bound}", "-s=0"]
    return [program, str(source), *what, f"-o={out}", *size, "-v", *(["--if"] if frames else [])]


def denseflow(
    source: Path,
    frames: Sequence[Path] | None,
    folder: Path,
    recipe: FlowRecipe,
    size: tuple[int, int],
    start: int,
    cancelled: Event | None = None,
) -> None:
    """Write denseflow's flow of a video, or of some ``frames`` in its place, into ``folder``, numbered from ``start``.

    ``size``: width and height. Nobody has verified the images. Raises MachineError without the program, MediaError
    for an algorithm that it lacks, and if it wrote nothing.
    """
    program = find_denseflow()
    if recipe.kind not in ALGORITHMS:
        raise MediaError(Reason.TOOL_FAILED, f"denseflow has no flow '{recipe.kind}': {', '.join(ALGORITHMS)}")
    work = unfinished(folder)
    try:
        work.mkdir()
        # A name of our own: denseflow names its folder after the source, up to the last dot.
        given = work / f"clip{source.suffix}"
        if frames is None:
            given.symlink_to(source.absolute())
        else:  # only these: denseflow reads every JPEG of a folder, of flow too
            given = work / "frames"
            for number, path in enumerate(frames):
                link_or_copy(path, given / f"{number:08d}.jpg")
        argv = denseflow_argv(
            program, given, work / "out", "flow", kind=ALGORITHMS[recipe.kind], bound=recipe.bound,
            width=size[0], height=size[1], frames=frames is not None,
        )  # fmt: skip
        (work / "out").mkdir()
        try:
            said = run(argv, timeout=_HOURS, cancelled=cancelled, cwd=work)
        except MediaError as error:
            raise MediaError(error.reason, error.evidence.replace("ffmpeg", "denseflow", 1)) from error
        made = work / "out" / given.stem
        if not made.is_dir():
            raise MediaError(Reason.TOOL_FAILED, f"denseflow wrote nothing: {said[-300:]}")
        directions: tuple[tuple[Direction, str], ...] = (("x", FLOW_X), ("y", FLOW_Y))
        for direction, prefix in directions:
            for number in range(sum(path.name.startswith(prefix) for path in made.iterdir())):
                name = flow_name(direction, number)
                if not (made / name).is_file():
                    raise MediaError(Reason.TOOL_FAILED, f"denseflow did not write {name}")
                (made / name).rename(folder / flow_name(direction, number + start))
    finally:
        shutil.rmtree(work, ignore_errors=True)
