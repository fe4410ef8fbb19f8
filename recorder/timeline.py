"""One lesson clock from many media clocks. Pure: the only time it knows is written in the records.

A publisher's track counts its own RTP ticks. Three sources say when a tick was:

- its sender reports tie ticks to the publisher's wall clock (RFC 3550, 6.4.1). All tracks of one
  publisher share that clock, so mapping each track through it puts them in sync;
- the arrival times, by the node's clock: late by an unknown and varying delay, but never insane;
- the ticks themselves: exact over short times.

So each track has an `offset` (node time minus tick time) which starts from the first sender
reports when they come within `HOLD_US` (frames are held so long), else from the arrivals, and is
then moved towards what the reports say by at most `SLEW`: no jump, ever, while the clocks are
sane. A step of the publisher's wall clock is anchored where the track stands. A frame whose ticks
stand still, run back or disagree with its arrival is placed by its arrival.

Times in and out are integers in microseconds; out, 0 is the first frame of the lesson.
"""

from collections import deque
from statistics import median_low
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sfu._media import Frame, SenderReport

HOLD_US = 2_000_000
"""How long a track's first frames wait for a sender report: Chromium sends one each second."""
MAX_LAG_US = 8_000_000
"""Frames later than this, behind a stalled link, are taken for a broken clock."""
MAX_LEAD_US = 1_000_000
"""Frames that say they are from further in the future are taken for a broken clock."""
SLEW = 200
"""An offset moves by 1/200 of the elapsed time: 5 ms each second, inaudible."""

_DEADBAND_US = 2_000  # below this a sender report's jitter is not worth a sample of another length
_STEP_US = 2_000_000  # a report that moves a track by more is a step of the publisher's wall clock
_DRIFT_US = 100_000  # how far arrivals may drift off before the offset follows them
_REPORTS = 5  # the median of so many reports is believed


class Timed(NamedTuple):
    """A frame with its place in the lesson; `time_us` grows strictly within a track."""

    track: int
    time_us: int
    frame: "Frame"


class Timeline:
    """Places frames on the lesson's clock.

    In: `add_track` before a track's first record, `handle_frame`, `handle_report`, `handle_time`
    in the journal's order, `finish` after the last. Out: `poll` gives what is placed so far,
    in order within each track; `horizon_us` is the time before which nothing more is to come.
    """

    def __init__(self) -> None:
        self.zero_us: int | None = None
        """The node's time (Unix) of lesson time 0; None until the first frame is placed."""
        self._now = 0
        self._tracks: dict[int, _Track] = {}
        self._waiting: set[_Publisher] = set()
        self._placed: list[Timed] = []

    def add_track(self, number: int, clock_rate: int, publisher: int) -> None:
        """Expect a track; tracks of one `publisher` (any number) share one wall clock."""
        mates = [track for track in self._tracks.values() if track.publisher.number == publisher]
        owner = mates[0].publisher if mates else _Publisher(publisher)
        track = _Track(number, clock_rate, owner)
        owner.tracks.append(track)
        self._tracks[number] = track

    def handle_frame(self, frame: "Frame") -> None:
        """Place a frame, or hold it until its track's clock is known."""
        arrival = frame.arrival_us
        track = self._tracks[frame.track]
        media = track.unwrap(frame.timestamp)
        if track.settled and self.zero_us is not None:
            wall = track.place(media, arrival)
            self._placed.append(Timed(frame.track, wall - self.zero_us, frame))
        else:
            track.held.append((media, frame))
            self._waiting.add(track.publisher)
        if self._waiting or arrival > self._now:
            self.handle_time(arrival)

    def handle_report(self, report: "SenderReport") -> None:
        """Learn what a publisher's wall clock says of a track."""
        track = self._tracks[report.track]
        if report.ntp:  # 0 says that the sender has no wall clock (RFC 3550, 6.4.1)
            track.learn((report.ntp * 1_000_000 >> 32) - track.glance(report.timestamp))
        self.handle_time(report.arrival_us)

    def handle_time(self, now_us: int) -> None:
        """The journal's clock has come to `now_us`."""
        if now_us > self._now:
            self._now = now_us
        if self._waiting:
            for publisher in [p for p in self._waiting if p.ready(self._now)]:
                self._settle(publisher)

    def finish(self) -> None:
        """Place what is still held: nothing more will come."""
        for publisher in sorted(self._waiting, key=lambda p: p.number):
            self._settle(publisher)

    def poll(self) -> list[Timed]:
        """What was placed since the last call."""
        placed, self._placed = self._placed, []
        return placed

    @property
    def horizon_us(self) -> int:
        """Frames before this lesson time will not come any more (or are not waited for)."""
        return 0 if self.zero_us is None else self._now - self.zero_us - MAX_LAG_US

    def rebased(self, number: int) -> int:
        """How many frames of a track were placed by arrival because its clock was insane."""
        return self._tracks[number].rebased

    def _settle(self, publisher: "_Publisher") -> None:
        self._waiting.discard(publisher)
        walls = {track: track.release() for track in publisher.settle()}
        if self.zero_us is None:
            self.zero_us = min(wall for placed in walls.values() for wall, _ in placed)
        for track, placed in walls.items():
            for wall, frame in placed:
                self._placed.append(Timed(track.number, wall - self.zero_us, frame))


