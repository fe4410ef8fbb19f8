"""A track's media clock, and the publisher's wall clock that its sender reports tell of. Pure.

`media` is a track's time by its RTP timestamps, `offset` what must be added to come to the node's
time, `late` an arrival minus `media`: its least value of the last seconds is that of the promptest
frame.

Two kinds of change look alike in a sender report, which says "wall clock minus media": the wall
clock was set, or the media clock jumped. They are told apart by `late`, which moves with the media
clock only. A report that says something new is believed when the next one says it too.

All times are integers in microseconds.
"""

from collections import deque
from statistics import median_low
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sfu._media import Frame

MAX_LAG_US = 8_000_000
"""Frames later than this, behind a stalled link, are taken for a broken clock."""
MAX_LEAD_US = 1_000_000
"""Frames that say they are from further in the future are taken for a broken clock."""
SLEW = 200
"""The offset of sound moves by 1/200 of the elapsed time: 5 ms each second, inaudible."""
SLEW_PICTURES = 20
"""That of pictures by 1/20: one lasts 35 ms instead of 33."""

_SLEW_PAUSE = 4  # silence may last longer or shorter than it did
_PAUSE_US = 200_000
_DEADBAND_US = 2_000  # below this a sender report's jitter is not worth a sample of another length
_STEP_US = 2_000_000  # a first report that is off by more tells of another wall clock
_CHANGE_US = 15_000  # reports that differ by more say something new
_SAME_US = 6_000  # and by less, the same
_DRIFTS = 2_000  # clocks are off by less than 500 ppm: so much change since the last one is none
_SNAP_US = 500_000  # what is wrong by more is corrected at once
_DRIFT_US = 50_000  # how far arrivals may drift off before the offset follows them
_JUMP_US = 150_000  # ticks that run ahead of the arrivals by more in one frame have jumped
_LEAD_US = 100_000  # if they make the frame come so much sooner than the promptest one
_STUCK = 3  # so many frames in a row that do not get on show that the clock stands, or ran back
_WINDOW_US = 10_000_000
_REPORTS = 3  # the median of so many reports is believed


class Held(NamedTuple):
    """A frame that waits for its track's clock to be known."""

    media: int
    arrival: int
    frame: "Frame"


class WallClock:
    """A publisher's wall clock, and the tracks that share it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tracks: list[MediaClock] = []
        self.base: int | None = None
        """Node time minus the publisher's wall clock; None before the first believed report."""

    def estimate(self) -> None:
        """Take the first `base` from the tracks that have frames and reports."""
        held = [track for track in self.tracks if track.held and track.reports]
        if self.base is None and held:
            bases = [track.earliest() - median_low(track.reports) for track in held]
            self.base = min(base for base in bases if abs(base - bases[0]) < _STEP_US)

    def set(self, change: int) -> None:
        """It was set forward by `change`: nothing else has."""
        if self.base is not None:
            self.base -= change
        for track in self.tracks:
            track.shift(change)


