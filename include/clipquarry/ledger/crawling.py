"""What a crawl asks of the ledger: its questions in order, the rates behind them, and what data sets share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from clipquarry.ledger import crawl
from clipquarry.ledger.crawl import Pace, Question, Rates, SharedWith
from clipquarry.ledger.due import YOUTUBE, Asked
from clipquarry.ledger.engine import reading
from clipquarry.ledger.queries import Queries


class Crawling(Queries):
    """A part of :class:`clipquarry.ledger.Ledger`."""

    def questions(
        self, now: datetime, dataset: str | None = None, *, egress: str = "default", sources: Sequence[str] | None = None,
        known: Rates | None = None,
    ) -> Iterator[Question]:  # fmt: skip
        """The videos of which a data set (None: any) lacks windows that are due, in the order in which to ask for them.

        ``sources``: keys of the run's sources. Memory does not grow with the number of videos. One that was never asked
        for is due, too. ``known``: the rates; None: as of now. Order: see :mod:`clipquarry.ledger.crawl`.
        """
        keys = self._keys(dataset)
        asked = Asked((YOUTUBE,)) if dataset is None else self._asks(keys[0][1], keys[0][0], sources)
        with reading(self._engine) as conn:
            known = known if known is not None else crawl.rates(conn, egress)
            yield from crawl.questions(conn, [key for _, key in keys], now, egress, asked, known)

    def rates(self, *, egress: str = "default", source: str = YOUTUBE) -> Rates:
        """How the questions to YouTube ended so far, of all data sets."""
        with reading(self._engine) as conn:
            return crawl.rates(conn, egress, source)

    def pace(self, now: datetime, *, egress: str = "default", source: str = YOUTUBE) -> Pace:
        """Questions to YouTube in the last 30 days, of all data sets."""
        with reading(self._engine) as conn:
            return crawl.pace(conn, now, egress, source)

    def shared(self, dataset: str) -> list[SharedWith]:
        """What a data set shares with others: videos, windows, and those that only the other one has."""
        ((_, key),) = self._keys(dataset)
        with reading(self._engine) as conn:
            return crawl.shared(conn, key)
