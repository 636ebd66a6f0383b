"""The ledger at full size: plan a refresh, and everything else that is asked of it.

::

    python bench/bench_ledger.py [--clips 650000] [--attempts 3000000] [--missing 0.16] [--url postgresql://…] [--quick]

Builds a data set in a temporary SQLite ledger (or in the one that ``--url`` names: an empty database), asks each
question in a fresh process and prints a row of markdown for each, in seconds: opening the ledger (after the imports), the
first answer, the median of three, the least CPU time of one, and that process's peak memory. On a machine that does other
things too, look at the CPU time. ``--missing 1`` is the worst case of plan_refresh.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa
from clipquarry.ledger import Ledger
from clipquarry.ledger.engine import writing

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from families.made_run import CATALOG, FINE, item_row, step_schema, write_manifest

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
CLASSES = 700
REASONS = ("removed", "private", "unavailable", "terminated", "geo", "copyright", "transport")


def video_of(n: int) -> str:
    """Three clips of every eleventh video, one of the others; ids in no order, as YouTube's."""
    source = n - n % 3 if (n // 3) % 11 == 0 else n
    return f"{source * 2654435761 % 2**32:08x}{source % 997:03d}"


def item(n: int) -> dict[str, object]:
    split = "train" if n % 10 < 8 else "val" if n % 10 == 8 else "test"
    name, start = f"some class name {n % CLASSES}", n % 300
    video = video_of(n)
    clip = f"{video}_{start:06d}_{start + 10:06d}"
    folder = name.replace(" ", "_")
    place = {"clip": clip, "folder": folder, "label": name, "index": n % CLASSES, "line": n + 2}
    return {**item_row(split, video, start, start + 10, **place), **FINE}


def write_catalog(path: Path, clips: int) -> None:
    write_manifest(path, CATALOG, map(item, range(clips)))


def fetched(n: int, missing: float) -> dict[str, object]:
    """What the step ``fetch`` says of an item."""
    gone = n % 100 < missing * 100
    reason = REASONS[n % len(REASONS)] if gone else "ok"
    row = item(n)
    attempts = [
        {"source": source, "at": (NOW - timedelta(hours=2, seconds=n % 3600)).isoformat(), "reason": why,
         "evidence": "" if why == "ok" else f"[{source}] {row['clip_id']}: {why}", "seconds": 1.5, "bytes": 0}
        for source, why in (("mirror", "not_found"), ("youtube", reason))
    ]  # fmt: skip
    ended = {"status": "missing" if gone else "done", "reason": reason, "evidence": reason}
    return {**row, **ended, "key": "0" * 64, "attempts": attempts}


def write_fetched(path: Path, clips: int, missing: float) -> None:
    write_manifest(path, step_schema("fetch"), (fetched(n, missing) for n in range(clips)))


def fill(ledger: Ledger, attempts: int, clips: int, missing: float) -> None:
    """Years of runs, straight into the tables."""
    runs = 52
    for week in range(runs):
        started = NOW - timedelta(weeks=runs - week)
        ledger.begin_run("bench", f"run-{week:03d}", kind="refresh" if week else "full", started=started)
    moment = "{0}" if ledger._engine.dialect.name == "sqlite" else "to_timestamp(({0}) / 1e6)"
    base = int((NOW - timedelta(weeks=runs)).timestamp() * 1e6)
    per_clip = max(1, attempts // clips)
    absent = f"id % 100 < {round(missing * 100)}"
    which = "CASE " + " ".join(f"WHEN id % 7 = {k} THEN '{reason}'" for k, reason in enumerate(REASONS)) + " END"
    steps = "(" + " UNION ALL ".join(f"SELECT {k} AS k" for k in range(per_clip + 1)) + ") s"
    extra = attempts - per_clip * clips
    at = moment.format(f"{base} + s.k * 604800000000 + c.id * 1000")
    next_at = moment.format(f"{int(NOW.timestamp() * 1e6)} + ((id % 100) - 40) * 86400000000")
    past = moment.format(f"{base} + id * 1000")
    with writing(ledger._engine) as conn:

        def run(statement: str) -> None:
            conn.execute(sa.text(statement))

        run(
            "INSERT INTO ledger_attempt (clip_id, at, source, egress, nth, run_id, reason, evidence, seconds, bytes) "
            f"SELECT c.id, {at}, 'youtube', 'default', 0, s.k + 1, 'unavailable', "
            "'[youtube] ' || c.clip_id || ': Video unavailable. This video is no longer available', 1.5, NULL "
            f"FROM ledger_clip c, {steps} WHERE s.k < {per_clip} OR c.id <= {extra} ORDER BY c.id, s.k"
        )
        run(
            f"UPDATE ledger_item SET run_id = 52, updated = {past}, "
            f"status = CASE WHEN {absent} THEN 'missing' ELSE 'done' END, "
            f"present = CASE WHEN {absent} THEN {no(ledger)} ELSE {yes(ledger)} END, "
            f"reason = CASE WHEN {absent} THEN {which} ELSE 'ok' END, "
            f"evidence = CASE WHEN {absent} THEN '[youtube] This video is not available (' || id || ')' ELSE '' END"
        )
        for table, key in (("ledger_video_state", "video_id"), ("ledger_clip_state", "clip_id")):
            kind = "id % 7 < 6" if key == "video_id" else "id % 7 = 6"
            run(
                f"INSERT INTO {table} ({key}, egress, reason, evidence, source, first_seen, last_attempt, next_attempt, "
                "confirmations, first_confirmed, attempts, setbacks, permanent) "
                f"SELECT {key}, 'default', min(reason), min(evidence), 'youtube', min({past}), min({past}), "
                f"CASE WHEN min(reason) IN ('geo', 'copyright') THEN NULL ELSE min({next_at}) END, "
                f"3, min({past}), 5, 0, {yes(ledger)} "
                f"FROM ledger_item WHERE {absent} AND {kind} GROUP BY {key}"
            )
        if ledger._engine.dialect.name == "postgresql":
            run("ANALYZE")
    for week in range(runs):
        ended = NOW - timedelta(weeks=runs - week, hours=-9)
        if week % 13 == 12:
            ledger.end_run("bench", f"run-{week:03d}", {"done": clips}, ended=ended)


def yes(ledger: Ledger) -> str:
    return "1" if ledger._engine.dialect.name == "sqlite" else "true"


def no(ledger: Ledger) -> str:
    return "0" if ledger._engine.dialect.name == "sqlite" else "false"


QUESTIONS = (
    "plan_refresh", "due", "due: first row", "missing", "missing: one split", "history", "coverage", "reasons",
    "attrition", "next_due", "runs", "questions of a crawl", "rates", "pace", "shared",
)  # fmt: skip


def ask(ledger: Ledger, question: str, clip: str) -> int:
    """Ask one question; returns how many rows came."""
    match question:
        case "plan_refresh":
            return int(ledger.plan_refresh("bench", NOW).num_rows)
        case "due":
            return count(ledger.due(NOW, "bench"))
        case "due: first row":
            return int(next(ledger.due(NOW, "bench"), None) is not None)
        case "missing":
            return count(ledger.missing("bench", now=NOW))
        case "missing: one split":
            return count(ledger.missing("bench", "val", now=NOW))
        case "history":
            return len(ledger.history(clip))
        case "coverage":
            return len(ledger.coverage("bench"))
        case "reasons":
            return len(ledger.reasons("bench"))
        case "attrition":
            return len(ledger.attrition("bench"))
        case "next_due":
            return len(ledger.next_due("bench", NOW))
        case "questions of a crawl":
            return count(ledger.questions(NOW, "bench", sources=["youtube"]))
        case "rates":
            return len(ledger.rates().counts)
        case "pace":
            return ledger.pace(NOW).days
        case "shared":
            return len(ledger.shared("bench"))
        case _:
            return len(ledger.runs("bench"))


def count(rows: object) -> int:
    numbered = deque(enumerate(rows, 1), maxlen=1)  # type: ignore[call-overload]
    return int(numbered[0][0]) if numbered else 0


def measure(url: str, question: str, clip: str) -> None:
    """In a fresh process: open, ask three times, print JSON."""
    begun = time.perf_counter()
    ledger = Ledger.open(url)
    opened = time.perf_counter() - begun
    seconds, cpu = [], []
    for _ in range(3):
        begun, used = time.perf_counter(), time.process_time()
        rows = ask(ledger, question, clip)
        seconds.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - used)
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"rows": rows, "seconds": seconds, "opened": opened, "cpu": min(cpu), "peak": peak}))


