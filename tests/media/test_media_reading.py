"""Whatever PyAV raises while a file is read is said of that file, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import av.error
import pytest
from clipquarry.demo.videos import make_video
from clipquarry.errors import RetryLater
from clipquarry.media.errors import MediaError
from clipquarry.media.probe import header, opened
from clipquarry.reasons import Reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (av.error.PermissionError(1, "Operation not permitted", "x"), Reason.CORRUPT),
        (av.error.MemoryError(12, "Cannot allocate memory", "x"), Reason.CORRUPT),
        (av.error.FileNotFoundError(2, "No such file", "x"), Reason.CORRUPT),
        (ZeroDivisionError("Fraction(1, 0)"), Reason.TOOL_FAILED),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), Reason.TOOL_FAILED),
        (OverflowError("int too large"), Reason.TOOL_FAILED),
    ],
)
def test_errors_of_reading_are_about_the_file(error: Exception, reason: Reason, tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mp4", 1, 10, (64, 48), label="film")
    with pytest.raises(MediaError) as caught, opened(film):
        raise error
    assert caught.value.reason is reason


def test_our_own_errors_pass(tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mp4", 1, 10, (64, 48), label="film")
    with pytest.raises(RetryLater), opened(film):
        raise RetryLater("stop")
    with pytest.raises(FileNotFoundError):
        header(tmp_path / "absent.mp4")
