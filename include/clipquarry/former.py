"""Checks for a deployment under the product's former name, which belongs to another program on PyPI.

Only this module and :mod:`clipquarry.adopt` read the old name. A setting or a folder with it stops every command
with one sentence, because a fresh start beside it would look like an empty data set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from clipquarry.errors import UserError

NAME = "clipyard"
PREFIX = "CLIPYARD_"
PRIVATE = ".clipyard"
TEMPORARY_PREFIX = ".clipyard-tmp-"
"""Suffix of unfinished files; nobody continues them."""


def refuse_old_settings(environ: Mapping[str, str]) -> None:
    """Raise UserError for a setting of the old name, which would be ignored silently."""
    old = sorted(name for name in environ if name.startswith(PREFIX))
    if old:
        new = [f"CLIPQUARRY_{name.removeprefix(PREFIX)}" for name in old]
        more = f" (and {len(old) - 3} more)" if len(old) > 3 else ""
        raise UserError(
            f"The environment sets {', '.join(old[:3])}{more}, names of before Clipquarry was renamed: "
            f"set {', '.join(new[:3])}{more} instead."
        )


def refuse_old_folder(root: Path, private: str) -> None:
    """Raise UserError where the data root ``root`` has the private folder of the old name."""
    old = root / PRIVATE
    if old.is_dir():
        both = (
            f" Both {old.name} and {private} are here: move the one that is not needed away."
            if (root / private).exists()
            else ""
        )
        raise UserError(
            f"{old} is what Clipquarry keeps under its old name: run 'clipquarry adopt --data {root}' once, "
            f"so that nothing is fetched or made again.{both}"
        )


def refuse_old_file(path: Path) -> None:
    """Raise UserError where a file of settings (``docker/.env``) has settings of the old name."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    if any(line.startswith(PREFIX) for line in lines):
        raise UserError(
            f"{path} has settings of before Clipquarry was renamed: run '{path.parent / 'compose.sh'} adopt' once, which "
            "adopts them and the volumes."
        )


def main(arguments: list[str], private: str) -> int:
    """For the shell scripts: check the environment, and the data roots (folders) and settings files that are named."""
    try:
        refuse_old_settings(os.environ)
        for path in map(Path, arguments):
            refuse_old_folder(path, private) if path.is_dir() else refuse_old_file(path)
    except UserError as error:
        print(f"clipquarry: {error}", file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], ".clipquarry"))
