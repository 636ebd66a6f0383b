"""Plots: colours of the page, text as text, nothing foreign unescaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest
from clipquarry.report.aggregate import histogram
from clipquarry.report.data import ClassRow, Counts, Point
from clipquarry.report.plots import attrition, coverage_by_class, distribution


def rows(count: int, name: str = "class {}") -> list[ClassRow]:
    return [ClassRow(name.format(n), Counts(50, 50 - n % 30, n % 30, 0, 0, 0), {}) for n in range(count)]


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="x" ', 1))


@pytest.mark.parametrize("count", [1, 30, 400, 700, 1201])
def test_coverage_fits_any_number_of_classes(count: int) -> None:
    svg = coverage_by_class(rows(count))
    root = parsed(svg)
    titles = [element.text or "" for element in root.iter("title")]
    assert len(titles) == (count if count <= 1200 else 0)
    assert len(svg) < 400_000
    assert "var(--present)" in svg and not re.search(r"#0[1-7]0[1-7]0[1-7]", svg)


def test_class_names_are_escaped_and_no_mathematics() -> None:
    svg = coverage_by_class(rows(3, "<script>$\\frac{{x}}$</script>\u202e{}"))
    assert "<script" not in svg and "\u202e" not in svg
    assert "&lt;script&gt;$\\frac" in svg
    parsed(svg)


def test_attrition_and_histograms_draw() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    line = attrition([Point(begin + timedelta(days=30 * n), 100 - n, n) for n in range(10)])
    assert ">absent clips</text>" in line and parsed(line) is not None
    same = histogram(np.full(100, 10.0))
    assert same is not None and sum(same.counts) == 100
    assert parsed(distribution("durations", same, "s")) is not None
    sizes = histogram(np.array([1e3, 5e6, 2e9]), logarithmic=True)
    assert sizes is not None and sum(sizes.counts) == 3
    assert "MB</text>" in distribution("sizes", sizes, "B")
    one = histogram(np.array([809_123.0]), logarithmic=True)
    assert one is not None and parsed(distribution("sizes", one, "B")) is not None
    assert histogram(np.empty(0)) is None and histogram(np.zeros(3), logarithmic=True) is None
