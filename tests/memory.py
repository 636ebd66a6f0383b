"""How much memory a call takes at its highest, measured so that nothing but the call decides."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable


def traced_peak(call: Callable[[], object], *, warm: bool = True) -> int:
    """Bytes that Python holds more at the highest moment of ``call`` than before it.

    The call runs once unmeasured (``warm=False`` where it cannot run twice), so that imports and caches of a first use are
    not taken for its own: they once made the small case of a comparison large, and hid any growth. Then the smaller of two
    counts: threads of other tests that are about to end allocate as well.
    """
    if warm:
        call()
    peaks = []
    for _ in range(2 if warm else 1):
        gc.collect()
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            call()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
        finally:
            tracemalloc.stop()
    return min(peaks)
