from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from curation.web.curves import Line, Point, line_chart, over_shots, point_chart

LINES = [
    Line("a & b", (Point(0.0, 0.1, 0.05, 0.15, "K = 0"), Point(2.0, 0.3, 0.2, 0.38, "K = 3"))),
    Line("<bare>", (Point(2.0, 0.2),), colour=1, dash=1),
]


def places(svg: str) -> list[tuple[float, float]]:
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    return [(float(x), float(y)) for x, y in found]


def test_points_stand_where_their_values_are() -> None:
    svg = line_chart("T", LINES, [(0.0, "0"), (2.0, "3")], label="K")
    (x0, y0), (x1, y1), (x2, y2) = places(svg)
    assert x0 < x1 == x2
    assert y1 < y2 < y0  # higher is better, and SVG counts downwards
    # Evenly: 0.1, 0.2 and 0.3 are two equal steps.
    assert y0 - y2 == pytest.approx(y2 - y1, abs=0.11)
    assert "10.0 % (5.0 to 15.0)" in svg
    assert svg.count("<polyline") == 1  # one point makes no line


def test_names_are_escaped_and_the_chart_is_xml() -> None:
    for svg in (
        line_chart("A < B", LINES, [(0.0, "<0>")], level=0.25),
        point_chart("C & D", [Point(0.9, -0.2, name="<x>"), Point(0.1, 0.0, name="y")]),
        line_chart("nothing", [], []),
        point_chart("nothing", []),
    ):
        assert ElementTree.fromstring(svg).tag == "svg"
        assert "<x>" not in svg
        assert "<bare>" not in svg


def test_changes_stand_above_and_below_none() -> None:
    points = [Point(0.2, -0.5, name="a"), Point(0.6, 0.0, name="b"), Point(0.9, 0.25, name="c")]
    (xa, ya), (xb, yb), (xc, yc) = places(point_chart("T", points))
    assert xa < xb < xc
    assert ya > yb > yc
    assert (ya - yb) == pytest.approx(2 * (yb - yc), abs=0.2)


def test_shots_grow_by_doubling() -> None:
    assert over_shots(15) - over_shots(7) == pytest.approx(over_shots(7) - over_shots(3))
