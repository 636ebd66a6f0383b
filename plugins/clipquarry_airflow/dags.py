"""The DAGs of a data set: the full run, and the refresh that looks again at what is missing.

Their tasks are the parts of :mod:`clipquarry.pipeline.graph`, then the verdict.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, TriggerRule, get_parsing_context
from clipquarry.datasets.model import AnnotationFormat, DatasetSpec
from clipquarry.pipeline.graph import CPU, graph_of
from clipquarry.settings import Settings

from clipquarry_airflow.notify import SummaryNotifier
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
    "execution_timeout": timedelta(hours=12),
}

_DOC = """### {title}

{description}

{what}

| | |
|---|---|
| licence | {licence} |
| page | {page} |
| splits | {parts} |
| sources, in order | {sources} |
| steps run | {places} |
| coverage | warns above {warn:.0%} missing, blocks above {error:.0%} |

The **Data quality** tab of this DAG shows the latest report. Nothing is fetched twice: a run that was stopped goes on where it was.
"""

_WHAT = {
    "full": "Prepares the data set: annotations, clips, optional resized copies and frames, list files, release and report.",
    "refresh": "Looks again at missing clips whose time has come (see the refresh policy), then makes lists, release and report anew. "
    "Asks and makes what the last full run did; it has no schedule before that.",
}


def asset(spec: DatasetSpec, what: str) -> Asset:
    """``kinetics400/videos``, ``…/frames``, ``…/lists``: what other DAGs may wait for."""
    return Asset(name=f"{spec.name}/{what}", uri=f"clipquarry://{spec.name}/{what}")


def dag_doc(spec: DatasetSpec, kind: str) -> str:
    """The page of the DAG."""
    return _DOC.format(
        title=spec.title if kind == "full" else f"{spec.title}: refresh", description=spec.description, what=_WHAT[kind],
        licence=spec.access.licence or "see the page", page=spec.access.page or "", parts=", ".join(spec.parts),
        sources=", ".join(source.id for source in spec.item_sources), warn=spec.missing.warn, error=spec.missing.error,
        places=places(part.name for part in graph_of(spec.annotation_format) if part.is_step),
    )  # fmt: skip


def build_dags(
    specs: Iterable[DatasetSpec], formats: Collection[AnnotationFormat], only: Collection[str] = ()
) -> dict[str, DAG]:
    """The DAGs of all data sets of some formats, or of those that ``only`` names. A worker, which wants one DAG, gets that one: each task
    parses the file, and would wait for all the others. A DAG that cannot be built costs no other; :func:`build_errors` says why.
    """
    asked = get_parsing_context().dag_id
    dags: dict[str, DAG] = {}
    for spec in specs:
        if spec.is_runnable and spec.annotation_format in formats and (not only or spec.name in only):
            for kind, name in (("full", spec.name), ("refresh", f"{spec.name}_refresh")):
                if asked in (None, name):
                    try:
                        dags[name] = build_dag(spec, kind)
                    except Exception:  # whatever Airflow does not like about one data set
                        log.exception("The DAG %s cannot be built.", name)
    return dags


def build_errors(specs: Iterable[DatasetSpec]) -> list[str]:
    """One sentence for each data set of which no DAG can be built."""
    found = []
    for spec in specs:
        try:
            if spec.is_runnable:
                for kind in ("full", "refresh"):
                    build_dag(spec, kind, scheduled=True)
        except Exception as error:  # noqa: BLE001  see build_dags
            found.append(f"The data set {spec.name} gets no DAG: {type(error).__name__}: {error}.")
    return found


def _rests(spec: DatasetSpec) -> bool:
    """Whether nothing of the data set was ever asked for, as far as the DAG processor can see: then its refresh has no schedule."""
    data = Settings.from_env().data
    return data.root.is_dir() and not (data.private / "state" / f"{spec.name}.parquet").exists()


def _schedule(spec: DatasetSpec, kind: str, scheduled: bool | None) -> Any:
    """A refresh has the YAML's times, once there was a full run. A full run is started by hand, or when all that the data set is made
    of is ready anew.
    """
    if kind == "refresh":
        on = not _rests(spec) if scheduled is None else scheduled
        return spec.refresh.schedule if on else None
    return [Asset(name=name, uri=f"clipquarry://{name}") for name in spec.made_of] or None


def build_dag(spec: DatasetSpec, kind: str = "full", *, scheduled: bool | None = None) -> DAG:
    """The DAG of a data set; ``kind`` is ``full`` or ``refresh``. ``scheduled``: whether a refresh has its times; None: once it was run."""
    dag = DAG(
        dag_id=spec.name if kind == "full" else f"{spec.name}_refresh",
        description=f"{spec.title}: {'prepare' if kind == 'full' else 'look again at what is missing'}",
        schedule=_schedule(spec, kind, scheduled),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        auto_register=False,  # the files in dags/ say what there is; one that fails halfway is nowhere
        max_active_runs=1,
        tags={*spec.tags, spec.family, kind},
        doc_md=dag_doc(spec, kind),
        params=run_params(spec, kind),
        default_args={**DEFAULTS, "owner": spec.owner},
        render_template_as_native_obj=True,
        on_success_callback=SummaryNotifier(spec.name, "success"),
        on_failure_callback=SummaryNotifier(spec.name, "failed"),
    )
    with dag:
        _tasks(spec, kind)
    dag.validate()  # type: ignore[no-untyped-call]  # its schedule is looked at only here
    return dag


def _tasks(spec: DatasetSpec, kind: str) -> None:
    """One task for each part of the data set's graph; a step has two, its shards and itself mapped over them."""
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    for part in graph_of(spec.annotation_format):
        # A skipped optional stage must not skip what follows it; a failed one must stop it.
        rule = TriggerRule.ALL_DONE if part.always else TriggerRule.NONE_FAILED
        name = f"{part.name}_shards" if part.is_step else part.name
        first[part.name] = last[part.name] = StageOperator(
            task_id=name,
            stage=name,
            dataset=spec.name,
            kind=kind,
            trigger_rule=rule,
            pool=CPU if part.is_step else part.pool,
            outlets=[asset(spec, part.outlet)] if part.outlet else [],
        )
        if part.is_step:
            last[part.name] = (
                step_operator(part.name)
                .partial(
                    task_id=part.name,
                    step=part.name,
                    pool=part.pool,
                    trigger_rule=rule,
                    map_index_template="{{ task.job['name'] }}",
                )
                .expand(job=first[part.name].output)
            )
    parts = {part.name: part for part in graph_of(spec.annotation_format)}
    for part in parts.values():
        for need in part.needs:
            if part.is_step and parts[need].is_step:
                # Its shards are known as soon as those of the step before it; only the work itself waits for the other's.
                last[need] >> last[part.name]
                for earlier in parts[need].needs:
                    last[earlier] >> first[part.name]
            else:
                last[need] >> first[part.name]
    verdict = VerdictOperator(task_id="verdict", dataset=spec.name, trigger_rule=TriggerRule.ALL_DONE, retries=0)
    last["report"] >> verdict
