"""What several files of this folder share, and what is made once for all of them."""

from __future__ import annotations

from chain_fixture import made_chain as made_chain
