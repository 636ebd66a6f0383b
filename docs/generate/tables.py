"""The generated regions of the pages, by name. Each function gives Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import facts
from facts import CATALOGUE, INVARIANTS, ROOT, Check, DatasetSpec, DiskSize, Task

_ROW = 7
"""Arrows in one line of a graph."""
NOTES = ROOT / "docs" / "notes"
_DOES = {"error": "blocks", "warn": "warns", "info": "is told"}
_ACCESS = {
    "open": "everybody",
    "crawl": "everybody; videos disappear",
    "registration": "who registers",
    "request-form": "who asks with a form",
    "own": "whoever has the files",
    "mixed": "a part is open",
    "closed": "nobody new",
}
_NEEDS = "What comes by itself, and the disk for all items of the usual splits (≈: unverified, or [our estimate](docs/disk.md)):"
_ASKS = {
    "registration": "register",
    "request-form": "send a form",
    "mixed": "ask for a part",
    "closed": "have an old copy",
    "own": "bring the files",
}
"""What a person must do first, by the kind of access."""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"|{'|'.join(line)}|" if line[0] == "---" else f"| {' | '.join(line)} |" for line in lines)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _shown(value: object) -> str:
    """A default in a table: ``off`` for False, ``none`` for what is empty, ``unset`` for None."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "on" if value else "off"
    if value in ("", [], ()):
        return "none"
    return f"{value:g}" if isinstance(value, float) else f"`{value}`" if isinstance(value, str) else str(value)


def _lines(page: str) -> dict[str, str]:
    """The hand-written lines ``- `name`: text`` of a page of notes."""
    text = (NOTES / page).read_text(encoding="utf-8")
    return dict(re.findall(r"^- `(\w+)`: (.+)$", text, re.MULTILINE))


def _note(folder: str, name: str) -> str:
    file = NOTES / folder / f"{name}.md"
    return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def _strangers(kind: str, found: Iterable[str], known: Iterable[str]) -> None:
    if unknown := sorted(set(found) - set(known)):
        raise SystemExit(f"make docs: docs/notes/{kind} has a note on '{unknown[0]}', which the product has not")


# --- data sets and DAGs


def data_sets() -> str:
    def row(spec: DatasetSpec) -> list[str]:
        may = _ACCESS[spec.access.kind]
        may = f"[{may}]({spec.access.page})" if spec.access.page else may
        terms = f"; {spec.access.licence}" if spec.access.licence else ""
        return [spec.title, f"`{spec.name}`", facts.sample_of(spec), facts.bytes_of(spec), may + terms]

    heads = ["data set", "name", "a sample is", "its videos come as", "who may have it"]
    return f"{_table(heads, map(row, facts.data_sets()))}\n\n{_NEEDS}\n\n{_needs()}"


def _needs() -> str:
    """What comes by itself, what a person must do, and the disk for all items of the usual splits."""

    def row(spec: DatasetSpec) -> list[str]:
        frames, flow, both = (spec.disk.get(kind) for kind in ("rawframes", "flow", "rawframes_flow"))
        together = [both] if both else [frames, flow] if frames and flow else []
        return [
            f"`{spec.name}`", ", ".join(facts.automatic(spec)) or "nothing", _person(spec), _size(spec.disk.get("videos")), _size(frames),
            _size(*together),
        ]  # fmt: skip

    heads = ["name", "automatic", "a person must do", "videos", "frames", "frames and flow"]
    return _table(heads, (row(spec) for spec in facts.data_sets() if not facts.is_demo(spec)))


def _person(spec: DatasetSpec) -> str:
    asks = [_ASKS[spec.access.kind]] if spec.access.kind in _ASKS else []
    asks += [f"set `{name}`" for name in facts.passwords_of(spec)]
    if not asks and not facts.automatic(spec):
        asks = ["place the files"]
    placed = facts.placeable(spec)
    return (", ".join(asks) or "nothing") + (f"; if a site fails: {' and '.join(placed)} by hand" if placed else "")


def _size(*sizes: DiskSize | None) -> str:
    """The sum in GB or TB; a sign before what is our estimate, or not verified."""
    known = [one for one in sizes if one is not None]
    if not known:
        return "not published"
    total = sum(one.gb for one in known)
    sure = all(one.provenance not in ("estimate", "memory") for one in known)
    return f"{'' if sure else '≈ '}{f'{total / 1000:.1f} TB' if total >= 1000 else f'{total:.0f} GB'}"


def dags() -> str:
    return _table(
        ["data set", "full DAG", "refresh DAG", "schedule of the refresh"],
        (
            [spec.title, f"`{spec.name}`", f"`{name}`" if name else "none", f"`{when}`" if when else "by hand" if name else ""]
            for spec in facts.data_sets()
            for name, when in [facts.refresh_of(spec)]
        ),
    )  # fmt: skip


