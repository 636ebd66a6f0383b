"""The sources of a run, and the keys under which the ledger knows them.

A key stands for a place that bytes come from. YouTube is the same for all data sets. A mirror's key is its address,
because another mirror under the same id has answered nothing yet; if the address depends on the split or the class,
each data set has keys of its own. Folders have no key: they are searched on every request, and set no clock. An
archive is read whole, so what it lacks it lacks for good.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clipquarry.acquire.template import Template, expand_environment, unset_variables
from clipquarry.datasets.model import Source
from clipquarry.errors import UserError
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.family import brings
from clipquarry.pipeline.inherit import inherited, last_params
from clipquarry.pipeline.param_checks import addresses, replaceable, switched_off

if TYPE_CHECKING:
    from clipquarry.acquire.archives.obtain import ArchiveWanted

NEAR = frozenset({"local", "dataset"})
"""Local kinds of sources: searched also for items that are not due."""

_ASKED: dict[str, Any] = {"sources": [], "local_folder": "", "mirror_url": ""}
"""Parameters that choose sources, with their values when nobody chose."""
_LOCAL_NAMES = frozenset({"split", "class", "label"})
"""Placeholders with a data set's own names; the others in a template are YouTube's."""


def enabled_sources(ctx: RunContext) -> list[Source]:
    """Item sources of the run in order, without those whose environment variable is not set."""
    by_id = {source.id: source for source in ctx.spec.item_sources}
    order = ctx.params.sources or list(by_id)
    replaced = overrides(ctx)
    return [by_id[name] for name in order if name in replaced or not switched_off(by_id[name], os.environ)]


def overrides(ctx: RunContext) -> dict[str, str]:
    """Source id to address, from the run's ``local_folder`` and ``mirror_url``."""
    return {replaceable(ctx.spec, kind)[0]: address for kind, _, address in addresses(ctx.params)}


def folders_of(ctx: RunContext) -> list[str]:
    """The folders of the run's local sources, in order; not those that a template names for each item."""
    replaced = overrides(ctx)
    local = [source for source in enabled_sources(ctx) if source.kind == "local"]
    places = [replaced.get(source.id) or expand_environment(source.path or "", os.environ) for source in local]
    return [place for place in places if place and "{" not in place]


@dataclass(frozen=True)
class Askers:
    """Ids of a run's sources, in order: those with a clock, and the archives; and the key of every id."""

    clocked: tuple[str, ...]
    archives: tuple[str, ...]
    keys: dict[str, str | None]

    @property
    def ids(self) -> tuple[str, ...]:
        """The sources of a ledger's mask, in the order of its bits."""
        return (*self.clocked, *self.archives)

    @property
    def clocks(self) -> list[str]:
        """Keys of the sources that decide what is due; an archive does so only if there is no other source."""
        return [str(self.keys[name]) for name in self.clocked or self.archives]

    @property
    def ledger_keys(self) -> list[str]:
        return [str(self.keys[name]) for name in self.ids]


def askers(ctx: RunContext) -> Askers:
    """The sources of this run."""
    replaced = overrides(ctx)
    by_id = {source.id: source for source in ctx.spec.item_sources}
    # If all of them are switched off, nobody can answer anything new: their earlier answers still hold.
    sources = enabled_sources(ctx) or [by_id[name] for name in ctx.params.sources or by_id]
    keys = {source.id: source_key(ctx, source, replaced.get(source.id)) for source in sources}
    first = {keys[source.id]: source.id for source in reversed(sources)}  # two ids with one key are one source
    return Askers(
        tuple(s.id for s in sources if keys[s.id] is not None and not is_archive(s) and first[keys[s.id]] == s.id),
        tuple(s.id for s in sources if is_archive(s)),
        keys,
    )


def of_refresh(ctx: RunContext) -> Askers:
    """Those of scheduled refreshes: the sources of the last full run, which may be this one."""
    if ctx.kind == "full" and not ctx.params.is_trial:
        return askers(ctx)
    last = {**inherited(ctx.spec, {}, last_params(ctx.spec, ctx.data))}
    plain = ctx.params.model_copy(update={name: last.get(name, empty) for name, empty in _ASKED.items()})
    return askers(RunContext(ctx.settings, ctx.spec, ctx.run, "refresh", plain, ctx.in_process))


def archive_wanted(ctx: RunContext, source: Source) -> ArchiveWanted:
    """The archive of whole items that the source is, with its volumes' places in this run."""
    from clipquarry.acquire.archives.obtain import ArchiveWanted

    assert source.archive is not None
    urls = tuple(expand_environment(url, os.environ) for url in source.all_urls)
    folders = tuple(folders_of(ctx))
    return ArchiveWanted(source.id, ctx.spec.root, source.archive, urls, tuple(source.files), folders, source.sha256)


def new_archives(ctx: RunContext, who: Askers) -> set[str]:
    """Sources whose whole archive lies there now and was never read: a person placed it, or one that holds more."""
    from clipquarry.acquire.archives.obtain import has_come

    if brings(ctx.spec) not in ("files", "mixed"):
        return set()
    archives = [source for source in enabled_sources(ctx) if source.id in who.archives]
    return {source.id for source in archives if has_come(archive_wanted(ctx, source), ctx.data)}


def is_archive(source: Source) -> bool:
    return source.kind in ("http", "manual") and source.archive is not None


def source_key(ctx: RunContext, source: Source, address: str | None = None) -> str | None:
    """The key of a source; None if it sets no clock. ``address`` replaces the YAML's."""
    never_asked = source.kind == "youtube" and brings(ctx.spec) == "videos"
    if source.kind in NEAR or not (source.kind in ("http", "youtube") or is_archive(source)) or never_asked:
        return None
    if source.kind == "youtube" and not (source.url or source.urls):
        return "youtube"
    texts: list[Any] = (
        [address]
        if address
        else [*source.all_urls, *source.files, *(source.volume_lists[s] for s in sorted(source.volume_lists))]
    )
    told = [_expanded(str(text)) for text in texts]
    scope = [ctx.spec.name] if any(_names(text) & _LOCAL_NAMES for text in told) else []
    content = "\n".join(
        [
            source.kind,
            *told,
            *(f"{k}={v}" for k, v in sorted({**source.split_names, **source.class_names}.items())),
            *scope,
        ]
    )
    return f"{source.id}:{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _expanded(text: str) -> str:
    return text if unset_variables(text, os.environ) else expand_environment(text, os.environ)


def _names(text: str) -> set[str]:
    try:
        return Template(text).names
    except UserError:  # the step reports what is wrong with it
        return set()
