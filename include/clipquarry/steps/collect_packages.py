"""The step ``collect_packages``: takes pickles of many samples as they were published, each to its place in the layout.

As the step ``collect`` does; a file is verified by a pass over all samples, which reads no array: it is whole, holds plain values and
arrays alone, and calls nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from clipquarry.annotations.pickle_stream import PickleStream
from clipquarry.errors import UserError
from clipquarry.files import sha256_of
from clipquarry.media.errors import MediaError
from clipquarry.reasons import Reason
from clipquarry.steps.base import StepContext, require_space
from clipquarry.steps.collect import CollectParams, CollectStep, sources_of
from clipquarry.steps.whole_file import Desk
from clipquarry.store import Facts

SUFFIX = ".pkl"


class PackageDesk(Desk):
    """Verifies pickles in the place of videos."""

    def verified(self, file: Path, source: str) -> Facts:
        """Raises MediaError for a file that is no whole pickle, or calls anything."""
        try:
            with PickleStream(file, "package") as stream:
                stream.verify("annotations")
        except UserError as error:
            if isinstance(error.__cause__, OSError):  # the disk's fault, not the file's
                raise
            # Its first words are the path of a file on its way.
            raise MediaError(Reason.CORRUPT, str(error).removeprefix(f"{file} ").rstrip(".")) from error
        return {"source": source, "sha256": sha256_of(file)}


class CollectPackagesStep(CollectStep):
    """See the module."""

    name: ClassVar[str] = "collect_packages"
    version: ClassVar[int] = 1

    @classmethod
    def make_desk(cls, ctx: StepContext[CollectParams]) -> Desk:
        return PackageDesk(ctx, sources_of(ctx, (SUFFIX,)), decode=False)

    def preflight(self, ctx: StepContext[CollectParams]) -> None:
        """UserError for a wrong source; RetryLater with too little disk."""
        require_space(ctx.data, ctx.params.min_free_gb)
        self._desk(ctx).cache.sweep()
