"""Great Expectations alone over the stored suites of a gate: a program that knows nothing of Clipquarry, and its verdicts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = """
import json, os, sys
from pathlib import Path
os.environ["GX_ANALYTICS_ENABLED"] = "false"
import great_expectations as gx
import pandas as pd

context = gx.get_context(mode="ephemeral")
whole = context.data_sources.add_pandas("tables").add_dataframe_asset("table").add_batch_definition_whole_dataframe("all")
for folder in sys.argv[1:]:
    for path in sorted(Path(folder).glob("*.json")):
        suite = gx.ExpectationSuite(**json.loads(path.read_text(encoding="utf-8")))
        batch = whole.get_batch({"dataframe": pd.read_parquet(path.with_name(path.stem + ".parquet"))})
        for one in batch.validate(suite).results:
            meta, config = one.expectation_config.meta, one.expectation_config
            print(json.dumps({"gate": Path(folder).name, "suite": path.stem, **meta, "success": one.success,
                              "unexpected": one.result.get("unexpected_count"), "type": config.type,
                              "severity": str(config.severity)}))
assert not [name for name in sys.modules if name.startswith("clipquarry")]
"""


def plain_verdicts(*folders: Path) -> list[dict[str, Any]]:
    """Each expectation of the stored suites in a fresh process, with its ``success``."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, folders)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
