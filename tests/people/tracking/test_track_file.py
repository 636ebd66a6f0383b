"""The csv of a clip's tracks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from clipquarry.errors import UserError
from clipquarry.people.tracking.boxes import ClipBoxes
from clipquarry.people.tracking.clip import track_clip
from clipquarry.people.tracking.track_file import COLUMNS, Seen, read_tracks, write_tracks

HEAD = ",".join(COLUMNS)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = track_clip(
        ClipBoxes(np.array([0, 2]), np.array([[0.1, 0.1, 0.3, 0.9], [0.2, 0.1, 0.4, 1.2]]), np.array([0.9, 0.8])),
        30.0, step=2,
    )  # fmt: skip
    out = io.StringIO()
    write_tracks(out, found)
    assert out.getvalue().splitlines() == [
        HEAD, "1,0.1,0.1,0.3,0.9,0.9,1,1", "2,0.15,0.1,0.35,1.0,0,1,0", "3,0.2,0.1,0.4,1.0,0.8,1,1",
    ]  # fmt: skip
    path = tmp_path / "x.csv"
    path.write_text(out.getvalue())
    assert list(read_tracks(path, {2})) == [Seen(2, (0.15, 0.1, 0.35, 1.0), 1, False)]
    assert [one.frame for one in read_tracks(path)] == [1, 2, 3]


@pytest.mark.parametrize(
    "text",
    [
        "", "frame,x\n1,2\n", f"{HEAD}\n1,0.1,0.1,0.3\n", f"{HEAD}\nx,0.1,0.1,0.3,0.9,0.9,1,1\n", f"{HEAD}\n1,0.3,0.1,0.1,0.9,0.9,1,1\n",
        f"{HEAD}\n1,nan,0.1,0.3,0.9,0.9,1,1\n", f"{HEAD}\n1,0.1,0.1,0.3,0.9,0.9,0,1\n", f"{HEAD}\n0,0.1,0.1,0.3,0.9,0.9,1,1\n",
    ],
)  # fmt: skip
def test_another_file_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"x\.csv cannot be read .*run the task 'track' again"):
        list(read_tracks(path))


def test_bytes_and_folders_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "y.csv").mkdir()
    for name in ("x.csv", "y.csv", "z.csv"):
        with pytest.raises(UserError, match="cannot be read"):
            list(read_tracks(tmp_path / name))
