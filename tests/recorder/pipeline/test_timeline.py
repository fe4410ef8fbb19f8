"""The lesson clock, in virtual time: publishers whose clocks run well, badly, or not at all."""

import itertools
from dataclasses import replace
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu._media import Timeline
from tests.recorder.journals import Frame, JournalEnd, Sender, SenderReport, at_us
from tests.recorder.media import Coded

AUDIO, VIDEO = 1, 2


def ticking(seconds: float, per_second: int) -> list[Coded]:
    """Frames without content."""
    return [Coded(n / per_second, b"", True) for n in range(round(seconds * per_second))]


def place(*records: list, tracks: dict[int, int] | None = None) -> dict[int, list[tuple]]:
    """Run records through a timeline; (captured, placed) in seconds by track."""
    timeline = Timeline()
    for number, publisher in (tracks or {AUDIO: 1, VIDEO: 1}).items():
        timeline.add_track(number, 48_000 if number % 2 else 90_000, publisher)
    placed: dict[int, list] = {number: [] for number in (tracks or {AUDIO: 1, VIDEO: 1})}
    for record in sorted(itertools.chain(*records), key=lambda r: r.arrival_us):
        match record:
            case Frame():
                timeline.handle_frame(record)
            case SenderReport():
                timeline.handle_report(record)
        for timed in timeline.poll():
            placed[timed.track].append((timed.time_us / 1e6, timed.frame.arrival_us))
    timeline.finish()
    for timed in timeline.poll():
        placed[timed.track].append((timed.time_us / 1e6, timed.frame.arrival_us))
    return placed


def times(placed: list[tuple]) -> list[float]:
    return [time for time, _ in placed]


def media(sender: Sender, seconds: float, per_second: int, at: float = 0.0) -> list:
    return [
        *sender.frames(ticking(seconds, per_second), at),
        *sender.reports(at, at + seconds),
    ]


def test_zero_is_the_first_frame_and_frames_keep_their_distances():
    placed = place(media(Sender(AUDIO, 48_000), 4, 50), media(Sender(VIDEO, 90_000), 4, 30))
    assert placed[AUDIO][0][0] == pytest.approx(0, abs=0.002)
    assert len(placed[AUDIO]) == 200
    assert all(
        b - a == pytest.approx(0.02, abs=0.0002)
        for a, b in itertools.pairwise(times(placed[AUDIO]))
    )


def test_sender_reports_put_audio_and_video_in_sync_whatever_the_delays():
    audio = Sender(AUDIO, 48_000, ntp_offset=3600)
    video = Sender(VIDEO, 90_000, ntp_offset=3600, capture_delay=0.4, base=3)
    placed = place(media(audio, 4, 50), media(video, 4, 50))
    differences = [a - v for a, v in zip(times(placed[AUDIO]), times(placed[VIDEO]), strict=True)]
    assert max(map(abs, differences)) < 0.001


def test_without_reports_arrival_decides():
    audio = Sender(AUDIO, 48_000, report_every=None)
    video = Sender(VIDEO, 90_000, report_every=None, capture_delay=0.4)
    placed = place(media(audio, 4, 50), media(video, 4, 50))
    assert times(placed[VIDEO])[0] - times(placed[AUDIO])[0] == pytest.approx(0.4, abs=0.01)


def test_a_late_report_moves_a_track_without_a_jump():
    audio, video = Sender(AUDIO, 48_000), Sender(VIDEO, 90_000, capture_delay=0.2)
    late = [record for record in audio.reports(0, 60) + video.reports(0, 60)
            if record.arrival_us > at_us(5)]  # fmt: skip
    placed = place(audio.frames(ticking(60, 50), 0), video.frames(ticking(60, 50), 0), late)
    differences = [v - a for a, v in zip(times(placed[AUDIO]), times(placed[VIDEO]), strict=True)]
    assert differences[0] == pytest.approx(0.2, abs=0.01)
    assert abs(differences[-1]) < 0.005
    for track, slew in ((AUDIO, Timeline.SLEW), (VIDEO, Timeline.SLEW_PICTURES)):
        steps = [b - a for a, b in itertools.pairwise(times(placed[track]))]
        assert max(abs(step - 0.02) for step in steps) <= 0.02 / slew + 1e-5


