"""Mutated good files, given to a reader: whatever is in them, only errors of our own come out, and never a traceback."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipquarry.errors import ClipquarryError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = 60
TOKENS = (
    b"", b"\n", b"\r", b"\r\n", b"\n\n", b",", b".", b"-", b"+", b'"', b"'", b" ", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc2\x85",
    "٣".encode(), b"0", b"1e999", b"nan", b"-1", b"1" * 40, b"9" * 5000, b"0x1F", b"12.0", b"x" * 9000, b"[" * 3000, b"{", b"}", b":", b"null",
    b"Infinity", b"!!int ''", b"*a", b"&a", b"../", b"(", b"q\xff", b"\x85" * 60, b"\x94", b"R", b"b", b"u", b".",
)  # fmt: skip
A = "AAAAAAAAAAA"


def mutated(seed: bytes, numbers: random.Random) -> bytes:
    """A few places of a file overwritten, doubled, moved, taken out, cut off or filled with what readers dislike."""
    body = bytearray(seed)
    for _ in range(numbers.randint(1, 4)):
        begin = numbers.randrange(len(body) + 1)
        end = min(len(body), begin + numbers.choice((0, 1, 1, 2, 8, 40)))
        match numbers.randrange(6):
            case 0:
                body[begin:end] = numbers.choice(TOKENS)
            case 1:
                body[begin:end] = bytes(body[begin:end]) * 3
            case 2:
                other = numbers.randrange(len(body) + 1)
                body[begin:end] = body[other : other + 20]
            case 3:
                body[begin:end] = numbers.randbytes(end - begin)
            case 4:
                del body[begin:end]
            case 5 if numbers.random() < 0.3:
                del body[begin:]
    return bytes(body)


def as_json(**value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def attack(folder: Path, name: str, seed: bytes, read: Callable[[Path], Any], examples: int) -> None:
    failures: list[str] = []

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 1 << 32))
    def one(number: int) -> None:
        body = mutated(seed, random.Random(number))
        (folder / name).write_bytes(body)
        try:
            read(folder / name)
        except ClipquarryError as error:
            if len(str(error)) > 1500 or "\n" in str(error):
                failures.append(f"not one sentence: {str(error)[:200]!r} for {body[:300]!r}")
        except Exception as error:
            failures.append(f"{error!r} for {body[:300]!r}")

    read_whole = folder / name
    read_whole.write_bytes(seed)
    read(read_whole)
    one()
    assert failures == []
