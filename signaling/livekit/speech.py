"""Who speaks, for all to see: what audio levels say, gathered and told to everybody at once."""

import math

from livekit.protocol import models, rtc

from signaling.livekit.presence import CallLater, Presence

EVERY = 0.3
"""Seconds between messages: what an eye follows, and a small share of a weak link."""
STEPS = 8
"""Levels are told in eighths: between two of them nobody needs a message."""


class Speakers:
    """One lesson's speakers."""

    def __init__(self, presence: Presence, later: CallLater) -> None:
        self._presence = presence
        self._later = later
        self._levels: dict[int, float] = {}
        self._whose: dict[int, str] = {}
        self._told: dict[str, float] = {}  # by participant sid
        self._newcomers: set[str] = set()  # sessions
        self._due = False

    def heard(self, session: str, uptrack: int, level: float, active: bool) -> None:
        """A published sound is this loud now (0.0 to 1.0), and is speech, or is not."""
        self._whose[uptrack] = session
        self._levels[uptrack] = _step(level) if active else 0.0
        self._hurry()

    def gone(self, uptrack: int) -> None:
        """It is no longer published."""
        if uptrack in self._whose:
            self._levels[uptrack] = 0.0
            self._hurry()

    def arrived(self, session: str) -> None:
        """Somebody has come, who is told of all who speak, though nothing has changed."""
        self._newcomers.add(session)
        self._hurry()

    def now(self) -> list[models.SpeakerInfo]:
        """Who speaks, as everybody was told."""
        return [_info(sid, level) for sid, level in self._told.items() if level]

    def _hurry(self) -> None:
        if not self._due:
            self._due = True
            self._later(EVERY, self._flush)

    def _flush(self) -> None:
        self._due = False
        loudest: dict[str, float] = {}
        for uptrack, session in list(self._whose.items()):
            sid = self._sid(session)
            if sid is None:
                self._forget(uptrack)
                continue
            loudest[sid] = max(loudest.get(sid, 0.0), self._levels[uptrack])
        silent = {sid: 0.0 for sid, level in self._told.items() if level and sid not in loudest}
        now = {**loudest, **silent}
        changed = {sid: level for sid, level in now.items() if level != self._told.get(sid, 0.0)}
        self._told = {sid: level for sid, level in now.items() if level}
        for uptrack in [number for number, level in self._levels.items() if not level]:
            self._forget(uptrack)
        newcomers, self._newcomers = self._newcomers, set()
        news, everything = _raw([_info(sid, level) for sid, level in changed.items()]), b""
        if newcomers:
            everything = _raw(self.now())
        for session, recipient, _ in self._presence.listeners() if news or everything else ():
            if raw := everything if session in newcomers else news:
                recipient.send(raw)

    def _sid(self, session: str) -> str | None:
        try:
            return self._presence.info(session).sid
        except KeyError:
            return None

    def _forget(self, uptrack: int) -> None:
        self._whose.pop(uptrack, None)
        self._levels.pop(uptrack, None)


def _raw(speakers: list[models.SpeakerInfo]) -> bytes:
    if not speakers:
        return b""
    changed = rtc.SpeakersChanged(speakers=speakers)
    return rtc.SignalResponse(speakers_changed=changed).SerializeToString()


def _step(level: float) -> float:
    """The next higher step: who speaks softly is still heard."""
    bounded = min(max(level, 0.0), 1.0)
    return max(1, math.ceil(bounded * STEPS)) / STEPS


def _info(sid: str, level: float) -> models.SpeakerInfo:
    return models.SpeakerInfo(sid=sid, level=level, active=level > 0)
