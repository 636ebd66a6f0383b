"""End of the runs that a killed demo left: ``python -m clipquarry_airflow.left_runs``, while nobody else uses the Airflow home.

``airflow dags test`` runs a DAG in its own process. When that dies, its run is ``running`` in the database for ever: no scheduler
has queued its tasks, so none looks after them.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, State, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType
from clipquarry.airflow_home import AirflowHome
from clipquarry.run_folder import RunFolder
from clipquarry.settings import DataRoot, slug
from clipquarry.waiting import stop_waiting
from sqlalchemy import select
from sqlalchemy.orm import Session

NOTE = "The demo that ran this was ended in the middle. Start it again."
_NOT_BEGUN = (None, TaskInstanceState.SCHEDULED)


def fail_left_runs(data: DataRoot, session: Session) -> list[str]:
    """Fail all unfinished runs of ``airflow dags test``: their ids. They wait for nobody any more.

    As Airflow itself does it when a person fails a run, tasks that had begun fail, and the others are skipped.
    """
    left = session.scalars(
        select(DagRun).where(
            DagRun.triggered_by == DagRunTriggeredByType.TEST, DagRun.state.in_(State.unfinished_dr_states)
        )
    ).all()
    for run in left:
        for task in run.get_task_instances(state=State.unfinished, session=session):
            begun = task.state not in _NOT_BEGUN
            task.set_state(TaskInstanceState.FAILED if begun else TaskInstanceState.SKIPPED, session=session)
        run.note = NOTE
        run.set_state(DagRunState.FAILED)
        for folder in data.all_runs.glob(f"*/{slug(run.run_id)}"):
            for note in RunFolder(folder).waits():
                stop_waiting(note)
    return [run.run_id for run in left]


def main() -> None:
    """In the environment of a demo or of ``docker/local/up.sh``."""
    with create_session() as session:
        for run in fail_left_runs(DataRoot(Path(os.environ["CLIPQUARRY_DATA"])), session):
            print(f"failed, because the demo that ran it was ended: {run}")
    AirflowHome(Path(os.environ["AIRFLOW_HOME"])).unended_run.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
