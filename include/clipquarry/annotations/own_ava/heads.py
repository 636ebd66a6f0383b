"""Removal of detected bodies that are really heads, for models of crowds (class 0 head, class 1 body).

Source: ``filter.py`` of Whiffe's ``imageDetection``.
"""

from __future__ import annotations

from collections.abc import Sequence

from clipquarry.annotations.own_ava.detections import Detection

HEAD, BODY = 0, 1
_INSIDE = 0.7
_LIKE = 0.5, 1.5
"""Area of a head, as a share of the body's, between which the body is a head."""


def real_bodies(found: Sequence[Detection], *, reference: bool = False) -> list[Detection]:
    """The bodies of a frame without those that lie in a larger body and look like a head, in order; heads are left out.

    A body lies in another if the intersection is more than 0.7 of the smaller. ``reference``: only bodies later in the file
    count as larger ones, as upstream has it; else all.
    """
    heads = [one for one in found if one.kind == HEAD]
    bodies = [one for one in found if one.kind == BODY]

    def is_head(place: int, one: Detection) -> bool:
        others = bodies[place + 1 :] if reference else bodies
        larger = any(_area(one) < _area(other) and _inside(one, other) for other in others)
        return larger and any(_inside(one, head) and _LIKE[0] < _area(head) / _area(one) < _LIKE[1] for head in heads)

    return [one for place, one in enumerate(bodies) if not is_head(place, one)]


def _area(one: Detection) -> float:
    return one.width * one.height


def _inside(one: Detection, other: Detection) -> bool:
    ax1, ay1, ax2, ay2 = one.corners()
    bx1, by1, bx2, by2 = other.corners()
    width, height = min(ax2, bx2) - max(ax1, bx1), min(ay2, by2) - max(ay1, by1)
    return width > 0 and height > 0 and width * height / min(_area(one), _area(other)) > _INSIDE
