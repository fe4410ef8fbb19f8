from signaling.allowance import Allowance


def test_a_burst_then_the_rate() -> None:
    allowance = Allowance(rate=10, burst=3, now=100)
    assert [allowance.take(100) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take(100.05)
    assert allowance.take(100.11)
    assert not allowance.take(100.11)


def test_rest_fills_it_up_but_not_beyond() -> None:
    allowance = Allowance(rate=10, burst=3, now=0)
    assert [allowance.take(1000) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_stands_still_gives_nothing() -> None:
    allowance = Allowance(rate=10, burst=1, now=5)
    assert allowance.take(5)
    assert not allowance.take(5)
    assert not allowance.take(4)
