"""The step contract: one row in, one row out, whatever happens in between."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import toy_steps
from clipquarry.errors import Exit, UserError
from clipquarry.manifest import kind_of, read_rows
from clipquarry.run_folder import result_path
from clipquarry.steps.base import Outcome
from clipquarry.steps.runner import StepResult, parse_params, run_step
from toy_steps import RESUME, Toy, make_items


class Shard:
    """One shard in one data root."""

    def __init__(self, root: Path, count: int = 20, *, clips: int = 1) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.out = root, root / "out/part.parquet"
        self.journal = root / "out/part.journal.jsonl"
        self.names = make_items(root / "items.parquet", count, clips=clips)

    def run(self, step: Any = None, *, jobs: int = 2, **params: Any) -> StepResult:
        return run_step(
            step or Toy(), items=self.root / "items.parquet", params=json.dumps(params), out=self.out, data=self.root,
            jobs=jobs,
        )  # fmt: skip

    def rows(self) -> list[dict[str, Any]]:
        return list(read_rows(self.out))

    def told(self) -> dict[str, Any]:
        return dict(json.loads(result_path(self.out).read_text()))

    def asked(self) -> Counter[str]:
        log = self.root / "asked.log"
        return Counter(log.read_text().split()) if log.exists() else Counter()


@pytest.mark.parametrize("jobs", [1, 2, 8])
def test_one_row_in_one_row_out_in_order(jobs: int, tmp_path: Path) -> None:
    shard = Shard(tmp_path, 100, clips=3)
    result = shard.run(jobs=jobs, sleep=0.001)
    assert (result.exit, result.counts) == (Exit.OK, {"done": 100})
    assert [row["clip_id"] for row in shard.rows()] == shard.names
    assert {(row["status"], row["reason"], row["asked"]) for row in shard.rows()} == {("done", "ok", 1)}
    assert len({row["key"] for row in shard.rows()}) == 100
    assert kind_of(shard.out) == "toy"
    assert not shard.journal.exists()
    told = shard.told()
    assert (told["exit"], told["counts"], told["step"], told["version"]) == (0, {"done": 100}, "toy", 1)
    assert told["sentence"].startswith("toy: 100/100 (100 %)")
    assert told["seconds"] > 0


def test_an_empty_shard(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 0)
    assert shard.run().exit is Exit.OK
    assert shard.rows() == []


def test_bad_rows_are_in_the_table_with_their_reason(tmp_path: Path) -> None:
    shard = Shard(tmp_path)
    a, b, c, d = shard.names[:4]
    result = shard.run(plays={a: "crash", b: "user", c: "private", d: "soft"})
    assert result.exit is Exit.OK
    assert result.counts == {"done": 16, "failed": 2, "missing": 2}
    found = [(row["status"], row["reason"], row["evidence"]) for row in shard.rows()[:4]]
    assert found == [
        ("failed", "tool_failed", "ZeroDivisionError: a defect"),
        ("failed", "tool_failed", "This row is wrong."),
        ("missing", "private", "it is private"),
        ("missing", "transport", "x" * 2000),
    ]


def test_an_exception_takes_its_whole_group_and_no_other(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 9, clips=3)
    shard.run(plays={shard.names[4]: "crash"})
    assert [row["status"] for row in shard.rows()] == ["done"] * 3 + ["failed"] * 3 + ["done"] * 3


@pytest.mark.parametrize(
    ("how", "exit_", "words"), [("wait", 12, "The source says stop."), ("retry", 11, "full"), ("fail", 10, "no ffmpeg")]
)
@pytest.mark.parametrize("where", ["preflight", "item", "end"])
def test_a_bad_environment_stops_the_shard_at_once(
    how: str, exit_: int, words: str, where: str, tmp_path: Path
) -> None:
    shard = Shard(tmp_path, 60)
    params = {"preflight": {"preflight": how}, "item": {"plays": {shard.names[30]: how}}, "end": {"at_the_end": how}}
    result = shard.run(**params[where])
    assert (int(result.exit), words in result.sentence) == (exit_, True)
    assert not shard.out.exists(), "half a manifest must not look like one"
    told = shard.told()
    assert told["exit"] == exit_
    assert told["resume_at"] == (RESUME.isoformat() if how == "wait" else None)
    assert told["reason"] == ("bot_check" if how == "wait" else "")
    before = shard.asked()
    assert before.total() == {"preflight": 0, "end": 60}.get(where, before.total())
    assert before.total() < 60 or where == "end", "nothing more is asked after the stop"
    assert list(shard.out.parent.glob(".clipquarry-tmp-*")) == []
    assert shard.run().exit is Exit.OK
    assert [row["clip_id"] for row in shard.rows()] == shard.names
    finished = set(before) - {shard.names[30]} if where == "item" else set(before)
    assert all(shard.asked()[name] == 1 for name in finished), "what was finished is not asked for again"
    assert shard.told()["exit"] == 0


def test_what_a_restart_asks_again(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 10)
    gone, soft, private, crashed = shard.names[:4]
    plays = {soft: "soft", private: "private", crashed: "crash"}
    shard.run(plays=plays, at_the_end="retry")
    (tmp_path / f"{gone}.txt").unlink()
    shard.run(plays={private: "private"})
    assert shard.asked() == {**dict.fromkeys(shard.names, 1), gone: 2, soft: 2, crashed: 2}
    rows = {row["clip_id"]: row for row in shard.rows()}
    assert rows[soft]["status"] == "done"
    assert rows[soft]["asked"] == 2, "merge() saw the first attempt"
    assert rows[private]["reason"] == "private"


def test_a_torn_journal_line_costs_one_item(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 10)
    shard.run(jobs=1, at_the_end="retry")
    whole = shard.journal.read_bytes()
    assert whole.count(b"\n") == 10
    shard.journal.write_bytes(b'garbage\n{"nokey": 1}\n[]\n\x00\x00\xff\n' + whole[:-25])
    assert shard.run().exit is Exit.OK
    assert shard.asked() == {**dict.fromkeys(shard.names, 1), shard.names[-1]: 2}
    assert [row["clip_id"] for row in shard.rows()] == shard.names


def test_other_params_or_versions_do_not_use_the_journal(tmp_path: Path) -> None:
    class Newer(Toy):
        version = 2

    shard = Shard(tmp_path, 5)
    shard.run(at_the_end="retry")
    shard.run(Newer())
    assert set(shard.asked().values()) == {2}


def test_killed_at_random_points_it_ends_like_an_undisturbed_run(tmp_path: Path) -> None:
    undisturbed, killed = Shard(tmp_path / "a", 150, clips=2), Shard(tmp_path / "b", 150, clips=2)
    undisturbed.run()
    chance, kills = random.Random(7), 0
    program = [sys.executable, toy_steps.__file__, str(killed.root)]
    for _ in range(3):
        target = killed.asked().total() + chance.randrange(4, 25)
        with subprocess.Popen([*program, "0.02"], stderr=subprocess.DEVNULL) as child:
            deadline = time.monotonic() + 60
            while child.poll() is None and killed.asked().total() < target and time.monotonic() < deadline:
                time.sleep(0.002)
            child.send_signal(signal.SIGKILL)
            kills += child.wait() == -signal.SIGKILL
        assert not killed.out.exists()
        assert not result_path(killed.out).exists()
    assert kills == 3
    assert subprocess.run([*program, "0"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    assert [{**row, "asked": 0} for row in killed.rows()] == [{**row, "asked": 0} for row in undisturbed.rows()]
    again = sum(count - 1 for count in killed.asked().values())
    assert again <= 3 * 2 * 2, "a kill costs at most the groups in work (2 jobs of 2 clips)"
    assert not killed.journal.exists()


def test_a_shard_in_work_is_locked(tmp_path: Path) -> None:
    shard = Shard(tmp_path, 40)
    with subprocess.Popen(
        [sys.executable, toy_steps.__file__, str(tmp_path), "0.3"], stderr=subprocess.DEVNULL
    ) as child:
        deadline = time.monotonic() + 60
        while not shard.asked() and time.monotonic() < deadline:
            time.sleep(0.01)
        result = shard.run()
        child.kill()
    assert result.exit is Exit.RETRY
    assert "Another process is still working" in result.sentence
    assert shard.run().exit is Exit.OK, "the lock dies with its owner"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"colour": "red"}', "'colour': Extra inputs are not permitted"),
        ('{"sleep": "long"}', "'sleep': Input should be a valid number"),
        ("[]", r"'\(top\)'"),
        ("{half", r"'\(top\)': Invalid JSON"),
        ("", "Invalid JSON"),
        ("@/nowhere/params.json", "--params file /nowhere/params.json cannot be read"),
    ],
)
def test_wrong_params_are_one_sentence(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        parse_params(Toy(), text)
    assert "\n" not in str(caught.value)


def test_params_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"sleep": 2}')
    assert parse_params(Toy(), f"@{tmp_path}/p.json").sleep == 2
    (tmp_path / "p.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"p\.json"):
        parse_params(Toy(), f"@{tmp_path}/p.json")


def test_no_items_is_a_result_too(tmp_path: Path) -> None:
    shard = Shard(tmp_path)
    (tmp_path / "items.parquet").write_bytes(b"garbage")
    result = shard.run()
    assert (result.exit, "is not a readable manifest" in result.sentence) == (Exit.USAGE, True)
    (tmp_path / "items.parquet").unlink()
    assert shard.run().exit is Exit.USAGE
    assert shard.told()["exit"] == 2


def test_a_step_that_loses_rows_is_found_out(tmp_path: Path) -> None:
    class Loses(Toy):
        def run_group(self, rows: Any, ctx: Any) -> list[Outcome]:
            return []

    with pytest.raises(AssertionError, match="gave 0 outcomes for 1 rows"):
        Shard(tmp_path).run(Loses())


_MEMORY = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from toy_steps import Toy, make_items
from clipquarry.reasons import Status
from clipquarry.steps.base import Outcome
from clipquarry.steps.runner import run_step
class Trivial(Toy):
    def run_group(self, rows, ctx):
        return [Outcome(Status.DONE) for _ in rows]
root = Path(sys.argv[1])
def go(count):
    make_items(root / "items.parquet", count)
    assert run_step(Trivial(), items=root / "items.parquet", params="{}", out=root / f"out-{count}.parquet", data=root).exit == 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small, big = go(5_000), go(60_000)
print((big - small) / 1024)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    """55,000 rows more, about 0.6 kB each as objects: 33 MB if they were kept. Takes some seconds: that many rows do."""
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 20, "the names that make_items makes are 4 of it"
