"""Optical flow: its encoding, its names, its counts, and denseflow's command lines."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from threading import Event

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from clipquarry.demo.videos import make_video
from clipquarry.errors import MachineError, RetryLater
from clipquarry.media.denseflow import denseflow_argv
from clipquarry.media.errors import MediaError
from clipquarry.media.flow import (
    FlowMaker,
    FlowRecipe,
    FlowType,
    calculator,
    check_flow,
    grey_frames,
    levels,
)
from clipquarry.media.frame_folder import count_flow, count_frames, list_frames
from clipquarry.media.frames import FrameRecipe, extract_frames
from media.test_media_resize import ORACLES, needs_oracles

Grey = npt.NDArray[np.uint8]


def scene(shift: float = 0.0, size: tuple[int, int] = (96, 128)) -> Grey:
    """A grey scene without edges, moved to the right by ``shift`` pixels."""
    y, x = np.mgrid[: size[0], : size[1]]
    waves = np.sin((x - shift) / 5.0) + np.cos(y / 7.0) + np.sin((x - shift + y) / 9.0)
    image: Grey = np.rint(127 + 40 * waves).astype(np.uint8)
    return image


@pytest.mark.parametrize(
    ("motion", "level"),
    [(0, 128), (-20, 0), (20, 255), (-1000, 0), (1000, 255), (10, 191), (-10, 64), (1, 134), (0.04, 128), (0.12, 128)],
)
def test_levels_are_those_of_denseflow(motion: float, level: int) -> None:
    assert levels(np.array([motion], np.float32), 20)[0] == level


def test_levels_of_planes_are_contiguous_and_leave_the_motion_as_it_is() -> None:
    motion = np.linspace(-30, 30, 2 * 3 * 4, dtype=np.float32).reshape(3, 4, 2)
    kept, found = motion.copy(), levels(motion.transpose(2, 0, 1), 20)
    assert found.flags.c_contiguous
    assert np.array_equal(motion, kept)
    exact = np.rint(np.clip(255 * (motion.astype(np.float64) + 20) / 40, 0, 255))
    assert np.array_equal(found, exact.transpose(2, 0, 1))


@pytest.mark.parametrize("kind", ["tvl1", "farneback", "dis"])
def test_motion_to_the_right_is_positive_x_in_pixels(kind: FlowType) -> None:
    found = calculator(kind)(scene(), scene(2.0))
    middle = found[24:-24, 24:-24]
    assert middle[..., 0].mean() == pytest.approx(2, abs=0.25)
    assert abs(middle[..., 1].mean()) < 0.1


@pytest.mark.parametrize("start", [0, 1])
def test_pair_k_lies_between_frames_k_and_k_plus_1(tmp_path: Path, start: int) -> None:
    shown = [scene(), scene(), scene(3.0), scene(3.0)]  # only the second pair moves
    assert FlowMaker(2).write(shown, tmp_path, FlowRecipe(), start) == (3, 2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(f"flow_{d}_{n:05d}.jpg" for d in "xy" for n in range(start, start + 3))
    level = [cv2.imread(str(tmp_path / f"flow_x_{n:05d}.jpg"), cv2.IMREAD_UNCHANGED) for n in range(start, start + 3)]
    assert [image.shape for image in level] == [(96, 128)] * 3, "grey, of one channel"
    assert [int(image.min()) == int(image.max()) == 128 for image in level] == [True, False, True]
    assert level[1][24:-24, 24:-24].mean() == pytest.approx(127.5 + 3 * 255 / 40, abs=3)
    facts = check_flow(tmp_path, 4, (128, 96), start)
    assert (facts.flow_x, facts.flow_y, facts.flow_still) == (3, 3, pytest.approx(2 / 3))


def test_one_frame_has_no_flow_and_is_whole(tmp_path: Path) -> None:
    assert FlowMaker(1).write([scene()], tmp_path, FlowRecipe(), 1) == (0, 0)
    assert check_flow(tmp_path, 1, (128, 96), 1).flow_x == 0


def test_the_order_of_the_threads_does_not_show(tmp_path: Path) -> None:
    shown = [scene(n * n / 4) for n in range(9)]
    made = []
    for jobs in (1, 4):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        FlowMaker(jobs).write(shown, folder, FlowRecipe("dis"), 1)
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1]


def test_a_step_that_is_told_to_stop_stops_between_pairs(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(RetryLater, match="told to stop"):
        FlowMaker(1).write([scene(), scene()], tmp_path, FlowRecipe(), 1, stop)


def flow_folder(folder: Path) -> Path:
    folder.mkdir()
    FlowMaker(1).write([scene(), scene(1.0), scene(2.0)], folder, FlowRecipe("dis"), 1)
    return folder


def test_what_is_wrong_with_flow_is_told(tmp_path: Path) -> None:
    for name, spoil, said in (
        ("count", lambda f: [(f / f"flow_{d}_00002.jpg").unlink() for d in "xy"], "1 pairs of flow for 3 frames"),
        ("unequal", lambda f: (f / "flow_y_00002.jpg").unlink(), "2 images of flow x, 1 of flow y"),
        ("gap", lambda f: (f / "flow_x_00001.jpg").rename(f / "flow_x_00003.jpg"), "flow_x_00001.jpg is not there"),
        ("empty", lambda f: (f / "flow_x_00001.jpg").write_bytes(b""), "flow_x_00001.jpg is empty"),
        ("text", lambda f: (f / "flow_x_00001.jpg").write_bytes(b"<html>"), "flow_x_00001.jpg does not decode"),
        ("cut", lambda f: (f / "flow_y_00001.jpg").write_bytes((f / "flow_y_00001.jpg").read_bytes()[:400]),
         "flow_y_00001.jpg does not decode"),
        ("size", lambda f: cv2.imwrite(str(f / "flow_y_00001.jpg"), np.zeros((8, 9), np.uint8)), "is 9x8, not 128x96"),
    ):  # fmt: skip
        folder = flow_folder(tmp_path / name)
        spoil(folder)
        with pytest.raises(MediaError) as raised:
            check_flow(folder, 3, (128, 96), 1)
        assert said in raised.value.evidence


@pytest.mark.parametrize("fps", [0, 5])
def test_frames_and_flow_come_from_one_decode(tmp_path: Path, fps: float, any_ffmpeg: str) -> None:
    source = make_video(tmp_path / "v.mp4", 2, 10, size=(160, 120), label="moves")
    alone = extract_frames(source, tmp_path / "alone", recipe=FrameRecipe(64, fps=fps))
    both = extract_frames(source, tmp_path / "both", recipe=FrameRecipe(64, fps=fps), flow=FlowRecipe("dis"))
    assert both.flow is not None
    assert (both.flow.flow_x, both.frames) == (alone.frames - 1, alone.frames)
    assert count_flow(tmp_path / "both") == (both.flow.flow_x, both.flow.flow_bytes)
    assert count_frames(tmp_path / "both") == (alone.frames, alone.bytes), "flow is no frame"
    for path in (tmp_path / "alone").iterdir():
        assert path.read_bytes() == (tmp_path / "both" / path.name).read_bytes()


@pytest.mark.parametrize("kind", ["variable rate", "edit list"])
def test_every_frame_of_an_odd_video_has_its_flow(
    sources: dict[str, Path], tmp_path: Path, kind: str, any_ffmpeg: str
) -> None:
    alone = extract_frames(sources[kind], tmp_path / "alone", recipe=FrameRecipe(0))
    both = extract_frames(sources[kind], tmp_path / "both", recipe=FrameRecipe(0), flow=FlowRecipe("dis"))
    assert both.flow is not None
    assert (both.frames, both.bytes, both.flow.flow_x) == (alone.frames, alone.bytes, alone.frames - 1)


def test_a_video_that_breaks_off_has_flow_of_what_decodes(tmp_path: Path, any_ffmpeg: str) -> None:
    whole = make_video(tmp_path / "v.mkv", 3, 10, size=(160, 120), label="moves")
    data = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) * 2 // 3])
    made = extract_frames(cut, tmp_path / "f", recipe=FrameRecipe(64), flow=FlowRecipe("dis"))
    assert made.flow is not None
    assert (made.flow.flow_x, made.frames < 30) == (made.frames - 1, True)


def test_flow_from_a_video_is_that_of_its_frames(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", 1, 10, size=(160, 120), label="moves")
    extract_frames(source, tmp_path / "f", recipe=FrameRecipe(64), flow=FlowRecipe("dis"))
    (tmp_path / "g").mkdir()
    greys = grey_frames(list_frames(tmp_path / "f"))
    FlowMaker(1).write(greys, tmp_path / "g", FlowRecipe("dis"), 1)
    for path in (tmp_path / "g").iterdir():
        one, other = (cv2.imread(str(folder / path.name), 0).astype(int) for folder in (tmp_path / "f", tmp_path / "g"))
        assert np.abs(one - other).mean() < 1.5, "the JPEGs' losses are all that differs"


def test_a_failure_within_the_flow_leaves_no_folder(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", 1, 10, size=(160, 120))
    stop = Event()
    stop.set()
    with pytest.raises(RetryLater):
        extract_frames(source, tmp_path / "f", recipe=FrameRecipe(64), flow=FlowRecipe("dis"), cancelled=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


# denseflow is in no registry: a program that takes its arguments and writes its names stands where it would.
STAND_IN = """#!{python}
import json, os, sys
import cv2, numpy as np
argv = sys.argv[1:]
json.dump(sys.argv, open(os.environ["SAID"], "w"))
told = dict(a.lstrip("-").split("=") for a in argv[1:] if "=" in a)
stem = os.path.basename(argv[0]).rsplit(".", 1)[0]
if "--if" in argv:
    count = len([n for n in os.listdir(argv[0]) if n.endswith(".jpg")])
    size = cv2.imread(os.path.join(argv[0], sorted(os.listdir(argv[0]))[0]), 0).shape
