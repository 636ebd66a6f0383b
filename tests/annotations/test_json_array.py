"""Elements of a JSON array, one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clipquarry.annotations import json_array
from clipquarry.annotations.json_array import array_elements
from clipquarry.errors import UserError
from hypothesis import given, settings
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=12,
)


@settings(deadline=None, max_examples=40)  # each example is a file
@given(
    values=st.lists(VALUES, max_size=6),
    piece=st.integers(1, 40),
    indent=st.sampled_from([None, 2]),
    escaped=st.booleans(),
)
def test_wherever_the_pieces_end(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], piece: int, indent: int | None, escaped: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "array.json"
    path.write_text(
        json.dumps(values, indent=indent, ensure_ascii=escaped),
        encoding="utf-8",
        errors="surrogatepass" if escaped else "replace",
    )
    want = json.loads(path.read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_array, "_PIECE", piece)
        assert list(array_elements(path)) == want


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "begins with ''"), ('{"a": 1}', "begins with '{'"), ("[1, 2", "'' follows an element"), ("[1 2]", "'2' follows an element"),
        ("[1,]", "is no JSON"), ('[{"a": ]', "is no JSON"), ("[1] 2", "'2' follows the array"), ("[" * 100_000, "is no JSON"),
    ],
    ids=range(8),
)  # fmt: skip
def test_what_is_no_array_is_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "array.json"
    path.write_text(text)
    with pytest.raises(UserError) as raised:
        list(array_elements(path))
    assert told in str(raised.value) and str(path) in str(raised.value), raised.value


def test_a_file_that_is_no_utf8_or_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    with pytest.raises(UserError, match="cannot be read"):
        list(array_elements(path))
    path.write_bytes(b'["\xff"]')
    with pytest.raises(UserError, match="not UTF-8"):
        list(array_elements(path))


def test_memory_does_not_grow_with_the_elements(tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    with open(path, "w") as out:
        out.write("[")
        out.writelines(
            f'{", " * (number > 0)}{{"id": "{number}", "template": "{"x" * 100}"}}' for number in range(300_000)
        )
        out.write("]")
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom clipquarry.annotations.json_array import array_elements\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "count = sum(1 for _ in array_elements(Path(sys.argv[1])))\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    count, grown = map(int, done.stdout.split())
    assert count == 300_000 and grown < 20_000, f"{grown} KiB for a file of {path.stat().st_size} bytes"
