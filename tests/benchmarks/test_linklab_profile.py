"""Profiles: what the files say and what a seed makes of it."""

import pytest

from benchmarks.linklab.link import Settings
from benchmarks.linklab.profile import NAMES, Script, load


def test_all_letters_are_there_and_load():
    assert NAMES == ("A", "B", "C", "D", "E", "F", "G", "H", "HE")
    for name in NAMES:
        script = load(name).script(60, 1)
        assert all(0 < script.links[way].rate_bps <= 20e6 for way in ("down", "up"))
        assert all(change.at < 61 for change in script.changes)


@pytest.mark.parametrize(
    ("name", "mean", "burst"), [("D", 0.05, 2), ("E", 0.02, 4), ("C", 0.01, 3.3)]
)
def test_losses_are_those_of_the_table(name: str, mean: float, burst: float):
    loss = load(name).script(60, 1).links["down"].loss
    assert loss is not None
    assert loss.mean == pytest.approx(mean, rel=0.02)
    assert 1 / loss.r == pytest.approx(burst, rel=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_tells_everything(name: str):
    assert load(name).script(60, 3) == load(name).script(60, 3)


def test_seeds_differ_where_chance_has_a_part():
    for name in ("A", "C", "E", "G"):
        assert load(name).script(60, 3) != load(name).script(60, 4)


def test_rates_of_c_step_within_their_bounds():
    steps = [c for c in load("C").script(60, 5).changes if "rate_bps" in c.settings]
    down = [c.settings["rate_bps"] for c in steps if c.way == "down"]
    assert 60 / 5 - 1 <= len(down) <= 60
    assert all(500e3 <= float(str(rate)) <= 6e6 for rate in down)


def test_a_stall_is_told_as_dark_and_ends():
    script = load("C").script(60, 1)
    (window,) = script.dark
    assert 1 <= window.end - window.start <= 2
    stalled = [(c.at, c.settings["stalled"]) for c in script.changes if "stalled" in c.settings]
    assert stalled == [(window.start, True)] * 2 + [(window.end, False)] * 2


def test_handovers_lose_half_for_a_moment_and_change_the_way():
    script = load("G").script(60, 1)
    downs = [change for change in script.changes if change.way == "down"]
    link = script.links["down"]
    delays = []
    for change in downs:
        link = link.changed(dict(change.settings))
        assert link.loss is not None
        if link.loss.mean == pytest.approx(0.5):
            delays.append(link.delay_ms)
        else:
            assert link.loss == script.links["down"].loss
    assert delays[:4] == [45, 25, 45, 25][: len(delays)]
    assert len(delays) >= 3


def test_an_outage_is_both_ways_dead_from_second_30():
    script = load("E").script(60, 1, outage=10)
    assert [(w.start, w.end) for w in script.dark] == [(30, 40)]
    assert [(c.at, c.way, c.settings) for c in script.changes] == [
        (at, way, {"up": up}) for at, up in ((30, False), (40, True)) for way in ("down", "up")
    ]


def test_an_outage_needs_time_to_recover():
    with pytest.raises(ValueError, match="needs a run of 80 s or more"):
        load("E").script(60, 1, outage=30)


def test_rain_is_a_satellite_s():
    rained = load("E").script(60, 1, rain=True).links["down"].loss
    assert rained is not None
    assert rained.mean == pytest.approx(0.04, rel=0.01)
    with pytest.raises(ValueError, match="It does not rain on D"):
        load("D").script(60, 1, rain=True)


def test_another_loss_is_the_downlink_s_and_independent():
    links = load("D").script(60, 1, loss=0.3).links
    assert links["down"].loss
    assert (links["down"].loss.mean, links["down"].loss.r) == (pytest.approx(0.3), 0.7)
    assert links["up"] == load("D").script(60, 1).links["up"]


def test_h_is_its_like_with_one_port():
    udp_blocked = load("HE")
    assert udp_blocked.tcp_ports == (443, 8443)
    assert udp_blocked.goals == "E"
    assert isinstance(udp_blocked.script(60, 1), Script)
    assert isinstance(udp_blocked.script(60, 1).links["down"], Settings)


def test_an_unknown_letter_is_named():
    with pytest.raises(ValueError, match="no profile Z; there are A, B"):
        load("Z")
