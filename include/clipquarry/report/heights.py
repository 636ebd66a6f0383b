"""Heights of clips, as requested and as received: a source may give half a data set at 360 lines."""

from __future__ import annotations

from collections import Counter, defaultdict

import pyarrow as pa
import pyarrow.compute as pc

from clipquarry.report.data import HeightRow

MOST = 6
"""Heights that are listed for each request; the others are summed up."""


def heights(present: pa.Table) -> tuple[HeightRow, ...]:
    """Present clips by the height asked for (the short side, pixels), highest first; last the clips without such a
    request.
    """
    names = present.column_names
    if not {"width", "height"} <= set(names):
        return ()
    got = pc.min_element_wise(present["width"], present["height"], skip_nulls=False)
    asked = present["asked_height"] if "asked_height" in names else pa.nulls(present.num_rows, pa.int32())
    table = pa.table({"asked": asked, "got": got})
    table = table.filter(pc.is_valid(table["got"]))
    by_asked: defaultdict[int | None, Counter[int]] = defaultdict(Counter)
    for group in table.group_by(["asked", "got"]).aggregate([([], "count_all")]).to_pylist():
        by_asked[group["asked"]][group["got"]] += group["count_all"]
    return tuple(_row(key, by_asked[key]) for key in sorted(by_asked, key=lambda key: -(key or 0)))


def _row(asked: int | None, got: Counter[int]) -> HeightRow:
    common = sorted(height for height, _ in got.most_common(MOST))
    shown = tuple((str(height), got[height]) for height in reversed(common))
    rest = got.total() - sum(count for _, count in shown)
    reached = None if asked is None else sum(count for height, count in got.items() if height >= asked)
    return HeightRow(asked, got.total(), reached, (*shown, ("other", rest)) if rest else shown)
