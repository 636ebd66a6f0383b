"""The DAGs of a data set: the full run, and the refresh that tries missing items again.

Their tasks are those of the data set's family, then the verdict. Tasks of one phase are in one group of the graph.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetAny, TaskGroup, TriggerRule, get_parsing_context
from airflow.sdk.definitions.param import ParamsDict
from clipquarry.datasets.model import DatasetSpec
from clipquarry.datasets.ways import asks_of_a_person, can_expire, parts_of, ways_of
from clipquarry.pipeline.family import CPU, Task, tasks_of
from clipquarry.settings import Settings

from clipquarry_airflow.notify import SummaryNotifier
from clipquarry_airflow.operators.gate import GateOperator
from clipquarry_airflow.operators.report import ReportOperator
from clipquarry_airflow.operators.stage import StageOperator
from clipquarry_airflow.operators.verdict import VerdictOperator
from clipquarry_airflow.params import run_params
from clipquarry_airflow.runtimes import places, step_operator

log = logging.getLogger(__name__)

DEFAULTS: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(hours=1),
    # For tasks that stay in a worker: Airflow's clock restarts when a deferred task resumes, and our triggers have no
    # deadline.
    "execution_timeout": timedelta(hours=12),
}

_DOC = """### {title}

{description}

{what}

| | |
|---|---|
| licence | {licence} |
| who may have it | {access} |
| page | {page} |
| splits | {splits} |
| sources, in order | {sources} |
| how they come | {ways} |
| what you must do first | {person} |
| refresh | {refresh} |
| made of | {parts} |
| steps run | {places} |
| coverage | warns above {warn:.0%} missing, blocks above {error:.0%} |

The **Data quality** tab of this DAG shows the latest report. Nothing is fetched twice: a run that was stopped goes on where it was.
"""

_ACCESS = {
    "open": "anybody", "crawl": "anybody, as far as the videos are still there", "registration": "who has an account there",
    "request-form": "who asks by a form", "mixed": "parts of it anybody, others on request", "closed": "nobody outside", "own": "you: they are your own",
}  # fmt: skip

_WHAT = {
    "full": "Prepares the data set: annotations, clips, optional resized copies and frames, list files, release and report.",
    "refresh": "Looks again at missing clips whose time has come (see the refresh policy), then makes lists, release and report anew. "
    "Asks and makes what the last full run did; it has no schedule before that.",
}


def asset(spec: DatasetSpec, what: str) -> Asset:
    """``{dataset}/videos``, ``…/frames``, ``…/lists``: assets that other DAGs may wait for."""
    return Asset(name=f"{spec.name}/{what}", uri=f"clipquarry://{spec.name}/{what}")


def _title(spec: DatasetSpec, kind: str) -> str:
    return spec.title if kind == "full" else f"{spec.title}: refresh"


def _tags(spec: DatasetSpec, kind: str) -> set[str]:
    """Tags by which people find a DAG among forty: the YAML's own, the family, the way its items come, whether a
    person must act, the kind.
    """
    turn = "needs a person" if any(asks_of_a_person(spec)) else "runs by itself"
    return {*spec.tags, *filter(None, [spec.task]), spec.family, *ways_of(spec), turn, kind}


def dag_doc(spec: DatasetSpec, kind: str) -> str:
    """The page of the DAG."""
    return _DOC.format(
        title=_title(spec, kind), description=spec.description, what=_WHAT[kind],
        licence=spec.access.licence or "see the page", access=_ACCESS[spec.access.kind], page=spec.access.page or "", splits=", ".join(spec.splits),
        sources=", ".join(source.id for source in spec.item_sources), ways=", ".join(ways_of(spec)),
        person=" ".join(" ".join(asks_of_a_person(spec)).split()).replace("|", "/") or "nothing", refresh=_refreshes(spec), parts=_made_of(spec),
        warn=spec.missing.warn, error=spec.missing.error,
        places=places(task.name for task in tasks_of(spec) if task.is_step),
    )  # fmt: skip


def _refreshes(spec: DatasetSpec) -> str:
    if not can_expire(spec):
        return "none: nothing in it expires, and another run asks for what is missing"
    return f"by the DAG `{spec.name}_refresh`, {spec.refresh.schedule or 'started by hand'}"


def _made_of(spec: DatasetSpec) -> str:
    if not parts_of(spec):
        return "no other data set"
    return (
        f"{', '.join(parts_of(spec))}: after the first full run, another starts when they are whole and one has changed"
    )


def kinds_of(spec: DatasetSpec) -> dict[str, str]:
    """The DAGs of a data set: id to kind. A refresh needs a source whose items can expire."""
    return {spec.name: "full", **({f"{spec.name}_refresh": "refresh"} if can_expire(spec) else {})}


def _wanted(spec: DatasetSpec) -> dict[str, str]:
    """Id and kind of the DAGs to build now: a worker wants one."""
    asked = get_parsing_context().dag_id
    return {name: kind for name, kind in kinds_of(spec).items() if asked in (None, name)}


def build_dags(spec: DatasetSpec) -> dict[str, DAG]:
    """The DAGs of a data set by id. A worker gets the one DAG that it wants, or none. Raises Airflow's errors."""
    return {name: build_dag(spec, kind) for name, kind in _wanted(spec).items()}


