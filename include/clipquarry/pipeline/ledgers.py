"""Opening of the deployment's ledger, with the namespaces that the migration of an older ledger needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipquarry.datasets.load import load_all
from clipquarry.datasets.namespace import namespace_of
from clipquarry.settings import Settings

if TYPE_CHECKING:
    from clipquarry.ledger import Ledger


def open_ledger(settings: Settings) -> Ledger:
    """The ledger of the settings, migrated. Raises as ``Ledger.open``."""
    from clipquarry.ledger import Ledger

    return Ledger.open(settings.ledger_url, lambda: namespaces(settings))


def namespaces(settings: Settings) -> dict[str, str]:
    """Namespace of each data set's ids: ``youtube``, or the data set's own name."""
    return {name: namespace_of(spec) for name, spec in load_all(settings.dataset_folders)[0].items()}
