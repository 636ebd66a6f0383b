"""Real annotation rows with a mirror that has only a handful of the videos: how an old data set really looks."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.manifest import read_table

pytestmark = [pytest.mark.shared, pytest.mark.timeout(1500)]


@pytest.fixture
def val_csv(shared: Path, airflow) -> Path:
    target = airflow.data.dataset("kinetics400", "annotations/kinetics_val.csv")
    target.parent.mkdir(parents=True)
    shutil.copyfile(shared / "real/annotations/kinetics400_val.csv", target)
    return target


def _rows_of_every_tenth_class(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as handle:
        rows = list(csv.DictReader(handle))
    classes = sorted({row["label"] for row in rows})[::10]
    return [row for row in rows if row["label"] in classes]


def test_real_rows_with_a_handful_of_videos(airflow, val_csv: Path, shared: Path, tmp_path: Path) -> None:
    """All 19,906 rows are read and checked; 40 classes are asked for, since a refusal takes 5 ms however many there are."""
    served = tmp_path / "served"
    served.mkdir()
    asked_for = _rows_of_every_tenth_class(val_csv)
    classes = sorted({row["label"] for row in asked_for})
    rows = asked_for[:: len(asked_for) // 6][:6]
    real = shared / "real/videos/test.mp4"
    names = []
    for row in rows:
        name = f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}"
        shutil.copyfile(real, served / f"{name}.mp4")
        names.append(f"{row['label'].replace(' ', '_')}/{name}.mp4")
    with Origin(served) as origin:
        code, summary, run, log = airflow.run(
            "kinetics400", "kinetics400", splits=["val"], classes=classes, sources=["mirror"],
            mirror_url=f"{origin.url}/{{clip}}.mp4", shards=8, jobs=8,
        )  # fmt: skip
    assert code == 1, "coverage is far below the threshold"
    assert summary["gates"]["annotations"] == "pass"
    assert summary["gates"]["clips"] == "block"
    catalog = read_table(airflow.data.run("kinetics400", run) / "catalog.parquet")
    assert catalog["status"].to_pylist() == ["done"] * 19906, "all rows are read, and none is rejected"
    assert summary["expected"] == len(asked_for) > 1800
    assert summary["present"] == 6, log[-3000:]
    assert summary["reasons"] == {"not_found": len(asked_for) - 6}
    on_disk = {str(p.relative_to(airflow.data.dataset("kinetics400", "videos_val"))) for p in
               airflow.data.dataset("kinetics400", "videos_val").rglob("*.mp4")}  # fmt: skip
    assert on_disk == set(names)
    assert Path(summary["report"]).exists()


def test_a_class_that_is_complete_gives_the_list_of_what_exists(airflow, val_csv: Path, tmp_path: Path) -> None:
    with open(val_csv, newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["label"] == "massaging person's head"]
    served = tmp_path / "served"
    served.mkdir()
    one = make_video(served / "one.mp4", 10, fps=25, size=(160, 120))
    keep = rows[: len(rows) * 3 // 4]
    for row in keep:
        shutil.copyfile(
            one, served / f"{row['youtube_id']}_{int(row['time_start']):06d}_{int(row['time_end']):06d}.mp4"
        )
    with Origin(served) as origin:
        code, summary, _, log = airflow.run(
            "kinetics400", "kinetics400", splits=["val"], classes=["massaging person's head"], sources=["mirror"],
            mirror_url=f"{origin.url}/{{clip}}.mp4", jobs=4,
        )  # fmt: skip
    assert code == 0, log[-3000:]
    assert (summary["expected"], summary["present"]) == (len(rows), len(keep))
    lines = (airflow.data.dataset("kinetics400", "kinetics400_val_list_videos.txt")).read_text().splitlines()
    assert len(lines) == len(keep)
    with open(val_csv, newline="") as handle:
        labels = sorted({row["label"].replace(" ", "_") for row in csv.DictReader(handle)})
    assert {line.split(" ")[1] for line in lines} == {str(labels.index("massaging_person's_head"))}


def test_no_network_at_all(airflow, val_csv: Path) -> None:
    """Every clip has the reason that there is no network, the breaker stays closed, the next refresh tries again."""
    from clipquarry.acquire.breaker import Breaker
    from clipquarry.acquire.network import NETWORK
    from clipquarry.ledger import Ledger
    from clipquarry.settings import Settings

    if not NETWORK.is_down():
        pytest.skip("this machine reaches the internet; the case without a network cannot be shown here")
    code, summary, _, log = airflow.run("kinetics400", "kinetics400", splits=["val"], limit=5)
    assert code == 1, log[-3000:]
    assert summary["reasons"] == {"no_network": 5}
    assert Breaker(airflow.data.egress("default")).peek() is None
    with Ledger.open(Settings.from_env(data=airflow.data.root).ledger_url) as ledger:
        from datetime import UTC, datetime

        due = [row for row in ledger.due(datetime.now(UTC), "kinetics400") if row["reason"] == "no_network"]
    assert len(due) == 5