def build_all(specs: Iterable[DatasetSpec]) -> dict[str, DAG]:
    """The DAGs of many data sets. One that cannot be built affects no other; :func:`build_errors` gives the reason."""
    dags: dict[str, DAG] = {}
    for spec in specs:
        for name, kind in _wanted(spec).items():
            try:
                dags[name] = build_dag(spec, kind)
            except Exception:  # any error of Airflow's about one data set
                log.exception("The DAG %s cannot be built.", name)
    return dags


def build_errors(specs: Iterable[DatasetSpec]) -> list[str]:
    """One sentence for each data set whose DAGs cannot be built."""
    found = []
    for spec in specs:
        try:
            for kind in kinds_of(spec).values():
                build_dag(spec, kind, scheduled=True)
        except Exception as error:  # noqa: BLE001  see build_all
            found.append(f"The data set {spec.name} gets no DAG: {type(error).__name__}: {error}.")
    return found


def _rests(spec: DatasetSpec) -> bool:
    """Whether the DAG processor sees no request for the data set so far; then its refresh has no schedule."""
    data = Settings.from_env().data
    return data.root.is_dir() and not data.has_state(spec.name)


def _schedule(spec: DatasetSpec, kind: str, scheduled: bool | None) -> Any:
    """A refresh has the YAML's schedule after the first full run. A full run is started by hand. After the first one, one
    of a data set that is made of others also starts when one of those has changed: its first task then decides.
    """
    if kind == "refresh":
        on = not _rests(spec) if scheduled is None else scheduled
        return spec.refresh.schedule if on else None
    on = follows(spec, Settings.from_env()) if scheduled is None else scheduled and bool(parts_of(spec))
    return AssetAny(*_events(spec)) if on else None


def follows(spec: DatasetSpec, settings: Settings) -> bool:
    """Whether the full DAG of a data set starts when what it is made of has changed."""
    return settings.chains and bool(parts_of(spec)) and settings.data.full_release(spec.name) is not None


def due_asset(spec: DatasetSpec) -> Asset:
    """``{dataset}/due``: the asset by which the DAG of the chains says that a data set should be made anew."""
    return asset(spec, "due")


def _events(spec: DatasetSpec) -> list[Asset]:
    names = dict.fromkeys([*spec.made_of, *(f"{part}/release" for part in parts_of(spec))])
    return [*(Asset(name=name, uri=f"clipquarry://{name}") for name in names), due_asset(spec)]


