"""A demo: a family's sample is made, served and run through the real DAGs, and after the return of a dead link refreshed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from clipquarry.demo.deployment import Deployment, Ran
from clipquarry.pipeline.sample import Sample


def run_demo(sample: Sample, home: Path, project: Path, look: str) -> None:
    """Run the sample's DAG, and say what happened. ``look``: the command that shows it in Airflow."""
    dataset, params = sample.dataset, dict(sample.params)
    demo = Deployment(home, project, dataset)
    demo.begin()
    person = partial(sample.person, demo.data) if sample.person is not None else None
    made = sample.make(home / "origin")
    made.place(demo.data.dataset(dataset))
    for sentence in made.about:
        print(sentence)
    with demo.serving(made.folder, made.plan, f"serves {made.serves}") as url:
        ran = demo.run(url, dataset, params, person)
        _tell(demo, sample, ran, f"{'1. ' if made.back else ''}the DAG {dataset}")
        if made.back:
            demo.play(made.after_the_return())
            later = datetime.now(UTC) + timedelta(days=2)
            print(f"the dead link {made.back} has come back, and we pretend that two days have passed")
            ran = demo.run(url, f"{dataset}_refresh", {**params, "as_of": later.isoformat()}, person)
            _tell(demo, sample, ran, f"2. the DAG {dataset}_refresh")
    places = {"report": demo.place(ran).report_page, "release": demo.data.release(dataset) / ran.name}
    places |= {name: demo.data.dataset(dataset) / path for name, path in sample.files.items()}
    width = max(map(len, places)) + 1
    for name, place in places.items():
        print(f"{name + ':':<{width}} {place}")
    print(f"look at it in Airflow: {look}")
    if sample.then:
        print(sample.then)


def _tell(demo: Deployment, sample: Sample, ran: Ran, title: str) -> None:
    demo.tell(title, ran)
    for sentence in sample.results(demo.data, ran.name):
        print(f"  {sentence}")
