"""How often a feed is tried."""

from signaling.feeds.attempts import GOOD_LIFE, WAITS, Attempts


def test_it_waits_ever_longer_but_not_for_ever() -> None:
    attempts = Attempts()
    waits = [attempts.wait(0.0) for _ in range(20)]
    assert waits[: len(WAITS)] == list(WAITS)
    assert set(waits[len(WAITS) :]) == {WAITS[-1]}
    assert attempts.restarts == 20


def test_a_good_life_begins_anew() -> None:
    attempts = Attempts()
    for _ in range(5):
        attempts.wait(GOOD_LIFE - 1)
    assert attempts.wait(GOOD_LIFE) == WAITS[0]
    assert attempts.wait(0.0) == WAITS[1]
