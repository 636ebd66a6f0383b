"""Who may use an Airflow home: one demo or one UI, which the other is told in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clipquarry.airflow_home import AirflowHome
from clipquarry.demo.__main__ import main
from clipquarry.errors import UserError

ADDRESS = "http://localhost:8080"


@pytest.fixture
def home(tmp_path: Path) -> AirflowHome:
    return AirflowHome(tmp_path / ".demo/airflow")


def start_demo(home: AirflowHome) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "clipquarry.demo", "--home", str(home.folder.parent)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_a_second_demo_ends_at_once_and_empties_nothing(home: AirflowHome) -> None:
    kept = home.folder.parent / "data/clip.mp4"
    kept.parent.mkdir(parents=True)
    kept.write_text("of the first demo")
    with home.hold_for_demo():
        done = start_demo(home)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"clipquarry: A demo is already running in {home.folder.parent} (process {os.getpid()}), and a second one would empty its data. "
        f"Wait until it ends, or end it with Ctrl-C or 'kill {os.getpid()}'.\n"
    )
    assert kept.read_text() == "of the first demo"


def test_a_demo_does_not_empty_the_data_of_an_open_ui(home: AirflowHome) -> None:
    kept = home.folder.parent / "data/clip.mp4"
    kept.parent.mkdir(parents=True)
    kept.touch()
    with home.hold_for_ui(ADDRESS):
        done = start_demo(home)
    assert done.returncode == 2 and kept.exists()
    assert done.stderr == (
        f"clipquarry: Airflow is already running on {home.folder}: {ADDRESS} (process {os.getpid()}), and a demo would empty the data "
        f"that it shows. End that one first, with Ctrl-C or 'kill {os.getpid()}'.\n"
    )


def test_ctrl_c_is_a_sentence(
    home: AirflowHome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("clipquarry.demo.story.run_demo", interrupted)
    monkeypatch.setattr("sys.argv", ["clipquarry.demo", "--home", str(home.folder.parent)])
    with pytest.raises(SystemExit, match="130"):
        main()
    assert capsys.readouterr().err == "clipquarry: The demo was ended in the middle; the next one begins anew.\n"
    with home.hold_for_demo():
        pass


def test_a_ui_is_refused_while_a_demo_runs(home: AirflowHome) -> None:
    with (
        home.hold_for_demo(),
        pytest.raises(UserError, match=r"^A demo is already running in \S+/\.demo \(process \d+\)\. Wait"),
    ):
        home.hold_for_ui(ADDRESS)
    with home.hold_for_ui(ADDRESS):
        pass


def test_a_second_ui_is_told_where_the_first_one_is(home: AirflowHome) -> None:
    with home.hold_for_ui(ADDRESS), pytest.raises(UserError) as refused:
        home.hold_for_ui("http://localhost:8081")
    assert str(refused.value) == (
        f"Airflow is already running on {home.folder}: {ADDRESS} (process {os.getpid()}). End that one first, with Ctrl-C or 'kill {os.getpid()}'."
    )


def test_a_holder_without_a_name(home: AirflowHome) -> None:
    with home.hold_for_demo() as lock:
        lock.path.write_text("")
        with pytest.raises(
            UserError, match=r"^Another process uses the Airflow home \S+/airflow\. End that one first\.$"
        ):
            home.hold_for_ui(ADDRESS)


def test_a_demo_that_dies_leaves_no_lock(home: AirflowHome) -> None:
    program = (
        "import sys, time; from pathlib import Path; from clipquarry.airflow_home import AirflowHome\n"
        "lock = AirflowHome(Path(sys.argv[1])).hold_for_demo(); print('held', flush=True); time.sleep(600)"
    )
    argv = [sys.executable, "-c", program, str(home.folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None and demo.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"'kill {demo.pid}'"):
            home.hold_for_demo()
        demo.kill()
    with home.hold_for_demo():
        pass
