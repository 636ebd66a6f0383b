"""The DAGs as Airflow sees them: parsed by the real DagBag, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clipquarry.datasets.load import load_all
from clipquarry.pipeline.graph import graph_of, stages_of, steps_of
from clipquarry.pipeline.params import KineticsParams, params_model

PROJECT = Path(__file__).parents[2]

_LOOK = """
import json, sys, time
import airflow.sdk
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.param import Param
heavy = ("pandas", "pyarrow", "sqlalchemy.dialects.postgresql", "great_expectations", "yt_dlp", "matplotlib", "av")
before = {name for name in heavy if name in sys.modules}
begun = time.process_time()
bag = DagBag(sys.argv[1])
parse = time.process_time() - begun
dags = {
    d.dag_id: {
        "tasks": sorted(d.task_dict), "tags": sorted(d.tags), "doc": d.doc_md or "", "schedule": d.schedule if isinstance(d.schedule, str | None) else sorted(a.uri for a in d.schedule),
        "owner": d.owner, "retries": {t.task_id: t.retries for t in d.tasks}, "pools": sorted({t.pool for t in d.tasks}),
        "backoff": all(t.retry_exponential_backoff for t in d.tasks),
        "short_edge": d.params["short_edge"] if "short_edge" in d.params else None,
        "outlets": sorted(a.uri for t in d.tasks for a in t.outlets),
        "params": {k: d.params.get_param(k).schema for k in d.params},
    }
    for d in bag.dags.values()
}
print("@@" + json.dumps({"parse": parse, "dags": dags, "errors": bag.import_errors,
                         "heavy": sorted({n for n in heavy if n in sys.modules} - before)}))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An AIRFLOW_HOME with a migrated database."""
    home = tmp_path_factory.mktemp("dags")
    environment = {**os.environ, "AIRFLOW_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
    return home


def _look(home: Path, **extra: str) -> dict[str, Any]:
    environment = {
        **os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"), "CLIPQUARRY_DATA": str(home / "data"), **extra,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, str(PROJECT / "dags")],
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
    (extra / "broken.yaml").write_text("schema: dataset-spec/v1\nname: broken\ncolour: blue\n")
    (extra / "worse.yaml").write_text("name: [")
    (extra / "tags.yaml").write_text(
        text.replace("name: kinetics_demo", "name: tagged").replace("tags: [", f"tags: [{'x' * 300}, ")
    )
    state = home / "data/.clipquarry/state/kinetics400.parquet"
    state.parent.mkdir(parents=True)
    state.touch()
    return _look(home, CLIPQUARRY_DATASETS=str(extra))


def test_every_data_set_has_its_two_dags_and_one_yaml_adds_two(seen: dict[str, Any]) -> None:
    names = {spec.name for spec in load_all()[0].values() if spec.is_runnable} | {"own_clips"}
    assert set(seen["dags"]) == names | {f"{name}_refresh" for name in names}


def test_a_worker_and_only_get_what_they_ask_for(home: Path) -> None:
    asked = _look(home, _AIRFLOW_PARSING_CONTEXT_DAG_ID="kinetics600_refresh")
    assert set(asked["dags"]) == {"kinetics600_refresh"}
    some = _look(home, CLIPQUARRY_ONLY="kinetics_demo,kinetics9")
    assert set(some["dags"]) == {"kinetics_demo", "kinetics_demo_refresh"}
    assert "CLIPQUARRY_ONLY names 'kinetics9', which is no data set" in "".join(some["errors"].values())


def test_a_broken_yaml_is_one_sentence_and_hides_nothing(seen: dict[str, Any]) -> None:
    (file,) = seen["errors"]
    assert file.endswith("dataset_errors.py")
    assert "broken.yaml, line" in seen["errors"][file]
    assert "worse.yaml, line" in seen["errors"][file]
    assert "tags.yaml, line 8: key 'tags.0'" in seen["errors"][file]


_BUILD = """
import json
from clipquarry.datasets.load import load_all
from clipquarry_airflow.dags import build_dags, build_errors
good = load_all()[0]["kinetics400"]
specs = [
    good.model_copy(update={"name": "tags", "tags": ["x" * 300]}),
    good.model_copy(update={"name": "clock", "refresh": good.refresh.model_copy(update={"schedule": "banana"})}),
    good,
]
from airflow.sdk.definitions._internal.contextmanager import DagContext
DagContext.current_autoregister_module_name = "__main__"
made = build_dags(specs, ("kinetics_csv",))
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
    assert {"kinetics400", "kinetics400_refresh", "clock"} <= set(dags)
    assert not {"tags", "tags_refresh", "clock_refresh"} & set(dags)
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
        format_ = specs[base].annotation_format if base in specs else "kinetics_csv"
        outlets = {part.outlet for part in graph_of(format_) if part.outlet}
        assert {f"clipquarry://{base}/{what}" for what in outlets} == set(dag["outlets"])
        assert {*stages_of(format_), *steps_of(format_), "verdict"} == set(dag["tasks"])
        if base in specs and name != base:
            # Nothing was ever asked for of the others, so that there is nothing to look at again.
            wanted = specs[base].refresh.schedule if base == "kinetics400" else None
            assert (dag["schedule"] in ("0 0 * * 0", "@weekly")) is (wanted == "@weekly"), name
        assert all(count == 3 for task, count in dag["retries"].items() if task != "verdict")


def test_ava_kinetics_waits_for_both_data_sets_that_it_is_made_of(seen: dict[str, Any]) -> None:
    assert seen["dags"]["ava_kinetics"]["schedule"] == ["clipquarry://ava/frames", "clipquarry://kinetics700/videos"]
    assert seen["dags"]["ava"]["schedule"] is None


def test_the_trigger_form_has_every_parameter_with_its_schema(seen: dict[str, Any]) -> None:
    params = seen["dags"]["kinetics400"]["params"]
    assert set(params) == set(KineticsParams.model_fields)
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
