"""A publisher to whom things happen: 50 events that put clocks and streams to the test.

What is captured is a clip of flashes and beeps (`media.py`); every flash and beep has its true
time. `Stage` makes records of it as the journal would have them: one stream of timestamps a track,
which the engine goes on with by arrival where a publisher begins another SSRC or layer, with the
error that the network's jitter makes then.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.recorder import media
from tests.recorder.journals import EPOCH_US, NTP_UNIX, Frame, LessonEvent, SenderReport, at_us
from tests.recorder.media import Coded

AUDIO, VIDEO = 1, 2


@dataclass
class Track:
    """One track's clock as it is at the moment; events change it."""

    number: int
    rate: int
    capture_delay: float
    delay: float
    report_every: float
    drift: float = 0.0
    shift: float = 0.0
    """Seconds that the media clock is off where it began."""
    paused: bool = False
    clip: tuple[Coded, ...] = ()
    until_keyframe: bool = False
    dtx: bool = False
    base: int = 4_294_000_000

    def timestamp(self, captured: float) -> int:
        seconds = captured * (1 + self.drift) + self.shift
        return (self.base + round(seconds * self.rate)) & 0xFFFFFFFF


@dataclass
class Stage:
    """A lesson in virtual time: `events` are (seconds, what to do)."""

    seconds: float
    audio: Track
    video: Track
    events: list[tuple[float, Callable[["Stage", float], Iterator[Any] | None]]] = field(
        default_factory=list
    )
    wall: float = 0.0
    """The publisher's wall clock, ahead of the node's."""
    captured: list[float] = field(default_factory=list)
    """When each picture that was sent was captured."""

    def records(self) -> list[Any]:
        made = [*self._make()]
        return sorted(made, key=lambda record: record.arrival_us)

    def _make(self) -> Iterator[Any]:
        moments = sorted(
            [
                *((n * 0.02, 0, "sound", n) for n in range(round(self.seconds * 50))),
                *((n / 30, 1, "picture", n) for n in range(round(self.seconds * 30))),
                *self._report_times(self.audio),
                *self._report_times(self.video),
                *((at, 3, "event", what) for at, what in self.events),
            ],
            key=lambda moment: moment[:2],
        )
        jitters = {
            AUDIO: itertools.cycle((0.0, 0.003, 0.001, 0.006, 0.002)),
            VIDEO: itertools.cycle((0.004, 0.0, 0.007, 0.002)),
        }
        newest = {AUDIO: 0.0, VIDEO: 0.0}
        for at, _, kind, what in moments:
            match kind:
                case "report":
                    yield self._report(what, at)
                case "event":
                    yield from what(self, at) or ()
                case _:
                    track = self.audio if kind == "sound" else self.video
                    late = at + track.capture_delay + track.delay + next(jitters[track.number])
                    newest[track.number] = max(newest[track.number], late)
                    yield from self._frame(track, at, what, newest[track.number])

    def _report_times(self, track: Track) -> Iterator[tuple[float, int, str, Track]]:
        for n in range(int(self.seconds / track.report_every)):
            yield 0.3 + n * track.report_every, 2, "report", track

    def _frame(self, track: Track, at: float, number: int, arrival: float) -> Iterator[Frame]:
        coded = track.clip[number % len(track.clip)]
        if track.paused or (track.dtx and not media.is_flash(at % 4) and number % 20):
            return
        if track.until_keyframe and not coded.keyframe:
            return
        if track.number == VIDEO:
            self.captured.append(at)
        track.until_keyframe = False
        yield Frame(
            track.number, track.timestamp(at), at_us(arrival), coded.keyframe, False, coded.data
        )

    def _report(self, track: Track, at: float) -> SenderReport:
        ntp = EPOCH_US / 1e6 + NTP_UNIX + at + self.wall
        stamp = track.timestamp(at)
        return SenderReport(track.number, round(ntp * 2**32), stamp, at_us(at + track.delay))


def new_stream(track: Track, error: float) -> None:
    """Another SSRC or layer: the engine's mapping is off by `error` seconds from now on."""
    track.shift += error
    track.until_keyframe = track.number == VIDEO


def mute_event(track: Track, at: float, muted: bool) -> LessonEvent:
    text = f'{{"type":"track_muted","track":{track.number},"muted":{str(muted).lower()}}}'
    return LessonEvent(at_us(at + 0.02), text)
