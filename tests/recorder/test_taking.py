"""The short way of frames that simply follow the last: from the timeline to samples at once."""

from dataclasses import replace
from typing import Any

import pytest

from sfu._media import Samples, Timeline
from tests.recorder.journals import Frame, JournalEnd, Sender, at_us, loop
from tests.recorder.media import audio

TRACK = 1
ALWAYS = (0, at_us(3600))


class Writer:
    """Who is to write the parts."""

    def write(self) -> None: ...


@pytest.fixture
def frames() -> list[Frame]:
    return Sender(TRACK, 48_000).frames(loop(audio(), 8), 0)


class Bound:
    """A timeline that has placed 3 s of sound and been told where the rest goes."""

    def __init__(self, frames: list[Frame]) -> None:
        self.timeline, self.writer = Timeline(), Writer()
        self.samples = Samples("opus", 1_000_000)
        self.samples.set_cut(10_560, 8_977, 96_000)
        self.passed: list[Any] = []
        self.timeline.add_track(TRACK, 48_000, 1)
        for frame in frames[:150]:
            self.timeline.handle_frame(frame)
        for timed in self.timeline.poll():
            self.samples.add(timed.time_us * 6 // 125, timed.frame.data, 960, True)
            self.samples.noted_us = timed.time_us + 20_000
        self.samples.poll()
        self.timeline.bind(TRACK, self.samples, self.writer, self.passed.append)

    def take(self, records: list[Any], at: int = 0, between: tuple[int, int] = ALWAYS) -> int:
        return self.timeline.take(records, at, 0, between)


def test_frames_that_follow_become_parts(frames: list[Frame]):
    bound = Bound(frames)
    assert bound.take(frames[150:]) == 250
    assert bound.timeline.poll() == []
    assert bound.timeline.grown() == [bound.writer]
    assert bound.timeline.grown() == []
    assert [frame for _, frame in bound.passed] == frames[150:]
    assert sum(end - start for data, start, end, _ in bound.samples.poll() if data) >= 230 * 960
    assert bound.timeline.release(TRACK) == bound.samples.taken == 250


def test_what_is_no_frame_of_a_bound_track_is_left_to_others(frames: list[Frame]):
    bound = Bound(frames)
    other = replace(frames[152], track=2)
    records = [*frames[150:152], other, JournalEnd(frames[152].arrival_us), frames[152]]
    assert bound.take(records) == 2
    assert bound.take(records, 3) == 3
    assert bound.take(records, 4) == 5
    assert bound.timeline.release(TRACK) == 3
    assert bound.take(frames[153:]) == 0


def test_a_frame_from_outside_the_believed_times_is_left_to_others(frames: list[Frame]):
    bound = Bound(frames)
    rest = frames[150:]
    assert bound.take(rest, between=(0, rest[4].arrival_us)) == 5
    assert bound.take(rest, 5, between=(rest[5].arrival_us, ALWAYS[1])) == 5


def test_a_frame_that_does_not_follow_is_placed_and_given_back(frames: list[Frame]):
    bound = Bound(frames)
    gap = frames[160:]
    assert bound.take(gap) == 1
    (timed,) = bound.timeline.poll()
    assert timed.frame == gap[0]
    assert timed.time_us == pytest.approx(160 * 20_000, abs=10_000)
    assert bound.samples.taken == 0
