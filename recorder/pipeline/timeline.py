"""One lesson clock from many media clocks. Pure: the only time it knows is written in the records.

A publisher's track counts its own RTP ticks. Three sources say when a tick was:

- its sender reports tie ticks to the publisher's wall clock (RFC 3550, 6.4.1). All tracks of one
  publisher share that clock, so mapping each track through it puts them in sync;
- the arrival times, by the node's clock: late by an unknown and varying delay, but never insane;
- the ticks themselves: exact over short times.

So each track has an `offset` (node time minus tick time) which starts from the first sender
reports when they come within `HOLD_US` (frames are held so long), else from the arrivals, and is
then moved towards what the reports say, slowly: no jump, ever, while the clocks are sane. How it is
done, and what happens when they are not, is in `media_clock.py`.

Times in and out are integers in microseconds; out, 0 is the first frame of the lesson.
"""

from typing import TYPE_CHECKING, NamedTuple

from recorder.pipeline.media_clock import (
    MAX_LAG_US,
    SLEW,
    SLEW_PICTURES,
    Held,
    MediaClock,
    WallClock,
)

if TYPE_CHECKING:
    from sfu._media import Frame, SenderReport

HOLD_US = 2_000_000
"""How long a lesson's first frames wait for a sender report: Chromium sends one each second."""
LATE_HOLD_US = 600_000
"""How long those of a track wait that comes later, while others are watched live."""

_HELD = 2_000  # frames of a track that may wait, whatever the arrivals say
_VIDEO_RATE = 90_000


class Timed(NamedTuple):
    """A frame with its place in the lesson; `time_us` grows strictly within a track."""

    track: int
    time_us: int
    frame: "Frame"
    by_arrival: bool = False
    """Its clock makes no sense here: it was placed by its arrival."""


class Timeline:
    """Places frames on the lesson's clock.

    In: `add_track` before a track's first record, `handle_frame`, `handle_report`, `handle_time`
    in the journal's order, `finish` after the last. Arrivals may be given where they are not to be
    those in the record. Out: `poll` gives what is placed so far, in order within each track;
    `horizon_us` is the time before which nothing more is to come.
    """

    def __init__(self) -> None:
        self.zero_us: int | None = None
        """The node's time (Unix) of lesson time 0; None until the first frame is placed."""
        self._now = 0
        self._tracks: dict[int, MediaClock] = {}
        self._walls: dict[int, WallClock] = {}
        self._waiting: dict[int, WallClock] = {}
        self._placed: list[Timed] = []

    def add_track(self, number: int, clock_rate: int, publisher: int) -> None:
        """Expect a track; tracks of one `publisher` (any number) share one wall clock."""
        wall = self._walls.setdefault(publisher, WallClock(publisher))
        slew = SLEW_PICTURES if clock_rate == _VIDEO_RATE else SLEW
        track = MediaClock(number, clock_rate, wall, slew)
        wall.tracks.append(track)
        self._tracks[number] = track

    def remove_track(self, number: int) -> None:
        """Nothing more comes of it: what is held is placed now."""
        track = self._tracks[number]
        if track.wall.number in self._waiting:
            self._settle(track.wall)
        track.wall.tracks.remove(track)
        if not track.wall.tracks:
            del self._walls[track.wall.number]

    def handle_frame(self, frame: "Frame", arrival_us: int | None = None) -> None:
        """Place a frame, or hold it until its track's clock is known."""
        arrival = frame.arrival_us if arrival_us is None else arrival_us
        track = self._tracks[frame.track]
        media = track.unwrap(frame.timestamp)
        if track.settled and self.zero_us is not None:
            wall = track.place(media, arrival)
            self._placed.append(Timed(frame.track, wall - self.zero_us, frame, track.broken))
        else:
            track.held.append(Held(media, arrival, frame))
            self._waiting[track.wall.number] = track.wall
        if arrival > self._now:
            self._now = arrival
        if self._waiting:
            self.handle_time(arrival)

    def handle_report(self, report: "SenderReport", arrival_us: int | None = None) -> None:
        """Learn what a publisher's wall clock says of a track."""
        arrival = report.arrival_us if arrival_us is None else arrival_us
        track = self._tracks[report.track]
        if report.ntp:  # 0 says that the sender has no wall clock (RFC 3550, 6.4.1)
            track.learn((report.ntp * 1_000_000 >> 32) - track.glance(report.timestamp), arrival)
        self.handle_time(arrival)

    def handle_time(self, now_us: int) -> None:
        """The journal's clock has come to `now_us`."""
        if now_us > self._now:
            self._now = now_us
        if self._waiting:
            for wall in [wall for wall in self._waiting.values() if self._is_ready(wall)]:
                self._settle(wall)

    def finish(self) -> None:
        """Place what is still held: nothing more will come."""
        for number in sorted(self._waiting):
            self._settle(self._waiting[number])

    def poll(self) -> list[Timed]:
        """What was placed since the last call."""
        placed, self._placed = self._placed, []
        return placed

    @property
    def horizon_us(self) -> int:
        """Frames before this lesson time will not come any more (or are not waited for)."""
        return 0 if self.zero_us is None else self._now - self.zero_us - MAX_LAG_US

    def rebased(self, number: int) -> int:
        """How often a track's clock was given up, and begun anew from the arrivals."""
        return self._tracks[number].rebased

    def _is_ready(self, wall: WallClock) -> bool:
        """Every track with frames has a report, or has waited long enough for one."""
        hold = HOLD_US if self.zero_us is None else LATE_HOLD_US
        return all(
            track.reports or self._now - track.held[0].arrival >= hold or len(track.held) >= _HELD
            for track in wall.tracks
            if track.held
        )

    def _settle(self, wall: WallClock) -> None:
        del self._waiting[wall.number]
        wall.estimate()
        tracks = [track for track in wall.tracks if track.held]
        for track in tracks:
            track.settle()
        placed = {track.number: track.release() for track in tracks}
        if self.zero_us is None:
            self.zero_us = min(at for frames in placed.values() for at, _, _ in frames)
        for number, frames in placed.items():
            for at, frame, broken in frames:
                self._placed.append(Timed(number, at - self.zero_us, frame, broken))
