"""Rates and queue of a run against time, one above the other, as SVG. Pure."""

from collections.abc import Iterator
from itertools import pairwise

from benchmarks.linklab.metrics import series, waits
from benchmarks.linklab.observed import Observed
from benchmarks.report_plot import HEIGHT, WIDTH, Chart, Point, Series, svg
from benchmarks.span import percentile_of


def plot(seen: Observed, title: str) -> str:
    """Rates of link, lesson, other people's flows and the estimate; below what packets waited."""
    rates = [
        Series("link", list(_steps(seen)), dense=True),
        Series("lesson", list(_rates(seen, "lesson")), dense=True),
        Series("estimate", list(_estimates(seen)), dense=True),
    ]
    if seen.script.flows:
        rates.append(Series("other flows", list(_rates(seen, "flows")), dense=True))
    waits = [
        Series(name, list(_waits(seen, part)), dense=True)
        for name, part in (("p95", 0.95), ("p50", 0.5))
    ]
    charts = (
        Chart(title, "s", "downlink, kbit/s", rates),
        Chart("Queue of the link", "s", "wait of a packet, ms", waits),
    )
    parts = [
        svg(chart).replace("<svg ", f'<svg y="{place * HEIGHT}" height="{HEIGHT}" ', 1)
        for place, chart in enumerate(charts)
    ]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT * len(charts)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{"".join(parts)}</svg>\n'


def _steps(seen: Observed) -> Iterator[Point]:
    """The link's rate, as it was when it was looked at."""
    for sample in seen.link:
        yield sample.at, sample.counters["down"]["rate_bps"] / 1e3


def _estimates(seen: Observed) -> Iterator[Point]:
    for at, bits_per_second in series(seen.sender, "estimate_bps"):
        yield at, bits_per_second / 1e3


def _rates(seen: Observed, kind: str) -> Iterator[Point]:
    for before, after in pairwise(seen.link):
        counted = [s.counters["down"][kind]["delivered_bytes"] for s in (before, after)]
        yield after.at, (counted[1] - counted[0]) * 8 / 1e3 / (after.at - before.at)


def _waits(seen: Observed, part: float) -> Iterator[Point]:
    for before, after in pairwise(seen.link):
        yield after.at, percentile_of(waits(before, after, "down"), part)