def timed(name: str, rows: int, work: Callable[[], object]) -> None:
    begun, used = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    print(f"| {name} | {rows:,} | | {seconds:.1f} | | {cpu:.1f} | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=650_000)
    parser.add_argument("--attempts", type=int, default=3_000_000)
    parser.add_argument("--missing", type=float, default=0.16)
    parser.add_argument("--record", type=int, default=50_000, help="rows of the manifest that is recorded")
    parser.add_argument("--url")
    parser.add_argument("--quick", action="store_true", help="a thousand clips")
    parser.add_argument("--measure", nargs=3, metavar=("URL", "QUESTION", "CLIP"))
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure)
        return
    if options.quick:
        options.clips, options.attempts, options.record = 1000, 3000, 200
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/ledger.sqlite"
        ledger = Ledger.open(url)
        catalog, manifest = Path(folder) / "catalog.parquet", Path(folder) / "part-00000.parquet"
        write_catalog(catalog, options.clips)
        write_fetched(manifest, min(options.record, options.clips), options.missing)
        print(f"{ledger._engine.dialect.name}, {options.clips:,} clips, {options.attempts:,} attempts, ", end="")
        print(f"{options.missing:.0%} missing; pyarrow {pa.__version__}, SQLAlchemy {sa.__version__}\n")
        print("| question | rows | open s | first s | median s | CPU s | peak MB |\n|---|---|---|---|---|---|---|")
        for name in ("sync_catalog, new", "sync_catalog, unchanged"):
            timed(name, options.clips, lambda: ledger.sync_catalog("bench", catalog))
        fill(ledger, options.attempts, options.clips, options.missing)
        clip = str(item(0)["clip_id"])
        for question in QUESTIONS:
            command = [sys.executable, __file__, "--measure", url, question, clip]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            first, middle = found["seconds"][0], statistics.median(found["seconds"])
            print(
                f"| {question} | {found['rows']:,} | {found['opened']:.3f} | {first:.3f} | {middle:.3f} "
                f"| {found['cpu']:.3f} | {found['peak']:.0f} |",
                flush=True,
            )
        for name in ("record, new", "record, again"):
            recorded = min(options.record, options.clips)
            timed(name, recorded, lambda: ledger.record("bench", "run-new", "default", [manifest], NOW))
        ledger.close()
        if not options.url:
            print(f"\nThe ledger's file: {Path(folder, 'ledger.sqlite').stat().st_size / 2**20:,.0f} MB")


if __name__ == "__main__":
    main()
