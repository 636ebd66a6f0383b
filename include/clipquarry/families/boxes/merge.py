"""The merge of AVA-Kinetics with AVA: annotations, proposals, links to AVA's frames. A second run makes the same
files.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from clipquarry.annotations.action_list import read_action_list
from clipquarry.annotations.ava_csv import write_boxes
from clipquarry.annotations.ava_kinetics import merge_csv
from clipquarry.annotations.box_csv import KEY_FRAMES, BoxTable, read_boxes
from clipquarry.annotations.proposals import merge_proposals, read_proposals, write_proposals
from clipquarry.errors import UserError
from clipquarry.families.boxes.copies import copy_annotations
from clipquarry.families.boxes.run_files import BoxFiles
from clipquarry.families.boxes.tables import save
from clipquarry.families.boxes.windows import TRAIN
from clipquarry.files import inside
from clipquarry.ids import is_youtube_id, parse_clip_id
from clipquarry.layout import link_of, placing, set_aside
from clipquarry.settings import DataRoot

TRAIN_CSV = "ava_train_v2.2.csv"
TRAIN_PROPOSALS = "ava_dense_proposals_train.FAIR.recall_93.9.pkl"


def link_frames(data: DataRoot, ava: Path, target: Path) -> int:
    """Make ``{target}/{video}`` a link to ``{ava}/{video}`` for each of AVA's frame folders; returns their number.

    Links of an earlier run are kept, broken ones are made anew, and those with another target are set aside. A
    folder of that name that is no link is never touched: UserError.
    """
    target.mkdir(parents=True, exist_ok=True)
    count = 0
    for folder in sorted(ava.iterdir()) if ava.is_dir() else ():
        if folder.name.startswith(".") or not is_youtube_id(folder.name) or not folder.is_dir() or folder.is_symlink():
            continue
        link, wanted = inside(target, folder.name), str(folder.absolute())
        while (there := link_of(link)) != wanted:  # another run may make the same links
            if there is None:
                raise UserError(f"{link} is a folder of its own where a link to {folder} is meant: move it away.")
            with suppress(FileExistsError, FileNotFoundError):
                if there == "":
                    link.symlink_to(wanted)
                elif link.exists():
                    set_aside(data, link)
                else:
                    link.unlink()
        count += 1
    return count


def check_ava(ava: Path, actions: Path, run: Path) -> BoxTable:
    """Read AVA's train csv, and write its good rows and all tables to the run's folder; AVA's own file is unchanged.

    Raises :class:`UserError` if the file is absent, or holds Kinetics clips already because it was merged before.
    """
    source = ava / "annotations" / TRAIN_CSV
    table = read_boxes(source, "ava", read_action_list(actions))
    for row in table.rejected["text"].to_pylist():
        name = row.partition(",")[0]
        try:
            parse_clip_id(name)
        except ValueError:
            continue
        raise UserError(f"{source} already holds '{name[:60]}' of Kinetics: merge into AVA's own, unmerged file.")
    place = BoxFiles(run)
    write_boxes(table.boxes, place.checked(TRAIN_CSV))
    save(table.boxes, place.checked_rows(TRAIN, "boxes"))
    save(table.rejected, place.checked_rows(TRAIN, "rejected"))
    return table


def checked_ava(run: Path) -> BoxTable:
    """The result of :func:`check_ava`."""
    place = BoxFiles(run)
    boxes, rejected = (pq.read_table(place.checked_rows(TRAIN, what)) for what in ("boxes", "rejected"))
    return BoxTable(boxes, KEY_FRAMES.empty_table(), rejected)


def merge(
    data: DataRoot, kinetics: Path, ava: Path, ava_csv: Path, *, kinetics_proposals: Path | None
) -> dict[str, Any]:
    """Merge into ``{kinetics}/annotations`` and ``{kinetics}/rawframes``; both are data sets' folders. Returns the
    numbers.

    ``ava_csv``: AVA's rows of train as :func:`check_ava` wrote them. Raises :class:`UserError` if a file is absent.
    """
    annotations = kinetics / "annotations"
    copies = copy_annotations(data, ava / "annotations", annotations, (TRAIN_CSV, TRAIN_PROPOSALS))
    with placing(data, annotations / TRAIN_CSV) as new:
        rows, ava_rows = merge_csv(kinetics / "kinetics_train.csv", ava_csv, new.path)
    told = [*copies.told, *([f"{TRAIN_CSV}: {new.told}"] if new.told else [])]
    numbers: dict[str, Any] = {
        "kinetics_rows": rows, "ava_rows": ava_rows, "csv": annotations / TRAIN_CSV, "ava_csv": ava_csv,
        "rewritten": copies.rewritten, "told": told,
    }  # fmt: skip
    if kinetics_proposals is not None and (ava / "annotations" / TRAIN_PROPOSALS).exists():
        numbers |= _merge_proposals(
            data, kinetics_proposals, ava / "annotations" / TRAIN_PROPOSALS, annotations / TRAIN_PROPOSALS, told
        )
    numbers["links"] = link_frames(data, ava / "rawframes", kinetics / "rawframes")
    return numbers


def _merge_proposals(data: DataRoot, kinetics: Path, ava: Path, out: Path, told: list[str]) -> dict[str, Any]:
    """Write the proposals of both; the numbers are those of the written file, read back. ``told`` receives moved
    files.
    """
    own, _ = read_proposals(kinetics)
    theirs, rejected = read_proposals(ava)
    shared = len(own.keys() & theirs.keys())
    with placing(data, out) as new:
        write_proposals(merge_proposals(own, theirs), new.path)
    if new.told:
        told.append(f"{out.name}: {new.told}")
    count = len(own)
    del own  # three such files at once would take a third more memory
    both, _ = read_proposals(out)
    same = sum(key in both and np.array_equal(both[key], boxes) for key, boxes in theirs.items())
    return {
        "kinetics_keys": count, "ava_keys": len(theirs), "shared_keys": shared, "keys": len(both),
        "rejected_keys": len(rejected), "ava_identical": same, "proposals": out,
    }  # fmt: skip
