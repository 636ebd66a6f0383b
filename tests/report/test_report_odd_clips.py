"""The report shows the clips that the checks of contents named, and which heights were asked for and came."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clipquarry.datasets.load import find_spec
from clipquarry.files import write_json
from clipquarry.manifest import Row
from clipquarry.media.probe import probe
from clipquarry.media.tools import ffmpeg
from clipquarry.microseconds import of
from clipquarry.pipeline.reporting import write_report
from clipquarry.report.heights import heights
from clipquarry.settings import DataRoot
from clipquarry.steps.fields import CONTENT_FIELDS
from families.made_run import MadeRun
from report_fixture import NOW, RUN, check, gate_json

FILMS = {
    "black": "color=black",
    "moving": "testsrc2=r=10,fade=t=out:d=1",
    "copy": "testsrc2=r=10,fade=t=out:d=1,hue=h=9",
}


def _row(root: Path, name: str, source: str) -> Row:
    path = root / f"{name}.mp4"
    sized = (
        f"{source}{'=' if source == 'color' else ':'}s=160x120:d=2"
        if "," not in source
        else source.replace(",", ":s=160x120:d=2,", 1)
    )
    command = [str(ffmpeg().path), "-y", "-v", "error", "-f", "lavfi", "-i", sized, "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True)
    facts = probe(path, look=True)
    return {
        "item_id": f"val/abseiling/{name}", "video_id": name, "clip_id": name, "split": "val", "class_dir": "abseiling",
        "label": "abseiling", "status": "done", "reason": "ok", "evidence": "", "key": "k", "start": 0, "end": of(2),
        "path": path.name, "bytes": path.stat().st_size, "source": "youtube", "asked_height": 120 if name == "copy" else 360,
        **facts.columns(), **facts.content.columns(),
    }  # fmt: skip


@pytest.fixture
def page(tmp_path: Path) -> tuple[str, dict[str, Any]]:
    data, spec = DataRoot(tmp_path), find_spec("kinetics400")
    folder = data.run(spec.name, RUN)
    rows = [_row(tmp_path, name, source) for name, source in FILMS.items()]
    rows.append(rows[1] | {"item_id": "val/abseiling/old"} | dict.fromkeys(field.name for field in CONTENT_FIELDS))
    MadeRun(folder).recorded(rows)
    black = check(
        "clips.black", "clips are not black", severity="warn", sentence="Within the threshold: 1 of 3 clips is black.",
        checked=3, unexpected=1, worst=[{"item_id": rows[0]["item_id"], "brightness": 0.1}],
    )  # fmt: skip
    near = check(
        "clips.near_copy", "no clip shows the same", severity="warn", success=False, sentence="1 of 3 clips shows the same.",
        checked=3, unexpected=1, worst=[
            {"item_id": rows[1]["item_id"], "start": 0, "copy_of": f"{rows[2]['item_id']} (0 to 2 s)"},
            {"item_id": "val/abseiling/gone", "copy_of": "other: val/x/y (0 to 2 s)"},
        ],
    )  # fmt: skip
    write_json(folder / "gates" / "clips.json", gate_json("clips", "warn", near, black))
    write_report(spec, data, RUN, None, NOW)
    if target := os.environ.get("CLIPQUARRY_KEEP_PAGE"):  # to look at
        Path(target).write_text((folder / "report/index.html").read_text(encoding="utf-8"), encoding="utf-8")
    return (folder / "report/index.html").read_text(encoding="utf-8"), json.loads(
        (folder / "report/report.json").read_text()
    )


def test_odd_clips_have_strips_and_heights_a_table(page: tuple[str, dict[str, Any]]) -> None:
    html, value = page
    assert html.count("Frame 5 of val/abseiling/") == 3 and "<img src=x" not in html
    assert "the clip that shows the same" in html and "Its file is not known." in html
    assert [(one["name"], one["level"]) for one in value["odd"]] == [
        ("clips.black", "good"),
        ("clips.near_copy", "warn"),
    ]
    assert value["items"]["media"]["looked_at"] == 3 and "measured of 3; of the others it was not measured" in html
    assert value["items"]["media"]["heights"] == [
        {"asked": 360, "clips": 3, "reached": 0, "got": [["120", 3]]}, {"asked": 120, "clips": 1, "reached": 1, "got": [["120", 1]]}
    ]  # fmt: skip
    assert "The short side that was asked for" in html


def test_heights_by_what_was_asked() -> None:
    table = pa.table({
        "width": [1280, 640, 640, 360, None, 10], "height": [720, 360, 360, 640, None, 20],
        "asked_height": [720, 720, None, 720, 720, None],
    })  # fmt: skip
    asked, free = heights(table)
    assert (asked.asked, asked.clips, asked.reached, asked.got) == (720, 3, 1, (("720", 1), ("360", 2)))
    assert (free.asked, free.reached, free.got) == (None, None, (("360", 1), ("10", 1)))
    assert heights(table.drop_columns(["asked_height"]))[0].clips == 5 and heights(pa.table({"x": [1]})) == ()
    many = pa.table({"width": list(range(100, 120)), "height": [500] * 20})
    assert heights(many)[0].got[-1] == ("other", 14)
