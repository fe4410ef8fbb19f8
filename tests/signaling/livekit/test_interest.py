from signaling.delivery import ALL
from signaling.livekit.interest import NOTHING, Interest


def told() -> tuple[list[tuple[int, int]], Interest]:
    heard: list[tuple[int, int]] = []
    return heard, Interest(lambda number, most: heard.append((number, most)))


def test_all_is_wanted_at_first_and_nobody_is_told() -> None:
    heard, interest = told()
    interest.want(1, "a", ALL)
    assert heard == []


def test_the_highest_wish_counts() -> None:
    heard, interest = told()
    interest.want(1, "a", 0)
    interest.want(1, "b", 1)
    interest.want(1, "a", NOTHING)
    interest.want(1, "b", 0)
    interest.want(1, "b", ALL)
    assert heard == [(1, 0), (1, 1), (1, 0), (1, ALL)]


def test_who_goes_wants_nothing() -> None:
    heard, interest = told()
    interest.want(1, "a", ALL)
    interest.drop(1, "a")
    interest.drop(1, "a")
    interest.want(1, "b", 2)
    assert heard == [(1, NOTHING), (1, 2)]


def test_somebody_who_takes_everything_wins() -> None:
    heard, interest = told()
    interest.want(1, "a", 0)
    interest.want(2, "a", ALL)
    interest.set_everything(True)
    interest.want(1, "a", 1)
    interest.set_everything(False)
    assert heard == [(1, 0), (1, ALL), (1, 1)]


def test_a_withdrawn_publication_is_forgotten() -> None:
    heard, interest = told()
    interest.want(1, "a", 0)
    interest.forget(1)
    interest.drop(1, "a")
    interest.set_everything(True)
    assert heard == [(1, 0)]
