"""Reader and writer of AVA's action lists (``.pbtxt``): id to name.

Both published spellings are read: ``item { name: "…" id: 2 }`` (v2.1) and ``label { name: "…" label_id: 1
label_type: … }`` (v2.2), with any indentation. Written records suit the reference's line-based readers (exactly two
blanks).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from clipquarry.errors import UserError
from clipquarry.files import writing

MAX_ACTION = 1000
"""Ids from here on are errors; AVA has 80."""
_MAX_BYTES = 1_000_000
_RECORD = re.compile(r"\b(?:item|label)\s*\{(.*?)\}", re.DOTALL)
_NAME = re.compile(r'\bname\s*:\s*"([^"\n]*)"')
_ID = re.compile(r"\b(?:label_)?id\s*:\s*(\d{1,6})\b")


def read_action_list(path: Path) -> dict[int, str]:
    """Names by id (1-based; 0 is never used), in the file's order. Raises :class:`UserError` for anything else."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"{path} is larger than {_MAX_BYTES} bytes: that is not an action list.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"The action list {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"The action list {path} is not UTF-8 (byte {error.start}).") from error
    names: dict[int, str] = {}
    for record in _RECORD.finditer(text):
        line = text.count("\n", 0, record.start()) + 1
        name, number = _NAME.search(record[1]), _ID.search(record[1])
        if name is None or number is None or not name[1].strip():
            raise UserError(f"{path}, line {line}: the record has no name or no id.")
        action = int(number[1])
        if not 1 <= action < MAX_ACTION:
            raise UserError(f"{path}, line {line}: the id {action} is not between 1 and {MAX_ACTION - 1}.")
        if action in names:
            raise UserError(f"{path}, line {line}: the id {action} is given again.")
        names[action] = name[1]
    if not names or _RECORD.sub("", text).strip():
        raise UserError(f'{path} is not an action list: expected records like item {{ name: "stand" id: 12 }}.')
    return names


def publish_action_list(path: Path, target: Path) -> None:
    """Write the action list of ``path`` for readers, whole or not at all; errors as in :func:`read_action_list`.

    A list that mmaction2's reader understands is copied byte for byte. Records of any other form are written anew.
    """
    names = read_action_list(path)
    content = path.read_bytes()
    if _as_mmaction2_reads(content.decode(errors="replace")) == names:
        with writing(target, "wb") as handle:
            handle.write(content)
    else:
        write_action_list(names, target)


def _as_mmaction2_reads(text: str) -> dict[int, str] | None:
    """Names by id as mmaction2's line-based reader (``read_labelmap``) finds them; None if it stops."""
    found, name = {}, ""
    try:
        for line in text.splitlines():
            if line.startswith("  name:"):
                name = line.split('"')[1]
            elif line.startswith(("  id:", "  label_id:")):
                found[int(line.strip().split(" ")[-1])] = name
    except (ValueError, IndexError):
        return None
    return found


def write_action_list(names: Mapping[int, str], path: Path) -> None:
    """Write ``item`` records. Raises ValueError for a name that the format cannot hold."""
    for action, name in names.items():
        if '"' in name or "\n" in name or not 1 <= action < MAX_ACTION:
            raise ValueError(f"action {action} {name!r} cannot be written")
    with writing(path) as handle:
        for action, name in names.items():
            handle.write(f'item {{\n  name: "{name}"\n  id: {action}\n}}\n')
