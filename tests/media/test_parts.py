"""Long videos in parts: how many, what each holds, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from threading import Event

import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video
from clipquarry.errors import RetryLater
from clipquarry.media.errors import MediaError
from clipquarry.media.parts import Span, cover_problem, cut_parts, parts_in, span_of, verified_parts
from clipquarry.media.probe import probe
from clipquarry.reasons import Reason

ORACLE = Path(__file__).parents[2].parent / "shared/oracles/omnisource_trim_raw_video"
RECIPE = Recipe(preset="ultrafast", crf=18, audio="aac")


def cut(source: Path, folder: Path, seconds: float = 10) -> list[tuple[float, int]]:
    """Length and frames of each part."""
    folder.mkdir()
    cut_parts(source, folder, seconds, RECIPE, Event())
    parts = verified_parts(parts_in(folder))
    assert cover_problem(parts, seconds, span_of(source)) == ""
    return [(round(one.duration, 3), one.frames) for one in parts.facts]


def test_an_exact_multiple_has_no_empty_last_part(tmp_path: Path) -> None:
    source = make_video(tmp_path / "exact.mp4", 4, 5, (64, 48))
    assert cut(source, tmp_path / "parts", 2) == [(2.0, 10), (2.0, 10)]


@pytest.mark.slow
def test_every_frame_is_in_one_part_with_its_sound(tmp_path: Path) -> None:
    source = make_video(tmp_path / "odd.mp4", 5, 12, (64, 48))
    found = cut(source, tmp_path / "parts", 2)
    assert [frames for _, frames in found] == [24, 24, 12]
    assert all(probe(path).has_audio for path in (tmp_path / "parts").iterdir())


@pytest.mark.slow
def test_a_last_frame_that_only_ends_behind_a_border_makes_no_part(tmp_path: Path) -> None:
    """The reference's header says 4.4 s, so that it would write a third part without a frame."""
    times = [0.4 * at for at in range(10)]  # the last at 3.6 s, until 4.0 s and more
    source = make_video(tmp_path / "late.mp4", 4.4, 5, (64, 48), times=[*times, 3.9], tone=False)
    assert span_of(source).last < 4
    found = cut(source, tmp_path / "parts", 2)
    assert len(found) == 2 and sum(frames for _, frames in found) == 11


@pytest.mark.slow
def test_a_video_of_variable_rate_keeps_its_frames(tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.5, 0.9, 1.2, 1.9, 2.0, 2.3, 3.1]
    source = make_video(tmp_path / "uneven.mkv", 4, 5, (64, 48), times=times, tone=False)
    assert [frames for _, frames in cut(source, tmp_path / "parts", 2)] == [6, 3]


def test_what_is_no_whole_video_is_refused(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mkv", 8, 5, (64, 48), noise=20).read_bytes()
    torn = tmp_path / "torn.mkv"
    torn.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="was cut off") as cut_off:
        span_of(torn)
    assert cut_off.value.reason is Reason.TRUNCATED
    page = tmp_path / "page.mp4"
    page.write_text("<html>")
    with pytest.raises(MediaError):
        span_of(page)


def test_a_step_that_is_told_to_stop_cuts_nothing(tmp_path: Path) -> None:
    source, stop = make_video(tmp_path / "a.mp4", 1, 5, (64, 48)), Event()
    stop.set()
    (tmp_path / "parts").mkdir()
    with pytest.raises(RetryLater):
        cut_parts(source, tmp_path / "parts", 10, RECIPE, stop)


def test_parts_that_are_not_those_of_the_video_are_told(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", 5, 5, (64, 48))
    cut(source, folder := tmp_path / "parts", 2)
    parts = verified_parts(parts_in(folder))
    assert "4 of 2 s" in cover_problem(parts, 2, Span(7.8, 8.0, 40))
    assert "the video has 5.90 s" in cover_problem(parts, 2, Span(5.7, 5.9, 25))
    assert "the video has 50" in cover_problem(parts, 2, Span(4.9, 5.0, 50))
    assert cover_problem(parts, 2, None) == ""
    assert "part_0.mp4 has 2.00 s" in cover_problem(parts, 10, None)
    (folder / "part_1.mp4").rename(folder / "part_7.mp4")
    with pytest.raises(MediaError, match=r"part_1.mp4, part_3.mp4.* is missing"):
        parts_in(folder)
    (folder / "notes.txt").touch()
    with pytest.raises(MediaError, match="no part of a video"):
        parts_in(folder)


def test_names_of_parts_are_not_padded(tmp_path: Path) -> None:
    for name in ("part_00.mp4", "part_1.MP4"):
        (tmp_path / name).touch()
        with pytest.raises(MediaError, match="no part of a video"):
            parts_in(tmp_path)
        (tmp_path / name).unlink()
    for number in range(11):
        (tmp_path / f"part_{number}.mp4").touch()
    assert parts_in(tmp_path)[10].name == "part_10.mp4"


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["___dTOdxzXY", "exact20secs"])
def test_the_parts_are_those_of_the_reference_with_its_error_corrected(name: str, tmp_path: Path) -> None:
    below = f"data/OmniSource/kinetics_raw_200_train/pref_/{name}"
    source = tmp_path / f"{name}.mp4"
    shutil.copy(ORACLE / "inputs" / f"{below}.mp4", source)
    wanted = json.loads((ORACLE / "expected/with_loglevel_dash_fixed_probe.json").read_text())
    found = cut(source, tmp_path / name)
    told = {path.removeprefix(f"{below}/"): one for path, one in wanted.items() if path.startswith(f"{below}/")}
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == sorted(told)
    for number, (seconds, frames) in enumerate(found):
        one = told[f"part_{number}.mp4"]
        assert (seconds, frames) == (float(one["format_duration"]), int(one["video"]["nb_read_frames"]))
        facts = probe(tmp_path / name / f"part_{number}.mp4")
        assert (facts.video_codec, facts.width, facts.height) == ("h264", one["video"]["width"], one["video"]["height"])
