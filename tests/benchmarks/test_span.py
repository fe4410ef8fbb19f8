"""What is counted between two moments, from fixed counts."""

from typing import Any

import pytest

from benchmarks.span import Moment, Span, percentile, percentile_of


def moment(time: float, rows: list[list[int]], **other: Any) -> Moment:
    clients: Any = {"received": rows, "published": other.get("published", 0), "cpu_us": time * 5e5}
    clients |= {"latencies_ns": [3_000, 1_000], "late_us_max": 0}
    us, shards = other.get("us", 0.0), other.get("shards", [])
    return Moment(us, us, shards, clients, frozenset({0}), 0, time, 0.0, time / 2, time)


def row(packets: int, lost: int = 0, size: int = 1_000) -> list[int]:
    return [packets, packets * size, lost, 0, 0, 0, 0, 0, 8]


BEFORE = moment(10, [row(5), row(0), row(0)], shards=[{"allocations": 3, "us_10": 1}])
AFTER = moment(
    12,
    [row(9), row(90, 10), row(100), row(70)],
    shards=[{"allocations": 5, "us_10": 1, "us_20": 3}, {"us_20": 1}],
    published=100,
    us=190.0,
)
SPAN = Span(BEFORE, AFTER)


def test_teachers_and_who_joined_meanwhile_do_not_count() -> None:
    assert SPAN.received == 190
    assert SPAN.loss == pytest.approx(0.05)
    assert SPAN.behind == pytest.approx(0.05)
    assert SPAN.cpu_us == pytest.approx(2)
    assert SPAN.generator_cpu == pytest.approx(0.5)
    assert SPAN.others_cpu == pytest.approx(0.5 - 190e-6)
    assert SPAN.bytes_per_packet == 1_000
    assert SPAN.extension_bytes == 8
    assert SPAN.latencies_us == [1, 3]


def test_counters_are_differences_and_may_be_missing() -> None:
    assert SPAN.counted("allocations") == 2
    assert SPAN.counts("allocations")
    assert not SPAN.counts("paddings")
    assert SPAN.counted("paddings") == 0


def test_histograms_of_shards_add_up() -> None:
    assert SPAN.histogram("us") == {20: 4}
    assert SPAN.histogram("ns") == {}


def test_percentiles() -> None:
    assert percentile([1, 2, 3, 4], 0.5) == 3
    assert percentile([], 0.5) == 0
    assert percentile_of({10: 98, 20: 1, 40: 1}, 0.5) == 10
    assert percentile_of({10: 98, 20: 1, 40: 1}, 0.99) == 20
    assert percentile_of({10: 98, 20: 1, 40: 1}, 0.999) == 40
    assert percentile_of({}, 0.5) == 0
