"""Chains in the real Airflow: no change of a part is lost, whatever becomes of Airflow's events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_world import CLIPS, DERIVED, PARTS, ChainWorld
from clipquarry.pipeline.releases import latest_name, made_of_in, standing
from clipquarry.settings import DataRoot
from deployment import Deployment
from e2e_airflow import Airflow, until

pytestmark = pytest.mark.timeout(3600)

LEFT, RIGHT = PARTS
LOOK = "clipquarry_chains"
LONG = 1200
"""Seconds for a run of twenty tasks on a machine that does other work."""


class Lab:
    """A deployment over a made world, and what the test asks of it."""

    def __init__(self, world: ChainWorld, deployment: Deployment) -> None:
        self.world, self.deployment, self.looks = world, deployment, 0

    def event(self, asset: str) -> None:
        """Say that an asset was updated, as the last task of a DAG does."""
        number = int(self.deployment.ask("SELECT id FROM asset WHERE name = ?", asset))

        def told() -> bool:
            try:
                self.deployment.call("POST", "assets/events", asset_id=number, extra={})
            except AssertionError as error:  # SQLite has one writer
                assert "Database error" in str(error)
                return False
            return True

        until(told, f"Airflow takes the event of {asset}")

    def look(self) -> None:
        """Run the DAG of the chains to its end, as its schedule does."""
        self.looks += 1
        self.deployment.trigger(LOOK, run := f"look-{self.looks}")
        until(lambda: self.deployment.state(LOOK, run) == "success", "the DAG of the chains has looked", LONG)

    def runs(self, dag: str = DERIVED) -> dict[str, str]:
        """The runs that assets started, in order: id to state."""
        found = self.deployment.call("GET", f"dags/{dag}/dagRuns?limit=100&order_by=id").json()["dag_runs"]
        return {run["dag_run_id"]: run["state"] for run in found if run["run_type"] == "asset_triggered"}

    def tasks(self, run: str) -> dict[str, str]:
        path = f"dags/{DERIVED}/dagRuns/{run}/taskInstances?limit=100"
        return {task["task_id"]: task["state"] for task in self.deployment.call("GET", path).json()["task_instances"]}

    def worked(self) -> list[str]:
        """The runs that took something. The schedule's own look, every quarter of an hour, may start another one, which ends at once."""
        return [run for run in self.runs() if self.tasks(run).get("annotations") == "success"]

    def rest(self) -> dict[str, str]:
        """Wait until no run is active; gives all of them."""

        def ended() -> dict[str, str]:
            runs = self.runs()
            return runs if runs and all(state in ("success", "failed") for state in runs.values()) else {}

        return dict(until(ended, "the runs end", LONG))

    def there(self) -> set[str]:
        return {path.stem[:11] for path in (self.world.data / DERIVED).glob("videos_*/*/*.mp4")}

    def is_made_of_the_newest(self) -> bool:
        data = self.world.settings.data
        lock = data.release(DERIVED) / latest_name(data, DERIVED) / f"{DERIVED}.lock"
        return made_of_in(lock) == {part: standing(part, self.world.settings).fingerprint for part in PARTS}

    def notes(self) -> list[Path]:
        return sorted((self.world.data / f".clipquarry/runs/{DERIVED}").glob("*/made_of.json"))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    world = ChainWorld(tmp_path / "world")
    world.make(LEFT, "l1", 0)
    world.make(RIGHT, "r1", 0)
    world.run(DERIVED, "by_hand")
    extra = {**world.environment, "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60"}
    airflow = Airflow(tmp_path / "airflow", DataRoot(world.data), {name: str(value) for name, value in extra.items()})
    deployment = Deployment(airflow, tmp_path / "up.log", DERIVED, *PARTS)
    try:
        deployment.start_until_ready()
        until(
            lambda: deployment.ask("SELECT 1 FROM serialized_dag WHERE dag_id = ?", LOOK),
            "the DAG of the chains is there",
        )
        yield Lab(world, deployment)
    finally:
        deployment.stop()


def test_no_change_is_lost(lab: Lab) -> None:
    world, deployment = lab.world, lab.deployment

    # 1. An event without a change gives a run that ends at once, and says why.
    lab.event(f"{LEFT}/release")
    (first,) = lab.rest()
    states = lab.tasks(first)
    assert states.pop("made_of") == "success" and set(states.values()) == {"skipped"}
    assert latest_name(world.settings.data, DERIVED) == "by_hand"

    # 2. The DAG of a part emits the event itself. While the run that it starts is active, the other part changes, and
    # everything dies.
    world.give(LEFT, 1)
    deployment.trigger(LEFT, "in-airflow", annotation_counts="warn", retry_all=True)
    until(lambda: len(lab.notes()) == 2, "a run has noted what it takes from", LONG)
    world.make(RIGHT, "r2", 1)
    lab.event(f"{RIGHT}/release")
    assert "running" in lab.runs().values(), "the event comes while the run is active"
    deployment.kill()
    deployment.start()
    until(lab.is_made_of_the_newest, "a second run takes the change", LONG)
    assert lab.there() == {CLIPS[part][number] for part in PARTS for number in (0, 1)}
    assert len(lab.notes()) == 3, "one run for each change"

    # 3. Airflow drops the events of a paused DAG, and a run of the command line emits none. The DAG of the chains starts
    # one run for two changes.
    until(lambda: not _refused(lab), "Airflow answers again", LONG)
    lab.rest()
    deployment.call("PATCH", f"dags/{DERIVED}", is_paused=True)
    known = len(lab.worked())
    for part, run in ((LEFT, "l3"), (RIGHT, "r3")):
        world.make(part, run, 3)
        lab.event(f"{part}/release")
    lab.look()
    deployment.call("PATCH", f"dags/{DERIVED}", is_paused=False)
    assert len(lab.worked()) == known, "the events are gone"
    lab.look()
    until(lab.is_made_of_the_newest, "a run takes both changes", LONG)
    lab.rest()
    assert {CLIPS[LEFT][3], CLIPS[RIGHT][3]} <= lab.there() and len(lab.notes()) == 4
    lab.look()
    lab.rest()
    assert len(lab.worked()) == known + 1 and len(lab.notes()) == 4, "nothing is due any more"


def _refused(lab: Lab) -> bool:
    try:
        lab.runs()
    except (OSError, AssertionError, ValueError):
        return True
    return False
