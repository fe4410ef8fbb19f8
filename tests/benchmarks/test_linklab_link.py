"""The emulated link keeps its word, on a virtual clock: rate, queue, loss, delay, order, seed."""

import math
import statistics
from dataclasses import replace
from itertools import groupby, pairwise

import pytest

from benchmarks.linklab.link import MILLISECOND, SECOND, Bursts, Counts, Link, Loss, Settings

SIZE = 1_200


def passes(
    settings: Settings, packets: int, every_ns: int, *, seed: int = 1
) -> tuple[dict[int, int], Counts]:
    """When each packet that was pushed on a regular beat has arrived, by its number."""
    link: Link[int] = Link(settings, seed)
    counts = Counts()
    arrived: dict[int, int] = {}
    for number in range(packets):
        arrived |= due_by(link, number * every_ns)
        link.push(number, SIZE, number * every_ns, counts)
    return arrived | due_by(link, packets * every_ns + 60 * SECOND), counts


def due_by(link: Link[int], now: int) -> dict[int, int]:
    arrived = {}
    while (polled := link.poll(now)) is not None:
        due, number = polled
        assert due <= now
        arrived[number] = due
    return arrived


@pytest.mark.parametrize("rate_bps", [150_000, 512_000, 2_000_000, 20_000_000])
def test_goodput_is_the_rate(rate_bps: int):
    twice_as_fast = int(SIZE * 8 * SECOND / rate_bps / 2)
    arrived, counts = passes(Settings(rate_bps, queue_ms=300), 20_000, twice_as_fast)
    times = list(arrived.values())
    goodput = (len(times) - 1) * SIZE * 8 * SECOND / (times[-1] - times[0])
    assert goodput == pytest.approx(rate_bps, rel=0.005)
    assert counts.queue_drops > 9_000


def test_the_queue_holds_what_it_says():
    _, counts = passes(Settings(1_000_000, queue_ms=300), 2_000, 2 * MILLISECOND)
    longest = max(counts.waits_ms)
    assert 300 - 2 * 9.6 <= longest <= 300  # less than a packet (9.6 ms) is left free


def test_an_idle_link_adds_transmission_and_delay_only():
    arrived, counts = passes(Settings(1_000_000, delay_ms=40), 100, 50 * MILLISECOND)
    delays = [(due - number * 50 * MILLISECOND) / MILLISECOND for number, due in arrived.items()]
    assert delays == pytest.approx([40 + 9.6] * 100, abs=0.001)
    assert set(counts.waits_ms) == {0}


@pytest.mark.parametrize(("mean", "burst"), [(0.02, 4), (0.05, 2), (0.003, 3), (0.3, 1 / 0.7)])
def test_loss_has_its_mean_and_its_bursts(mean: float, burst: float):
    loss = Loss.of(mean, burst)
    assert loss.mean == pytest.approx(mean)
    bursts, packets = Bursts(1), 500_000
    runs = [
        len(list(run)) for gone, run in groupby(bursts.loses(loss) for _ in range(packets)) if gone
    ]
    # Four standard deviations of the estimates from so many bursts.
    tolerance = 4 / math.sqrt(len(runs))
    assert statistics.mean(runs) == pytest.approx(burst, rel=tolerance)
    assert sum(runs) / packets == pytest.approx(mean, rel=2 * tolerance)


def test_what_a_link_loses_are_those_bursts():
    loss, bursts = Loss.of(0.05, 2), Bursts(1)
    arrived, counts = passes(Settings(1e6, loss=loss), 2_000, 10 * MILLISECOND)
    assert set(arrived) == {number for number in range(2_000) if not bursts.loses(loss)}
    assert counts.lost == counts.missing == 2_000 - len(arrived)


