"""Published lists of names that no annotation file gives in full, shipped as data: each with its source, count and sha256.

The files lie in ``facts/`` beside this module: UTF-8, one name a line, in the published order, which numbers classes
from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clipquarry.annotations.small_file import read_small
from clipquarry.errors import UserError

FOLDER = Path(__file__).parent / "facts"
_GITHUB = "https://github.com/open-mmlab/mmaction2/blob"


@dataclass(frozen=True)
class NameList:
    """A file of :data:`FOLDER`. ``what`` are the names, for people; ``count`` are its lines, ``licence`` is that of the
    page it was taken from.
    """

    file: str
    what: str
    count: int
    sha256: str
    source: str
    licence: str


LISTS: Mapping[str, NameList] = {
    "activitynet": NameList(
        "activitynet_actions.txt",
        "the actions of ActivityNet 1.3",  # action_name.csv without its header; indices of features and models
        200,
        "a179ec576b1b7b627bbb8f3280a1d5cebf7cd7b22f31cbcfa036c187c59fce11",
        f"{_GITHUB}/6493d248e79ff39fa2e67ddc52f6979fa20c3dbd/tools/data/activitynet/label_map.txt",
        "Apache-2.0",
    ),
    "kinetics710": NameList(
        "kinetics710_classes.txt",
        "the classes of Kinetics-710",  # in an order of their own: the first 400 are those of Kinetics-400
        710,
        "a853307b4880565c2abf199b593baf8a7bc24a10a0875cac6569d1f70f041c5c",
        f"{_GITHUB}/e10347bd299f66b699737c0bd564423614ba9747/tools/data/kinetics710/label_map_k710.txt",
        "Apache-2.0",
    ),
    "finegym99": NameList(
        "finegym99_elements.txt",
        "the elements of FineGYM's Gym99",  # 0-based lines 58 and 70 have one name: an index cannot be found by it
        99,
        "307861ed4285f6c3a8ae7812d7a18bd5802bdb1af505868478edc02bec6d1c29",
        f"{_GITHUB}/771a31cbe51ad554648c8d6cbcdae06af4b439ed/tools/data/gym/label_map.txt",
        "Apache-2.0",
    ),
    "moments313": NameList(
        "moments313_actions.txt",
        "the actions of Multi-Moments in Time",
        313,
        "95a2e27c638a1c5a2d8e07101c34eb0a6c0de8aa6e29ea035409ec6412c8be31",
        f"{_GITHUB}/430b0b66fcfc4d8e3d8d8766174e7d0612d6a40b/tools/data/mmit/label_map.txt",
        "Apache-2.0",
    ),
    "ntu60_missing": NameList(
        "ntu_rgbd_missing_skeletons.txt",
        "the samples of NTU RGB+D with missing or incomplete skeletons",
        302,
        "4a964781573e86c3f3bb24d489d2b4768d2d03ede396d20ea9c09ddc92b6df18",
        f"{_GITHUB}/04d26147880193ca9c09031e1b6c34df9fddb4fb/tools/data/skeleton/NTU_RGBD_samples_with_missing_skeletons.txt",
        "Apache-2.0",
    ),
    "ntu120_missing": NameList(
        "ntu_rgbd120_missing_skeletons.txt",
        "the samples of NTU RGB+D 120 with missing or incomplete skeletons",
        535,
        "f8abc124c4fc4b4e8f144caa34948f8307e5d7dcba17acf96132c9f311ff93cf",
        f"{_GITHUB}/04d26147880193ca9c09031e1b6c34df9fddb4fb/tools/data/skeleton/NTU_RGBD120_samples_with_missing_skeletons.txt",
        "Apache-2.0",
    ),
}


def known_names(which: str, folder: Path = FOLDER) -> tuple[str, ...]:
    """The names of one of :data:`LISTS`, in order; a name may stand there twice (``finegym99``).

    Raises :class:`UserError` where the file is not the one that was shipped.
    """
    told = LISTS[which]
    path = folder / told.file
    content = read_small(path, "list of names")
    if hashlib.sha256(content).hexdigest() != told.sha256:
        raise UserError(
            f"{path} is not the list that was shipped ({told.count} names, sha256 {told.sha256[:12]}…): install "
            "clipquarry again."
        )
    return tuple(content.decode().splitlines())
