"""A user's suite in a run of the command line: it stops the run, and stands in its report; a wrong one is the user's error."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.demo.origin import Origin
from clipquarry.errors import Exit
from clipquarry.report.gates import read_gates
from clipquarry.settings import DataRoot

SUITE = """
table: clips
severity: {severity}
expectations:
  - type: expect_column_values_to_be_between
    kwargs: {{column: {column}, max_value: 0.5}}
    description: clips are hardly there
"""


def test_a_users_suite_blocks_a_run_and_stands_in_its_report(demo_origin: Origin, tmp_path: Path) -> None:
    demo_origin.set_plan({})
    data, checks = DataRoot(tmp_path / "data"), tmp_path / "checks"
    file = checks / "kinetics_demo/clips/short.yaml"
    file.parent.mkdir(parents=True)
    environment = {
        "CLIPQUARRY_DATA": str(data.root), "CLIPQUARRY_DEMO_URL": demo_origin.url, "NO_PROXY": "127.0.0.1",
        "CLIPQUARRY_CHECKS": str(checks),
    }  # fmt: skip

    def clipquarry(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, words, env=environment)
        return done.exit_code, done.output

    file.write_text(SUITE.format(severity="error", column="duration"))
    code, output = clipquarry("run", "kinetics_demo", "--run", "mine", "--limit", "1")
    assert code == Exit.BLOCKED, output
    assert "own.short.yaml#1 blocks: " in output and str(file) in output
    run = data.run("kinetics_demo", "mine")
    page = (run / "report/index.html").read_text()
    assert "own.short.yaml#1" in page and "clips are hardly there" in page
    clips = next(gate for gate in read_gates(run) if gate.name == "clips")
    assert (clips.checks[0].name, clips.checks[0].level, clips.verdict) == ("own.short.yaml#1", "bad", "blocked")

    file.write_text(SUITE.format(severity="error", column="durations"))
    code, output = clipquarry("stage", "gate_clips", "kinetics_demo", "--run", "mine")
    assert code == Exit.USAGE and "short.yaml, expectation 1: the table 'clips' has no column 'durations'" in output

    file.write_text(SUITE.format(severity="warn", column="duration"))
    code, output = clipquarry("stage", "gate_clips", "kinetics_demo", "--run", "mine")
    assert code == Exit.OK and "own.short.yaml#1 warns: " in output

    code, output = clipquarry("gx", "kinetics_demo", "--run", "mine", "--into", str(tmp_path / "context"))
    assert code == Exit.OK, output
    assert (tmp_path / "context/gx/expectations").is_dir()
    code, output = clipquarry("gx", "kinetics_demo", "--run", "mine", "--into", str(tmp_path / "context"))
    assert code == Exit.USAGE and "is there already" in output
