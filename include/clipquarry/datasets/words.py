"""Types of the words in a data set's YAML: names, paths below the data set's folder."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

_RELATIVE = re.compile(r"(?!/)(?!.*(^|/)\.\.(/|$))[^\x00\\]+\Z")


def below(path: str) -> str:
    """The path. Raises ValueError for one that leaves the data set's folder."""
    if not _RELATIVE.match(path):
        raise ValueError(f"{path!r} must be a path below the data set's folder: not absolute, no '..'")
    return path


def _split_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,40}", name):
        raise ValueError(f"split {name[:60]!r}: use lower-case letters, digits and '_', 40 at most")
    return name


RelativePath = Annotated[str, Field(min_length=1), AfterValidator(below)]
FolderName = Annotated[str, Field(pattern=r"^[^/\\\x00-\x1f]*$")]
SplitName = Annotated[str, AfterValidator(_split_name)]
GroupName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]  # goes into file names and keys of lists
Tag = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f,]+$")]  # Airflow's longest
DatasetName = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$")]
Variant = Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]  # goes into file names
