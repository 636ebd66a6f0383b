"""What a clip looks like after its operations, whoever made them: registers that keep every value that nobody has seen.

The rule, which ``plugins/clipquarry_airflow/labelling/static/state.js`` has too (a test compares both): a write replaces the
values that its window had seen (``seq <= base``) and that window's own. Any other value stays beside it. Two different values of a
register are a *conflict*: the earlier one is shown, and both stay until somebody chooses (``resolves``). A box that one person
deletes and another one changes without knowing is a conflict of ``alive``. So operations on different registers commute, and
nothing that a person wrote disappears unless a person saw it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from clipquarry.labelling.model import Clip, Region
from clipquarry.labelling.operations import ALIVE, BOX, CLIP, COMPARED, DONE, FRAME, LABELS, TRACK, Operation, Write


@dataclass(frozen=True)
class Value:
    """A register's value, and the operation that wrote it; ``seq`` 0 and no author: the project was made with it."""

    value: Any
    seq: int = 0
    by: str = ""
    client: str = ""
    op: str = ""

    def plain(self) -> list[Any]:
        return [
            list(self.value) if isinstance(self.value, tuple) else self.value,
            self.seq,
            self.by,
            self.client,
            self.op,
        ]


@dataclass(frozen=True)
class Conflict:
    """A register with more than one value; ``values`` in the order in which they came."""

    region: str
    field: str
    values: tuple[Value, ...]


Registers = dict[str, list[Value]]