else:
    video = cv2.VideoCapture(argv[0])
    count = 0
    while video.read()[0]:
        count += 1
    size = int(told["nh"]), int(told["nw"])
os.makedirs(os.path.join(told["o"], stem))
for n in range(count - 1 - int(os.environ.get("FEWER", "0"))):
    for d in "xy":
        cv2.imwrite(os.path.join(told["o"], stem, "flow_%s_%05d.jpg" % (d, n)), np.full(size, 128, np.uint8))
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """denseflow's stand-in; returns the file with the arguments of its last call."""
    program = tmp_path / "bin" / "denseflow"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SAID", str(tmp_path / "said.json"))
    return tmp_path / "said.json"


@pytest.mark.parametrize("fps", [0, 5])
def test_denseflow_s_flow_gets_our_numbers_and_is_counted(
    tmp_path: Path, stand_in: Path, fps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_video(tmp_path / "it's 100%.v.mp4", 1, 10, size=(160, 120))
    recipe = FrameRecipe(64, fps=fps)
    made = extract_frames(source, tmp_path / "f", recipe=recipe, flow=FlowRecipe(tool="denseflow"))
    assert made.flow is not None
    assert (made.flow.flow_x, made.flow.flow_still) == (made.frames - 1, 1.0)
    assert count_flow(tmp_path / "f")[0] == made.frames - 1
    argv = json.loads(stand_in.read_text())
    assert argv[2:5] == ["-a=tvl1", "-b=20", "-s=1"]
    assert argv[6:] == ["-nw=85", "-nh=64", "-v", *(["--if"] if fps else [])]
    monkeypatch.setenv("FEWER", "2")  # it ends with 0 all the same
    with pytest.raises(MediaError, match="pairs of flow for"):
        extract_frames(source, tmp_path / "f", recipe=recipe, flow=FlowRecipe(tool="denseflow"))


def test_a_machine_without_denseflow_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_DENSEFLOW", str(tmp_path / "denseflow"))
    source = make_video(tmp_path / "v.mp4", 1, 10, size=(160, 120))
    with pytest.raises(MachineError, match=r"no program .*flow_tool=opencv"):
        extract_frames(source, tmp_path / "f", recipe=FrameRecipe(64), flow=FlowRecipe(tool="denseflow"))


def test_denseflow_s_command_lines() -> None:
    video, out = Path("videos2/classA/v 1.avi"), Path("out/classA")
    assert denseflow_argv("denseflow", video, out, "rgb", short=256) == [
        "denseflow", "videos2/classA/v 1.avi", "-b=20", "-s=0", "-o=out/classA", "-ns=256", "-v",
    ]  # fmt: skip
    assert denseflow_argv("denseflow", video, out, "flow", width=340, height=256) == [
        "denseflow", "videos2/classA/v 1.avi", "-a=tvl1", "-b=20", "-s=1", "-o=out/classA", "-nw=340", "-nh=256", "-v",
    ]  # fmt: skip
    assert denseflow_argv("denseflow", Path("frames1/2.5"), Path("out"), "flow", frames=True) == [
        "denseflow", "frames1/2.5", "-a=tvl1", "-b=20", "-s=1", "-o=out", "-nw=0", "-nh=0", "-v", "--if",
    ]  # fmt: skip


@pytest.mark.shared
@needs_oracles
def test_denseflow_s_command_lines_are_those_of_the_reference() -> None:
    """The reference writes ``--nh`` for ``-nh`` in its calls for flow alone, and no type of flow as ``None``."""
    runs = json.loads((ORACLES / "build_rawframes_denseflow_commands" / "expected" / "_runs.json").read_text())
    asked = {
        "rgb_l2_avi_short256": {"short": 256}, "both_l2_default_ext_noresize": {},
        "both_l2_mixed_340x256": {"width": 340, "height": 256}, "flow_l1_webm": {},
        "flow_l1_input_frames": {"frames": True}, "flow_without_flow_type": {"kind": "None"},
    }  # fmt: skip
    checked = 0
    for run in runs:
        for argv in run["external_commands"]:
            settings = asked.get(run["case"], {"width": 0, "height": 0})
            out = next(word.removeprefix("-o=") for word in argv if word.startswith("-o="))
            task = "rgb" if "-s=0" in argv else "flow"
            if run["case"] == "rgb_l1_mixed_out_format_ignored":
                settings = {"short": int(s[0])} if (s := [w[4:] for w in argv if w.startswith("-ns=")]) else {}
            ours = denseflow_argv("denseflow", Path(argv[1]), Path(out), task, **settings)  # type: ignore[arg-type]
            assert ours == [word.replace("--nh=", "-nh=") for word in argv], run["case"]
            checked += 1
    assert checked >= 15
