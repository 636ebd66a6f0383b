"""Parser of untrusted YAML. Costly input is refused from its events, before any value is made.

Small files can grow when they are read: deep nesting (libyaml's composer would crash), aliases, numbers of thousands
of digits (in base 60 reading takes the square of their length), values by the hundred thousand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from clipquarry.errors import SpecError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_VALUES = 20_000
MAX_DIGITS = 100

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"[-+]?[0-9.][-+0-9_:.xXoOa-fA-F]*\Z")


def read_yaml(path: Path, what: str) -> tuple[yaml.Node | None, Any]:
    """The nodes of a YAML file, for the lines in messages, and its value. ``what`` names the kind of file in messages.

    Raises :class:`SpecError` with one sentence: file, line, what is wrong.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(f"{path} is larger than {MAX_BYTES} bytes: that is not {what}.")
        text = path.read_text(encoding="utf-8")
        _refuse_bombs(text, path)
        return yaml.compose(text, Loader=_Loader), yaml.load(text, Loader=_Loader)  # noqa: S506  a safe loader, in C where there is one
    except SpecError:
        raise
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{path}, line {line}: not valid YAML: {error.problem}.") from error
    except Exception as error:  # constructors raise all kinds of errors
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise SpecError(f"{path}: not valid YAML: {said}.") from error


def _refuse_bombs(text: str, path: Path) -> None:
    depth = values = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise SpecError(f"{path}, line {line}: write '*{event.anchor}' out: aliases are not read.")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise SpecError(f"{path}, line {line}: nested deeper than {MAX_DEPTH} levels.")
        if isinstance(event, yaml.ScalarEvent):
            values += 1
            if len(event.value) > MAX_DIGITS and (event.tag or (not event.style and _NUMBER.match(event.value))):
                raise SpecError(f"{path}, line {line}: a number of more than {MAX_DIGITS} characters.")
        if values > MAX_VALUES:
            raise SpecError(f"{path}, line {line}: it has more than {MAX_VALUES} values.")
