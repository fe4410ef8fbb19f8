"""A line chart as SVG, written by hand: small enough for git, and readable there. Pure.

It has a light ground of its own, since pages that show it may be dark. A series is told by its
colour, by its marker and by its name at the height of its last point.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

Point = tuple[float, float]

WIDTH, HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 150, 66, 52
_COLOURS = ("#0b63c4", "#c9540a", "#0a7d5a", "#a23b86")
"""Told apart with any colour vision, by their lightness as well."""
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#30363d}"
    ".t{font-size:15px;font-weight:600}.a{fill:#59636e}"
    ".g{stroke:#e4e7eb}.x{stroke:#8b949e}.goal{stroke:#59636e;stroke-dasharray:5 4}"
)
_GAP = 16
"""Least distance between two names, in pixels."""


@dataclass(frozen=True)
class Series:
    """A line: its name and its points, by rising x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Chart:
    """What to draw; `goals` are horizontal lines by their names."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    goals: dict[str, float] = field(default_factory=dict)
    log_y: bool = False
    markers: bool = True
    """A mark at each point; without, for many points, a series has its colour and its name."""

    @property
    def has_points(self) -> bool:
        """Whether there is anything to draw."""
        return any(series.points for series in self.series)


def svg(chart: Chart) -> str:
    """The chart as a document."""
    scale = _Scale(chart)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(chart.title)}</title><style>{_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#fff"/>',
        _text(_LEFT - 44, 26, chart.title, "t"),
        *_grid(chart, scale),
        *_goals(chart, scale),
        *_lines(chart, scale),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Scale:
    """From figures to pixels."""

    def __init__(self, chart: Chart) -> None:
        points = [point for series in chart.series for point in series.points]
        highest = max([y for _, y in points] + list(chart.goals.values()), default=1.0)
        lowest = min((y for _, y in points if y > 0), default=1.0)
        self.x_ticks = _ticks(max((x for x, _ in points), default=1.0))
        self.y_ticks = _decades(lowest, highest) if chart.log_y else _ticks(highest)
        self._log = chart.log_y

    def x(self, value: float) -> float:
        return _LEFT + value / self.x_ticks[-1] * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        part = value / high
        if self._log:
            part = math.log(max(value, low) / low) / math.log(high / low)
        return HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM)


def _grid(chart: Chart, scale: _Scale) -> Iterator[str]:
    left, right, bottom = _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM
    for tick in scale.y_ticks:
        y = scale.y(tick)
        yield f'<path class="g" d="M{left} {y:.1f}H{right}"/>'
        yield _text(left - 8, y + 4, _figure(tick), "a", "end")
    for tick in scale.x_ticks:
        yield _text(scale.x(tick), bottom + 20, _figure(tick), "a", "middle")
    yield f'<path class="x" d="M{left} {bottom}H{right}"/>'
    yield _text((left + right) / 2, HEIGHT - 12, chart.x_label, "a", "middle")
    yield _text(left - 44, _TOP - 20, chart.y_label, "a")


def _goals(chart: Chart, scale: _Scale) -> Iterator[str]:
    right = WIDTH - _RIGHT
    for name, value in chart.goals.items():
        y = scale.y(value)
        yield f'<path class="goal" d="M{_LEFT} {y:.1f}H{right}"/>'
        yield _text(_LEFT + 6, y - 5, name, "a")


def _lines(chart: Chart, scale: _Scale) -> Iterator[str]:
    drawn = [series for series in chart.series if series.points]
    names = _apart([scale.y(series.points[-1][1]) for series in drawn])
    for number, (series, name_y) in enumerate(zip(drawn, names, strict=True)):
        colour = _COLOURS[number % len(_COLOURS)]
        pixels = [(scale.x(x), scale.y(y)) for x, y in series.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in pixels)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        marked = zip(pixels, series.points, strict=True) if chart.markers else ()
        for (x, y), (raw_x, raw_y) in marked:
            told = f"{escape(series.name)}: {_figure(raw_y)} at {_figure(raw_x)}"
            marker = f"<title>{told}</title>{_marker(number, x, y)}"
            yield f'<g fill="{colour}" stroke="#fff">{marker}</g>'
        margin = WIDTH - _RIGHT + 16  # where no line runs through a name
        yield f'<g fill="{colour}">{_marker(number, margin, name_y)}</g>'
        yield _text(margin + 9, name_y + 4, series.name)


def _marker(number: int, x: float, y: float) -> str:
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>',
        f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>',
        f'<path d="M{x:.1f} {y - 5.5:.1f}l5.5 9.5h-11z"/>',
        f'<path d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"/>',
    )
    return shapes[number % len(shapes)]


def _apart(wanted: Sequence[float]) -> list[float]:
    """Where names go so that none covers another: downwards from the topmost."""
    placed: dict[int, float] = {}
    lowest = -math.inf
    for index in sorted(range(len(wanted)), key=lambda index: wanted[index]):
        lowest = max(wanted[index], lowest + _GAP)
        placed[index] = lowest
    # What was pushed below the ground rises again, and takes along what stands on it.
    ceiling = float(HEIGHT - _BOTTOM)
    for index in sorted(placed, key=lambda index: -placed[index]):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - _GAP
    return [placed[index] for index in range(len(wanted))]


def _ticks(highest: float) -> list[float]:
    """From 0 in four to eight even steps of 1, 2 or 5 times a power of ten."""
    rough = max(highest, 1e-9) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = max(power * factor for factor in (1, 2, 5) if power * factor <= rough * 1.0001)
    return [round(index * step, 10) for index in range(math.ceil(highest / step - 1e-9) + 1)]


def _decades(lowest: float, highest: float) -> list[float]:
    """1, 2 and 5 times the powers of ten around."""
    first, last = math.floor(math.log10(lowest)), math.ceil(math.log10(highest * 1.0001))
    steps = [10.0**power * factor for power in range(first, last + 1) for factor in (1, 2, 5)]
    below = [step for step in steps if step <= lowest]
    above = [step for step in steps if step >= highest]
    return [step for step in steps if below[-1] <= step <= above[0]]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    kind = f' class="{kind}"' if kind else ""
    anchor = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{kind}{anchor}>{escape(text)}</text>'