def test_frames_wait_for_the_first_report_but_not_for_ever():
    timeline = Timeline()
    timeline.add_track(AUDIO, 48_000, 1)
    frames = Sender(AUDIO, 48_000).frames(ticking(4, 50), 0)
    for count, frame in enumerate(frames):
        timeline.handle_frame(frame)
        if timeline.poll():
            waited = frame.arrival_us - frames[0].arrival_us
            assert waited == pytest.approx(Timeline.HOLD_US, abs=25_000)
            assert count > 1
            return
    pytest.fail("nothing was placed")


@pytest.mark.parametrize("drift", [-3e-4, 1e-4, 3e-4])
def test_a_drifting_audio_clock_stays_in_sync_for_an_hour(drift: float):
    audio = Sender(AUDIO, 48_000, drift=drift, report_every=5)
    video = Sender(VIDEO, 90_000, report_every=5)
    placed = place(media(audio, 3600, 2), media(video, 3600, 2))
    differences = [a - v for a, v in zip(times(placed[AUDIO]), times(placed[VIDEO]), strict=True)]
    assert max(map(abs, differences)) < 0.02


@given(
    base=st.integers(0, 2**32 - 1),
    clock=st.floats(-1e8, 1e8),
    delay=st.floats(0, 0.5),
    jitter=st.lists(st.floats(0, 0.2), min_size=1, max_size=7).map(tuple),
)
@settings(max_examples=40, deadline=None)
def test_any_sane_publisher_is_placed_in_order_and_in_sync(base, clock, delay, jitter):
    audio = Sender(AUDIO, 48_000, base, clock, delay, jitter)
    video = Sender(VIDEO, 90_000, base ^ 0xFFFF0000, clock, delay, (*jitter, 0.0), 0.1)
    placed = place(media(audio, 6, 25), media(video, 6, 25))
    for track in placed.values():
        assert all(b > a for a, b in itertools.pairwise(times(track)))
    differences = [a - v for a, v in zip(times(placed[AUDIO]), times(placed[VIDEO]), strict=True)]
    assert max(map(abs, differences)) < 0.01


@given(
    stamps=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=60),
    reports=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)), max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_no_publisher_however_insane_breaks_the_order_or_runs_away(stamps, reports):
    frames = [
        Frame(AUDIO, stamp, at_us(n * 0.1), True, False, b"") for n, stamp in enumerate(stamps)
    ]
    lies = [
        SenderReport(AUDIO, ntp, stamp, at_us(n * 0.3)) for n, (ntp, stamp) in enumerate(reports)
    ]
    placed = place(frames, lies, tracks={AUDIO: 1})[AUDIO]
    assert len(placed) == len(frames)
    assert all(b > a for a, b in itertools.pairwise(times(placed)))
    slack = Timeline.MAX_LAG_US / 1e6 + 1
    for time, arrival in placed:
        assert abs(time - (arrival - frames[0].arrival_us) / 1e6) < slack + len(stamps) * 0.1


@pytest.mark.parametrize("jump", [2**31, -(2**31), 90_000 * 3600, -90_000 * 5])
def test_a_jump_of_the_media_clock_is_not_a_jump_of_the_lesson(jump: int):
    video = Sender(VIDEO, 90_000)
    frames = video.frames(ticking(20, 30), 0)
    jumped = [
        replace(frame, timestamp=(frame.timestamp + jump) & 0xFFFFFFFF)
        if frame.arrival_us > at_us(10)
        else frame
        for frame in frames
    ]
    after = replace(video, base=video.base + jump)
    reports = video.reports(0, 10) + after.reports(10, 20)
    placed = times(place(jumped, reports)[VIDEO])
    steps = [b - a for a, b in itertools.pairwise(placed)]
    assert max(steps) < 0.06
    assert placed[-1] == pytest.approx(19.97, abs=0.05)