@pytest.mark.parametrize("jitter_ms", [5, 20])
def test_jitter_spreads_arrivals_and_leaves_their_mean_and_order(jitter_ms: float):
    settings = Settings(0, delay_ms=40, jitter_ms=jitter_ms)
    arrived, _ = passes(settings, 100_000, 20 * MILLISECOND)
    delays = [(due - number * 20 * MILLISECOND) / MILLISECOND for number, due in arrived.items()]
    assert statistics.mean(delays) == pytest.approx(40, abs=0.08 * jitter_ms)
    assert statistics.pstdev(delays) == pytest.approx(0.6 * jitter_ms, rel=0.1)  # of |normal|
    assert all(a <= b for a, b in pairwise(arrived.values()))
    assert list(arrived) == sorted(arrived)


def test_packets_keep_their_order_when_they_come_close():
    settings = Settings(5_000_000, delay_ms=30, jitter_ms=15, queue_ms=100)
    arrived, _ = passes(settings, 20_000, 2 * MILLISECOND)
    assert list(arrived) == sorted(arrived)
    assert all(a <= b for a, b in pairwise(arrived.values()))


def test_a_seed_tells_everything():
    settings = Settings(2_000_000, delay_ms=300, jitter_ms=10, loss=Loss.of(0.02, 4))
    one, other = (passes(settings, 5_000, 6 * MILLISECOND, seed=seed)[0] for seed in (3, 4))
    assert passes(settings, 5_000, 6 * MILLISECOND, seed=3)[0] == one
    assert one != other


def test_jitter_does_not_move_losses():
    calm = Settings(2_000_000, loss=Loss.of(0.02, 4))
    arrived = passes(calm, 5_000, 6 * MILLISECOND)[0]
    assert set(passes(replace(calm, jitter_ms=9.0), 5_000, 6 * MILLISECOND)[0]) == set(arrived)


def test_an_outage_loses_what_is_transmitted_meanwhile():
    link: Link[int] = Link(up := Settings(1_000_000, delay_ms=100), 1)
    counts = Counts()
    for number in range(30):
        now = number * 100 * MILLISECOND
        if number in (10, 20):
            link.change(replace(up, up=number == 20), now)
        link.push(number, SIZE, now, counts)
    assert list(due_by(link, 10 * SECOND)) == [*range(10), *range(20, 30)]
    assert counts.outage_drops == counts.missing == 10


def test_a_stall_delays_and_loses_nothing():
    link: Link[int] = Link(free := Settings(1_000_000, queue_ms=2_000), 1)
    counts = Counts()
    link.push(0, SIZE, 0, counts)
    link.change(replace(free, stalled=True), 5 * MILLISECOND)
    link.push(1, SIZE, 100 * MILLISECOND, counts)
    assert link.next_at() is None
    assert due_by(link, SECOND) == {}
    link.change(free, SECOND)
    assert due_by(link, 2 * SECOND) == pytest.approx(
        {0: SECOND + 4.6 * MILLISECOND, 1: SECOND + 14.2 * MILLISECOND}
    )
    assert counts.missing == 0


def test_a_queue_drains_at_the_new_rate():
    link: Link[int] = Link(Settings(100_000, queue_ms=5_000), 1)
    for number in range(10):
        link.push(number, SIZE, 0, Counts())
    link.change(Settings(1_000_000, queue_ms=5_000), 48 * MILLISECOND)  # half of the first is out
    assert due_by(link, SECOND)[9] == pytest.approx((48 + 4.8 + 9 * 9.6) * MILLISECOND)


def test_next_at_is_never_after_an_arrival():
    link: Link[int] = Link(Settings(500_000, delay_ms=20, jitter_ms=8, queue_ms=400), 7)
    arrived = 0
    now = 0
    for number in range(500):
        link.push(number, SIZE, now, Counts())
        while (at := link.next_at()) is not None and at <= now + 15 * MILLISECOND:
            arrived += len(due_by(link, at))
            assert link.next_at() is None or link.next_at() >= at  # type: ignore[operator]
        now += 15 * MILLISECOND
    assert arrived > 250


def test_settings_know_their_own():
    changed = Settings(1e6).changed({"rate_bps": 5e5, "loss": {"p": 0.1, "r": 0.5}})
    assert changed == Settings(5e5, loss=Loss(0.1, 0.5))
    with pytest.raises(ValueError, match="a link has no speed"):
        changed.changed({"speed": 1})
