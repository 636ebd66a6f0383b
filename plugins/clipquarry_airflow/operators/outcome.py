"""From Clipquarry's exit codes to Airflow's states, for every runtime alike.

========  =================================================  ==========================================
exit      meaning                                            Airflow
========  =================================================  ==========================================
0         done                                               success
1, 2, 3   our error, wrong input, a gate blocks              failed, no retry
10        the machine is not fit                             failed, no retry
11        the machine may be fit soon (disk full)            failed, retried with backoff
12        a source told us to stop                           deferred until then, without a worker slot
13        yt-dlp is outrun: upgrade it                       failed, no retry
other     the step was killed                                failed, retried
========  =================================================  ==========================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from clipquarry.errors import ClipquarryError, Exit
from clipquarry.files import known_object


@dataclass(frozen=True)
class StepOutcome:
    """The contents of a step's result file; ``resume_at`` only for :attr:`Exit.WAIT`."""

    exit: int
    sentence: str
    counts: dict[str, int]
    resume_at: datetime | None


def read_outcome(result_file: Path, returncode: int, why: str = "") -> StepOutcome:
    """The step's own result or, if it left none, what the runtime saw (``why``) or its exit status tells."""
    if result_file.exists():
        value = known_object(result_file)
        try:
            resume = datetime.fromisoformat(value["resume_at"]) if value.get("resume_at") else None
            return StepOutcome(int(value["exit"]), str(value["sentence"]), dict(value["counts"]), resume)
        except (KeyError, TypeError, ValueError):
            why = why or f"The result of the step, {result_file}, is damaged."
    if returncode == Exit.USAGE:
        return StepOutcome(returncode, "The step refused its input; the log above says why.", {}, None)
    if why:
        return StepOutcome(-1, f"{why} It goes on where it was.", {}, None)
    how = f"signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
    return StepOutcome(-1, f"The step ended with {how} before it could say why; it goes on where it was.", {}, None)


def raise_for(outcome: StepOutcome) -> None:
    """Raise the matching Airflow exception; returns for success and for a wait (the operator defers)."""
    if outcome.exit in (Exit.OK, Exit.WAIT):
        return
    if outcome.exit in (Exit.ERROR, Exit.USAGE, Exit.BLOCKED, Exit.FAIL, Exit.UPGRADE):
        raise AirflowFailException(outcome.sentence)
    raise AirflowException(outcome.sentence)


def airflow_error(error: ClipquarryError) -> AirflowException:
    """The same for errors of stages, which run in the worker."""
    if error.exit_code is Exit.RETRY:
        return AirflowException(str(error))
    return AirflowFailException(str(error))


def defer_until(task: BaseOperator, moment: datetime) -> NoReturn:
    """Let a task wait without a worker slot; it is executed again at ``moment``."""
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    task.log.info("Waiting until %s without a worker slot.", moment.isoformat())
    task.defer(trigger=DateTimeTrigger(moment=moment), method_name="execute")