class _Publisher:
    """A wall clock and the tracks that share it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tracks: list[_Track] = []
        self.base: int | None = None
        """Node time minus the publisher's wall clock; None before the first believed report."""

    def ready(self, now: int) -> bool:
        """Every track with frames has a report, or has waited long enough for one."""
        held = [track for track in self.tracks if track.held]
        return all(track.reports or now - track.held[0][1].arrival_us >= HOLD_US for track in held)

    def settle(self) -> list["_Track"]:
        """Give an offset to each track that has frames waiting; returns those."""
        tracks = [track for track in self.tracks if track.held]
        if self.base is None:
            bases = [
                track.earliest() - median_low(track.reports) for track in tracks if track.reports
            ]
            near = [base for base in bases if abs(base - bases[0]) < _STEP_US]
            self.base = min(near, default=None)
        for track in tracks:
            track.settle()
        return tracks

    def step(self, track: "_Track", report: int) -> None:
        """The wall clock was set: anchor the new reading where `track` stands."""
        self.base = track.offset - report
        for mate in self.tracks:
            mate.reports.clear()
            mate.target = None


class _Track:
    """One media clock. `media` is its time in microseconds, unwrapped to more than 32 bits."""

    __slots__ = (
        "_arrival_lag", "_lag", "_media", "_rate", "_ticks", "_timestamp", "_wall",
        "held", "number", "offset", "publisher", "rebased", "reports", "settled", "target",
    )  # fmt: skip

    def __init__(self, number: int, clock_rate: int, publisher: _Publisher) -> None:
        self.number = number
        self.publisher = publisher
        self.held: list[tuple[int, Frame]] = []
        self.reports: deque[int] = deque(maxlen=_REPORTS)
        """Publisher's wall clock minus `media`, by the last reports."""
        self.settled = False
        self.offset = 0
        self.target: int | None = None
        self.rebased = 0
        self._rate = clock_rate
        self._timestamp: int | None = None
        self._ticks = 0
        self._media: int | None = None
        self._wall: int | None = None
        self._lag = 0  # arrival minus placed time, smoothed
        self._arrival_lag = 0  # what it was in the beginning

    def unwrap(self, timestamp: int) -> int:
        """The media time of a frame's RTP timestamp; the 32 bits wrap as often as they like."""
        if self._timestamp is None:
            self._timestamp = timestamp
        self._ticks += (timestamp - self._timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        self._timestamp = timestamp
        return self._ticks * 1_000_000 // self._rate

    def glance(self, timestamp: int) -> int:
        """The media time of a timestamp near the last frame's, which stays the last."""
        if self._timestamp is None:
            self._timestamp = timestamp
        ahead = (timestamp - self._timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        return (self._ticks + ahead) * 1_000_000 // self._rate

    def earliest(self) -> int:
        """The offset by which the promptest of the held frames was not late at all."""
        return min(frame.arrival_us - media for media, frame in self.held)

    def settle(self) -> None:
        """Choose the first offset: by the publisher's wall clock when arrivals do not object."""
        if self.settled:
            return
        self.settled = True
        self.offset = earliest = self.earliest()
        base = self.publisher.base
        if self.reports and base is not None:
            reported = base + median_low(self.reports)
            if abs(reported - earliest) < _STEP_US:
                self.offset = self.target = reported
            else:
                self.reports.clear()
        self._lag = self._arrival_lag = earliest - self.offset

    def release(self) -> list[tuple[int, "Frame"]]:
        """The held frames with their places."""
        held, self.held = self.held, []
        return [(self.place(media, frame.arrival_us), frame) for media, frame in held]

    def learn(self, report: int) -> None:
        """Take a reading of the publisher's wall clock minus `media`."""
        if self.settled:
            base = self.publisher.base
            if base is None:
                self.publisher.base = self.offset - report
            elif abs(base + report - self.offset) > _STEP_US:
                self.publisher.step(self, report)
            self._follow_arrivals()
        self.reports.append(report)
        if self.settled and self.publisher.base is not None:
            self.target = self.publisher.base + median_low(self.reports)

    def place(self, media: int, arrival: int) -> int:
        """The node's time at which this frame was sent, had the way here no jitter."""
        elapsed = 1 if self._media is None else media - self._media
        self._media = media
        self._slew(elapsed)
        wall = media + self.offset
        lag = arrival - wall
        if elapsed <= 0 or not -MAX_LEAD_US < lag < MAX_LAG_US:
            wall = self._rebase(media, arrival)
        else:
            self._lag += lag - self._lag >> 4
        if self._wall is not None and wall <= self._wall:
            wall = self._wall + 1
        self._wall = wall
        return wall

    def _slew(self, elapsed: int) -> None:
        """Move the offset towards its target, by at most 1/SLEW of the elapsed time."""
        if self.target is None:  # no reports: the arrivals are all there is to follow
            error = self._lag - self._arrival_lag
            if -_DRIFT_US < error < _DRIFT_US:
                return
        else:
            error = self.target - self.offset
            if -_DEADBAND_US < error < _DEADBAND_US:
                return
        limit = max(1, elapsed // SLEW)
        self.offset += max(-limit, min(limit, error))

    def _rebase(self, media: int, arrival: int) -> int:
        """The ticks are insane: go on from here as if this frame were as late as the others."""
        wall = arrival - self._lag
        self.offset = wall - media
        self.target = None
        self.reports.clear()
        self.rebased += 1
        return wall

    def _follow_arrivals(self) -> None:
        """Let the publisher's wall clock drift with ours: all its tracks move, and stay in sync."""
        error = self._lag - self._arrival_lag
        if self.publisher.base is not None and abs(error) > _DRIFT_US:
            self.publisher.base += max(-1_000, min(1_000, error))
