"""How good each participant's connection is, in LiveKit's three words and a score.

The score is that of the E-model (ITU-T G.107) in its usual short form: what delay and loss leave of
93.2, made a mean opinion of 1 to 4.5. Loss weighs less than it does there: it is repaired here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from livekit.protocol import models, rtc

from signaling.livekit.news import Recipient
from signaling.livekit.presence import Presence

EVERY = 5.0
"""Seconds between looks."""
_EXCELLENT, _GOOD = 4.1, 3.0
"""Scores from which a connection is called so."""
_NOTICED = 0.3


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of a participant's link: round trip in seconds, loss from 0 to 1."""

    rtt: float
    loss: float


def score(look: Look) -> float:
    """A mean opinion, 1.0 to 4.5."""
    delay = look.rtt * 500 + 20  # one way, and a jitter buffer; milliseconds
    rating = 93.2 - delay / 40 if delay < 160 else 93.2 - (delay - 120) / 10
    rating = min(100.0, max(0.0, rating - look.loss * 100 * 1.5))
    opinion = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
    return round(max(1.0, opinion), 1)


def quality(opinion: float) -> models.ConnectionQuality:
    """The word for a score."""
    if opinion >= _EXCELLENT:
        return models.EXCELLENT
    return models.GOOD if opinion >= _GOOD else models.POOR


class Qualities:
    """One lesson's connections."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._scores: dict[str, float] = {}  # by session
        self._told: dict[str, float] = {}

    def look(self, looks: Mapping[str, Look]) -> None:
        """Tell what has changed, by session: all of it to who is told of everybody, to the others
        what concerns publishers and themselves."""
        self._scores = {session: score(look) for session, look in looks.items()}
        changed = {s: v for s, v in self._scores.items() if _differs(v, self._told.get(s))}
        self._told = {s: v for s, v in self._told.items() if s in self._scores} | changed
        infos = {session: self._info(session, value) for session, value in changed.items()}
        known = {session: info for session, info in infos.items() if info is not None}
        if known:
            self._say(known)

    def of(self, session: str) -> float | None:
        """The newest score of a session, for pages and metrics."""
        return self._scores.get(session)

    def _say(self, known: Mapping[str, rtc.ConnectionQualityInfo]) -> None:
        visible = {s: i for s, i in known.items() if not self._hidden(s)}
        publishing = {s: i for s, i in visible.items() if self._presence.info(s).tracks}
        everything, publishers = _raw(visible), _raw(publishing)
        for session, recipient, full in self._presence.listeners():
            shared = visible if full else publishing
            if session in known and session not in shared:
                recipient.send(_raw({**shared, session: known[session]}))
            else:
                _send(recipient, everything if full else publishers)

    def _hidden(self, session: str) -> bool:
        return self._presence.info(session).permission.hidden

    def _info(self, session: str, value: float) -> rtc.ConnectionQualityInfo | None:
        try:
            sid = self._presence.info(session).sid
        except KeyError:
            return None
        return rtc.ConnectionQualityInfo(participant_sid=sid, quality=quality(value), score=value)


def _differs(new: float, told: float | None) -> bool:
    """Whether anybody would notice."""
    return told is None or quality(new) != quality(told) or abs(new - told) >= _NOTICED


def _send(recipient: Recipient, raw: bytes) -> None:
    if raw:
        recipient.send(raw)


def _raw(updates: Mapping[str, rtc.ConnectionQualityInfo]) -> bytes:
    if not updates:
        return b""
    update = rtc.ConnectionQualityUpdate(updates=list(updates.values()))
    return rtc.SignalResponse(connection_quality=update).SerializeToString()
