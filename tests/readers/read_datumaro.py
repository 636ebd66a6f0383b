"""Tell what Datumaro sees: ``read_datumaro.py FOLDER FORMAT``. Runs in an environment of its own, without Clipquarry.

Prints one JSON object: ``classes``, and ``items`` as ``[subset, id, [[x1, y1, x2, y2, class, attributes], …]]``.
"""

from __future__ import annotations

import json
import sys

from datumaro import Dataset
from datumaro.components.annotation import AnnotationType

data = Dataset.import_from(sys.argv[1], sys.argv[2])
classes = [one.name for one in data.categories()[AnnotationType.label]]
items = []
for item in data:
    boxes = [one for one in item.annotations if one.type == AnnotationType.bbox]
    items.append(
        [
            item.subset,
            item.id,
            [[box.x, box.y, box.x + box.w, box.y + box.h, classes[box.label], box.attributes] for box in boxes],
        ]
    )
print(json.dumps({"classes": classes, "items": items}))
