"""When a packet of a live source is due: one clock for all its tracks. Pure.

A camera's packets come with jitter, an RTMP server begins with seconds of the past at once, and a
camera that sets its clock jumps. What leaves here goes on steadily: media times without jumps, the
same for sound and picture, and each with the moment at which it should be sent. Sent at that
moment, the sender reports of both tracks say the truth about each other (RFC 3550, 6.4.1).

All times are in seconds; `now` is of any steady clock.
"""

import math
from dataclasses import dataclass

CUSHION = 0.06
"""How long a packet waits that comes when it should: jitter within it is evened out."""

START = 10.0
"""Where media time begins: another track may begin earlier, and never below 0."""

JUMP = 5.0
"""Media time that runs ahead of the clock by more has jumped; so has any that runs back by
`_BACK`."""

_BACK = 1.0
_WINDOW = 2.0  # what all packets of so long were early by is waiting for nothing
_RUSH = 0.25  # more than that is given back at once (a server began with the past)
_SLEW = 0.05  # less is given back so fast: the receivers' buffers follow it


@dataclass(slots=True)
class _Track:
    shift: float
    """Added to what the source says."""
    media: float
    """The last packet's time, as the source says it."""
    out: float
    """And as we do."""
    arrived: float


class SourceClock:
    """Places packets; one for a source. `live`: it comes at its own pace, so that what it is early
    by always can be given back; a file is read as fast as we like."""

    def __init__(self, *, live: bool) -> None:
        self.jumps = 0
        """How often the source's clock has jumped, each track counted."""
        self._live = live
        self._tracks: dict[str, _Track] = {}
        self._last_jump: tuple[float, float] | None = None  # when, and by how much
        self._origin = 0.0  # of our clock, what media time 0 would be sent at
        self._window = -math.inf
        self._least = math.inf

    def place(self, track: str, media: float, now: float) -> tuple[float, float]:
        """The packet's media time without jumps, which grows within a track, and when it is due."""
        known = self._tracks.get(track)
        out = self._follow(known, media, now) if known else self._enter(track, media, now)
        return out, self._due(out, now)

    def _enter(self, name: str, media: float, now: float) -> float:
        """A track's first packet: in step with the others, unless it makes no sense."""
        if not self._tracks:
            shift = START - media
            self._origin = now - START + CUSHION
            self._window = now
        else:
            other = max(self._tracks.values(), key=lambda track: track.arrived)
            shift = other.shift
            if abs(media - other.media) > JUMP + now - other.arrived or media + shift < 0:
                shift = other.out - media
        self._tracks[name] = _Track(shift, media, media + shift, now)
        return media + shift

    def _follow(self, track: _Track, media: float, now: float) -> float:
        elapsed = now - track.arrived
        step = media - track.media
        if step < -_BACK or step > elapsed + JUMP:
            self._jump(track, media, now)
        out = max(media + track.shift, track.out + 1e-5)
        track.media, track.out, track.arrived = media, out, now
        return out

    def _jump(self, track: _Track, media: float, now: float) -> None:
        """Go on where the track was. The other tracks jump as far, so that they stay in sync."""
        by = track.out + max(now - track.arrived, 0.0) - (media + track.shift)
        if self._last_jump is not None:
            when, before = self._last_jump
            if now - when < JUMP and abs(by - before) < JUMP / 2:
                by = before
        self._last_jump = now, by
        track.shift += by
        self.jumps += 1

    def _due(self, out: float, now: float) -> float:
        early = self._origin + out - now
        if early < 0:  # it has to leave at once, and so long the others wait from now on
            self._origin -= early
            early = 0.0
        due = now + early
        if self._live:
            self._relax(early, now)
        return due

    def _relax(self, early: float, now: float) -> None:
        """Where no packet needs the waiting, wait less."""
        self._least = min(self._least, early)
        if now - self._window < _WINDOW:
            return
        spare = self._least - CUSHION
        if spare > 0:
            self._origin -= spare if spare > _RUSH else min(spare, _SLEW * (now - self._window))
        self._window, self._least = now, math.inf
