"""``make demo`` and ``make demo-ava``: the real DAGs on data sets that the demo makes and serves itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from clipyard.errors import ClipyardError


def main() -> None:
    """Entry point of both."""
    parser = argparse.ArgumentParser(prog="clipyard.demo", description=__doc__)
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
        if arguments.set == "ava":
            from clipyard.demo import ava

            ava.run_demo(home, project, arguments.film.expanduser() if arguments.film else None)
        else:
            from clipyard.demo import kinetics

            kinetics.run_demo(home, project)
    except ClipyardError as error:
        print(f"clipyard: {error}", file=sys.stderr)
        sys.exit(int(error.exit_code))


if __name__ == "__main__":
    main()
