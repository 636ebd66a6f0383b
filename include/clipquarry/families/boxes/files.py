"""The annotation files of AVA and AVA-Kinetics, and their download."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clipquarry.acquire.annotation_files import AnnotationFile, download_annotations, files_of_splits
from clipquarry.acquire.annotation_source import FileWanted
from clipquarry.datasets.model import DatasetSpec
from clipquarry.families.boxes.tables import SplitFiles
from clipquarry.layout import placing
from clipquarry.pipeline.annotation_choice import annotation_spec, check_kept, remember
from clipquarry.pipeline.context import RunContext
from clipquarry.settings import DataRoot

log = logging.getLogger(__name__)

FOLDER = "annotations"
_EVALUATED = {
    "v2.1": "ava_action_list_v2.1_for_activitynet_2018.pbtxt",
    "v2.2": "ava_action_list_v2.2_for_activitynet_2019.pbtxt",
}
_KINETICS_ACTIONS = "ava_action_list_v2.2.pbtxt"
_KINETICS_EVALUATED = ("ava_action_list_v2.2_for_activitynet_2019.pbtxt", "ava_action_list_v2.2_for_activitynet.pbtxt")
PROPOSALS = "ava_dense_proposals_{split}.FAIR.recall_93.9.pkl"


@dataclass(frozen=True)
class Files:
    """The files of the chosen splits. ``lists``: AVA's lists of file names, by split."""

    splits: dict[str, SplitFiles]
    actions: Path
    evaluated: Path | None
    lists: dict[str, Path] = field(default_factory=dict)
    obtained: list[dict[str, str]] = field(default_factory=list)


def _bring(
    run: RunContext | None, spec: DatasetSpec, data: DataRoot, wanted: Sequence[FileWanted], version: str | None = None
) -> list[AnnotationFile]:
    """Download the files from the sources that the run chose; ``run`` is None for files of another data set than the
    run's.
    """
    if run is None:
        return download_annotations(spec, data, wanted, version=version)
    check_kept(run, (one.path for one in wanted))
    obtained = download_annotations(annotation_spec(run), data, wanted, version=version)
    remember(run, obtained)
    return obtained


def _told(obtained: Sequence[AnnotationFile]) -> list[dict[str, str]]:
    for one in obtained:
        log.info(f"{one.label}: {one.path} ({one.source}, sha256 {one.sha256[:12]}…)")
    return [{"part": one.label, "source": one.source, "sha256": one.sha256} for one in obtained]


def _names(split: str, version: str) -> tuple[str, str, str]:
    """A split's list of file names, csv and excluded timestamps."""
    listed = f"ava_file_names_{'test' if split == 'test' else 'trainval'}_v2.1.txt"
    return listed, f"ava_{split}_{version}.csv", f"ava_{split}_excluded_timestamps_{version}.csv"


def excluded_name(split: str, version: str) -> str:
    return _names(split, version)[2]


def action_lists(version: str) -> tuple[str, str]:
    """The lists of all actions, and of the evaluated ones."""
    return f"ava_action_list_{version}.pbtxt", _EVALUATED[version]


def are_there(spec: DatasetSpec, data: DataRoot, version: str, split: str) -> bool:
    """Whether a split's files were downloaded before."""
    listed, csv, excluded = _names(split, version)
    names = (listed,) if split == "test" else (listed, csv, excluded)
    return all(data.dataset(spec.root, FOLDER, name).is_file() for name in names)


def download(
    spec: DatasetSpec, data: DataRoot, version: str, splits: Sequence[str], *, run: RunContext | None = None
) -> Files:
    """AVA's csvs, excluded timestamps, action lists and lists of file names. ``run``: the run of this data set, which may choose sources."""
    names = {split: _names(split, version) for split in splits}
    actions, evaluated = action_lists(version)
    wanted = [FileWanted(f"{FOLDER}/{actions}"), FileWanted(f"{FOLDER}/{evaluated}")]
    for split, (listed, csv, excluded) in names.items():
        wanted.append(FileWanted(f"{FOLDER}/{listed}"))
        # Test has no labels, and no reader asks for its csv, which is a list.
        wanted += (
            []
            if split == "test"
            else [FileWanted(f"{FOLDER}/{csv}"), FileWanted(f"{FOLDER}/{excluded}", may_be_empty=True)]
        )
    told = _told(_bring(run, spec, data, list(dict.fromkeys(wanted)), version))

    def path(name: str) -> Path:
        return data.dataset(spec.root, FOLDER, name)

    for split, (_, _, excluded) in names.items():
        if split != "test" and (aside := _drop_blank_lines(data, path(excluded))):
            taken_out = "held blank lines, at which mmaction2's reader stops: they were taken out"
            log.info(f"{excluded} {taken_out}. As it was, it is {aside}")
    files = {
        split: SplitFiles(None) if split == "test" else SplitFiles(path(csv), path(excluded))
        for split, (_, csv, excluded) in names.items()
    }
    lists = {split: path(listed) for split, (listed, _, _) in names.items()}
    return Files(files, path(actions), path(evaluated), lists, told)


def _drop_blank_lines(data: DataRoot, path: Path) -> Path | None:
    """Write a small text file anew without its blank lines; returns the place of the old one, None if it has none."""
    lines = path.read_bytes().splitlines()
    if all(line.strip() for line in lines):
        return None
    with placing(data, path) as new:
        new.path.write_bytes(b"".join(line + b"\n" for line in lines if line.strip()))
    return new.aside


def download_proposals(
    spec: DatasetSpec, data: DataRoot, splits: Sequence[str], *, run: RunContext | None = None
) -> dict[str, Path]:
    """The published proposals by split."""
    names = {split: f"{FOLDER}/{PROPOSALS.format(split=split)}" for split in splits}
    _told(_bring(run, spec, data, [FileWanted(name) for name in names.values()]))
    return {split: data.dataset(spec.root, name) for split, name in names.items()}


def download_ava_kinetics(
    spec: DatasetSpec, data: DataRoot, splits: Sequence[str], *, run: RunContext | None = None
) -> Files:
    """AVA-Kinetics' own csvs and action lists."""
    folder = Path(next(iter(spec.splits.values()))).parent
    wanted = [FileWanted(spec.splits[split]) for split in splits] + [FileWanted(f"{folder}/{_KINETICS_ACTIONS}")]
    wanted += [FileWanted(f"{folder}/{name}", optional=True) for name in _KINETICS_EVALUATED]
    told = _told(_bring(run, spec, data, wanted))
    files = {split: SplitFiles(data.dataset(spec.root, spec.splits[split])) for split in splits}
    found = (data.dataset(spec.root, str(folder), name) for name in _KINETICS_EVALUATED)
    evaluated = next((path for path in found if path.is_file()), None)
    return Files(files, data.dataset(spec.root, str(folder), _KINETICS_ACTIONS), evaluated, obtained=told)


def download_kinetics_csv(spec: DatasetSpec, data: DataRoot, split: str) -> Path:
    """The annotation csv of a split of Kinetics-700."""
    told = download_annotations(spec, data, files_of_splits(spec, [split]))
    _told(told)
    return told[0].path
