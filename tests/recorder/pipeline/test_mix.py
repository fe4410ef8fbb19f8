"""The lesson's one sound: who is heard, what it costs, and that no seam can be heard."""

import itertools
import time
from collections.abc import Iterable
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.pipeline.codecs import opus_duration
from recorder.pipeline.mix import HEARD, VOICES, Mixer, Sound
from tests.recorder import sounds
from tests.recorder.sounds import RATE, Packet

TEACHER, SCHOOL = 1, 5
DTX = b"\xf8"


def track(number: int, packets: Iterable[bytes], at: float = 0.0, delay: float = 0.03) -> list:
    """(arrival, lesson time, track, packet) of a microphone that begins at `at`."""
    times = [(at + n * 0.02, data) for n, data in enumerate(packets)]
    return [(time + delay, round(time * 1e6), number, data) for time, data in times]


def play(*tracks: list, events: Iterable[tuple] = (), mixer: Mixer | None = None) -> list[Sound]:
    """A lesson in virtual time. Events are (time, method of the mixer, arguments)."""
    mixer = mixer or Mixer()
    out: list[Sound] = []
    steps = sorted([*itertools.chain(*tracks), *events], key=lambda step: step[0])
    for at, *what in steps:
        mixer.advance(round(at * 1e6))
        if isinstance(what[0], str):
            getattr(mixer, what[0])(*what[1:])
        else:
            time_us, number, data = what
            if mixer.passes(time_us, Packet(data), number):
                out.append(Sound(time_us, number, data, False))
            else:
                mixer.push(time_us, Packet(data), number)
        out += mixer.poll()
    mixer.finish()
    return out + mixer.poll()


def present(*numbers: int) -> list[tuple]:
    return [(0.0, "add", number, number) for number in numbers]


def check(out: list[Sound]) -> None:
    """One sound after the other: no hole, no overlap."""
    for before, after in itertools.pairwise(out):
        end = before.time_us + opus_duration(before.data) * 125 / 6
        assert after.time_us == pytest.approx(end, abs=10_000)


def heard(out: list[Sound]) -> np.ndarray:
    return sounds.decode([sound.data for sound in out])


def test_one_microphone_goes_on_untouched_and_at_once():
    packets = sounds.tone(440, 2)
    mixer = Mixer()
    mixer.add(TEACHER, 0)
    for _, time_us, number, data in track(TEACHER, packets):
        assert mixer.passes(time_us, Packet(data), number)
    assert mixer.poll() == []
    assert mixer.mixed == 0


def test_while_a_school_is_silent_the_teachers_packets_go_on_untouched():
    """An open microphone in a quiet room costs its decoding, not the teacher's quality."""
    packets, mixer = sounds.tone(440, 4), Mixer()
    quiet = sounds.tone(300, 4, level=0.001)
    out = play(
        track(TEACHER, packets), track(SCHOOL, quiet), events=present(TEACHER, SCHOOL), mixer=mixer
    )
    assert [sound.data for sound in out] == list(packets)
    assert mixer.mixed == 0


def test_a_school_that_is_heard_alone_goes_on_untouched():
    quiet, packets = sounds.tone(300, 4, level=0.0005), sounds.tone(440, 4)
    mixer = Mixer()
    out = play(
        track(TEACHER, quiet), track(SCHOOL, packets), events=present(TEACHER, SCHOOL), mixer=mixer
    )
    assert mixer.mixed == 0
    assert [sound.data for sound in out] == list(packets)


def test_two_that_speak_at_once_are_both_heard():
    out = play(
        track(TEACHER, sounds.tone(440, 6)),
        track(SCHOOL, sounds.tone(1_000, 2), at=2.0, delay=0.2),
        events=present(TEACHER, SCHOOL),
    )
    check(out)
    sound = heard(out)
    teacher, school = sounds.loudness(sound, 440), sounds.loudness(sound, 1_000)
    assert min(teacher[3:-3]) > 0.25
    assert max(school[:97]) < 0.02
    assert min(school[102:197]) > 0.25
    assert max(school[205:]) < 0.02