def build_dag(spec: DatasetSpec, kind: str = "full", *, scheduled: bool | None = None) -> DAG:
    """The DAG of a data set; ``kind`` is ``full`` or ``refresh``. ``scheduled``: whether a refresh has its schedule;
    None: after the first run.
    """
    dag = DAG(
        dag_id=spec.name if kind == "full" else f"{spec.name}_refresh",
        dag_display_name=_title(spec, kind),
        description=f"{spec.title}: {'prepare' if kind == 'full' else 'look again at what is missing'}",
        schedule=_schedule(spec, kind, scheduled),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        auto_register=False,  # the files in dags/ register DAGs; one that fails halfway is in none
        max_active_runs=1,
        tags=_tags(spec, kind),
        doc_md=dag_doc(spec, kind),
        params=run_params(spec, kind),
        default_args={**DEFAULTS, "owner": spec.owner},
        render_template_as_native_obj=True,
        on_success_callback=SummaryNotifier(spec.name, "success"),
        on_failure_callback=SummaryNotifier(spec.name, "failed"),
    )
    # Each task would hold a deep copy of the DAG's parameters, made twice: a third of what parsing costs. A task without any has the DAG's.
    # Set as Airflow's own converter sets it: by the attribute's setter, all would be validated twice more.
    params = dag.params
    object.__setattr__(dag, "params", ParamsDict())
    with dag:
        _tasks(spec, kind)
    object.__setattr__(dag, "params", params)
    dag.validate()  # type: ignore[no-untyped-call]  # its schedule is looked at only here
    return dag


def _operator(task: Task) -> type[StageOperator]:
    """The operator class of a stage's task, which decides the task's links."""
    return GateOperator if task.gate else ReportOperator if task.name == "report" else StageOperator


def _groups(tasks: Iterable[Task]) -> dict[str, AbstractContextManager[Any]]:
    """A group of the graph for each phase, whose tasks keep their own names. A task without a phase is in no group."""
    names: dict[str, list[str]] = {}
    for task in tasks:
        names.setdefault(task.phase, []).append(task.name)
    return {
        phase: TaskGroup(phase, prefix_group_id=False, tooltip=", ".join(of_phase)) if phase else nullcontext()
        for phase, of_phase in names.items()
    }


def _tasks(spec: DatasetSpec, kind: str) -> None:
    """One task for each task of the data set's graph; a step has two, its shards and itself mapped over them."""
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    groups = _groups(tasks_of(spec))
    for task in tasks_of(spec):
        # A skipped optional stage must not skip what follows it; a failed one must stop it.
        rule = TriggerRule.ALL_DONE if task.always else TriggerRule.NONE_FAILED
        name = task.stage
        with groups[task.phase]:
            first[task.name] = last[task.name] = _operator(task)(
                task_id=name,
                stage=name,
                dataset=spec.name,
                kind=kind,
                doc_md=f"Cuts the work of `{task.name}` into shards, one task each." if task.is_step else task.title,
                trigger_rule=rule,
                pool=CPU if task.is_step else task.pool,
                outlets=[asset(spec, task.outlet)] if task.outlet else [],
            )
            if task.is_step:
                last[task.name] = (
                    step_operator(task.name)
                    .partial(
                        task_id=task.name,
                        step=task.name,
                        pool=task.pool,
                        doc_md=task.title,
                        trigger_rule=rule,
                        map_index_template="{{ task.job['name'] }}",
                    )
                    .expand(job=first[task.name].output)
                )
    tasks = {task.name: task for task in tasks_of(spec)}
    for task in tasks.values():
        for need in task.needs:
            if task.is_step and tasks[need].is_step:
                # Its shards are known as soon as those of the step before it; only the work itself waits for that step.
                last[need] >> last[task.name]
                for earlier in tasks[need].needs:
                    last[earlier] >> first[task.name]
            else:
                last[need] >> first[task.name]
    verdict = VerdictOperator(
        task_id="verdict",
        dataset=spec.name,
        doc_md="Turns green or red, and says in one sentence why.",
        trigger_rule=TriggerRule.ALL_DONE,
        retries=0,
    )
    last["report"] >> verdict
