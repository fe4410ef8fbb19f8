"""How the steps are chosen, and when there are enough, on a node of a known cost."""

import argparse
from typing import Any

import pytest

from benchmarks import capacity
from benchmarks.span import Moment, Span

PPS = 100


def measured(viewers: int, cpu: float, *, loss: float = 0.0, generator: float = 0.1) -> Span:
    def moment(time: float, packets: int) -> Moment:
        row = [packets, packets, int(packets * loss), 0, 0, 0, 0, 0, 0]
        clients: Any = {"received": [row] * (viewers + 1), "published": packets, "late_us_max": 0}
        clients["cpu_us"] = generator * time * 1e6
        us = cpu * time * 1e6 / 2
        return Moment(us, us, [], clients, frozenset({0}), 0, time, 0.0, time / 2, time)

    return Span(moment(0, 0), moment(1, PPS))


def ramp(most: int, cost: float, *, shards: int = 1) -> list[tuple[int, Span]]:
    steps: list[tuple[int, Span]] = []
    while (wanted := capacity._next(steps, most, shards)) is not None:
        busy = min(wanted * cost, shards)
        steps.append((wanted, measured(wanted, busy, loss=0.02 if busy >= shards else 0)))
        if capacity._end(steps[-1][1], shards):
            break
    return steps


@pytest.mark.parametrize("cost", [1 / 800, 1 / 2_500])
def test_approaches_the_end_in_few_small_steps(cost: float) -> None:
    steps = [viewers for viewers, _ in ramp(10_000, cost)]
    assert steps[0] == 100
    assert steps == sorted(set(steps))
    assert len(steps) <= 12
    assert steps[-1] <= 1.1 / cost
    assert steps[-1] / steps[-2] < 1.15


def test_ends_with_as_many_as_were_asked_for() -> None:
    assert [viewers for viewers, _ in ramp(1_000, 1 / 50_000)][-1] == 1_000
    assert [viewers for viewers, _ in ramp(50, 1 / 800)] == [50]


def test_what_is_lost_was_not_carried_and_the_quarters_are_told() -> None:
    options = argparse.Namespace(viewers=10_000)
    answer = capacity._carried(options, 1, ramp(10_000, 1 / 1_000))
    assert 900 <= answer["viewers"] < 1_000
    assert answer["cost_growth"] == pytest.approx(1, abs=0.02)
    assert [row["viewers"] for row in answer["at"].values()] == sorted(
        row["viewers"] for row in answer["at"].values()
    )
    assert set(answer["at"]) == {"25%", "50%", "75%", "100%"}


def test_tells_what_ended_it() -> None:
    assert capacity._end(measured(10, 0.5), 1) is None
    assert capacity._end(measured(10, 0.5, loss=0.02), 1) == "loss, or falling behind"
    assert capacity._end(measured(10, 0.99), 1) == "the node's core is full"
    assert capacity._end(measured(10, 0.5, generator=0.99), 1) == "the generator's core is full"