@pytest.mark.parametrize(
    ("application", "bit_rate"), [("audio", 48_000), ("voip", 32_000), ("voip", 16_000)]
)
def test_a_tone_goes_on_through_the_seams_without_a_dropout(application: str, bit_rate: int):
    """The teacher's tone while a school comes and goes, as a listener's one decoder hears it."""
    packets = sounds.tone(440, 8, application=application, bit_rate=bit_rate)
    mixer = Mixer()
    school = [track(SCHOOL, sounds.tone(1_000, 1, level=0.05), at=at) for at in (1, 4)]
    out = play(track(TEACHER, packets), *school, events=present(TEACHER, SCHOOL), mixer=mixer)
    check(out)
    assert 150 < mixer.mixed < 250
    assert len(out) == len(packets)
    before = sounds.decode(list(packets))
    steady = np.sqrt(np.mean(before[RATE:-RATE] ** 2))
    levels = sounds.level(heard(out)[4_800:-4_800])
    assert min(levels) > 0.5 * steady
    assert max(levels) < 1.6 * steady


def test_no_seam_clicks():
    """A click is energy far above the tone: less of it than 30 dB below, at every seam."""
    packets = sounds.tone(440, 6)
    out = play(
        track(TEACHER, packets),
        track(SCHOOL, sounds.tone(600, 1.5, level=0.1), at=2),
        events=present(TEACHER, SCHOOL),
    )
    sound = heard(out)[4_800:-4_800]
    spectrum = np.array([np.abs(np.fft.rfft(sound[at : at + 960] * np.hanning(960)))
                         for at in range(0, len(sound) - 960, 480)])  # fmt: skip
    frequencies = np.fft.rfftfreq(960, 1 / RATE)
    high = spectrum[:, frequencies > 3_000]
    peak = np.median(spectrum.max(axis=1))
    assert high.max() < peak * 0.03


def test_the_mix_is_not_late():
    """The encoder's lookahead is taken back: the tone has the same phase before and after."""
    packets = sounds.tone(440, 6)
    out = play(
        track(TEACHER, packets),
        track(SCHOOL, sounds.tone(1_000, 2), at=2),
        events=present(TEACHER, SCHOOL),
    )
    want, got = sounds.decode(list(packets)), heard(out)

    def phase(sound: np.ndarray, at: float) -> float:
        piece = sound[round(at * RATE) : round((at + 0.1) * RATE)]
        times = np.arange(len(piece)) / RATE
        return float(np.angle(np.sum(piece * np.exp(-2j * np.pi * 440 * times))))

    for at in (1.0, 3.0, 5.0):
        samples = (phase(got, at) - phase(want, at)) / (2 * np.pi * 440) * RATE
        assert abs(samples) < 2


def test_two_loud_voices_do_not_clip():
    out = play(
        track(TEACHER, sounds.tone(440, 3, level=0.9)),
        track(SCHOOL, sounds.tone(1_000, 3, level=0.9)),
        events=present(TEACHER, SCHOOL),
    )
    sound = heard(out)[RATE:-RATE]
    assert np.count_nonzero(np.abs(sound) >= 0.9999) < len(sound) * 0.001
    assert np.sqrt(np.mean(sound**2)) > 0.5


def test_a_stereo_lesson_stays_stereo_in_the_mix():
    out = play(
        track(TEACHER, sounds.tone(440, 3, channels=2, bit_rate=96_000)),
        track(SCHOOL, sounds.tone(1_000, 1), at=1),
        events=present(TEACHER, SCHOOL),
    )
    assert all(sound.data[0] & 4 for sound in out)


def test_of_many_only_the_first_few_are_mixed():
    numbers = range(1, VOICES + 4)
    mixer = Mixer()
    voices = [track(n, sounds.tone(200 * n, 2, level=0.1)) for n in numbers]
    sound = heard(play(*voices, events=present(*numbers), mixer=mixer))
    levels = [float(np.median(sounds.loudness(sound, 200 * n))) for n in numbers]
    assert [level > 0.05 for level in levels] == [n <= HEARD for n in numbers]
    assert mixer.dropped == 3 * 100


def test_who_is_muted_or_gone_is_not_waited_for():
    packets = sounds.tone(440, 4)
    mixer = Mixer()
    mixer.add(TEACHER, 0)
    mixer.add(SCHOOL, 1)
    mixer.remove(SCHOOL)
    for _, time_us, number, data in track(TEACHER, packets):
        assert mixer.passes(time_us, Packet(data), number)


