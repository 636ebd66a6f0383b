"""One detector for many threads: who waits is taken along, and everyone gets his own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from clipquarry.errors import UserError
from clipquarry.people.detector import Boxes, Frame
from clipquarry.people.frame_file import FrameError, read_frame
from clipquarry.people.make import make_detector
from clipquarry.people.shared import SharedDetector


class Echo:
    """Finds the picture's first number; keeps what it was given at once."""

    name = "echo"

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.inside, self.go = Event(), Event()

    def detect(self, pictures: Sequence[Frame]) -> list[Boxes]:
        self.batches.append([int(picture[0, 0, 0]) for picture in pictures])
        self.inside.set()
        assert self.go.wait(10)
        if any(number == 13 for number in self.batches[-1]):
            raise ValueError("thirteen")
        return [np.full((1, 5), number, np.float64) for number in self.batches[-1]]


def pictures(*numbers: int) -> list[Frame]:
    return [np.full((2, 2, 3), number, np.uint8) for number in numbers]


def waiting(shared: SharedDetector, count: int) -> None:
    while len(shared._waiting) < count:
        pass


def test_those_who_wait_make_one_batch() -> None:
    echo = Echo()
    shared = SharedDetector(echo, batch=4)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(shared.detect, pictures(1))
        assert echo.inside.wait(10)
        answers = []
        for number, group in enumerate(((2, 3), (4,), (5, 6, 7), (8,)), 1):
            answers.append(pool.submit(shared.detect, pictures(*group)))
            waiting(shared, number)
        echo.go.set()
        assert [boxes[0, 0] for boxes in first.result()] == [1]
        assert [[boxes[0, 0] for boxes in answer.result()] for answer in answers] == [[2, 3], [4], [5, 6, 7], [8]]
    assert echo.batches == [[1], [2, 3, 4], [5, 6, 7, 8]]
    assert shared.name == "echo"


def test_an_error_reaches_those_who_were_in_the_batch_only() -> None:
    echo = Echo()
    shared = SharedDetector(echo, batch=2)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(shared.detect, pictures(1))
        assert echo.inside.wait(10)
        answers = []
        for number, group in enumerate(((2,), (13,), (3,)), 1):
            answers.append(pool.submit(shared.detect, pictures(*group)))
            waiting(shared, number)
        echo.go.set()
        assert len(first.result()) == 1
        for answer in answers[:2]:
            with pytest.raises(ValueError, match="thirteen"):
                answer.result()
        assert answers[2].result()[0][0, 0] == 3


def test_more_than_a_batch_is_given_whole() -> None:
    echo = Echo()
    echo.go.set()
    assert len(SharedDetector(echo, batch=2).detect(pictures(1, 2, 3))) == 3
    assert echo.batches == [[1, 2, 3]]


def test_many_threads() -> None:
    echo = Echo()
    echo.go.set()
    shared = SharedDetector(echo, batch=8)
    wrong: list[int] = []

    def ask(number: int) -> None:
        for _ in range(200):
            found = shared.detect(pictures(number, number + 100))
            if [boxes[0, 0] for boxes in found] != [number, number + 100]:
                wrong.append(number)

    threads = [Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert sum(len(batch) for batch in echo.batches) == 8 * 200 * 2


def test_backends_by_name(tmp_path: Path) -> None:
    assert make_detector("hog", least=0.9).name.startswith("hog opencv-")
    with pytest.raises(UserError, match="needs a checkpoint"):
        make_detector("mmdet")


def test_pictures_from_files(tmp_path: Path) -> None:
    import cv2

    blue = np.zeros((8, 6, 3), np.uint8)
    blue[..., 0] = 255
    for name in ("x.png", "x.jpg"):
        assert cv2.imwrite(str(tmp_path / name), blue)
        read = read_frame(tmp_path / name)
        assert read.shape == (8, 6, 3)
        assert read[0, 0].tolist() in ([0, 0, 255], [0, 0, 254]), "red, green, blue"
    whole = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "x.jpg").write_bytes(whole + b"some camera's notes")
    assert read_frame(tmp_path / "x.jpg").shape == (8, 6, 3)
    for content in (whole[:-2], whole[:20], b"", b"\xff\xd8\xff\xd9", b"GIF89a"):
        (tmp_path / "x.jpg").write_bytes(content)
        with pytest.raises(FrameError, match=r"x\.jpg"):
            read_frame(tmp_path / "x.jpg")
    with pytest.raises(FrameError, match="cannot be read"):
        read_frame(tmp_path / "nothing.jpg")
    with pytest.raises(FrameError, match="cannot be read"):
        read_frame(tmp_path)
