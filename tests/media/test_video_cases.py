"""Videos that were cut wrong once (``../shared/cases/video``), where that folder is there."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.media.cut import cut_clip
from clipquarry.media.display import remarks
from clipquarry.media.errors import MediaError
from clipquarry.media.excerpt import Section, make_excerpt
from clipquarry.media.frames import FrameRecipe, extract_frames
from clipquarry.media.timeline import read_timeline
from clipquarry.reasons import Reason

pytestmark = pytest.mark.shared


@pytest.fixture
def cases(shared: Path) -> Path:
    if not (folder := shared / "cases" / "video").is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


def cut(source: Path, out: Path, start: float, duration: float, tolerance: float = 0.5) -> list[float]:
    """The times of the clip's frames."""
    cut_clip(source, out, start=start, duration=duration, recipe=Recipe(), tolerance=tolerance)
    with av.open(str(out)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_a_late_picture(cases: Path, tmp_path: Path) -> None:
    for duration in (3, 2):
        with pytest.raises(MediaError, match=r"the video stream begins at 2\.00 s") as caught:
            cut(cases / "vlate.mp4", tmp_path / "a.mp4", 0, duration)
        assert caught.value.reason is Reason.TOO_SHORT
    assert len(cut(cases / "vlate.mp4", tmp_path / "a.mp4", 0, 3, tolerance=2)) == 30


def test_pairs_of_frames(cases: Path, tmp_path: Path) -> None:
    wanted = [time - 1 for time in read_timeline(cases / "pair.mkv").times if 1 <= time < 3]
    assert cut(cases / "pair.mkv", tmp_path / "a.mp4", 1, 2) == pytest.approx(wanted, abs=0.0015)


def test_still_pictures(cases: Path, tmp_path: Path) -> None:
    assert cut(cases / "still.mp4", tmp_path / "a.mp4", 0, 3) == pytest.approx([0, 2.2], abs=0.001)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].duration * container.streams.video[0].time_base == 3


def test_a_splice(cases: Path, tmp_path: Path) -> None:
    facts = make_excerpt(
        cases / "splice25.mp4",
        video=tmp_path / "v.mp4",
        frames=tmp_path / "f",
        section=Section(1, 6, 30, 1),
        recipe=Recipe(),
    )
    assert facts.frames is not None
    assert facts.frames.frames == len(list((tmp_path / "f").iterdir())) == 180


def test_rotation_and_one_frame(cases: Path, tmp_path: Path) -> None:
    assert remarks(cases / "rot90.mp4") == ["rotated by 90 degrees"]
    cut(cases / "rot90.mp4", tmp_path / "a.mp4", 1, 2)
    assert remarks(tmp_path / "a.mp4") == []
    for fps in (0.2, 7, 30):
        assert extract_frames(cases / "one_frame_clip.mp4", tmp_path / "f", recipe=FrameRecipe(0, fps=fps)).frames >= 1