def test_a_frozen_media_clock_is_replaced_by_the_arrivals():
    frames = Sender(VIDEO, 90_000).frames(ticking(20, 30), 0)
    frozen = [
        replace(frame, timestamp=frames[150].timestamp) if 150 < n < 450 else frame
        for n, frame in enumerate(frames)
    ]
    placed = times(place(frozen)[VIDEO])
    assert all(time == pytest.approx(n / 30, abs=0.05) for n, time in enumerate(placed))


def test_a_publishers_clock_that_is_set_in_mid_lesson_moves_nothing():
    def stepped(sender: Sender) -> list:
        return [
            *sender.frames(ticking(30, 25), 0),
            *sender.reports(0, 15),
            *replace(sender, ntp_offset=-3600).reports(15, 30),
        ]

    placed = place(stepped(Sender(AUDIO, 48_000)), stepped(Sender(VIDEO, 90_000, base=5)))
    differences = [a - v for a, v in zip(times(placed[AUDIO]), times(placed[VIDEO]), strict=True)]
    assert max(map(abs, differences)) < 0.005
    assert times(placed[AUDIO])[-1] == pytest.approx(29.96, abs=0.01)


def test_two_wall_clocks_an_hour_apart_do_not_pull_the_tracks_apart():
    audio, video = Sender(AUDIO, 48_000, ntp_offset=3600), Sender(VIDEO, 90_000)
    placed = place(media(audio, 20, 25), media(video, 20, 25))
    differences = [a - v for a, v in zip(times(placed[AUDIO]), times(placed[VIDEO]), strict=True)]
    assert abs(mean(differences)) < 0.03


def test_a_pause_keeps_its_length():
    frames = Sender(AUDIO, 48_000).frames(ticking(60, 50), 0)
    muted = [frame for frame in frames if not at_us(10) < frame.arrival_us < at_us(50)]
    placed = times(place(muted)[AUDIO])
    assert placed[-1] == pytest.approx(59.98, abs=0.02)


def test_a_stalled_link_delays_frames_without_moving_them():
    frames = Sender(VIDEO, 90_000).frames(ticking(30, 30), 0)
    stall = at_us(15)
    stalled = [
        replace(frame, arrival_us=max(frame.arrival_us, stall + n))
        if frame.arrival_us > at_us(10)
        else frame
        for n, frame in enumerate(frames)
    ]
    placed = times(place(stalled)[VIDEO])
    assert all(time == pytest.approx(n / 30, abs=0.03) for n, time in enumerate(placed))


def test_a_teacher_who_reconnects_goes_on_where_the_clock_stands():
    first = [*media(Sender(1, 48_000), 10, 50), *media(Sender(2, 90_000), 10, 30)]
    again = [
        *media(Sender(3, 48_000, base=99, ntp_offset=5), 10, 50, at=25),
        *media(Sender(4, 90_000, base=9, ntp_offset=5, capture_delay=0.3), 10, 30, at=25),
    ]
    placed = place(first, again, tracks={1: 1, 2: 1, 3: 2, 4: 2})
    assert times(placed[3])[0] == pytest.approx(25, abs=0.02)
    assert times(placed[4])[0] == pytest.approx(times(placed[3])[0], abs=0.001)


def test_the_horizon_follows_the_journals_clock():
    timeline = Timeline()
    timeline.add_track(AUDIO, 48_000, 1)
    assert timeline.horizon_us == 0
    for frame in Sender(AUDIO, 48_000).frames(ticking(4, 50), 0):
        timeline.handle_frame(frame)
    timeline.handle_time(JournalEnd(at_us(60)).arrival_us)
    assert timeline.horizon_us == pytest.approx(60_000_000 - Timeline.MAX_LAG_US, abs=100_000)
