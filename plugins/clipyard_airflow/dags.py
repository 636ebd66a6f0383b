"""The DAGs of a data set of the crawl family: the full run, and the refresh that looks again at what is missing.

``annotations → gate → plan → unpack → fetch → record → gate → resize, frames → gate → lists → gate → release → report → verdict``
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, TriggerRule, get_parsing_context
from clipyard.datasets.model import DatasetSpec

from clipyard_airflow.notify import SummaryNotifier
from clipyard_airflow.operators.stage import StageOperator
from clipyard_airflow.operators.verdict import VerdictOperator
from clipyard_airflow.params import run_params
from clipyard_airflow.runtimes import step_operator

EGRESS_POOL = "clipyard_egress"
CPU_POOL = "clipyard_cpu"

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
| coverage | warns above {warn:.0%} missing, blocks above {error:.0%} |

The **Data quality** tab of this DAG shows the latest report. Nothing is fetched twice: a run that was stopped goes on where it was.
"""

_WHAT = {
    "full": "Prepares the data set: annotations, clips, optional resized copies and frames, list files, release and report.",
    "refresh": "Looks again at missing clips whose time has come (see the refresh policy), then makes lists, release and report anew.",
}


def asset(spec: DatasetSpec, what: str) -> Asset:
    """``kinetics400/videos``, ``…/frames``, ``…/lists``: what other DAGs may wait for."""
    return Asset(name=f"{spec.name}/{what}", uri=f"clipyard://{spec.name}/{what}")


def dag_doc(spec: DatasetSpec, kind: str) -> str:
    """The page of the DAG."""
    return _DOC.format(
        title=spec.title if kind == "full" else f"{spec.title}: refresh", description=spec.description, what=_WHAT[kind],
        licence=spec.access.licence or "see the page", page=spec.access.page or "", parts=", ".join(spec.parts),
        sources=", ".join(source.id for source in spec.item_sources), warn=spec.missing.warn, error=spec.missing.error,
    )  # fmt: skip


def build_dags(specs: Iterable[DatasetSpec], only: Collection[str] = ()) -> dict[str, DAG]:
    """The DAGs of all data sets, or of those that ``only`` names. A worker, which wants one DAG, gets that one: each task
    parses the file, and would wait for all the others.
    """
    asked = get_parsing_context().dag_id
    dags: dict[str, DAG] = {}
    for spec in specs:
        if spec.is_runnable and (not only or spec.name in only):
            for kind, name in (("full", spec.name), ("refresh", f"{spec.name}_refresh")):
                if asked in (None, name):
                    dags[name] = build_dag(spec, kind)
    return dags


def build_dag(spec: DatasetSpec, kind: str = "full") -> DAG:
    """The DAG of a data set; ``kind`` is ``full`` or ``refresh``."""
    dag = DAG(
        dag_id=spec.name if kind == "full" else f"{spec.name}_refresh",
        description=f"{spec.title}: {'prepare' if kind == 'full' else 'look again at what is missing'}",
        schedule=None if kind == "full" else spec.refresh.schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
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
    return dag


def _tasks(spec: DatasetSpec, kind: str) -> None:
    def stage(name: str, **kwargs: Any) -> StageOperator:
        # A skipped optional stage must not skip what follows it; a failed one must stop it.
        kwargs = {"trigger_rule": TriggerRule.NONE_FAILED, "pool": CPU_POOL, **kwargs}
        return StageOperator(task_id=name, stage=name, dataset=spec.name, kind=kind, **kwargs)

    def shards(step: str, pool: str) -> tuple[Any, StageOperator]:
        cut = stage(f"{step}_shards")
        operator = step_operator(step).partial(
            task_id=step,
            step=step,
            pool=pool,
            trigger_rule=TriggerRule.NONE_FAILED,
            map_index_template="{{ task.job['name'] }}",
        )
        return operator.expand(job=cut.output), cut

    annotations = stage("annotations", pool=EGRESS_POOL)
    gate_annotations = stage("gate_annotations")
    plan = stage("plan")
    unpack, unpack_shards = shards("unpack", EGRESS_POOL)
    fetch, fetch_shards = shards("fetch", EGRESS_POOL)
    record = stage("record", trigger_rule=TriggerRule.ALL_DONE)
    gate_clips = stage("gate_clips", outlets=[asset(spec, "videos")])
    resize, resize_shards = shards("resize", CPU_POOL)
    frames, frames_shards = shards("frames", CPU_POOL)
    gate_frames = stage("gate_frames", outlets=[asset(spec, "frames")])
    lists = stage("lists")
    gate_lists = stage("gate_lists", outlets=[asset(spec, "lists")])
    release = stage("release")
    report = stage("report", trigger_rule=TriggerRule.ALL_DONE)
    verdict = VerdictOperator(task_id="verdict", dataset=spec.name, trigger_rule=TriggerRule.ALL_DONE, retries=0)

    annotations >> gate_annotations >> plan >> [unpack_shards, fetch_shards]
    unpack >> fetch >> record >> gate_clips
    plan >> gate_clips  # record also runs after failed shards; a failed plan still stops here
    gate_clips >> [resize_shards, frames_shards]
    [resize, frames] >> gate_frames >> lists >> gate_lists >> release >> report >> verdict
