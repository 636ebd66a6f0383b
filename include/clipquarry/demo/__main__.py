"""``make demo``, ``make demo-ava`` and ``make demo-custom``: the real DAGs on data sets that the demo makes and serves itself."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from clipquarry.airflow_home import AirflowHome
from clipquarry.datasets.families import find_family
from clipquarry.errors import ClipquarryError
from clipquarry.former import refuse_old_folder, refuse_old_settings
from clipquarry.pipeline.family import Family
from clipquarry.settings import PRIVATE

SETS = {
    "kinetics": ("clips", ".demo", "make demo-up"),
    "ava": ("boxes", ".demo-ava", "make demo-ava-up"),
    "custom": ("boxes", ".demo-custom", "make demo-custom-up"),
}
"""By the name of a set: the family whose sample it is, its home, and the command that shows it in Airflow."""


_INTERRUPTED = 130
"""Exit code of a shell's command that Ctrl-C ended."""


def main() -> None:
    """Entry point of all three."""
    parser = argparse.ArgumentParser(prog="clipquarry.demo", description=__doc__)
    parser.add_argument("--set", choices=tuple(SETS), default="kinetics", help="which data set; kinetics")
    parser.add_argument(
        "--film",
        type=Path,
        help="a video of yours in the data set (--set ava), or one or a folder of them as its raw videos (--set custom)",
    )
    parser.add_argument(
        "--home", type=Path, help="folder of everything that the demo makes; .demo, .demo-ava or .demo-custom"
    )
    parser.add_argument("--project", type=Path, default=Path.cwd(), help="the checkout; the current folder")
    arguments = parser.parse_args()
    name, folder, look = SETS[arguments.set]
    home, project = (arguments.home or Path(folder)).absolute(), arguments.project.absolute()
    family: Family = find_family(name)
    further = family.more_samples() if family.more_samples is not None else {}
    sample = further.get(arguments.set) or family.sample()
    if arguments.film and sample.with_video is None:
        parser.error("--film goes with --set ava and --set custom")
    try:
        refuse_old_settings(os.environ)
        refuse_old_folder(home / "data", PRIVATE)
        if arguments.film and sample.with_video is not None:
            sample = sample.with_video(arguments.film.expanduser())
        with AirflowHome(home / "airflow").hold_for_demo():
            from clipquarry.demo.story import run_demo

            run_demo(sample, home, project, look)
    except ClipquarryError as error:
        print(f"clipquarry: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))
    except KeyboardInterrupt:
        print("clipquarry: The demo was ended in the middle; the next one begins anew.", file=sys.stderr)
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
