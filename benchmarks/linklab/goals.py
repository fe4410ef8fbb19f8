"""What a lesson on a weak link is to be like. Pure.

Each goal holds for the 95th percentile of at least ten runs: for what is to be high, the 5th.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.span import percentile

Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Metric:
    """A figure of a run's answer."""

    key: str
    what: str
    unit: str = ""
    scale: float = 1.0
    """From the answer to the unit."""
    relation: Literal["<=", ">="] = "<="
    absent: float | None = None
    """What it is where the answer has none: infinite where it never happened."""

    def values(self, answers: Iterable[Answer]) -> list[float]:
        """That of each run, in the unit, the worst last."""
        found = [answer.get(self.key, None) for answer in answers]
        numbers = [self.absent if value is None else float(value) for value in found]
        ordered = sorted(number * self.scale for number in numbers if number is not None)
        return ordered if self.relation == "<=" else ordered[::-1]

    def spread(self, answers: Sequence[Answer]) -> tuple[float, float] | None:
        """Median and 95th percentile, counted towards the worse."""
        values = self.values(answers)
        return (percentile(values, 0.5), percentile(values, 0.95)) if values else None

    def holds(self, figure: float, bound: float) -> bool:
        """Whether it is as good as that."""
        return figure <= bound if self.relation == "<=" else figure >= bound


AUDIO = Metric("audio_concealed", "audio concealed", "%", 100, absent=1.0)
GAP = Metric("longest_audio_gap_ms", "longest audio gap", "ms", absent=math.inf)
SLIDE = Metric("slide_legible_s", "slide flip to legible", "s", absent=math.inf)
CAMERA = Metric("camera_frozen", "camera frozen while shown", "%", 100)
FIRST = Metric("first_frame_s", "first frame", "s", absent=math.inf)
SHARE = Metric("capacity_used", "media share of capacity", "%", 100, ">=", absent=0.0)
QUEUE = Metric("queue_p95_ms", "self-inflicted queue, p95", "ms")
RESENT = Metric("retransmit_ratio", "retransmitted / lost packets")
SWITCHES = Metric("layer_switches_per_min", "layer switches", "/min")
AUDIO_BACK = Metric("audio_back_s", "audio back after the outage", "s", absent=math.inf)
SLIDE_BACK = Metric("slide_back_s", "slide back after the outage", "s", absent=math.inf)
QUALITY_BACK = Metric("full_quality_back_s", "full quality back", "s", absent=math.inf)
AGE = Metric("media_age_p95_s", "age of the picture, p95", "s", absent=math.inf)
STRONG = Metric("strong_share_of_10s", "of full quality, worst 10 s", "%", 100, ">=", absent=0.0)
STRONG_LOST = Metric("strong_lost", "packets lost by strong viewers")

_STEADY = (AUDIO, GAP, SLIDE, CAMERA, FIRST, SHARE, QUEUE, RESENT, SWITCHES)
_BACK = (AUDIO_BACK, SLIDE_BACK, QUALITY_BACK)
_GOALS: Mapping[str, Sequence[float | None]] = {
    "A": (0.1, 60, 0.8, 0.2, 0.5, 85, 80, 1.3, 2),
    "D": (0.3, 120, 2, 1, 1, 70, 150, 1.3, 2),
    "E": (0.3, 200, 1.5, 1, 2, 80, 200, 1.3, 2),
    "F": (0.5, 200, 3, None, 2.5, 80, 250, 1.3, 2),
}
"""In the order of `_STEADY`; None: the camera may be off there, with a notice."""
_BACK_GOALS: Mapping[str, Sequence[float]] = {
    "A": (0.5, 1, 8),
    "D": (1, 2, 10),
    "E": (1.5, 3, 15),
    "F": (1.5, 4, 15),
}


@dataclass(frozen=True)
class Case:
    """One kind of run, and what it is to show."""

    name: str
    title: str
    arguments: str
    goals: Mapping[Metric, float | None]
    """By metric, its bound; None shows the figure without one."""
    alone: bool = False
    """Of ours only: from peer to peer it cannot be."""
    most_seeds: int = 1_000


def _steady(letter: str) -> dict[Metric, float | None]:
    return dict(zip(_STEADY, _GOALS[letter], strict=True))


def _outage(letter: str, like: str, seconds: int) -> Case:
    return Case(
        f"{letter}_outage{seconds}",
        f"{letter}, an outage of {seconds} s",
        f"--profile {letter} --outage {seconds}",
        dict(zip(_BACK, _BACK_GOALS[like], strict=True)),
    )


def _blocked(letter: str, join: float) -> Case:
    goals = {FIRST: join, AGE: 1.5, AUDIO: None, CAMERA: None, SLIDE: None}
    like = "A" if letter == "H" else "E"
    title = f"{letter}: {like} with UDP blocked"
    return Case(letter, title, f"--profile {letter}", goals, alone=True)


CASES = (
    Case("A", "A: school, 10 Mbit/s shared", "--profile A", _steady("A")),
    Case("B", "B: rural ADSL, by A's goals", "--profile B", _steady("A")),
    Case("C", "C: rural 4G", "--profile C", _steady("D")),
    Case("D", "D: 4G, bad", "--profile D", _steady("D")),
    Case("E", "E: geostationary satellite", "--profile E", _steady("E")),
    Case("E_rain", "E in the rain: 4 % loss, 5 in a row", "--profile E --rain", _steady("E")),
    Case("F", "F: satellite, the least", "--profile F", _steady("F")),
    Case("G", "G: low satellites, by A's goals", "--profile G", _steady("A")),
    _blocked("H", 5),
    _blocked("HE", 8),
    *(_outage(letter, letter, 10) for letter in ("A", "D", "E", "F")),
    _outage("E", "E", 30),
    *(
        Case(
            f"{letter}_loss30",
            f"{letter}, 30 % random loss",
            f"--profile {letter} --loss 0.3",
            {AUDIO: 1.0},
        )
        for letter in ("A", "D", "E", "F")
    ),
    Case(
        "F_strong",
        "F, beside 20 strong viewers",
        "--profile F --viewers-good 20",
        {STRONG: 95.0, STRONG_LOST: 0.0},
        alone=True,
        most_seeds=3,
    ),
)
