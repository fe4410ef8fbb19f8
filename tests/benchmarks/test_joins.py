import pytest

from benchmarks.joins import Stretch, Work, cost
from benchmarks.span import Span
from tests.benchmarks.test_span import moment


def stretch(seconds: float, datagrams: int, *, python: float, shards: float) -> Stretch:
    before = moment(0, [], shards=[{"datagrams_out": 1_000}])
    after = moment(seconds, [], shards=[{"datagrams_out": 1_000 + datagrams}])
    return Stretch(Span(before, after), Work(python, shards))


BEFORE = stretch(5, 100_000, python=0.05, shards=0.4)  # 4 us a datagram
AFTER = stretch(5, 200_000, python=0.05, shards=0.4)  # 2 us


def test_a_join_is_what_is_left_when_rest_and_forwarding_are_taken_off() -> None:
    storm = stretch(2, 50_000, python=0.42, shards=0.25)
    answer = cost(200, BEFORE, storm, AFTER)
    assert answer["python_ms_per_join"] == pytest.approx(2.0)  # 0.42 s less 0.02 s at rest
    assert answer["shards_ms_per_join"] == pytest.approx(0.5)  # 0.25 s less 50,000 times 3 us
    assert answer["server_ms_per_join"] == pytest.approx(2.5)
    assert answer["forwarding_ms_per_join"] == pytest.approx(0.75)


def test_too_much_taken_off_shows() -> None:
    storm = stretch(2, 150_000, python=0.42, shards=0.25)
    assert cost(200, BEFORE, storm, AFTER)["shards_ms_per_join"] < 0
