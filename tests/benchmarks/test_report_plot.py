"""A chart: everything within its bounds, and nothing hidden behind anything."""

import re
from itertools import pairwise

from benchmarks.report_plot import HEIGHT, WIDTH, Chart, Series, svg

CLOSE = [
    Series("one", [(100, 3.0), (3_000, 3.5)]),
    Series("two", [(100, 3.1), (3_000, 3.5)]),
    Series("three & more", [(100, 0.0), (3_000, 3.49)]),
]


def texts(drawing: str) -> dict[str, tuple[float, float]]:
    found = re.findall(r'<text x="([\d.-]+)" y="([\d.-]+)"[^>]*>([^<]*)<', drawing)
    return {text: (float(x), float(y)) for x, y, text in found}


def test_names_of_lines_that_end_together_stand_apart() -> None:
    places = texts(svg(Chart("t", "x", "y", CLOSE)))
    ends = sorted(places[name][1] for name in ("one", "two", "three &amp; more"))
    assert all(below - above >= 15.9 for above, below in pairwise(ends))


def test_everything_is_on_the_paper() -> None:
    drawing = svg(Chart("t", "x", "y", CLOSE, {"goal": 5.0}))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in texts(drawing).values())
    points = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawing)
    assert all(0 < float(x) < WIDTH and 0 < float(y) < HEIGHT for x, y in points)


def test_a_logarithmic_axis_spans_all_figures_and_goals() -> None:
    chart = Chart("t", "x", "y", [Series("s", [(10, 70), (90, 8_400)])], {"g": 12_000}, log_y=True)
    ticks = texts(svg(chart))
    assert "50" in ticks
    assert "20,000" in ticks
    assert ticks["50"][1] > ticks["20,000"][1]


def test_no_figures_draw_no_lines() -> None:
    assert "stroke-width" not in svg(Chart("t", "x", "y", [Series("s", [])]))
