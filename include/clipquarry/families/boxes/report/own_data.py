"""The data of the section "Boxes" of a person's own AVA, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from clipquarry.families.boxes.report.data import KeyFrame
from clipquarry.report.data import Histogram


@dataclass(frozen=True)
class OwnSplit:
    """One split. ``crops`` are those of the list, ``there`` those with frames; each of these is ``labelled``, ``wrong`` (its
    project is to be corrected) or ``waiting``; of two annotators' crops also ``by_one`` (it waits for the second) or ``to_settle``.

    ``wanted_frames`` are the key frames to label that the list promises, ``frames`` those that are there: ``with_labels``, ``bare``
    (of a labelled crop, nobody in them has an action) or ``left`` (of the other crops). ``boxes`` and ``labels`` are those of the
    labelled crops.
    """

    split: str
    crops: int = 0
    there: int = 0
    labelled: int = 0
    wrong: int = 0
    waiting: int = 0
    by_one: int = 0
    to_settle: int = 0
    wanted_frames: int = 0
    frames: int = 0
    with_labels: int = 0
    bare: int = 0
    left: int = 0
    boxes: int = 0
    without_action: int = 0
    labels: int = 0


@dataclass(frozen=True)
class OwnAction:
    """An action of the list, numbers from 1, with its labels by split."""

    number: int
    group: str
    name: str
    splits: dict[str, int]

    @property
    def labels(self) -> int:
        return sum(self.splits.values())


@dataclass(frozen=True)
class OwnActionAgreement:
    """How far two annotators agree on an action: boxes on which both say yes, one of them alone, neither. ``agreed`` is the share on
    which both say the same, ``kappa`` Cohen's; None where they have no value.
    """

    group: str
    name: str
    both: int
    first_only: int
    second_only: int
    neither: int
    agreed: float | None
    kappa: float | None


@dataclass(frozen=True)
class OwnAgreement:
    """On the ``clips`` on which both are done: the ``boxes`` that both have are counted, those ``boxes_of_one`` alone are not."""

    clips: int
    boxes: int
    boxes_of_one: int
    actions: tuple[OwnActionAgreement, ...]


@dataclass(frozen=True)
class OwnProposals:
    """People that a detector found on the key frames to label: ``frames`` have somebody, ``bare`` nobody."""

    split: str
    source: str
    frames: int
    bare: int
    boxes: int


@dataclass(frozen=True)
class OwnBoxes:
    """The section. ``problems`` name every absent or damaged table; what depends on it is empty, None or 0."""

    splits: tuple[OwnSplit, ...]
    actions: tuple[OwnAction, ...]
    per_key_frame: Histogram | None
    ids: dict[str, int]
    """Labelled people by where their ids come from."""
    untracked: tuple[tuple[str, str], ...]
    """Labelled crops that have no tracks, and why."""
    wrong: tuple[tuple[str, str], ...]
    """Where something of the labels is wrong, and what."""
    more_wrong: int
    looked_at: int | None
    """Key frames in which people are detected, also those at either end of a crop; None: nobody asked."""
    proposals: tuple[OwnProposals, ...]
    to_do: tuple[str, ...]
    """Folders of crops that are not labelled, below the data root."""
    key_frames: tuple[KeyFrame, ...]
    asked: bool
    """The run was to read labels."""
    page: bool
    """The crops can be labelled on the labelling page."""
    problems: tuple[str, ...]
    annotators: int = 1
    """Of each crop."""
    agreement: OwnAgreement | None = None
    """Of two annotators, once labels were read."""
    set_aside: tuple[int, int] = (0, 0)
    """Labels of key frames that are no longer asked for, and the crops that have them."""
    balance: str = ""
    """The imbalance in one sentence."""
    advice: tuple[str, ...] = ()
    """What is to be done about it, a sentence for each kind of action."""
    next_steps: tuple[str, ...] = ()
    items: str = "crops"

    @property
    def total(self) -> OwnSplit:
        """The sums of all splits."""
        numbers = {
            name: sum(getattr(one, name) for one in self.splits) for name in OwnSplit.__annotations__ if name != "split"
        }
        return OwnSplit("all", **numbers)