def graphs() -> str:
    """A drawing for each graph that differs: an edge a line, chains together."""
    drawn = facts.by_value(lambda spec: tuple(_edges(facts.tasks_of(spec))), facts.data_sets())
    return "\n\n".join(
        f"{_code(spec.name for spec in specs)}:\n\n```mermaid\nflowchart LR\n{_chains(list(edges))}\n```"  # type: ignore[call-overload]
        for edges, specs in drawn
    )


def _edges(tasks: tuple[Task, ...]) -> Iterator[tuple[str, str]]:
    """The arrows of the DAG, as ``clipquarry_airflow/dags.py`` draws them."""
    named = {task.name: task for task in tasks}
    for task in tasks:
        first = f"{task.name}_shards" if task.is_step else task.name
        if task.is_step:
            yield first, task.name
        for need in task.needs:
            if task.is_step and named[need].is_step:
                yield need, task.name
                yield from ((earlier, first) for earlier in named[need].needs)
            else:
                yield need, first
    yield "report", "verdict"


def _chains(edges: list[tuple[str, str]]) -> str:
    """Edges as lines of Mermaid; a line goes on as long as the way does."""
    left, lines = list(edges), []
    while left:
        chain = list(left.pop(0))
        while following := next((edge for edge in left if edge[0] == chain[-1]), None):
            left.remove(following)
            chain.append(following[1])
        while before := next((edge for edge in left if edge[1] == chain[0]), None):
            left.remove(before)
            chain.insert(0, before[0])
        # A long way is several lines, each from where the one before it ends.
        pieces = [chain[at : at + _ROW + 1] for at in range(0, max(len(chain) - 1, 1), _ROW)]
        lines += [f"  {' --> '.join(piece)}" for piece in pieces]
    return "\n".join(lines)


def _uses() -> dict[str, list[tuple[DatasetSpec, Task]]]:
    """Every task by name, in the order of the runs."""
    found: dict[str, list[tuple[DatasetSpec, Task]]] = {}
    for spec in facts.data_sets():
        for task in facts.tasks_of(spec):
            found.setdefault(task.name, []).append((spec, task))
    order = _merged([task.name for task in facts.tasks_of(spec)] for spec in facts.data_sets())
    return {name: found[name] for name in order}


def _merged(orders: Iterable[Iterable[str]]) -> list[str]:
    """All names once; one that is new comes behind the one before it."""
    merged: list[str] = []
    for order in orders:
        at = 0
        for name in order:
            if name not in merged:
                merged.insert(at, name)
            at = merged.index(name) + 1
    return merged


def tasks() -> str:
    notes, rows = _lines("tasks.md"), []
    for name, uses in _uses().items():
        specs = [spec for spec, _ in uses]
        of = {spec.name: task for spec, task in uses}
        which = _which(specs)
        pool = _spread(facts.by_value(lambda spec: f"`{of[spec.name].pool}`", specs))  # noqa: B023
        box = _spread(facts.by_value(lambda spec: f"`{of[spec.name].phase}`", specs))  # noqa: B023
        does = _spread(facts.by_value(lambda spec: of[spec.name].title, specs))  # noqa: B023
        if uses[0][1].is_step:
            shards = f"Cuts the work of `{name}` into shards, one task each. {notes.get(f'{name}_shards', '')}".strip()
            rows.append([f"`{name}_shards`", box, which, "`clipquarry_cpu`", shards])
            does += " One task per shard."
        rows.append([f"`{name}`", box, which, pool, f"{does} {notes.get(name, '')}".strip()])
    rows.append(["`verdict`", "", "all", "default", "Turns green or red, and says in one sentence why."])
    _strangers("tasks.md", notes, [row[0].strip("`") for row in rows])
    return _table(["task", "box", "data sets", "pool", "what it does"], rows)


def _spread(groups: list[tuple[object, list[DatasetSpec]]]) -> str:
    """A value, or a sentence, and where data sets differ in it the others with their names."""
    (value, _), *others = groups
    of, between = ("Of", " ") if str(value).endswith(".") else ("of", "; ")
    return between.join([str(value), *(f"{of} {_which(specs)}: {other}" for other, specs in others)])


def _which(specs: Iterable[DatasetSpec]) -> str:
    return facts.which(specs, facts.data_sets())


def pools() -> str:
    return _table(["pool", "slots", "for"], ([f"`{name}`", str(slots), what] for name, slots, what in facts.pools()))


