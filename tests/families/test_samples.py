"""The sample of every family is green, the second run keeps it, and kills change nothing; that of another package too."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from clipquarry.datasets.families import find_family, packaged_families
from clipquarry.datasets.load import find_spec
from clipquarry.demo.origin import Origin
from clipquarry.families.boxes.own.sample import SAMPLE as OWN_AVA
from clipquarry.pipeline.family import Family, Task, tasks_of
from clipquarry.pipeline.sample import Sample, Served
from clipquarry.run_documents import verdicts
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot
from kills import Killed, Moment
from once import shared_folder
from toy_package import install, toy_family, toy_tasks

SAME_EACH_TIME = ("404", "410", "html")
"""Dead links that say the same as often as they are asked, without a wait."""
KILLS = 4
IN_WORK = 16
"""Requests that may be made, and attempts that may be told, once more: two jobs were in work, four groups each, at two kills."""
OF_THIS_TRY = ("attempts", "evidence", "status", "signature")
"""Columns that tell in which try an item came, or when its frames were written; the ``key`` of a look at frames says that too."""


@dataclass(frozen=True)
class Made:
    """A sample behind a server, and the root where its run was not disturbed."""

    sample: Sample
    served: Served
    tasks: tuple[Task, ...]
    calm: Killed
    origin: Origin
    asked: Counter[str]
    """What the undisturbed run asked of the server."""

    def run_in(self, data: Path) -> Killed:
        """The same run in another data root."""
        self.served.place(DataRoot(data).dataset(self.sample.dataset))
        return replace(self.calm, data=data)


@contextmanager
def _undisturbed(
    sample: Sample, served: Served, tasks: tuple[Task, ...], data: Path, **environment: str
) -> Iterator[Made]:
    arguments = [part for name, value in sample.params.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    dead = {path: how for path, how in served.plan.items() if how in SAME_EACH_TIME}
    with Origin(served.folder, dead) as origin:
        found_by = {**environment, "CLIPQUARRY_DEMO_URL": origin.url}
        calm = Killed(data, sample.dataset, tuple(arguments), environment=found_by)
        served.place(calm.layout)
        calm.finish()
        yield Made(sample, served, tasks, calm, origin, origin.asked.copy())


@pytest.fixture(scope="module", params=[*packaged_families(), "own_ava", "toy"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "toy":
        install(folder)
        sample, tasks = toy_family().sample(), toy_tasks()
        more = {"CLIPQUARRY_DATASETS": str(folder / "specs"), "PYTHONPATH": str(folder / "site")}
    else:
        family: Family = find_family("boxes" if request.param == "own_ava" else request.param)
        sample, more = OWN_AVA if request.param == "own_ava" else family.sample(), {}
        tasks = tasks_of(find_spec(sample.dataset))
    with shared_folder(tmp_path_factory, f"sample_{request.param}") as origin:
        served = sample.make(origin)
    with _undisturbed(sample, served, tasks, folder / "calm", **more) as found:
        yield found


def _moments(tasks: tuple[Task, ...]) -> list[Moment]:
    """In the middle of each step and behind each gate but the last one, in the order of the run."""

    def moment(task: Task) -> Moment:
        def reached(run: Killed) -> bool:
            place = RunFolder(run.folder)
            if not task.is_step:
                return place.gate(task.gate).exists()
            begun = any(path.stat().st_size for path in place.step(task.name).glob("part-*.journal.jsonl"))
            return begun or bool(place.results_of(task.name))

        return reached

    return [moment(task) for task in tasks if task.is_step or task.gate][:-1]


def _tables(run: Killed) -> dict[str, list[str]]:
    """The rows of every table of the run's folder, in an order of their own, without what tells in which try they came."""
    found = {}
    for path in sorted(run.folder.rglob("*.parquet")):
        table = pq.read_table(path)
        of_times = {*OF_THIS_TRY, *(("key",) if {"image", "looked_at"} & {*table.column_names} else ())}
        rows = table.drop_columns([name for name in table.column_names if name in of_times]).to_pylist()
        found[str(path.relative_to(run.folder))] = sorted(map(repr, rows))
    return found


def test_the_second_run_keeps_everything(made: Made) -> None:
    calm = made.calm
    assert "block" not in verdicts(RunFolder(calm.folder)).values()
    first = {row["item_id"]: row["status"] for row in calm.rows(_recorded(calm))}
    assert "done" in first.values()
    second = replace(calm, name="two")
    second.finish()
    kept = {row["item_id"]: row["status"] for row in second.rows(_recorded(second))}
    assert kept == {item: "kept" if status == "done" else status for item, status in first.items()}
    releases = DataRoot(calm.data).release(calm.dataset)
    assert [path.name for path in releases.iterdir() if path.is_dir()] == [calm.name], "the same is not published twice"


def _recorded(run: Killed) -> str:
    return str(RunFolder(run.folder).recorded.relative_to(run.data / ".clipquarry"))


@pytest.mark.timeout(600)
def test_a_kill_in_the_middle_changes_nothing(made: Made, tmp_path: Path) -> None:
    calm, disturbed, before = made.calm, made.run_in(tmp_path / "disturbed"), made.origin.asked.copy()
    rng = random.Random(made.sample.dataset)
    moments = _moments(made.tasks)
    for number in sorted(rng.sample(range(len(moments)), min(KILLS, len(moments)))):
        disturbed.kill_at(moments[number], rng, within=0.3)
    disturbed.finish()
    assert disturbed.lock() == calm.lock(), "the same paths, sums, bytes, lengths and frames"
    assert disturbed.files() == calm.files()
    mine, theirs = _tables(disturbed), _tables(calm)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] != theirs[name]] == []
    assert verdicts(RunFolder(disturbed.folder)) == verdicts(RunFolder(calm.folder))
    assert disturbed.leftovers() == calm.leftovers() == []
    again = made.origin.asked - before - made.asked
    assert sum(count for path, count in again.items() if "annotations" not in path) <= IN_WORK, again
    told, wanted = disturbed.attempts(), calm.attempts()
    assert (told - wanted).total() <= IN_WORK, "what was finished is told once"
    forgotten = wanted.keys() - told.keys()
    of_archive = all(word == "unpacked" for _, word, _ in forgotten)  # all its items are one piece of work
    assert len(forgotten) <= 4 or of_archive, (
        f"nothing is forgotten, but for what was in work at the very moment: {forgotten}"
    )
