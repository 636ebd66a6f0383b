"""Where things are, from the environment; and progress that a person can read."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from clipquarry.errors import (
    ClipquarryError,
    Exit,
    GateBlocked,
    MachineError,
    RetryLater,
    SpecError,
    UserError,
    WaitUntil,
)
from clipquarry.progress import Progress, human_seconds
from clipquarry.reasons import Reason, Status
from clipquarry.settings import DataRoot, Settings, slug


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({})
    assert settings.data.root == tmp_path / "data"
    assert settings.ledger_url == f"sqlite:///{tmp_path}/data/.clipquarry/ledger.sqlite"
    assert (settings.egress, settings.dataset_folders, settings.cookies) == ("default", (), None)


def test_everything_from_the_environment(tmp_path: Path) -> None:
    settings = Settings.from_env(
        {
            "CLIPQUARRY_DATA": str(tmp_path), "CLIPQUARRY_LEDGER": "postgresql://host/db", "CLIPQUARRY_EGRESS": "lab",
            "CLIPQUARRY_DATASETS": "/a::/b", "CLIPQUARRY_CHECKS": "/c:/d", "CLIPQUARRY_COOKIES": "/secret/cookies.txt",
            "CLIPQUARRY_ONLY": "kinetics400, own_clips", "CLIPQUARRY_BREAKER_ROW": "5", "CLIPQUARRY_CANARY": "",
            "CLIPQUARRY_YTDLP_PLUGINS": "one, two", "CLIPQUARRY_YTDLP_ARGS": "a:b=c d:e=f",
        }
    )  # fmt: skip
    assert settings.data == DataRoot(tmp_path)
    assert settings.ledger_url == "postgresql://host/db"
    assert settings.dataset_folders == (Path("/a"), Path("/b"))
    assert settings.own_checks == (Path("/c"), Path("/d"))
    assert settings.only == {"kinetics400", "own_clips"}
    assert (settings.egress, settings.cookies) == ("lab", Path("/secret/cookies.txt"))
    assert (settings.breaker_row, settings.canary) == (5, "")
    assert (settings.ytdlp_plugins, settings.ytdlp_args) == (("one", "two"), ("a:b=c", "d:e=f"))


@pytest.mark.parametrize("row", ["0", "1.5", "-1", "many"])
def test_a_row_is_a_whole_number(row: str) -> None:
    with pytest.raises(ClipquarryError, match="CLIPQUARRY_BREAKER_ROW"):
        Settings.from_env({"CLIPQUARRY_BREAKER_ROW": row})


def test_the_command_line_wins_and_empty_means_unset(tmp_path: Path) -> None:
    assert Settings.from_env({"CLIPQUARRY_DATA": "/other"}, data=tmp_path).data.root == tmp_path
    empty = dict.fromkeys(("CLIPQUARRY_LEDGER", "CLIPQUARRY_EGRESS", "CLIPQUARRY_COOKIES", "CLIPQUARRY_DATASETS"), "")
    assert Settings.from_env(empty, data=tmp_path) == Settings.from_env({}, data=tmp_path)


def test_runs_of_airflow_become_folders(tmp_path: Path) -> None:
    assert slug("manual__2026-11-21T01:02:03+00:00") == "manual__2026-11-21T01_02_03_00_00"
    assert DataRoot(tmp_path).run("kinetics400", "mine.2") == tmp_path / ".clipquarry/runs/kinetics400/mine.2"


@pytest.mark.parametrize(
    "text", ["", "..", "///", "...", "é", "../../x", "a/b", "a\\b", ".hidden", "-x", "a\n", "a\x00", "x" * 151]
)
def test_a_run_without_a_name_is_a_sentence(text: str) -> None:
    with pytest.raises(ClipquarryError, match="cannot name a run"):
        slug(text)


def test_a_data_sets_folder_stays_below_the_root(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    assert root.dataset("kinetics400", "videos_val/a b") == tmp_path / "kinetics400/videos_val/a b"
    with pytest.raises(ClipquarryError):
        root.dataset("kinetics400", "../x")
    with pytest.raises(ClipquarryError):
        root.dataset("..")


def test_progress_lines(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    progress = Progress("fetch", 4, every=3600, stream=stream)
    for status in ("done", "kept", "missing"):
        progress.add(status)
    assert stream.getvalue() == "", "a log gets a line every few seconds, not one per item"
    assert progress.line().startswith("fetch: 3/4 (75 %), ")
    assert progress.line().endswith(" left, 1 missing")
    progress.close()
    assert stream.getvalue().count("\n") == 1
    assert progress.counts == {"done": 1, "kept": 1, "missing": 1}
    eager = Progress("fetch", 0, every=0, stream=stream)
    assert eager.line().startswith("fetch: 0/0 (100 %)")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (-3, "0:00"), (61.9, "1:01"), (3725, "1:02:05")])
def test_human_seconds(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


def test_exit_codes_are_the_contract_with_the_runtimes() -> None:
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 10, 11, 12, 13]
    codes = {error: error.exit_code for error in (SpecError, GateBlocked, MachineError, RetryLater, WaitUntil)}
    assert list(map(int, codes.values())) == [2, 3, 10, 11, 12]


def test_words() -> None:
    assert {status for status in Status if status.is_present} == {Status.DONE, Status.KEPT}
    assert len({str(reason) for reason in Reason}) == len(Reason)


@pytest.mark.parametrize("name", ["../../x", "a/b", ".x"])
def test_a_run_never_silently_gets_another_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from click.testing import CliRunner
    from clipquarry.cli import main

    for command in ("run", "refresh"):
        done = CliRunner().invoke(main, [command, "kinetics_demo", "--run", name, "--data", str(tmp_path)])  # type: ignore[arg-type]
        assert done.exit_code == Exit.USAGE, done.output
        assert "cannot name a run" in done.output
    assert list(tmp_path.rglob("run.json")) == []


def test_checks_of_users_lie_in_the_data_root_or_in_folders_that_exist(tmp_path: Path) -> None:
    usual = Settings.from_env({"CLIPQUARRY_DATA": str(tmp_path)})
    assert usual.check_folders == (tmp_path / ".clipquarry/checks",)
    (tmp_path / "mine").mkdir()
    named = {"CLIPQUARRY_DATA": str(tmp_path), "CLIPQUARRY_CHECKS": f"{tmp_path}/mine"}
    assert Settings.from_env(named).check_folders == (tmp_path / "mine",)
    with pytest.raises(UserError, match=r"CLIPQUARRY_CHECKS names .*/gone, which is no folder"):
        _ = Settings.from_env({**named, "CLIPQUARRY_CHECKS": f"{tmp_path}/mine:{tmp_path}/gone"}).check_folders


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\0\0\0\0", '"recorded"'])
def test_a_damaged_note_of_parameters_says_nothing_of_a_full_run(tmp_path: Path, text: str) -> None:
    """It said that there was one, with the parameters "none": a chain would have started a whole data set by itself."""
    data = DataRoot(tmp_path)
    path = data.last_params("kinetics_demo")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert not data.had_full_run("kinetics_demo") and data.full_release("kinetics_demo") is None
    assert data.data_sets_released_in_full() == []
