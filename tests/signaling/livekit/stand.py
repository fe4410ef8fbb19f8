"""A lesson with LiveKit's presence on a clock of its own: no network, no engine."""

from collections.abc import Callable
from itertools import count
from typing import Any

from livekit.protocol import models, rtc

from signaling.effects import LISTENED
from signaling.events import Event, Grants, Join, Leave, Published, Role, Track
from signaling.lesson import Lesson, Rules
from signaling.livekit.presence import Presence

_UPTRACKS = count(1)


class Recipient:
    """A participant's signalling connection."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []

    def send(self, raw: bytes) -> None:
        self.raw.append(raw)

    def taken(self) -> list[rtc.SignalResponse]:
        """What came since the last time."""
        raw, self.raw = self.raw, []
        return [rtc.SignalResponse.FromString(one) for one in raw]

    def updates(self) -> list[list[models.ParticipantInfo]]:
        """The participant updates among it."""
        return [list(m.update.participants) for m in self.taken() if m.HasField("update")]

    def of(self, kind: str) -> list[Any]:
        """One kind of message among it."""
        return [getattr(m, kind) for m in self.taken() if m.HasField(kind)]


class Stand:
    """Everything a test does to a lesson, by names: the session of ann is `s-ann`."""

    def __init__(self, max_schools: int = 1_000) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.told: list[tuple[str, str, str]] = []
        self.recipients: dict[str, Recipient] = {}
        self.lesson = Lesson("math", "id", Rules(linger=30, max_schools=max_schools))
        self.presence = Presence(
            self.lesson,
            created_at=1_000.0,
            wall=lambda: 1_700_000_000.5,
            later=self.later,
            tell=self.tell,
        )

    def later(self, delay: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now + delay, call))

    def tell(
        self, event: str, who: models.ParticipantInfo | None, track: models.TrackInfo | None
    ) -> None:
        self.told.append((event, who.identity if who else "", track.name if track else ""))

    def do(self, event: Event) -> None:
        for effect in self.lesson.handle(event, self.now):
            if isinstance(effect, LISTENED):
                self.presence.on_effect(effect)

    def seat(self, who: str, role: Role = Role.SCHOOL, session: str = "", **more: Any) -> None:
        grants = more.pop("grants", Grants())
        session = session or f"s-{who}"
        self.do(Join(session, who, role, grants=grants, waits=True, unique=True, **more))

    def enter(self, who: str, role: Role = Role.SCHOOL, session: str = "", **more: Any) -> str:
        """A client of LiveKit's; its sid."""
        session = session or f"s-{who}"
        self.seat(who, role, session, **more)
        self.recipients[who] = Recipient()
        sid = self.presence.enter(session, self.recipients[who])
        self.presence.active(session)
        return sid

    def publish(self, name: str, source: str = "camera", uptrack: int = 0) -> int:
        kind = "audio" if source in ("microphone", "slides_audio") else "video"
        codec = "opus" if kind == "audio" else "VP8"
        uptrack = uptrack or next(_UPTRACKS)
        track = Track(uptrack, kind, source, codec, 48_000 if kind == "audio" else 90_000)
        self.do(Published(f"s-{name}", (track,)))
        return uptrack

    def go(self, name: str) -> None:
        self.do(Leave(f"s-{name}"))

    def wait(self, seconds: float = 2.0) -> None:
        """Let time pass, and what is due happen."""
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= end]:
            timer = min(due, key=lambda one: one[0])
            self.timers.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = end

    def quiet(self) -> None:
        """Let everything be said, and forget it."""
        self.wait()
        for recipient in self.recipients.values():
            recipient.raw.clear()