class MediaClock:
    """One track's clock. Ask `unwrap` of each frame once, in order, then `place`."""

    __slots__ = (
        "_apart", "_arrival", "_before", "_lag", "_lag_then", "_low", "_low_before", "_media",
        "_odd", "_rate", "_reported", "_since", "_slew_by", "_stuck",
        "_stuck_at", "_ticks", "_timestamp", "_turn", "_wall",
        "broken", "held", "number", "offset", "rebased", "reports", "settled", "target", "wall",
    )  # fmt: skip

    def __init__(self, number: int, clock_rate: int, wall: WallClock, slew: int) -> None:
        self.number = number
        self.wall = wall
        self.held: list[Held] = []
        self.reports: deque[int] = deque(maxlen=_REPORTS)
        """Publisher's wall clock minus `media`, by the last reports."""
        self.settled = False
        self.offset = 0
        self.target: int | None = None
        self.rebased = 0
        self.broken = False
        """The last frame was placed by its arrival."""
        self._rate = clock_rate
        self._slew_by = slew
        self._timestamp: int | None = None
        self._ticks = 0
        self._media: int | None = None
        self._arrival = 0
        self._wall: int | None = None
        self._lag = 0  # arrival minus placed time, smoothed
        self._lag_then = 0  # that of the promptest frame in the beginning
        self._low: int | None = None  # least `late` of this window, and of the one before
        self._low_before: int | None = None
        self._turn = 0  # when the window began
        self._since: int | None = None  # least `late` since the last report, and before it
        self._before: int | None = None
        self._reported = 0  # when the last one came
        self._odd: int | None = None  # a report that said something new
        self._apart = 0  # how far its reports are off those of its mates for good
        self._stuck = self._stuck_at = 0

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
        return min(held.arrival - held.media for held in self.held)

    def settle(self) -> None:
        """Choose the first offset: by the publisher's wall clock when arrivals do not object."""
        if self.settled:
            return
        self.settled = True
        self.offset = earliest = self.earliest()
        base = self.wall.base
        if self.reports and base is not None:
            reported = base + median_low(self.reports)
            if abs(reported - earliest) < _STEP_US:
                self.offset = self.target = reported
            else:
                self._apart = earliest - reported
        self._lag = self._lag_then = earliest - self.offset
        self._low = earliest
        self._turn = self._arrival = self.held[0].arrival

    def release(self) -> list[tuple[int, "Frame", bool]]:
        """The held frames with their places, and whether those are by arrival."""
        held, self.held = self.held, []
        return [(self.place(one.media, one.arrival), one.frame, self.broken) for one in held]

    def place(self, media: int, arrival: int) -> int:
        """The node's time at which this frame was sent, had the way here no jitter."""
        elapsed = 1 if self._media is None else media - self._media
        late = arrival - media
        if elapsed <= 0 or (
            elapsed - (arrival - self._arrival) > _JUMP_US and late < self._floor(late) - _LEAD_US
        ):
            wall = self._place_odd(media, arrival, elapsed)
        else:
            self._slew(elapsed)
            wall = media + self.offset
            lag = arrival - wall
            if -MAX_LEAD_US < lag < MAX_LAG_US:
                self._media, self._stuck, self.broken = media, 0, False
                self._lag += lag - self._lag >> 4
                if self._low is None or late < self._low:
                    self._low = late
                if self._since is None or late < self._since:
                    self._since = late
                if arrival - self._turn >= _WINDOW_US:
                    self._low_before, self._low, self._turn = self._low, late, arrival
            else:
                wall = self._rebase(media, arrival)
        self._arrival = arrival
        if self._wall is not None and wall <= self._wall:
            wall = self._wall + 1
        self._wall = wall
        return wall

    # --- reports

    def learn(self, report: int, arrival: int) -> None:
        """Take a reading of the publisher's wall clock minus `media`."""
        drift = max(arrival - self._reported, 0) // _DRIFTS
        self._reported = arrival
        if not self.settled:
            self.reports.append(report)
            return
        if self.wall.base is None:
            self.wall.base = self.offset - report
        change = self._difference(report, self.wall.base)
        if abs(change) > (_CHANGE_US + drift if self.reports else _STEP_US):
            if not self._confirms(report, drift):
                return
            self._change(report, change)
        else:
            self.reports.append(report)
        self._odd = None
        self._before, self._since = self._since, None
        self._follow_arrivals()
        self.target = self.wall.base + self._apart + median_low(self.reports)

    def shift(self, change: int) -> None:
        """The publisher's wall clock was set: what was learned is to be read with that."""
        self.reports = deque((report + change for report in self.reports), maxlen=_REPORTS)
        self._odd = None

    def _difference(self, report: int, base: int) -> int:
        """By how much a report says something new: one by one they vary, and slowly they drift."""
        if not self.reports:
            return report - (self.offset - base - self._apart)
        return min(report - median_low(self.reports), report - self.reports[-1], key=abs)

    def _confirms(self, report: int, drift: int) -> bool:
        """Another report said the same, and frames came since which show what it means."""
        if self._odd is None or abs(report - self._odd) > _SAME_US + drift:
            self._odd, self._since = report, None
            return False
        return self._since is not None

    def _change(self, report: int, change: int) -> None:
        """Reports say that wall clock minus media grew by `change`: which of the two was it?"""
        odd = report if self._odd is None else self._odd
        if not self.reports:  # known by arrivals so far: this one has a wall clock of its own
            self._apart += -change
        elif self._media_moved(change):
            self.reports.clear()
            self._snap(report)
        else:
            self.wall.set(change)
            self.reports.clear()
        self.reports.extend((odd, report))

    def _media_moved(self, change: int) -> bool:
        if self._since is None or self._before is None:
            return False
        moved = self._since - self._before
        return abs(moved - change) < abs(moved)

    def _snap(self, report: int) -> None:
        base = self.wall.base
        if base is not None and abs(base + self._apart + report - self.offset) > _SNAP_US:
            self._lag_then += self.offset - (base + self._apart + report)
            self.offset = base + self._apart + report
            self._lag = self._lag_then

    def _follow_arrivals(self) -> None:
        """Let the publisher's wall clock drift with ours: all its tracks move, and stay in sync."""
        error = self._drift()
        if self.wall.base is not None and abs(error) > _DRIFT_US:
            self.wall.base += max(-1_000, min(1_000, error))

    # --- arrivals

    def _floor(self, late: int) -> int:
        """The least `late` of one to two windows, or this one when there is no other."""
        lows = [low for low in (self._low, self._low_before) if low is not None]
        return min(lows, default=late)

    def _drift(self) -> int:
        """How much later frames come than in the beginning."""
        if self._low_before is None:
            return 0  # too little was seen
        return self._floor(0) - self.offset - self._lag_then

    def _slew(self, elapsed: int) -> None:
        """Move the offset towards its target, slowly."""
        if self.target is None:  # no reports: the arrivals are all there is to follow
            error = self._drift()
            if -_DRIFT_US < error < _DRIFT_US:
                return
        else:
            error = self.target - self.offset
            if -_DEADBAND_US < error < _DEADBAND_US:
                return
        limit = max(1, elapsed // (_SLEW_PAUSE if elapsed > _PAUSE_US else self._slew_by))
        self.offset += max(-limit, min(limit, error))

    def _place_odd(self, media: int, arrival: int, elapsed: int) -> int:
        """A frame whose ticks jumped ahead, stand still or ran back. The latter two may be one
        frame's mistake, or one that came twice: the clock is given up when they go on."""
        self._stuck += 1
        goes_on = self._stuck > 1 and media > self._stuck_at
        if elapsed > 0 or goes_on or self._stuck >= _STUCK:
            return self._rebase(media, arrival)
        self._stuck_at = media
        self.broken = True
        return arrival - self._lag

    def _rebase(self, media: int, arrival: int) -> int:
        """The ticks are insane: go on from here as if this frame were as late as the others."""
        wall = arrival - self._lag
        self.offset = wall - media
        self.target = None
        self.reports.clear()
        self._odd = self._since = self._before = self._low_before = None
        self._low, self._turn = arrival - media, arrival
        self._lag_then = self._lag
        self._media, self._stuck = media, 0
        self.rebased += 1
        self.broken = True
        return wall