def assets() -> str:
    outlets: dict[str, list[tuple[DatasetSpec, Task]]] = {}
    for uses in _uses().values():
        for spec, task in uses:
            if task.outlet:
                outlets.setdefault(task.outlet, []).append((spec, task))
    return _table(
        ["asset", "made by", "data sets"],
        (
            [f"`{{dataset}}/{outlet}`", _code(dict.fromkeys(task.name for _, task in uses)),
             _which(spec for spec, _ in uses)]
            for outlet, uses in outlets.items()
        ),
    )  # fmt: skip


# --- parameters


def params(family: str = "") -> str:
    """The parameters that all data sets have, or what a family has beside them."""
    specs = [spec for spec in facts.data_sets() if family in ("", facts.family_of(spec))]
    found = [one for one in facts.parameters() if one.is_shared is not bool(family) and one.spec in specs]
    notes, rows = _lines("params.md"), []
    _strangers("params.md", notes, {one.name for one in facts.parameters()})
    for name in dict.fromkeys(one.name for one in found):
        of = {one.spec.name: one for one in found if one.name == name}
        having = [spec for spec in specs if spec.name in of]
        defaults = _spread(facts.by_value(lambda spec: _shown(of[spec.name].default), having))  # noqa: B023
        only = "" if len(having) == len(specs) else f"Only of {_which(having)}. "
        said = _spread(facts.by_value(lambda spec: f"{of[spec.name].meaning.rstrip('.')}.", having))  # noqa: B023
        rows.append([f"`{name}`", defaults, _cell(f"{only}{said} {notes.get(name, '')}".strip())])
    return _table(["parameter", "default", "meaning"], rows)


def families() -> str:
    """A heading and a table of parameters for each family."""
    names = dict.fromkeys(map(facts.family_of, facts.data_sets()))
    return "\n\n".join(f"### Parameters of {name}\n\n{params(name)}" for name in names)


def _cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


# --- commands


def options(*command: str) -> str:
    return _table(
        ["option", "meaning"],
        ([_cell(" / ".join(f"`{name}`" for name in names)), _cell(does)] for names, does in facts.options_of(*command)),
    )


def stages() -> str:
    """The stages of a run, by data set."""

    def of(spec: DatasetSpec) -> tuple[str, ...]:
        return tuple(task.name for task in facts.tasks_of(spec) if not task.is_step)

    return "\n".join(
        f"- {_which(specs)}: {_code(names)}"  # type: ignore[arg-type]
        for names, specs in facts.by_value(of, facts.data_sets())
    )


def steps() -> str:
    return f"`NAME` is one of {_code(facts.steps())}."


# --- checks


def gates() -> str:
    return _table(
        ["data sets", "gates, in the order of a run"],
        (
            [_which(specs), ", ".join(names)]  # type: ignore[arg-type]
            for names, specs in facts.by_value(facts.gates_of, facts.data_sets())
        ),
    )


def settings() -> str:
    return _table(
        ["setting", "default", "meaning"],
        ([f"`{name}`", _shown(default), _cell(meaning)] for name, default, meaning in facts.settings()),
    )


def checks() -> str:
    """A section for each gate, with its note, and one for each check."""
    _strangers("checks", _names("checks"), CATALOGUE)
    gates = _merged(map(facts.gates_of, facts.data_sets()))
    _strangers("gates", _names("gates"), gates)
    return "\n\n".join("\n\n".join(_gate(gate)) for gate in gates)


def _names(folder: str) -> list[str]:
    return [path.stem for path in (NOTES / folder).glob("*.md")]


def _gate(gate: str) -> Iterator[str]:
    yield f"## {gate.capitalize()}"
    if note := _note("gates", gate):
        yield note
    for check in CATALOGUE.values():
        if check.gate == gate:
            yield from _check(check)


def _check(check: Check) -> Iterator[str]:
    yield f"### `{check.id}`"
    above = f"; **error** beyond `{check.blocks_above}`" if check.blocks_above else ""
    stands = f" Stands for {check.invariant}." if check.invariant else ""
    held = f"Gate `{check.gate}`, **{check.severity}** ({_DOES[check.severity]}){above}.{stands}"
    held += " A person may approve it." if check.may_be_approved else ""
    yield f"{held} Holds when {check.title}.\n{check.why}"
    yield f"What to do: {check.advice}"
    if note := _note("checks", check.id):
        yield note


def invariants() -> str:
    def stand(invariant: str) -> list[str]:
        return [check.id for check in CATALOGUE.values() if invariant in check.invariant.split(", ")]

    return _table(
        ["invariant", "says", "checks"], ([name, says, _code(stand(name))] for name, says in INVARIANTS.items())
    )


REGIONS: dict[str, Callable[..., str]] = {
    made.__name__: made
    for made in (data_sets, dags, graphs, tasks, pools, assets, params, families, options, stages, steps, gates, settings, checks,
                 invariants)
}  # fmt: skip


def pages() -> list[Path]:
    """Pages that may have regions."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