def test_a_microphone_that_says_nothing_holds_the_other_up_for_less_than_half_a_second():
    late = []
    mixer = Mixer()
    mixer.add(TEACHER, 0)
    mixer.add(SCHOOL, 1)
    mixer.push(0, Packet(DTX), SCHOOL)
    for arrival, time_us, number, data in track(TEACHER, sounds.tone(440, 4)):
        mixer.advance(round(arrival * 1e6))
        mixer.push(time_us, Packet(data), number)
        late += [arrival - sound.time_us / 1e6 for sound in mixer.poll()]
    assert late
    assert max(late) < 0.5


def test_a_link_that_stalls_holds_the_other_up_for_about_a_second():
    stalled = track(SCHOOL, sounds.tone(1_000, 6, level=0.1))
    stalled = [(max(arrival, 4.0) if arrival > 1 else arrival, *rest) for arrival, *rest in stalled]
    mixer = Mixer()
    out = play(
        track(TEACHER, sounds.tone(440, 6)), stalled, events=present(TEACHER, SCHOOL), mixer=mixer
    )
    check(out)
    sound = heard(out)
    assert min(sounds.loudness(sound, 440)[5:-5]) > 0.25
    school = sounds.loudness(sound, 1_000)
    assert mean(school[5:40]) > 0.08
    assert mean(school[220:280]) > 0.08


def test_the_first_words_of_a_school_are_heard_although_its_clock_is_not_known_yet():
    """The timeline holds a new publisher's first frames; the mixer waits for them."""
    school = sounds.tone(1_000, 2)
    held = [(max(arrival, 2.6), *rest) for arrival, *rest in track(SCHOOL, school, at=2)]
    events = [
        (0.0, "add", TEACHER, 0),
        (1.9, "add", SCHOOL, 1),
        (2.03, "expect", SCHOOL, 2_030_000),
    ]
    sound = heard(play(track(TEACHER, sounds.tone(440, 6)), held, events=events))
    assert min(sounds.loudness(sound, 1_000)[103:197]) > 0.25


def test_coming_and_going_many_times_keeps_one_sound():
    events = present(TEACHER)
    voices = [track(TEACHER, sounds.tone(440, 60))]
    for n in range(20):
        events += [(1 + n * 2.9, "add", SCHOOL + n, 1), (2.4 + n * 2.9, "remove", SCHOOL + n)]
        clip = sounds.tone(1_000, 1, level=0.1)
        voices.append(track(SCHOOL + n, clip, at=1.2 + n * 2.9, delay=0.05))
    out = play(*voices, events=events)
    check(out)
    assert len(out) == 3_000
    assert min(sounds.loudness(heard(out), 440)[5:-5]) > 0.2


def test_the_same_journal_gives_the_same_bytes():
    def once() -> list[Sound]:
        return play(
            track(TEACHER, sounds.tone(440, 4)),
            track(SCHOOL, sounds.tone(1_000, 2), at=1),
            events=present(TEACHER, SCHOOL),
        )

    assert once() == once()


def test_a_minute_of_mix_costs_a_small_part_of_a_minute():
    mixer = Mixer()
    voices = track(TEACHER, sounds.tone(440, 10)), track(SCHOOL, sounds.tone(900, 10))
    before = time.process_time()
    play(*voices, events=present(TEACHER, SCHOOL), mixer=mixer)
    seconds = time.process_time() - before
    assert mixer.mixed > 450
    assert seconds / (mixer.mixed * 0.02) < 0.5


@given(
    packets=st.lists(
        st.tuples(
            st.integers(1, 4),
            st.integers(1, 100_000) | st.integers(1, 40_000_000_000),
            st.binary(max_size=80),
        ),
        max_size=60,
    ),
    events=st.lists(
        st.tuples(
            st.floats(0, 2),
            st.sampled_from(["add", "remove", "expect"]),
            st.integers(1, 12),
            st.integers(0, 2**40),
        ),
        max_size=20,
    ),
)
@settings(max_examples=60, deadline=None)
def test_no_packets_however_odd_stop_the_sound_or_fill_hours(packets, events):
    times = itertools.accumulate((step for _, step, _ in packets), initial=-1_000_000)
    records = [
        (n * 0.02, time_us, number, data)
        for n, ((number, _, data), time_us) in enumerate(zip(packets, times, strict=False))
    ]
    steps = [
        (at, name, number, value) if name != "remove" else (at, name, number)
        for at, name, number, value in events
    ]
    out = play(records, events=[*present(1, 2), *steps])
    assert len(out) < 60 * 6 + 1_000
    assert all(b.time_us > a.time_us for a, b in itertools.pairwise(out))
