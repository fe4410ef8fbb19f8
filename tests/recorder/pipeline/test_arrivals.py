"""The journal's clock when it is not to be believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.pipeline.arrivals import BACK_US, LONGEST_US, Arrivals
from tests.recorder.journals import EPOCH_US, JournalEnd

SECOND = 1_000_000
HOUR = 3_600 * SECOND


def run(*times: int, start: int = EPOCH_US) -> tuple[list[int], int]:
    """What becomes of these arrivals, and how many records were refused."""
    arrivals = Arrivals(start)
    taken = [at for time in times for at, _ in arrivals.handle(JournalEnd(time))]
    arrivals.finish()
    return taken, arrivals.refused


def at(*seconds: float) -> list[int]:
    return [EPOCH_US + round(second * SECOND) for second in seconds]


def test_a_sane_journal_passes_as_it_is():
    times = at(0, 1, 1.5, 1.48, 2, 300, 301)
    assert run(*times) == (times, 0)


def test_one_record_from_the_future_is_left_out():
    assert run(*at(0, 1, 36_000, 1.1, 1.2)) == (at(0, 1, 1.1, 1.2), 1)


def test_one_record_from_the_past_is_left_out():
    assert run(*at(0, 100, 1, 100.1, 100.2)) == (at(0, 100, 100.1, 100.2), 1)


def test_a_long_pause_is_believed_when_the_next_record_says_so_too():
    times = at(0, 1, 7_200, 7_200.02, 7_201)
    assert run(*times) == (times, 0)


def test_a_clock_that_was_set_back_goes_on_from_where_it_stood():
    taken, refused = run(*at(0, 100, 20, 20.5, 21))
    assert taken == at(0, 100, 100, 100.5, 101)
    assert refused == 0


def test_nothing_lasts_longer_than_the_longest_lesson():
    hours = [EPOCH_US + n * HOUR // 10 for n in range(300)]
    taken, refused = run(*hours)
    assert taken[-1] - taken[0] <= LONGEST_US
    assert refused == 300 - len(taken)
    assert len(taken) == 241


@pytest.mark.parametrize("first", [0, 2**63, 2**64 - 1])
def test_a_beginning_that_no_calendar_has_is_that_of_the_lesson(first: int):
    taken, _ = run(first, first + SECOND, first + 2 * SECOND)
    assert taken == at(0, 1, 2)


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(EPOCH_US, EPOCH_US + 10**12), max_size=50))
def test_time_never_runs_back_by_much_nor_on_for_ever(times: list[int]):
    taken, refused = run(*times)
    assert len(taken) + refused == len(times)
    newest = 0
    for time in taken:
        assert time > newest - BACK_US
        assert time - taken[0] <= 2 * LONGEST_US
        newest = max(newest, time)
