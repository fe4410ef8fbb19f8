"""One clock for a live source's tracks, in virtual time."""

import itertools
import random

import pytest

from clients.headless.ingest_clock import CUSHION, START, SourceClock


def play(
    clock: SourceClock, track: str, media: float, now: float, count: int, step: float = 0.02
) -> list[tuple[float, float, float]]:
    """Packets that come when they should: (out, due, now) of each."""
    placed = []
    for number in range(count):
        at = now + number * step
        placed.append((*clock.place(track, media + number * step, at), at))
    return placed


def test_a_steady_source_waits_for_the_cushion_only():
    placed = play(SourceClock(live=True), "audio", 3.0, 100.0, 500)
    assert placed[0][0] == START
    for out, due, now in placed:
        assert due - now == pytest.approx(CUSHION, abs=1e-6)
        assert out - START == pytest.approx(now - 100.0, abs=1e-6)


def test_jitter_is_evened_out_and_sent_in_step_with_media_time():
    random.seed(7)
    clock = SourceClock(live=True)
    placed = [
        clock.place("video", number / 30, 5 + number / 30 + random.uniform(0, 0.05))
        for number in range(600)
    ]
    gaps = [b[1] - a[1] for a, b in itertools.pairwise(placed[100:])]
    assert max(gaps) < 1 / 30 + 0.02
    assert min(gaps) > 1 / 30 - 0.02


def test_sound_and_picture_keep_their_distance_whoever_comes_first():
    clock = SourceClock(live=True)
    video, _ = clock.place("video", 50.0, 9.0)
    audio, _ = clock.place("audio", 49.4, 9.01)
    assert video - audio == pytest.approx(0.6)


def test_the_past_that_a_server_begins_with_is_caught_up():
    clock = SourceClock(live=True)
    for number in range(90):  # three seconds at once
        clock.place("video", number / 30, 1.0)
    placed = play(clock, "video", 3.0, 1.0, 300, 1 / 30)
    late = placed[-1][1] - placed[-1][2]
    assert late == pytest.approx(CUSHION, abs=0.05)


def test_a_stall_costs_no_lasting_delay():
    clock = SourceClock(live=True)
    play(clock, "audio", 0.0, 0.0, 100)
    for number in range(400):  # eight seconds without a packet, then all of them
        clock.place("audio", 2.0 + number * 0.02, 10.0)
    placed = play(clock, "audio", 10.0, 10.0, 400)
    out, due, now = placed[-1]
    assert due - now < CUSHION + 0.05
    assert out == pytest.approx(START + 10.0 + 399 * 0.02, abs=0.01)  # media time had no hole
    assert clock.jumps == 0


def test_a_file_is_not_hurried():
    clock = SourceClock(live=False)
    due = [clock.place("video", number / 30, max(0.0, number / 30 - 1))[1] for number in range(900)]
    assert due[-1] - due[0] == pytest.approx(899 / 30, abs=1e-6)


@pytest.mark.parametrize("jump", [-3600.0, -2.0, 6.5, 3600.0, 2.0**32 / 90_000])
def test_a_clock_that_jumps_goes_on_and_stays_in_sync(jump: float):
    clock = SourceClock(live=True)
    before = 0.0
    for number in range(100):
        before, _ = clock.place("video", 100 + number * 0.04, number * 0.04)
        clock.place("audio", 100 + number * 0.04, number * 0.04)
    audio, _ = clock.place("audio", 104 + jump, 4.0)
    clock.place("video", 104.0, 4.0)  # one of the old time still comes
    video, due = clock.place("video", 104.04 + jump, 4.04)
    assert video - audio == pytest.approx(0.04, abs=1e-6)
    assert before < video < before + 0.2
    assert due < 4.5
    assert clock.jumps == 2


def test_a_track_from_another_time_is_put_beside_the_others():
    clock = SourceClock(live=True)
    play(clock, "video", 0.0, 0.0, 50)
    audio, _ = clock.place("audio", 90_000.0, 1.0)
    assert audio == pytest.approx(START + 0.98, abs=0.1)


def test_time_grows_whatever_comes():
    random.seed(3)
    clock = SourceClock(live=True)
    last = {"audio": -1.0, "video": -1.0}
    for number in range(3_000):
        track = random.choice(("audio", "video"))
        media = random.choice((number / 100, number / 100 - 0.5, random.uniform(-1e6, 1e6)))
        out, due = clock.place(track, media, number / 100)
        assert out > last[track]
        assert due >= number / 100
        last[track] = out


@pytest.mark.parametrize("speed", [1 - 300e-6, 1 + 300e-6])
def test_an_hour_of_another_clocks_speed_keeps_the_delay_small(speed: float):
    clock = SourceClock(live=True)
    delays = []
    for number in range(3_600 * 50):
        now = number * 0.02
        _, due = clock.place("audio", now * speed, now)
        delays.append(due - now)
    assert max(delays) < 0.3
    assert clock.jumps == 0
