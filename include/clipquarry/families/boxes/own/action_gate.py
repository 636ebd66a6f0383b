"""What is known of the actions before anybody trains: which are in no row, and how much rarer some are than others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from clipquarry.quality.engine import BETWEEN, IN_SET, Rule, Suite

TRAIN, VAL = "train", "val"
_CHECKS = ("labels.trained", "labels.balance", "labels.val_trained")


def of_actions(lines: pd.DataFrame, names: Mapping[int, str], splits: Sequence[str], most_times: float) -> Suite:
    """One row for each action of the list. ``lines``: the rows of all splits; ``names``: the actions by number; ``most_times``: how
    many times as many labels as another the most frequent action may have.
    """
    if TRAIN not in splits:
        return Suite("actions", pd.DataFrame(), skipped=[(check, "no crop is of train") for check in _CHECKS])
    counts = {split: lines.loc[lines["split"] == split, "action"].value_counts() for split in (TRAIN, VAL)}
    table = pd.DataFrame({"item_id": [f"action/{number}" for number in names], "name": list(names.values())})
    for split, found in counts.items():
        table[split] = [int(found.get(number, 0)) for number in names]
    # An action without any label has its own check.
    table["times"] = (table[TRAIN].max() / table[TRAIN].where(table[TRAIN] > 0)).fillna(1.0).round(2)
    table["learnt"] = (table[VAL] == 0) | (table[TRAIN] > 0)
    show = ("name", TRAIN, VAL)
    rules = [
        Rule("labels.trained", BETWEEN, {"column": TRAIN, "min_value": 1}, show=show),
        Rule("labels.balance", BETWEEN, {"column": "times", "max_value": most_times}, show=show, worst_by="times"),
    ]
    if VAL not in splits:
        return Suite("actions", table, rules, [("labels.val_trained", "no crop is of val")])
    rules.append(Rule("labels.val_trained", IN_SET, {"column": "learnt", "value_set": [True]}, show=show))
    return Suite("actions", table, rules)
