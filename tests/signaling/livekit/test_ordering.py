from hypothesis import given
from hypothesis import strategies as st

from signaling.livekit.ordering import MAX_HELD, Ordering


def test_whoever_is_here_is_passed_on_at_once_and_once() -> None:
    order: Ordering[str] = Ordering()
    assert order.take(1, "a") == ["a"]
    assert order.take(1, "a") == []
    assert order.take(4, "d") == ["d"]  # two and three we have refused
    assert order.take(3, "c") == []
    assert order.last == 4


def test_behind_a_gap_of_who_is_away_all_waits_for_what_is_missing() -> None:
    order: Ordering[str] = Ordering()
    order.take(1, "a")
    order.gather()
    assert order.take(2, "b") == ["b"]
    assert order.take(5, "e") == []
    assert order.take(5, "e") == []
    assert order.last == 2  # so it says three, four and five again
    assert order.take(3, "c") == ["c"]
    assert order.take(4, "d") == ["d", "e"]
    assert order.take(5, "e") == []
    assert order.settle() == []
    assert order.take(9, "i") == ["i"]


def test_what_never_comes_holds_up_nobody_for_ever() -> None:
    order: Ordering[int] = Ordering()
    order.gather()
    assert order.take(3, 3) == order.take(2, 2) == []
    assert order.settle() == [2, 3]
    assert order.take(1, 1) == []


def test_no_more_than_so_many_wait() -> None:
    order: Ordering[int] = Ordering()
    order.gather()
    found = [n for number in range(2, MAX_HELD + 3) for n in order.take(number, number)]
    assert found == list(range(2, MAX_HELD + 3))


@given(st.lists(st.integers(1, 30)), st.integers(0, 30))
def test_each_goes_on_once_and_in_order(numbers: list[int], away_from: int) -> None:
    order: Ordering[int] = Ordering()
    found: list[int] = []
    for place, number in enumerate(numbers):
        if place == away_from:
            order.gather()
        found += order.take(number, number)
    found += order.settle()
    assert found == sorted(set(found))
    late = set(numbers[away_from:])
    assert {n for n in late if n > max(numbers[:away_from], default=0)} <= set(found)
