"""The filter of heads over a folder of label texts. Source: ``filter.py`` of Whiffe's ``imageDetection``."""

from __future__ import annotations

from pathlib import Path

from clipquarry.annotations.own_ava.detections import read_labels
from clipquarry.annotations.own_ava.heads import BODY, real_bodies
from clipquarry.annotations.own_ava.refused import Refused
from clipquarry.annotations.small_file import read_small
from clipquarry.errors import UserError


def without_heads(folder: Path, *, reference: bool = False) -> tuple[dict[str, str], int, list[Refused]]:
    r"""Text by file name with the lines of real bodies, unchanged and each with ``\n``; bodies taken out; faults.

    Every file has a text, if only an empty one. ``reference``: see :func:`~clipquarry.annotations.own_ava.heads.real_bodies`.
    """
    try:
        paths = sorted(one for one in folder.iterdir() if one.suffix == ".txt" and one.is_file())
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): name the folder of label texts.") from error
    if not paths:
        raise UserError(f"{folder} holds no label texts ('*.txt'): name the folder of label texts.")
    texts: dict[str, str] = {}
    refused: list[Refused] = []
    taken = 0
    for path in paths:
        try:
            text = read_small(path, "label text").decode()
        except UnicodeDecodeError:
            refused.append(Refused(path.name, "It is no text: detect the frame again."))
            continue
        lines = [line for line in text.splitlines() if line.strip()]
        found = list(read_labels(text, path.name))
        faults = [one for one in found if isinstance(one, Refused)]
        if faults:
            refused += faults
            continue
        sound = [one for one in found if not isinstance(one, Refused)]
        kept = {id(one) for one in real_bodies(sound, reference=reference)}
        taken += sum(one.kind == BODY and id(one) not in kept for one in sound)
        texts[path.name] = "".join(f"{line}\n" for line, one in zip(lines, sound, strict=True) if id(one) in kept)
    return texts, taken, refused
