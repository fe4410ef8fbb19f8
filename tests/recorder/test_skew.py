"""Sound and picture stay together whatever happens to a publisher, shown by decoding the archive;
and for hours, shown by the timeline alone."""

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfu._media import Timeline
from tests.recorder import hls, media
from tests.recorder.events import AUDIO, VIDEO, Stage, Track, mute_event, new_stream
from tests.recorder.journals import Frame, Journal

Event = Callable[[Stage, float], Iterator[Any] | None]

SMALL, LARGE = (160, 90), (320, 180)


def mute(number: int, on: bool) -> Event:
    """The publisher says so, and sends nothing meanwhile."""

    def do(stage: Stage, at: float) -> Iterator[Any]:
        track = stage.audio if number == AUDIO else stage.video
        track.paused = on
        track.until_keyframe = number == VIDEO
        yield mute_event(track, at, on)

    return do


def stop(number: int, on: bool) -> Event:
    """Nothing is sent, and nobody says so: a camera that fails, a network that is away."""

    def do(stage: Stage, at: float) -> None:
        track = stage.audio if number == AUDIO else stage.video
        track.paused = on
        track.until_keyframe = number == VIDEO

    return do


def change_stream(number: int, error: float) -> Event:
    return lambda stage, at: new_stream(stage.audio if number == AUDIO else stage.video, error)


def change_size(size: tuple[int, int], error: float) -> Event:
    def do(stage: Stage, at: float) -> None:
        stage.video.clip = media.video("H264", size=size, gop=15)
        new_stream(stage.video, error)

    return do


def jump(number: int, seconds: float) -> Event:
    def do(stage: Stage, at: float) -> None:
        (stage.audio if number == AUDIO else stage.video).shift += seconds

    return do


def set_wall_clock(seconds: float) -> Event:
    def do(stage: Stage, at: float) -> None:
        stage.wall += seconds

    return do


def set_drift(number: int, drift: float) -> Event:
    def do(stage: Stage, at: float) -> None:
        track = stage.audio if number == AUDIO else stage.video
        track.shift -= at * (drift - track.drift)
        track.drift = drift

    return do


def set_dtx(on: bool) -> Event:
    def do(stage: Stage, at: float) -> None:
        stage.audio.dtx = on

    return do


def fifty_events(every: float) -> list[tuple[float, Event]]:
    """Each kind of event five times, in an order of chance (but always the same)."""
    chance = random.Random(6)
    pairs: list[tuple[Event, Event | None]] = []

    def error() -> float:
        """What jitter does to the engine's mapping when it goes on with another stream."""
        return chance.choice((-1, 1)) * chance.uniform(0.001, 0.02)

    for _ in range(5):
        pairs += [
            (mute(AUDIO, True), mute(AUDIO, False)),
            (mute(VIDEO, True), mute(VIDEO, False)),
            (change_stream(AUDIO, error() / 2), None),
            (change_stream(VIDEO, error()), None),
            (change_size(LARGE, error()), change_size(SMALL, error())),
            (set_wall_clock(chance.choice((-3_600, -7, 0.08, 0.6, 86_400))), None),
            (set_drift(AUDIO, chance.choice((-1e-4, 1e-4))), None),
            (set_drift(VIDEO, chance.choice((-1e-4, 1e-4))), set_dtx(True)),
            (jump(AUDIO, chance.choice((-4_000, -3, 0.7, 40_000))), set_dtx(False)),
            (jump(VIDEO, chance.choice((-20_000, -0.5, 2, 23_860))), None),
        ]
    chance.shuffle(pairs)
    assert len(pairs) == 50
    events: list[tuple[float, Event]] = []
    for number, (begin, end) in enumerate(pairs):
        events.append((4.2 + number * every, begin))
        if end is not None:
            events.append((4.2 + number * every + every * 0.6, end))
    return events


def stage(seconds: float, events: list[tuple[float, Event]], **of_audio: Any) -> Stage:
    audio = Track(AUDIO, 48_000, 0.0, 0.03, of_audio.pop("report_every", 2.5), base=7)
    video = Track(VIDEO, 90_000, 0.06, 0.035, 1.0)
    audio.clip, video.clip = media.audio(), media.video("H264", size=SMALL, gop=15)
    return Stage(seconds, audio, video, events)


