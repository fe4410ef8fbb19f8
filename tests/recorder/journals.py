"""Journals for the tests: a publisher writes records in virtual time, a double of the reader reads.

`Publisher` turns clips into frames and sender reports as a WebRTC sender on a network would make
them; `Journal` keeps them in order of arrival, and its readers behave as the native one: in order,
[] when caught up, the end last.
"""

import heapq
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.recorder import media

EPOCH_US = 1_790_000_000_000_000
"""The node's clock when the journals begin (2026-09-21)."""

NTP_UNIX = 2_208_988_800


@dataclass(frozen=True)
class Frame:
    track: int
    timestamp: int
    arrival_us: int
    keyframe: bool
    after_loss: bool
    data: bytes


@dataclass(frozen=True)
class SenderReport:
    track: int
    ntp: int
    timestamp: int
    arrival_us: int


@dataclass(frozen=True)
class LessonEvent:
    arrival_us: int
    json: str


@dataclass(frozen=True)
class JournalEnd:
    arrival_us: int


@dataclass
class Journal:
    """Records by arrival; times given to its methods are seconds since the journal began."""

    records: list[Any] = field(default_factory=list)
    errors: int = 0

    def add(self, records: Iterable[Any]) -> "Journal":
        merged = heapq.merge(self.records, list(records), key=lambda r: r.arrival_us)
        self.records = list(merged)
        return self

    def event(self, at: float, type_: str, /, **fields: Any) -> "Journal":
        return self.add([LessonEvent(at_us(at), json.dumps({"type": type_, **fields}))])

    def start(self, lesson: str = "math", title: str = "Mathematics") -> "Journal":
        return self.event(0, "lesson_started", lesson=lesson, title=title, id="")

    def publish(
        self, at: float, track: int, source: str, codec: str, **publisher: str | int
    ) -> "Journal":
        kind, rate = ("audio", 48_000) if codec == "opus" else ("video", 90_000)
        return self.event(
            at,
            "track_published",
            track=track,
            kind=kind,
            source=source,
            codec=codec,
            clock_rate=rate,
            parameters={},
            **publisher,
        )

    def end(self, at: float) -> "Journal":
        self.event(at, "lesson_ended", reason="teacher")
        return self.add([JournalEnd(at_us(at))])

    def opener(self, limit: int | None = None) -> Any:
        """What `Follower` opens readers with; they see the first `limit` records."""
        return lambda directory: FakeReader(self, directory, limit)


class FakeReader:
    """As `sfu._media.JournalReader`, from memory."""

    def __init__(self, journal: Journal, directory: str, limit: int | None = None) -> None:
        if not Path(directory).is_dir():
            raise FileNotFoundError(directory)
        self._journal = journal
        self._at = 0
        self.limit = limit
        self.bytes_read = 0
        self.errors = journal.errors

    def read(self, limit: int) -> list[Any]:
        end = self._at + limit if self.limit is None else min(self._at + limit, self.limit)
        records = self._journal.records[self._at : end]
        self._at += len(records)
        self.bytes_read += sum(len(getattr(record, "data", b"")) for record in records)
        return records

    def flush(self) -> list[Any]:
        return []


@dataclass
class Sender:
    """One track's clock and way: all its parts may lie."""

    track: int
    rate: int
    base: int = 4_294_000_000  # wraps after a few seconds of video
    ntp_offset: float = 0.0  # the publisher's wall clock, ahead of ours by seconds
    delay: float = 0.03  # seconds on the network
    jitter: tuple[float, ...] = (0.0, 0.004, 0.001, 0.009, 0.002)
    capture_delay: float = 0.0  # how much later than its capture a frame is sent
    drift: float = 0.0  # how much faster than ours the track's clock counts
    report_every: float | None = 1.0

    def timestamp(self, seconds: float) -> int:
        return (self.base + round(seconds * (1 + self.drift) * self.rate)) & 0xFFFFFFFF

    def frames(self, clip: Iterable[media.Coded], at: float) -> list[Frame]:
        """The clip captured from `at` on; the reader gives a track's frames in order."""
        jitter = itertools.cycle(self.jitter)
        frames: list[Frame] = []
        arrival = 0.0
        for coded in clip:
            captured = at + float(coded.seconds)
            arrival = max(arrival, captured + self.capture_delay + self.delay + next(jitter))
            stamp = self.timestamp(captured)
            frames.append(
                Frame(self.track, stamp, at_us(arrival), coded.keyframe, False, coded.data)
            )
        return frames

    def reports(self, at: float, until: float) -> list[SenderReport]:
        if self.report_every is None:
            return []
        count = int((until - at) / self.report_every)
        times = [at + 0.4 + number * self.report_every for number in range(count)]
        return [self.report(time) for time in times]

    def report(self, at: float) -> SenderReport:
        ntp = EPOCH_US / 1e6 + NTP_UNIX + at + self.ntp_offset
        return SenderReport(
            self.track, round(ntp * 2**32), self.timestamp(at), at_us(at + self.delay)
        )


def at_us(seconds: float) -> int:
    return EPOCH_US + round(seconds * 1e6)


def loop(clip: tuple[media.Coded, ...], seconds: float) -> list[media.Coded]:
    """The clip again and again, cut at `seconds`."""
    length = round(float(clip[-1].seconds + (clip[1].seconds - clip[0].seconds)))
    turns = int(seconds // length) + 1
    frames = [
        media.Coded(coded.seconds + turn * length, coded.data, coded.keyframe)
        for turn in range(turns)
        for coded in clip
    ]
    return [coded for coded in frames if coded.seconds < seconds]


def lesson(
    codec: str = "H264",
    seconds: float = 8,
    *,
    at: float = 0.2,
    tracks: tuple[int, int] = (1, 2),
    journal: Journal | None = None,
    size: tuple[int, int] = (320, 180),
    audio: Sender | None = None,
    video: Sender | None = None,
    ended: bool = True,
) -> Journal:
    """A teacher with microphone and camera, from `at` on, added to `journal`."""
    journal = journal or Journal().start()
    audio = audio or Sender(tracks[0], 48_000, base=7)
    video = video or Sender(tracks[1], 90_000, capture_delay=0.08)
    journal.publish(at - 0.1, tracks[0], "microphone", "opus")
    journal.publish(at - 0.1, tracks[1], "camera", codec)
    journal.add(audio.frames(loop(media.audio(), seconds), at))
    journal.add(video.frames(loop(media.video(codec, size=size), seconds), at))
    journal.add(audio.reports(at, at + seconds)).add(video.reports(at, at + seconds))
    if ended:
        journal.end(at + seconds + 0.3)
    return journal
