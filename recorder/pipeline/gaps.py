"""Stretches of a lesson in which a source sent nothing, and why. Pure.

A gap is no hole: it is filled with silence or the last picture. It is listed in the manifest, so
that whoever finds silence knows whether the teacher was muted or the network failed.

Times are lesson times in microseconds.
"""

from bisect import bisect_right
from enum import StrEnum

from recorder.archive.layout import Gap

GAPS_KEPT = 1_000
"""Gaps a manifest lists for one source; the rest is counted."""
NOTABLE_US = 1_000_000
"""Shorter gaps are not listed."""
NOTABLE_SLIDES_US = 10_000_000
"""A screen that does not change is hardly sent at all: that is no gap yet."""

_CHANGES_KEPT = 4_096


class Reason(StrEnum):
    """Why nothing came."""

    AWAY = "away"
    """Nobody published the source: it was switched off, or its publisher lost its connection."""
    MUTED = "muted"
    """Its publisher, or somebody with authority, had muted it."""
    CODEC = "codec"
    """It went on in another codec, as another view."""
    CLOCK = "clock"
    """The publisher's media clock broke: how long the gap was is known by arrivals only."""
    LOSS = "loss"
    """What was sent got lost."""
    SILENCE = "silence"
    """Nothing was sent: discontinuous transmission, or a picture that did not change."""


class Attendance:
    """Who was there to send a source, over time. Events come in order."""

    def __init__(self) -> None:
        self._muted: dict[int, bool] = {}
        self._times: list[int] = []
        self._states: list[Reason | None] = []

    def publish(self, time_us: int, track: int) -> None:
        """A track of the source may send from now on."""
        self._muted[track] = False
        self._note(time_us)

    def mute(self, time_us: int, track: int, muted: bool) -> None:
        """It is muted, or is not any more."""
        if track in self._muted:
            self._muted[track] = muted
            self._note(time_us)

    def unpublish(self, time_us: int, track: int) -> None:
        """It is gone."""
        if self._muted.pop(track, None) is not None:
            self._note(time_us)

    def present(self, track: int) -> bool:
        """The track is published."""
        return track in self._muted

    @property
    def state(self) -> Reason | None:
        """Why nothing comes now; None when something may."""
        if not self._muted:
            return Reason.AWAY
        return Reason.MUTED if all(self._muted.values()) else None

    def mostly(self, start_us: int, end_us: int) -> Reason | None:
        """The state for most of this time."""
        lasted: dict[Reason | None, int] = {}
        at = max(bisect_right(self._times, start_us) - 1, 0)
        state = self._states[at] if at < len(self._times) else Reason.AWAY
        if self._times and self._times[at] > start_us:
            state = Reason.AWAY  # before the first event there was nobody
            at -= 1
        for time, following in zip(self._times[at + 1 :], self._states[at + 1 :], strict=True):
            until = min(time, end_us)
            lasted[state] = lasted.get(state, 0) + until - start_us
            start_us, state = until, following
            if time >= end_us:
                break
        lasted[state] = lasted.get(state, 0) + end_us - start_us
        return max(lasted, key=lambda state: lasted[state])

    def _note(self, time_us: int) -> None:
        state = self.state
        if self._states and self._states[-1] == state:
            return
        if len(self._times) >= _CHANGES_KEPT:
            del self._times[: _CHANGES_KEPT // 2], self._states[: _CHANGES_KEPT // 2]
        self._times.append(max(time_us, self._times[-1] if self._times else time_us))
        self._states.append(state)


class Gaps:
    """The gaps of one rendition, from the beginning of the lesson to its end."""

    def __init__(self, source: str, attendance: Attendance | None = None) -> None:
        self.listed: list[Gap] = []
        self.omitted = 0
        self.notable_us = NOTABLE_SLIDES_US if source.startswith("slides") else NOTABLE_US
        """Shorter gaps of this source are not listed."""
        self.clock_broke = False
        """The next frame's place is known by its arrival only."""
        self._source = source
        self._attendance = attendance
        self._end_us = 0
        self._track = 0
        self._elsewhere = False

    def note(self, start_us: int, end_us: int, track: int, *, loss: bool) -> None:
        """Media of `track` from `start_us` to `end_us`, packets before it lost or not."""
        if start_us - self._end_us >= self.notable_us:
            self._add(start_us, self._reason(start_us, track, loss=loss))
        self._end_us, self._track = end_us, track
        self._elsewhere = self.clock_broke = False

    def go_on(self, end_us: int) -> None:
        """Media of the last noted track went on up to here, without a gap."""
        self._end_us = max(self._end_us, end_us)

    def go_elsewhere(self) -> None:
        """The source goes on as another view."""
        self._elsewhere = True

    def close(self, end_us: int) -> None:
        """The lesson ends here."""
        if end_us - self._end_us >= self.notable_us:
            self._add(end_us, self._reason(end_us, self._track, loss=False))
        self._end_us = max(self._end_us, end_us)

    def _reason(self, until_us: int, track: int, *, loss: bool) -> Reason:
        if self._elsewhere:
            return Reason.CODEC
        state = None
        if self._attendance is not None:
            state = self._attendance.mostly(self._end_us, until_us)
            if state is None and track != self._track and not self._is_present(self._track):
                state = Reason.AWAY  # told late: the node waits before it calls somebody gone
        if state is not None:
            return state
        if loss:
            return Reason.LOSS
        return Reason.CLOCK if self.clock_broke else Reason.SILENCE

    def _is_present(self, track: int) -> bool:
        return self._attendance is not None and self._attendance.present(track)

    def _add(self, until_us: int, reason: Reason) -> None:
        if len(self.listed) == GAPS_KEPT:
            self.omitted += 1
            return
        start_us = max(self._end_us, 0)
        gap = Gap(self._source, start_us / 1e6, (until_us - start_us) / 1e6, str(reason))
        self.listed.append(gap)
