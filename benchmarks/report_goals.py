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
    Goal("recording an hour, live", "recording", "cpu_s_per_hour", "<=", 4, "CPU-s"),
    Goal("recording an hour, behind", "recording", "cpu_s_per_hour_behind", "<=", 4, "CPU-s"),
    Goal("journal lost, worker", "recorder_crash", "lost_journal_s.worker_max", "<=", 0, "s"),
    Goal("journal lost, node", "recorder_crash", "lost_journal_s.node_max", "<=", 1, "s"),
    Goal("lesson lost, worker", "recorder_crash", "lost_playable_s.worker_max", "<=", 0.25, "s"),
    Goal("lesson lost, node", "recorder_crash", "lost_playable_s.node_max", "<=", 0.25, "s"),
    Goal("live broadcast's latency, p50", "broadcast", "latency_p50_ms", "<=", 1_500, "ms"),
    Goal("live broadcast's latency, p95", "broadcast", "latency_p95_ms", "<=", 2_500, "ms"),
    Goal("viewers on a core of nginx", "broadcast", "viewers_per_core", ">=", 2_000),
    Goal("playable after the bell", "replay", "playable_s", "<=", 2, "s"),
    Goal("replay's first picture, p50", "replay", "start_ms_p50", "<=", 1_000, "ms"),
    Goal("a jump in a replay, p95", "replay", "seek_ms_p95", "<=", 150, "ms"),
    Goal("search of 50,000, p95, SQLite", "catalogue", "sqlite.search_p95_ms", "<=", 50, "ms"),
    Goal("the same, PostgreSQL", "catalogue", "postgresql.search_p95_ms", "<=", 50, "ms"),
)


def lookup(answer: Mapping[str, Any], key: str) -> Any:
    """A value by its dotted key; None where there is none."""
    value: Any = answer
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
