"""A tool's words about one file are judged by the machine, not the machine by them."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from clipquarry.datasets.model import Recipe
from clipquarry.demo.videos import make_video
from clipquarry.errors import RetryLater
from clipquarry.media import run as running
from clipquarry.media.cut import cut_clip
from clipquarry.media.errors import MediaError
from clipquarry.media.run import run
from clipquarry.media.tools import ffmpeg
from clipquarry.reasons import Reason


def with_a_huge_index(video: Path) -> Path:
    """The table of chunks claims a billion entries: ffmpeg asks for gigabytes, and says that there is no memory."""
    data = bytearray(video.read_bytes())
    at = data.rindex(b"stco")
    data[at + 8 : at + 12] = struct.pack(">I", 0x3FFFFFFF)
    video.write_bytes(data)
    return video


def cut(video: Path, out: Path) -> None:
    cut_clip(video, out, start=0, duration=1, recipe=Recipe(), tolerance=0.5)


def test_a_file_that_asks_for_all_memory_is_corrupt(tmp_path: Path) -> None:
    bad = with_a_huge_index(make_video(tmp_path / "bad.mp4", 3, 10, (64, 48), label="bad"))
    with pytest.raises(MediaError) as caught:
        cut(bad, tmp_path / "out.mp4")
    assert caught.value.reason is Reason.CORRUPT, caught.value.evidence
    assert "Cannot allocate memory" in caught.value.evidence
    assert not (tmp_path / "out.mp4").exists()


def test_the_case_that_stopped_a_shard(tmp_path: Path) -> None:
    case = Path(__file__).parents[3] / "shared/cases/hostile/stco_huge.mp4"
    if not case.exists():
        pytest.skip("../shared/cases is not there")
    with pytest.raises(MediaError) as caught:
        cut(case, tmp_path / "out.mp4")
    assert caught.value.reason is Reason.CORRUPT


def tool(path: Path, *, when: str) -> str:
    """A program that says there is no memory when ``when`` (Python, over ``argv``) is true, else does nothing, well."""
    path.write_text(
        f"#!{sys.executable}\nimport os, sys\nargv = sys.argv\nfolder = {str(path.parent)!r}\n"
        f"if {when}:\n    sys.exit('malloc: Cannot allocate memory')\n"
    )
    path.chmod(0o755)
    return str(path)


ONCE = "'film' in argv and not os.path.exists(folder + '/tried') and not open(folder + '/tried', 'w').close()"


def test_the_machine_is_asked(tmp_path: Path) -> None:
    with pytest.raises(RetryLater, match="too little memory"):
        run([tool(tmp_path / "none", when="True"), "film"], timeout=20)
    with pytest.raises(MediaError) as caught:
        run([tool(tmp_path / "one", when="'film' in argv"), "film"], timeout=20)
    assert caught.value.reason is Reason.CORRUPT
    assert run([tool(tmp_path / "moment", when=ONCE), "film"], timeout=20) == "", "it was short a moment ago"


def test_with_next_to_no_memory_the_file_is_not_to_blame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "_LITTLE_MEMORY", 1 << 60)
    with pytest.raises(RetryLater, match="MiB of memory are free"):
        run([tool(tmp_path / "one", when="'film' in argv"), "film"], timeout=20)


def test_free_memory_is_that_of_the_machine_and_of_the_container(tmp_path: Path) -> None:
    meminfo, group = tmp_path / "meminfo", tmp_path / "group"
    group.mkdir()
    assert running._free_memory(meminfo, group) == 1 << 60
    meminfo.write_text("MemTotal: 9000 kB\nMemAvailable:    4000 kB\n")
    assert running._free_memory(meminfo, group) == 4000 << 10
    for name, text in {
        "memory.max": "3000000",
        "memory.current": "2900000",
        "memory.stat": "anon 1\ninactive_file 5\n",
    }.items():
        (group / name).write_text(text)
    assert running._free_memory(meminfo, group) == 100_005
    (group / "memory.max").write_text("max\n")
    assert running._free_memory(meminfo, group) == 4000 << 10
    assert running._free_memory() > 0


@pytest.mark.parametrize(("code", "fails"), [(1, True), (0, False)])
def test_a_disk_is_full_when_nothing_can_be_written_there(code: int, fails: bool, tmp_path: Path) -> None:
    said = tmp_path / "said"
    said.write_text(
        f"#!{sys.executable}\nimport sys\nprint('title: No space left on device', file=sys.stderr)\nsys.exit({code})\n"
    )
    said.chmod(0o755)
    argv = [str(said), "-i", "file:/dev/full", f"file:{tmp_path / 'out.mp4'}"]
    if fails:
        with pytest.raises(MediaError, match="title: No space left"):
            run(argv, timeout=20)
    else:
        assert "title" in run(argv, timeout=20)
    assert [path.name for path in tmp_path.iterdir()] == ["said"]
    with pytest.raises(RetryLater, match="disk is full"):
        run([str(said), "file:/dev/full"], timeout=20)


def test_the_control_is_within_what_every_machine_has() -> None:
    assert running._once([str(ffmpeg().path), *running._CONTROL], 60, None) == (0, "")