@dataclass
class State:
    """All registers of a clip, by region (in the order in which they began) and field."""

    regions: dict[str, Registers] = field(default_factory=dict)
    seq: int = 0

    @classmethod
    def of(cls, clip: Clip) -> State:
        """A clip as the project was made with it."""
        state = cls()
        for region in clip.regions:
            registers = state.regions[region.id] = {
                FRAME: [Value(region.frame)],
                BOX: [Value(tuple(region.box))],
                TRACK: [Value(region.track)],
                ALIVE: [Value(True)],
            }
            registers.update({f"{LABELS}{one}": [Value(tuple(options))] for one, options in region.labels.items()})
        return state

    def apply(self, operation: Operation) -> None:
        """Operations come in the order of their ``seq``."""
        for write in operation.writes:
            self._write(operation, write)
        self.seq = max(self.seq, operation.seq)

    def _write(self, op: Operation, write: Write) -> None:
        new = Value(write.value, op.seq, op.by, op.client, op.op)
        registers = self.regions.get(write.region)
        if registers is None:
            if write.region != CLIP and write.field != FRAME:
                return  # checked before it was kept: only a journal that was written by hand can hold it
            registers = self.regions[write.region] = {} if write.region == CLIP else {ALIVE: [_same(new, True)]}
        old = registers.get(write.field, [])
        seen = op.base if len(old) < 2 or write.resolves else -1
        kept = [one for one in old if one.client != op.client and one.seq > seen and one.value != new.value]
        registers[write.field] = [*kept, new]
        if write.region == CLIP or write.field == FRAME:
            return
        alive = registers[ALIVE]
        if write.field != ALIVE:
            unseen = any(one.value is False and one.client != op.client and one.seq > op.base for one in alive)
            if unseen and not any(one.value is True for one in alive):
                alive.append(_same(new, True))
        elif write.value is False and len(alive) == 1:
            others = [one for field, values in registers.items() if field not in (ALIVE, FRAME) for one in values]
            others = [one for one in others if one.client != op.client and one.seq > op.base]
            if others:
                registers[ALIVE] = [_same(max(others, key=lambda one: one.seq), True), new]

    # What it shows

    def value(self, region: str, field: str, default: Any = None) -> Any:
        """The value that is shown: of a conflict the earlier one; a box that somebody wants to keep is shown."""
        values = self.regions.get(region, {}).get(field)
        if not values:
            return default
        return any(one.value for one in values) if field == ALIVE else values[0].value

    def alive(self) -> Iterator[str]:
        """The regions that are not deleted."""
        return (one for one in self.regions if one != CLIP and self.value(one, ALIVE))

    def without(self, frames: Container[str]) -> State:
        """The state without the boxes of some frames; its registers are these themselves, and no copies."""
        kept = {
            name: one for name, one in self.regions.items() if name == CLIP or self.value(name, FRAME) not in frames
        }
        return State(kept, self.seq)

    @property
    def done(self) -> bool:
        return bool(self.value(CLIP, DONE, False))

    @property
    def compared(self) -> frozenset[str]:
        """The frames in which two people's work became one; of a state that is nobody's result none."""
        return frozenset(self.value(CLIP, COMPARED, ()))

    def labels(self, region: str) -> dict[str, tuple[str, ...]]:
        """The chosen options of a region, by attribute; attributes without any are left out."""
        fields = sorted(one for one in self.regions[region] if one.startswith(LABELS))
        return {one.removeprefix(LABELS): tuple(chosen) for one in fields if (chosen := self.value(region, one))}

    def conflicts(self) -> list[Conflict]:
        """Registers with several values; of a deleted box none."""
        return [
            Conflict(region, field, tuple(values))
            for region, registers in self.regions.items()
            if region == CLIP or self.value(region, ALIVE)
            for field, values in registers.items()
            if len(values) > 1
        ]

    def doubles(self) -> list[tuple[str, int, tuple[str, ...]]]:
        """Frames in which several boxes have one person's number: frame, number, boxes."""
        seen: dict[tuple[str, int], list[str]] = defaultdict(list)
        for region in self.alive():
            if (track := self.value(region, TRACK)) is not None:
                seen[(self.value(region, FRAME), track)].append(region)
        return [(frame, track, tuple(found)) for (frame, track), found in seen.items() if len(found) > 1]

    def clip(self, made_with: Clip) -> Clip:
        """The clip as it is now: the frames that it was made with, the boxes that are not deleted."""
        order = {frame.name: at for at, frame in enumerate(made_with.frames)}
        regions = [
            Region(one, self.value(one, FRAME), self.value(one, BOX), self.value(one, TRACK), self.labels(one))
            for one in self.alive()
        ]
        return Clip(made_with.id, made_with.frames, tuple(sorted(regions, key=lambda one: order[one.frame])))

    # As JSON, for snapshots and pages

    def plain(self) -> dict[str, Any]:
        regions = {
            region: {field: [one.plain() for one in values] for field, values in registers.items()}
            for region, registers in self.regions.items()
        }
        return {"seq": self.seq, "regions": regions}

    @classmethod
    def from_plain(cls, told: Any) -> State:
        """The inverse of :meth:`plain`. Raises KeyError, TypeError or ValueError for anything else."""
        regions = {
            region: {field: [Value(_tupled(one[0]), *one[1:]) for one in values] for field, values in registers.items()}
            for region, registers in told["regions"].items()
        }
        return cls(regions, int(told["seq"]))


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _same(of: Value, value: Any) -> Value:
    """Another value by the author of one."""
    return Value(value, of.seq, of.by, of.client, of.op)


def folded(clip: Clip, operations: Iterable[Operation]) -> State:
    """The state of a clip after operations in their order."""
    state = State.of(clip)
    for operation in operations:
        state.apply(operation)
    return state


def inverse(before: State, operation: Operation) -> list[Write]:
    """What takes an operation back, from the state before it: registers get the value that they showed, new boxes are deleted."""
    new = {one.region for one in operation.writes if one.field == FRAME}
    writes = [Write(one, ALIVE, False) for one in sorted(new)]
    for one in operation.writes:
        if one.region not in new:
            empty: Any = () if one.field.startswith(LABELS) else False if one.field == DONE else None
            writes.append(Write(one.region, one.field, before.value(one.region, one.field, empty)))
    return writes
