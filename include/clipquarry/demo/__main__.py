"""``make demo`` and ``make demo-ava``: the real DAGs on data sets that the demo makes and serves itself."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from clipquarry.errors import ClipquarryError
from clipquarry.former import refuse_old_folder, refuse_old_settings
from clipquarry.settings import PRIVATE


def main() -> None:
    """Entry point of both."""
    parser = argparse.ArgumentParser(prog="clipquarry.demo", description=__doc__)
    parser.add_argument("--set", choices=("kinetics", "ava"), default="kinetics", help="which data set; kinetics")
    parser.add_argument("--film", type=Path, help="a film of yours that takes part (--set ava)")
    parser.add_argument("--home", type=Path, help="folder of everything that the demo makes; .demo or .demo-ava")
    parser.add_argument("--project", type=Path, default=Path.cwd(), help="the checkout; the current folder")
    arguments = parser.parse_args()
    home = (arguments.home or Path(".demo" if arguments.set == "kinetics" else ".demo-ava")).absolute()
    project = arguments.project.absolute()
    if arguments.film and arguments.set != "ava":
        parser.error("--film goes with --set ava")
    try:
        refuse_old_settings(os.environ)
        refuse_old_folder(home / "data", PRIVATE)
        if arguments.set == "ava":
            from clipquarry.demo import ava

            ava.run_demo(home, project, arguments.film.expanduser() if arguments.film else None)
        else:
            from clipquarry.demo import kinetics

            kinetics.run_demo(home, project)
    except ClipquarryError as error:
        print(f"clipquarry: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))


if __name__ == "__main__":
    main()
