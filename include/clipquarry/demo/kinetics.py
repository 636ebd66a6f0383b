"""``make demo``: Kinetics in small, with dead links, and a refresh when one of them has come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from clipquarry.demo.data_set import COMES_BACK, make_demo_set
from clipquarry.demo.deployment import Deployment

DATASET = "kinetics_demo"
PARAMS = {"resize": True, "frames": True, "frame_rate": 5, "shards": 2, "short_edge": 128}


def run_demo(home: Path, project: Path) -> None:
    """Make the data set, serve it, run the DAG and then the refresh DAG, say what happened."""
    demo = Deployment(home, project, DATASET)
    demo.begin()
    made = make_demo_set(home / "origin")
    count = len(list((made.folder / "videos").glob("*")))
    what = f"serves {count} videos and plays {len(made.plan)} dead or difficult links"
    with demo.serving(made.folder, made.plan, what) as url:
        demo.tell(f"1. the DAG {DATASET}", demo.run(url, DATASET, PARAMS))
        demo.play(made.after_the_return())
        later = datetime.now(UTC) + timedelta(days=2)
        print(f"the dead link {COMES_BACK} has come back, and we pretend that two days have passed")
        second = demo.run(url, f"{DATASET}_refresh", {**PARAMS, "as_of": later.isoformat()})
        demo.tell(f"2. the DAG {DATASET}_refresh", second)
    print(f"report:  {demo.report(second) / 'index.html'}")
    print(f"release: {demo.data.release(DATASET) / second.name}")
    print("look at it in Airflow: make demo-up")
