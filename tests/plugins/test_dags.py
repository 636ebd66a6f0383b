"""The DAGs as Airflow sees them: parsed by the real DagBag, in a process of its own."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from clipquarry.datasets.load import load_all
from clipquarry.datasets.ways import asks_of_a_person, can_expire
from clipquarry.families.clips.params import ClipsParams
from clipquarry.pipeline.family import params_model, steps_of, tasks_of
from clipquarry.pipeline.stages import stages

PROJECT = Path(__file__).parents[2]
DATASETS = PROJECT / "include/clipquarry/datasets"
PLACED = r'''schema: dataset-spec/v1
name: placed
title: Placed by hand
description: '""" import nothing \'
family: crawl
root: placed
access: {kind: request-form, page: "https://example.org/form"}
annotation_format: kinetics_csv
layout: {annotations: annotations, videos: "videos_{split}"}
labels: {source: annotation, count: 5}
splits: {train: annotations/train.csv}
sources:
  - {id: csv, kind: manual, provides: annotations, howto: "ask for it"}
  - {id: disk, kind: local, provides: items, content: clip, path: "/lab/{clip}.mp4"}
lists: {videos: "placed_{split}.txt"}
'''
"""Nothing of it can expire, and a person must act first. Its description would end a careless docstring."""

_LOOK = """
import json, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.param import Param
heavy = ("pandas", "pyarrow", "sqlalchemy.dialects.postgresql", "great_expectations", "yt_dlp", "matplotlib", "av")
before = {name for name in heavy if name in sys.modules}
yamls = []
sys.addaudithook(lambda event, values: yamls.append(str(values[0])) if event == "open" and str(values[0]).endswith(".yaml") else None)
begun = time.process_time()
bag = DagBag(sys.argv[1])
parse = time.process_time() - begun
dags = {
    d.dag_id: {
        "tasks": sorted(d.task_dict), "tags": sorted(d.tags), "doc": d.doc_md or "", "schedule": d.schedule if isinstance(d.schedule, str | None) else sorted(a.uri for a in d.schedule.objects),
        "owner": d.owner, "retries": {t.task_id: t.retries for t in d.tasks}, "pools": sorted({t.pool for t in d.tasks}),
        "backoff": all(t.retry_exponential_backoff for t in d.tasks),
        "short_edge": d.params["short_edge"] if "short_edge" in d.params else None,
        "outlets": sorted(a.uri for t in d.tasks for a in t.outlets),
        "params": {k: d.params.get_param(k).schema for k in d.params}, "copies": sum(len(t.params) for t in d.tasks),
        "arrows": sorted([t.task_id, after] for t in d.tasks for after in t.downstream_task_ids),
        "shown": d.dag_display_name, "file": d.fileloc, "told": {t.task_id: t.doc_md for t in d.tasks},
        "boxes": {name: [t.task_id for t in getattr(child, "iter_tasks", lambda: [])()] for name, child in d.task_group.children.items()},
    }
    for d in bag.dags.values()
}
print("@@" + json.dumps({"parse": parse, "yamls": yamls, "dags": dags, "errors": bag.import_errors,
                         "heavy": sorted({n for n in heavy if n in sys.modules} - before)}))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AIRFLOW_HOME with a migrated database."""
    home = tmp_path_factory.mktemp("dags")
    environment = {**os.environ, "AIRFLOW_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    return home


def _look(home: Path, dags: Path = PROJECT / "dags", **extra: str) -> dict[str, Any]:
    environment = {
        **os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"), "CLIPQUARRY_DATA": str(home / "data"), **extra,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, str(dags)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout.rpartition("@@")[2]))


@pytest.fixture(scope="module")
def seen(home: Path) -> dict[str, Any]:
    extra = home / "more"
    extra.mkdir()
    text = (PROJECT / "include/clipquarry/datasets/kinetics_demo.yaml").read_text()
    (extra / "own.yaml").write_text(
        text.replace("name: kinetics_demo", "name: own_clips") + "\nrecipe: {short_edge: 128}\n"
    )
    (extra / "placed.yaml").write_text(PLACED)
    (extra / "broken.yaml").write_text("schema: dataset-spec/v1\nname: broken\ncolour: blue\n")
    (extra / "worse.yaml").write_text("name: [")
    (extra / "tags.yaml").write_text(
        text.replace("name: kinetics_demo", "name: tagged").replace("tags: [", f"tags: [{'x' * 300}, ")
    )
    state = home / "data/.clipquarry/state/kinetics400.parquet"
    state.parent.mkdir(parents=True)
    state.touch()
    return _look(home, CLIPQUARRY_DATASETS=str(extra))


def test_every_data_set_has_its_dags_in_a_file_of_its_own(seen: dict[str, Any]) -> None:
    packaged = load_all()[0]
    dags = {dag: Path(found["file"]).name for dag, found in seen["dags"].items()}
    for name, spec in packaged.items():
        for dag in [name, *([f"{name}_refresh"] if can_expire(spec) else [])]:
            assert dags.pop(dag) == f"{name}.py"
    assert dags == dict.fromkeys(("own_clips", "own_clips_refresh", "placed"), "own_datasets.py")


def test_no_task_holds_a_copy_of_its_dags_parameters(seen: dict[str, Any]) -> None:
    """A copy for each task was a third of what parsing costs; what a task sees while it runs is in ``tests/e2e``."""
    assert {name: dag["copies"] for name, dag in seen["dags"].items() if dag["copies"]} == {}
    assert all(dag["params"] for name, dag in seen["dags"].items() if name in load_all()[0])


def test_only_what_can_expire_has_a_refresh_and_tags_say_how_bytes_come(seen: dict[str, Any]) -> None:
    ways = {"crawl", "mirror", "archive", "by hand", "derived"}
    found = {name: (set(dag["tags"]) & ways, dag["shown"]) for name, dag in seen["dags"].items()}
    family = {spec.family for spec in load_all()[0].values()}
    assert {"archive", "crawl"} <= found["kinetics400"][0] <= {"archive", "crawl"} | family
    assert {"mirror"} <= found["ava"][0] <= {"mirror"} | family
    assert {"derived", "crawl"} <= found["ava_kinetics"][0] <= {"derived", "crawl"} | family
    assert {"by hand"} <= found["placed"][0] <= {"by hand"} | family
    assert (found["kinetics400"][1], found["kinetics400_refresh"][1]) == ("Kinetics-400", "Kinetics-400: refresh")
    assert "needs a person" in seen["dags"]["placed"]["tags"]
    assert "Ask for the data set at https://example.org/form" in seen["dags"]["placed"]["doc"]
    assert "Place the files by hand: /lab/{clip}.mp4" in seen["dags"]["placed"]["doc"]
    asking = {name for name, spec in load_all()[0].items() if [*asks_of_a_person(spec)]}
    waiting = {name for name, dag in seen["dags"].items() if "runs by itself" not in dag["tags"]}
    assert {name.removesuffix("_refresh") for name in waiting} == {*asking, "placed"}
    assert set(load_all()[0]["ava_kinetics"].tags) | {"full"} <= set(seen["dags"]["ava_kinetics"]["tags"])


def test_a_graph_shows_few_boxes_and_every_task_says_what_it_does(seen: dict[str, Any]) -> None:
    for name, dag in seen["dags"].items():
        assert 4 <= len(dag["boxes"]) <= 8, name
        inside = [task for tasks in dag["boxes"].values() for task in tasks]
        assert sorted([*inside, "verdict"]) == dag["tasks"], "every task but the verdict stands in one box"
        assert not {box for box, tasks in dag["boxes"].items() if tasks} & set(dag["tasks"]), "a box has a task's name"
        assert [task for task, told in dag["told"].items() if not told or not told.endswith(".")] == [], name


def test_the_documented_graphs_and_tasks_are_those_of_the_dags(seen: dict[str, Any]) -> None:
    """``make docs`` draws them from the graph of the data set; here they meet what Airflow made of it."""
    page = (PROJECT / "docs/dags.md").read_text(encoding="utf-8")
    drawings = re.findall(r"^(`[a-z0-9_`, ]+`):\n\n```mermaid\nflowchart LR\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    drawn = {}
    for names, lines in drawings:
        chains = [line.strip().split(" --> ") for line in lines.splitlines()]
        arrows = sorted({pair for chain in chains for pair in pairwise(chain)})
        drawn |= {name: [list(pair) for pair in arrows] for name in re.findall(r"`(\w+)`", names)}
    assert set(drawn) == set(load_all()[0])
    assert {name: arrows for name, arrows in drawn.items() if seen["dags"][name]["arrows"] != arrows} == {}
    table = page.partition("\n## Tasks\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE))
    told = [pair for name in drawn for pair in seen["dags"][name]["told"].items()]
    assert [task for task, sentence in told if sentence not in rows[task]] == []


def test_a_worker_and_only_get_what_they_ask_for(home: Path) -> None:
    asked = _look(home, _AIRFLOW_PARSING_CONTEXT_DAG_ID="kinetics600_refresh")
    assert set(asked["dags"]) == {"kinetics600_refresh"}
    assert set(asked["yamls"]) == {str(DATASETS / "kinetics600.yaml")}
    some = _look(home, CLIPQUARRY_ONLY="kinetics_demo,kinetics9")
    assert set(some["dags"]) == {"kinetics_demo", "kinetics_demo_refresh"}
    assert "CLIPQUARRY_ONLY names 'kinetics9', which is no data set" in "".join(some["errors"].values())


_LEFT_OUT = """
import os, runpy, sys
os.environ |= {"CLIPQUARRY_ONLY": "kinetics_demo"}
for name in ("kinetics400", "own_datasets", "dataset_errors"):
    assert not {"kinetics400", "own_clips"} & set(runpy.run_path(f"{sys.argv[1]}/{name}.py"))
print(sorted({"airflow", "pydantic", "yaml", "clipquarry.datasets.load", "clipquarry_airflow.dags"} & set(sys.modules)))
"""


def test_a_file_that_is_left_out_imports_nothing(tmp_path: Path) -> None:
    path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT / "include")])
    environment = {**os.environ, "PYTHONPATH": path, "CLIPQUARRY_DATASETS": ""}
    command = [sys.executable, "-c", _LEFT_OUT, str(PROJECT / "dags")]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr[-2000:]


def test_a_data_set_of_ones_own_may_have_a_file_of_its_own(home: Path, clipquarry_env: dict[str, str]) -> None:
    """Then the common file leaves it to that one; and a task's file loads its YAML alone."""
    folder = home / "mine"
    folder.mkdir()
    (folder / "placed.yaml").write_text(PLACED)
    (folder / "other.yaml").write_text(PLACED.replace("name: placed", "name: other"))
    dags = home / "dags_of_mine"
    dags.mkdir()
    shutil.copy(PROJECT / "dags/own_datasets.py", dags)
    environment = clipquarry_env | {"CLIPQUARRY_DATASETS": str(folder)}
    command = [sys.executable, "-m", "clipquarry", "new-dag", "placed", "--into", str(dags)]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    found = _look(home, dags=dags, CLIPQUARRY_DATASETS=str(folder))
    assert found["errors"] == {}
    files = {name: Path(dag["file"]).name for name, dag in found["dags"].items()}
    assert files == {"placed": "placed.py", "other": "own_datasets.py"}
    (folder / "other.yaml").write_text("broken: [")
    asked = _look(home, dags=dags, CLIPQUARRY_DATASETS=str(folder), _AIRFLOW_PARSING_CONTEXT_DAG_ID="placed")
    assert (set(asked["dags"]), asked["errors"]) == ({"placed"}, {})
    assert set(asked["yamls"]) == {str(folder / "placed.yaml")}


@pytest.fixture
def clipquarry_env() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CLIPQUARRY")}


def test_a_broken_yaml_is_one_sentence_and_hides_nothing(seen: dict[str, Any]) -> None:
    (file,) = seen["errors"]
    assert file.endswith("dataset_errors.py")
    assert "broken.yaml, line" in seen["errors"][file]
    assert "worse.yaml, line" in seen["errors"][file]
    assert "tags.yaml, line 7: key 'tags.0'" in seen["errors"][file]


_BUILD = """
import json
from clipquarry.datasets.load import load_all
from clipquarry_airflow.dags import build_all, build_errors
good = load_all()[0]["kinetics400"]
specs = [
    good.model_copy(update={"name": "tags", "tags": ["x" * 300]}),
    good.model_copy(update={"name": "clock", "refresh": good.refresh.model_copy(update={"schedule": "banana"})}),
    good,
]
from airflow.sdk.definitions._internal.contextmanager import DagContext
DagContext.current_autoregister_module_name = "__main__"
made = build_all(specs)
print("@@" + json.dumps([sorted(made), build_errors(specs), len(DagContext.autoregistered_dags), made["kinetics400_refresh"].schedule]))
"""


def test_a_dag_that_cannot_be_built_takes_no_other_down(home: Path) -> None:
    """What Airflow refuses and ``clipquarry spec`` does not know of."""
    path = os.pathsep.join([str(PROJECT / "plugins"), str(PROJECT / "include")])
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": path,
        "CLIPQUARRY_DATA": str(home / "nowhere"),
    }
    done = subprocess.run([sys.executable, "-c", _BUILD], env=environment, check=True, capture_output=True, text=True)
    dags, errors, registered, schedule = json.loads(done.stdout.rpartition("@@")[2])
    assert set(dags) == {"kinetics400", "kinetics400_refresh", "clock"}
    assert [error for error in errors if error.startswith("The data set tags gets no DAG: ")]
    assert [error for error in errors if error.startswith("The data set clock gets no DAG: ")]
    assert registered == 0, "one that fails halfway is nowhere"
    assert schedule == "@weekly", "a DAG processor that does not see the data root knows nothing of runs"


def test_nothing_heavy_happens_at_parse(seen: dict[str, Any]) -> None:
    assert seen["heavy"] == []
    # CPU seconds; 2 s is the promise. A slow machine gets some room, since the point is that nothing heavy is imported.
    assert seen["parse"] < 6


def test_every_dag_explains_itself(seen: dict[str, Any]) -> None:
    specs = load_all()[0]
    for name, dag in seen["dags"].items():
        assert dag["owner"] == "clipquarry", name
        assert len(dag["tags"]) >= 3, name
        assert len(dag["doc"]) > 300, name
        assert dag["pools"] == ["clipquarry_cpu", "clipquarry_egress", "default_pool"], name
        assert dag["backoff"], name
        base = name.removesuffix("_refresh")
        spec = specs.get(base, specs["kinetics_demo"])  # clips of one's own have no folder for sound either
        outlets = {task.outlet for task in tasks_of(spec) if task.outlet}
        assert {f"clipquarry://{base}/{what}" for what in outlets} == set(dag["outlets"])
        assert {*stages(spec), *steps_of(spec), "verdict"} == set(dag["tasks"])
        if base in specs and name != base:
            # Nothing was ever asked for of the others, so that there is nothing to look at again.
            wanted = specs[base].refresh.schedule if base == "kinetics400" else None
            assert (dag["schedule"] in ("0 0 * * 0", "@weekly")) is (wanted == "@weekly"), name
        assert all(count == 3 for task, count in dag["retries"].items() if task != "verdict")


def test_nothing_starts_by_itself_before_a_person_made_it(seen: dict[str, Any]) -> None:
    assert {seen["dags"][name]["schedule"] for name in ("kinetics710", "ava_kinetics", "ava")} == {None}
    assert "after the first full run, another starts when they are whole" in seen["dags"]["kinetics710"]["doc"]
    assert "made of | no other data set |" in seen["dags"]["ava"]["doc"]


def test_a_data_set_that_was_made_follows_what_it_is_made_of(home: Path, tmp_path: Path) -> None:
    state = tmp_path / "data/.clipquarry/state"
    state.mkdir(parents=True)
    for name in ("kinetics710", "kinetics400", "gone"):
        (state / f"{name}.params.json").write_text('{"run": "one", "params": {}}')
    names = ("kinetics710", "ava_kinetics")
    environment = {"CLIPQUARRY_DATA": str(tmp_path / "data"), "CLIPQUARRY_ONLY": ",".join(names)}
    found = _look(home, **environment)
    assert found["errors"] == {}
    dags = found["dags"]
    assert dags["kinetics710"]["schedule"] == [
        "clipquarry://kinetics400/release", "clipquarry://kinetics600/release", "clipquarry://kinetics700/release",
        "clipquarry://kinetics710/due",
    ]  # fmt: skip
    assert dags["ava_kinetics"]["schedule"] is None, "it was not made yet"
    assert dags["clipquarry_chains"]["outlets"] == ["clipquarry://kinetics710/due"]
    off = _look(home, **environment, CLIPQUARRY_CHAINS="off")
    assert off["dags"]["kinetics710"]["schedule"] is None and "clipquarry_chains" not in off["dags"]


def test_a_data_set_of_ones_own_gets_its_dag(home: Path, tmp_path: Path) -> None:
    text = (PROJECT / "include/clipquarry/datasets/kinetics_demo.yaml").read_text()
    assert "access: {kind: open" in text
    (tmp_path / "mine.yaml").write_text(
        text.replace("name: kinetics_demo", "name: mine").replace("kind: open", "kind: own")
    )
    found = _look(home, CLIPQUARRY_DATASETS=str(tmp_path), CLIPQUARRY_ONLY="mine")
    assert found["errors"] == {} and "you: they are your own" in found["dags"]["mine"]["doc"]


def test_the_trigger_form_has_every_parameter_with_its_schema(seen: dict[str, Any]) -> None:
    params = seen["dags"]["kinetics400"]["params"]
    assert set(params) == set(ClipsParams.model_fields)
    assert params["limit"]["type"] == ["integer", "null"]
    assert params["limit"]["minimum"] == 1
    assert params["splits"]["items"]["enum"] == ["train", "val", "test"]
    assert params["sources"]["items"]["enum"] == ["local", "mirror", "cvdf", "youtube"]
    assert params["annotation_counts"]["enum"] == ["strict", "warn"]
    assert params["short_edge"]["multipleOf"] == 2
    # What may be left empty must allow null: the form refuses to send an empty list or text otherwise.
    for spec in load_all()[0].values():
        params = seen["dags"][spec.name]["params"]
        for name, field in params_model(spec).model_fields.items():
            if field.default in ([], "", None):
                assert "null" in params[name]["type"], name
    assert (seen["dags"]["kinetics400"]["short_edge"], seen["dags"]["own_clips"]["short_edge"]) == (256, 128)
    assert "limit" not in seen["dags"]["kinetics400_refresh"]["params"]


def test_the_trigger_form_has_sections(seen: dict[str, Any]) -> None:
    for name, dag in seen["dags"].items():
        sections = [rules["section"] for rules in dag["params"].values()]
        # The form draws a section where its first field stands: those of one section follow each other.
        assert [one for one, _ in itertools.groupby(sections)] == list(dict.fromkeys(sections)), name
        assert sections[0] == "What to prepare" and "More" not in sections, name
    params = seen["dags"]["ava_kinetics"]["params"]
    made = {name for name, rules in params.items() if rules["section"] == "What to make"}
    assert made == {"frames", "merge", "flow", "flow_type", "flow_tool"}
    assert params["proposals"]["section"] == params["detector"]["section"] == "People"
    assert set(seen["dags"]["kinetics400"]["params"]) - set(seen["dags"]["kinetics400_refresh"]["params"]) == {"limit"}
