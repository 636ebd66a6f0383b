"""Runner of any step over a shard, by the step contract of ``ARCHITECTURE.md``.

* One row in, one row out, in the same order. Bad rows are in the table with their reason.
* Finished rows are journalled beside the output, so that a killed step continues where it was.
* A fault of the machine stops the shard at once, with an exit code that says fail, retry or wait.
* The output manifest appears whole or not at all. Then ``{out stem}.result.json`` holds the outcome.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from clipquarry import __version__
from clipquarry.errors import ClipquarryError, Exit, RetryLater, UserError, WaitUntil
from clipquarry.file_lock import FileLock
from clipquarry.files import disk_errors, refuse_pipe, write_json
from clipquarry.manifest import ITEM_FIELDS, ManifestWriter, Row, check_items, count_rows, read_rows
from clipquarry.progress import Progress
from clipquarry.reasons import Reason, Status, Trait
from clipquarry.run_folder import journal_path, result_path
from clipquarry.settings import DataRoot
from clipquarry.steps.base import Outcome, Step, StepContext
from clipquarry.steps.tools import tool_versions


@dataclass(frozen=True)
class StepResult:
    """The content of ``{out stem}.result.json``."""

    exit: Exit
    sentence: str
    counts: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    resume_at: str | None = None
    seconds: float = 0.0
    tools: dict[str, str] = field(default_factory=dict)
    """Versions of the tools that did the work: a container's may differ from the worker's."""

    def as_json(self, step: Step[Any]) -> dict[str, Any]:
        return {
            "step": step.name, "version": step.version, "clipquarry": __version__, "exit": int(self.exit),
            "sentence": self.sentence, "counts": self.counts, "reason": self.reason, "resume_at": self.resume_at,
            "seconds": round(self.seconds, 3), "tools": self.tools,
        }  # fmt: skip


class _Journal:
    """Finished rows of an unfinished shard, one JSON line each. A torn last line is ignored.

    It is locked while the step runs: a worker that was taken for dead and its successor must not both write the shard.
    """

    def __init__(self, out: Path) -> None:
        self._path = journal_path(out)
        self.is_needed = True
        self._known: dict[str, tuple[int, int]] = {}
        self._noted: dict[str, list[Row]] = {}
        lock = FileLock.attempt(self._path, holder="")
        if lock is None:
            raise RetryLater(f"Another process is still working on {out}; this task is retried when that ends.")
        self._lock = lock
        self._handle = open(self._path, "ab", buffering=0)  # noqa: SIM115  closed when the block ends
        self._index()

    def _index(self) -> None:
        # Offsets, not rows: memory stays small; the rows are read again when they are needed.
        position = 0
        with open(self._path, "rb") as handle:
            for line in handle:
                if line.endswith(b"\n"):
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        content = json.loads(line)
                        if "noted" in content:
                            self._noted.setdefault(content["noted"], []).append(content["attempt"])
                        else:
                            self._known[content["key"]] = (position, len(line))
                    position += len(line)
        os.truncate(self._path, position)

    def get(self, key: str) -> Row | None:
        where = self._known.get(key)
        if where is None:
            return None
        with open(self._path, "rb") as handle:
            handle.seek(where[0])
            return dict(json.loads(handle.read(where[1])))

    def add(self, row: Row) -> None:
        with disk_errors(self._path):
            self._handle.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")

    def note(self, item_id: str, attempt: Row) -> None:
        """Write an attempt for an item that has no result yet."""
        self.add({"noted": item_id, "attempt": attempt})

    def noted(self, item_id: str) -> list[Row]:
        """The attempts that were noted for an item before this start."""
        return self._noted.get(item_id, [])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()
        self._lock.release(remove=not self.is_needed)


def _item(row: Row) -> Row:
    return {f.name: row.get(f.name) for f in ITEM_FIELDS}


class Runner:
    """Runs one step over one shard."""

    def __init__(self, step: Step[Any], ctx: StepContext[Any], items: Path, out: Path) -> None:
        self._step, self._ctx, self._items, self._out = step, ctx, items, out
        self._told: StepContext[Any] = ctx
        """The context with a journal for attempts."""

    def run(self) -> StepResult:
        """Run the shard. Errors of :mod:`clipquarry.errors` become the result; the result file is always written."""
        # The journal is deleted last: after a kill before the result is written, no request is made again.
        with contextlib.ExitStack() as journal:
            result = self._run(journal)
            write_json(result_path(self._out), result.as_json(self._step))
        return result

    def _run(self, stack: contextlib.ExitStack) -> StepResult:
        begun = time.monotonic()
        counts: dict[str, int] = {}
        try:
            with disk_errors(self._out):
                result_path(self._out).unlink(missing_ok=True)
                check_items(self._items)
                total = count_rows(self._items)
                self._step.preflight(self._ctx)
                progress = Progress(self._step.name, total)
                try:
                    self._do(progress, stack)
                finally:
                    progress.close()
                    counts = dict(progress.counts)
            result = StepResult(Exit.OK, progress.line(), counts, tools=tool_versions())
        except WaitUntil as error:
            result = StepResult(error.exit_code, str(error), counts, error.reason, error.resume_at.isoformat())
        except ClipquarryError as error:
            result = StepResult(error.exit_code, str(error), counts)
        return replace(result, seconds=time.monotonic() - begun)

    def _do(self, progress: Progress, stack: contextlib.ExitStack) -> None:
        journal = stack.enter_context(_Journal(self._out))
        self._told = replace(self._ctx, note=journal.note)
        with ManifestWriter(self._out, self._step.schema()) as writer:
            reasons: Counter[Reason] = Counter()
            for row in self._results(journal):
                writer.write(row)
                progress.add(row["status"])
                reasons[Reason(row["reason"])] += 1
            self._step.finish(reasons, self._ctx)
        journal.is_needed = False

    def _results(self, journal: _Journal) -> Iterator[Row]:
        """Rows in input order; at most ``2 * jobs`` groups are in flight."""
        window: deque[Future[list[Row]]] = deque()
        with ThreadPoolExecutor(self._ctx.jobs, thread_name_prefix=self._step.name) as pool:
            try:
                for _, group in groupby(read_rows(self._items), self._step.group_of):
                    window.append(pool.submit(self._group, list(group), journal))
                    if len(window) >= 2 * self._ctx.jobs:
                        yield from window.popleft().result()
                while window:
                    yield from window.popleft().result()
            except BaseException:
                self._ctx.cancelled.set()
                for future in window:
                    future.cancel()
                raise

    def _group(self, rows: list[Row], journal: _Journal) -> list[Row]:
        keys = [self._step.key(row, self._ctx) for row in rows]
        results: list[Row | None] = [self._from_journal(row, key, journal) for row, key in zip(rows, keys, strict=True)]
        open_ = [index for index, result in enumerate(results) if result is None]
        if open_:
            for index, outcome in zip(open_, self._outcomes([rows[i] for i in open_]), strict=True):
                if noted := journal.noted(rows[index]["item_id"]):
                    outcome = self._step.merge({"attempts": noted}, outcome)
                elif (previous := journal.get(keys[index])) is not None:
                    outcome = self._step.merge(previous, outcome)
                result = {
                    **_item(rows[index]), **outcome.columns,
                    "status": str(outcome.status), "reason": str(outcome.reason),
                    "evidence": outcome.evidence[:2000], "key": keys[index],
                }  # fmt: skip
                journal.add(result)
                results[index] = result
        return [result for result in results if result is not None]

    def _from_journal(self, row: Row, key: str, journal: _Journal) -> Row | None:
        result = journal.get(key)
        if result is None:
            return None
        result |= _item(row)  # the current values of the items: an earlier version wrote seconds
        status = Status(result["status"])
        if status.is_present:
            return result if self._step.still_holds(row, result, self._ctx) else None
        if status is Status.REJECTED or (status is Status.MISSING and Trait.SETTLES in Reason(result["reason"]).traits):
            return result
        return None

    def _outcomes(self, rows: list[Row]) -> list[Outcome]:
        try:
            # A full disk is a fault of the machine, not of a row, wherever in a step it occurs.
            with disk_errors(self._ctx.data.root):
                outcomes = self._step.run_group(rows, self._told)
        except ClipquarryError as error:
            if error.exit_code in (Exit.FAIL, Exit.RETRY, Exit.WAIT):
                raise
            outcomes = [Outcome.failed(Reason.TOOL_FAILED, str(error)) for _ in rows]
        except Exception as error:  # noqa: BLE001  a defect must not lose the other rows; the table names it
            text = f"{type(error).__name__}: {error}"
            outcomes = [Outcome.failed(Reason.TOOL_FAILED, text) for _ in rows]
        if len(outcomes) != len(rows):
            raise AssertionError(f"step {self._step.name} gave {len(outcomes)} outcomes for {len(rows)} rows")
        return outcomes


def parse_params(step: Step[Any], text: str) -> Any:
    """Parse ``--params``: a JSON object, or ``@file``. Raises UserError with one sentence."""
    if text.startswith("@"):
        if not text.startswith("@/dev/"):  # a shell's <(...) may be one
            refuse_pipe(Path(text[1:]))
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"--params file {text[1:]} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise UserError(f"--params file {text[1:]} is not UTF-8 (byte {error.start}).") from error
    try:
        return step.params_model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "(top)"
        raise UserError(f"--params of step {step.name}: '{key}': {first['msg']}.") from error


def run_step(step: Step[Any], *, items: Path, params: str, out: Path, data: Path, jobs: int = 1) -> StepResult:
    """Run a step as ``clipquarry step`` does in every runtime."""
    ctx = StepContext(DataRoot(data.absolute()), parse_params(step, params), max(1, jobs))
    return Runner(step, ctx, items, out).run()