def recorded(made: Stage, record: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    journal = Journal().start().publish(0, AUDIO, "microphone", "opus")
    journal.publish(0, VIDEO, "camera", "H264")
    journal.add(made.records()).end(made.seconds + 1)
    return record(journal)


def archive_skews(folder: Path) -> list[float]:
    """Beep minus flash for each that the archive holds, by decoding all of it."""
    _, video, audio = hls.master(folder / "media" / "camera.m3u8")
    assert audio is not None
    pictures = [
        hls.decode(init.read_bytes() + b"".join(s.path.read_bytes() for s in segments))
        for init, segments in itertools.groupby(hls.read(video).segments, key=lambda s: s.init)
    ]
    sound = hls.decode(hls.read(audio).joined())
    return hls.skews(list(itertools.chain(*pictures)), sound)


def test_fifty_events_leave_sound_and_picture_within_20_ms(folder: Path, record):
    made = stage(214, fifty_events(4.0))
    manifest = recorded(made, record)
    skews = np.abs(archive_skews(folder))
    assert len(skews) > 120
    assert np.percentile(skews, 99) <= 0.020
    assert max(skews) < 0.060
    assert manifest["entry"]["duration_s"] == pytest.approx(214, abs=0.5)
    reasons = {gap["reason"] for gap in manifest["gaps"]}
    assert "muted" in reasons


@pytest.mark.parametrize("drift", [-1e-4, 1e-4])
@pytest.mark.parametrize("report_every", [1.0, 5.0])
def test_three_hours_with_fifty_events_end_within_40_ms(drift: float, report_every: float):
    """Five pictures and five packets a second: the clocks are what matters, not the media."""
    seconds = 3 * 3_600.0
    events = fifty_events(200.0)
    audio = Track(AUDIO, 48_000, 0.0, 0.03, report_every, drift=drift, base=7)
    video = Track(VIDEO, 90_000, 0.06, 0.035, report_every, drift=-drift / 3)
    thin = tuple(media.Coded(n / 5, b"", True) for n in range(5))  # type: ignore[arg-type]
    audio.clip = video.clip = thin
    made = Thin(seconds, audio, video, events)
    skews = timeline_skews(made)
    assert len(skews) > 40_000
    assert abs(skews[-1]) < 0.040
    assert np.percentile(np.abs(skews), 99) <= 0.020


class Thin(Stage):
    """Sound and pictures five times a second, captured at the same moments."""

    def _make(self) -> Iterator[Any]:
        moments = sorted(
            [
                *((n / 5, 1, "both", None) for n in range(round(self.seconds * 5))),
                *self._report_times(self.audio),
                *self._report_times(self.video),
                *((at, 3, "event", do) for at, do in self.events),
            ],
            key=lambda moment: moment[:2],
        )
        jitter = itertools.cycle((0.0, 0.004, 0.001, 0.007))
        for at, _, kind, what in moments:
            if kind == "report":
                yield self._report(what, at)
            elif kind == "event":
                list(what(self, at) or ())
                self.video.clip = self.audio.clip
                self.audio.dtx = self.video.until_keyframe = False
            else:
                for track in (self.audio, self.video):
                    arrival = at + track.capture_delay + track.delay + next(jitter)
                    for frame in self._frame(track, at, 0, arrival):
                        self.captured.append(at)
                        yield frame


def timeline_skews(made: Stage) -> list[float]:
    """Placed picture minus placed packet, of those captured at the same moment."""
    timeline = Timeline()
    timeline.add_track(AUDIO, 48_000, 1)
    timeline.add_track(VIDEO, 90_000, 1)
    placed: dict[int, dict[int, float]] = {AUDIO: {}, VIDEO: {}}

    def take() -> None:
        for timed in timeline.poll():
            track = made.audio if timed.track == AUDIO else made.video
            late = track.capture_delay + track.delay
            moment = round((timed.frame.arrival_us / 1e6 - late) * 5 - 0.03)
            placed[timed.track][moment] = timed.time_us / 1e6

    for record in made.records():
        if isinstance(record, Frame):
            timeline.handle_frame(record)
        else:
            timeline.handle_report(record)
        take()
    timeline.finish()
    take()
    both = placed[AUDIO].keys() & placed[VIDEO].keys()
    return [placed[VIDEO][moment] - placed[AUDIO][moment] for moment in sorted(both)]
