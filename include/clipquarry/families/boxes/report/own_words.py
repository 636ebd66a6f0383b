"""Sentences about the numbers of a person's own AVA: what they mean before anybody trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clipquarry.families.boxes.report.own_data import OwnAction, OwnBoxes, OwnSplit
from clipquarry.report.text import clean, number, plural

ENOUGH = 25
"""Labels from which an action counts as learnable. Source: AVA evaluates the actions with at least 25 examples in val and in test."""
TRAIN, VAL = "train", "val"
_NAMED = 12


def balance(actions: Sequence[OwnAction], split: str = TRAIN) -> str:
    """The imbalance of a split in one sentence; empty without any label in it."""
    counts = [(one.splits.get(split, 0), one) for one in actions]
    some = [(count, one) for count, one in counts if count]
    if not some:
        return ""
    most, least = max(some, key=lambda pair: pair[0]), min(some, key=lambda pair: pair[0])
    none = len(counts) - len(some)
    without = f" {plural(none, 'action has', 'actions have')} none." if none else ""
    if len(some) == 1:
        return f"Only “{clean(most[1].name, 60)}” has labels in {split}, {number(most[0])}.{without}" if none else ""
    if most[0] == least[0]:
        each = f"Each of {len(some)} actions" if none else "Every action"
        return f"{each} has {plural(most[0], 'label')} in {split}.{without}"
    ratio = most[0] / least[0]
    shown = number(ratio) if ratio >= 10 else f"{ratio:.1f}".removesuffix(".0")
    return (
        f"In {split}, “{clean(most[1].name, 60)}” has {plural(most[0], 'label')} and “{clean(least[1].name, 60)}” "
        f"{number(least[0])}: {shown} to 1.{without}"
    )


def advice(actions: Sequence[OwnAction], splits: Sequence[str], *, copied: bool = False) -> Iterator[str]:
    """What is to be done about actions that are rare or absent, a sentence a kind. ``copied``: val is a copy of train, as asked."""
    counts = {split: {one.name: one.splits.get(split, 0) for one in actions} for split in (TRAIN, VAL)}
    if TRAIN not in splits:
        return
    train, val = counts[TRAIN], counts[VAL]
    if none := [name for name, count in train.items() if not count]:
        yield f"None in train, so that nobody can learn them: {_names(none)}. Label crops in which people do this, or take it out of the list of actions."
    if few := [name for name, count in train.items() if 0 < count < ENOUGH]:
        yield f"Fewer than {ENOUGH} labels in train: {_names(few)}. Label more crops with them, or make one action of several."
    if copied:
        yield "Val is a copy of train, as val_is_train asks: what is measured on it says nothing of other videos."
        return
    if VAL not in splits:
        if actions:
            yield "No crop is of val, so that nothing can be evaluated: add a raw video, or name those of val with val_videos."
        return
    if unseen := [name for name, count in val.items() if not count and train[name]]:
        yield f"None in val, so that nobody measures them: {_names(unseen)}. Put a raw video in which people do this into val (val_videos)."


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(f"“{clean(name, 60)}”" for name in names[:_NAMED])
    return f"{shown} and {number(len(names) - _NAMED)} more" if len(names) > _NAMED else shown


def next_steps(boxes: OwnBoxes, dataset: str) -> Iterator[str]:
    """What is to be done next, in order."""
    whole = boxes.total
    if whole.crops > whole.there:
        lacking = whole.crops - whole.there
        yield f"{plural(lacking, 'crop has', 'crops have')} no frames here: the table of missing clips says why."
    if not whole.there:
        return
    left = whole.there - whole.labelled
    if left and not boxes.asked:
        yield (
            f"Label {plural(whole.frames, 'key frame')} of {plural(whole.there, 'crop')}: start the data set {dataset} again with "
            "labels=true, which makes a project of each crop and waits for you (label_days)."
        )
        return
    if boxes.annotators == 2:
        yield from _for_two(whole)
    elif whole.waiting:
        where = "on the page Labelling in Airflow, or in these folders" if boxes.page else "in these folders"
        which = "crop that is" if whole.waiting == 1 else f"{number(whole.waiting)} crops that are"
        yield (
            f"Label the {which} left, {where}: open NAME_proposal.json in VIA 3, and save it beside as "
            "NAME_finish.json."
        )
    if whole.wrong and boxes.annotators == 1:
        yield f"Correct the {plural(whole.wrong, 'project')} in which something is wrong: the table below says where, and what."
    labels, crops = boxes.set_aside
    if labels:
        yield (
            f"{plural(labels, 'label')} of {plural(crops, 'crop')} {'is' if labels == 1 else 'are'} set aside, because the key frames are no "
            "longer asked for (own/set_aside.csv of the run's folder): to use them, give the crops and the margin that they had."
        )
    if left:
        return
    if boxes.advice:
        yield "Look at the actions below before you train: some of them are rare or absent."
    yield "Train with annotations/mmaction2_config.py in the data set's folder."


def _for_two(whole: OwnSplit) -> Iterator[str]:
    """What is left where two people label each crop on their own."""
    page = "on the page Labelling in Airflow"
    if whole.waiting or whole.by_one:
        yield (
            f"Label {page} what is left, two people each crop: {plural(whole.waiting, 'crop waits', 'crops wait')} for both, "
            f"{number(whole.by_one)} for the second."
        )
    if whole.to_settle:
        yield f"Compare and settle {plural(whole.to_settle, 'crop')} {page}: both people are done there."
    if whole.wrong:
        yield (
            f"Move the finished projects of {plural(whole.wrong, 'crop')} away: with annotators=2 the page counts, and no file. The table "
            "below names them."
        )
