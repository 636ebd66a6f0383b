"""The reference's ways, if asked for: a val that copies train, and CRLF; and back to one's own afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.families.boxes.own.sample import make


def test_val_copies_train_and_lines_end_as_upstream_s(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(make(tmp_path / "served").by_hand, data / "custom_ava")
    folder = data / "custom_ava/annotations"

    def run(name: str, **others: object) -> str:
        values = {"fps": 10, "margin": 1, "labels": "true", "proposals": "none", **others}
        words = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        done = CliRunner().invoke(
            main, ["run", "custom_ava", "--run", name, "--shards", "1", *words], env={"CLIPQUARRY_DATA": str(data)}
        )
        assert done.exit_code == 0, done.output
        return done.output

    told = run("one", form="reference", val_is_train="true")
    train = (folder / "train.csv").read_bytes()
    assert "results on val say nothing" in told and train.count(b"\r\n") == train.count(b"\n") == 10
    assert (folder / "val.csv").read_bytes() == train
    assert (folder / "dense_proposals_val.pkl").read_bytes() == (folder / "dense_proposals_train.pkl").read_bytes()
    config = (folder / "mmaction2_config.py").read_text()
    assert config.startswith("# val is a copy of train") and "val_dataloader = dict" in config
    assert "val_is_train" in (data / ".clipquarry/runs/custom_ava/one/run.json").read_text()
    told = run("two")
    lines = [(folder / f"{split}.csv").read_bytes() for split in ("train", "val")]
    assert b"\r" not in b"".join(lines) and [one.count(b"\n") for one in lines] == [6, 4]
    assert "was not ours" not in told and not (data / ".clipquarry/set-aside").exists()
