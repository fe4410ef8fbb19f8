"""What the figures are to be, and whether they are. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Answers = Mapping[str, Mapping[str, Any]]
"""What each run of the report answered, by the run's name."""


@dataclass(frozen=True)
class Goal:
    """One figure of one run, and its bound."""

    what: str
    run: str
    key: str
    """Where the figure is in the answer; dots lead into nested ones."""
    relation: Literal["<=", ">="]
    bound: float
    unit: str = ""

    def figure(self, answers: Answers) -> float | None:
        """What was measured; None if it was not."""
        found = lookup(answers.get(self.run, {}), self.key)
        return float(found) if isinstance(found, int | float) else None

    def is_met(self, answers: Answers) -> bool:
        """What was not measured is not met."""
        figure = self.figure(answers)
        if figure is None:
            return False
        return figure <= self.bound if self.relation == "<=" else figure >= self.bound


GOALS = (
    Goal("forwarding against its limit, 300 schools", "fanout", "ratio_to_limit", "<=", 1.4),
    Goal("loss meanwhile", "fanout", "loss", "<=", 0),
    Goal("allocations a packet", "fanout", "allocations_per_packet", "<=", 0.001),
    Goal("the same with sound only", "fanout_audio", "ratio_to_limit", "<=", 1.4),
    Goal("loss meanwhile", "fanout_audio", "loss", "<=", 0),
    Goal("a packet with the most schools against 100", "capacity", "cost_growth", "<=", 1.15),
    Goal("latency at half a core, p50", "latency", "p50_us", "<=", 150, "us"),
    Goal("latency at half a core, p99", "latency", "p99_us", "<=", 1_000, "us"),
    Goal("latency at half a core, p99.9", "latency", "p999_us", "<=", 3_000, "us"),
    Goal("joins a second and core", "joins", "joins_per_second_per_core", ">=", 400),
    Goal("loss of those already there", "joins", "loss_meanwhile", "<=", 0),
    Goal("memory of a school", "memory", "rss_kb_per_viewer", "<=", 150, "kB"),
    Goal("loss under 200,000 hostile packets a second", "flood", "loss", "<=", 0),
    Goal("ahead of mediasoup", "peers", "ahead.mediasoup", ">=", 4, "times"),
    Goal("ahead of Janus", "peers", "ahead.janus", ">=", 4, "times"),
    Goal("ahead of LiveKit", "peers", "ahead.livekit", ">=", 8, "times"),
    Goal("ahead of MediaMTX", "peers", "ahead.mediamtx", ">=", 8, "times"),
)


def lookup(answer: Mapping[str, Any], key: str) -> Any:
    """A value by its dotted key; None where there is none."""
    value: Any = answer
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
