"""One member's connection by WHIP or WHEP: an offer, its answer, and what they became.

A session knows nothing of lessons: it reports to its handler, and does what it is told.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sfu.datachannel import Message
from sfu.negotiation import Offer, Section
from signaling import answering
from signaling.answering import Answering
from signaling.connection import Connection, MediaPlane
from signaling.events import Role, Track, Watch, Whose
from signaling.plan import Give, Intent, Take, Talk
from signaling.seat import CONTROL_LABEL

__all__ = ["MediaPlane", "Session", "SessionHandler"]


class SessionHandler(Protocol):
    """Who hears of a session's life."""

    def on_reachable(self, session: "Session") -> None:
        """The peer's address is known, or moved."""

    def on_connected(self, session: "Session") -> None:
        """Media can flow; nothing has flowed yet."""

    def on_lost(self, session: "Session", reason: str) -> None:
        """The connection is gone (said once, and not after `close`)."""

    def on_stream(self, session: "Session", uptrack: int) -> None:
        """A published track has begun to flow."""

    def on_open(self, session: "Session", label: str) -> None:
        """The peer hears us on this data channel from now on."""

    def on_message(self, session: "Session", label: str, message: Message) -> None:
        """The peer said something on a data channel."""


class Session:
    """A connection that is expected as soon as this is made, and lives until `close`."""

    def __init__(
        self,
        media: MediaPlane,
        offer: Offer,
        intents: Sequence[Intent],
        handler: SessionHandler,
        *,
        role: Role,
        stream: str,
        site: str = "",
        now: float,
    ) -> None:
        """`stream` is the MediaStream id that a viewer sees for camera and microphone; `site`
        names the place whose line it shares."""
        self.id = secrets.token_urlsafe(18)  # unguessable: it is all a DELETE needs
        self.role = role
        self.site = site
        self.created_at = now
        self._handler = handler
        self._connection = Connection(media, self)
        self._answering = Answering(self._connection)
        try:
            wanted = [_wanted(intent, stream) for intent in intents]
            self.answer = self._answering.answer(offer, wanted)
            pairs = list(zip(offer.sections, intents, strict=True))
            self.tracks = [self._track(s, i) for s, i in pairs if isinstance(i, Take)]
            given = [(s, self._watch(s, i)) for s, i in pairs if isinstance(i, Give)]
            self.watches = [watch for _, watch in given]
            self.pictures = {s.mid: watch for s, watch in given if s.kind == "video"}
            """The videos it watches, by mid."""
        except BaseException:
            self._connection.close()
            raise

    @property
    def peer(self) -> int:
        """Its name in the engine."""
        return self._connection.peer

    @property
    def etag(self) -> str:
        """Names the current ICE session (RFC 9725, section 4.3.1)."""
        return f'"{self._connection.ufrag}"'

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return self._connection.connected

    @property
    def tells_arrivals(self) -> bool:
        """Whether the peer tells which packets came (transport-wide feedback)."""
        return self._connection.tells_arrivals

    def restarts_ice(self, ufrag: str) -> bool:
        """Whether a fragment with this remote ufrag asks for an ICE restart."""
        return self._answering.restarts_ice(ufrag)

    def restart_ice(self) -> str:
        """Take new ICE credentials; the fragment to answer with."""
        return self._answering.restart_ice()

    def send(self, label: str, message: Message) -> bool:
        """Send on the peer's data channel of that label; False when it has none or it is full."""
        return self._connection.send(label, message)

    def notify(self, label: str, message: Mapping[str, Any]) -> bool:
        """Send a JSON object."""
        return self._connection.notify(label, message)

    def stream_state(self, downtrack: int, *, paused: bool) -> None:
        """Tell the page that a picture rests, or goes on."""
        for watch in self.watches:
            if watch.downtrack == downtrack:
                state = "paused" if paused else "playing"
                message = {"type": "quality", "source": watch.source, "state": state}
                self.notify(CONTROL_LABEL, message)

    def when_settled(self, told: Callable[[], None]) -> None:
        """Call this once the handshake is over: the peer is connected, or never will be."""
        self._connection.when_settled(told)

    def close(self) -> None:
        """Say goodbye and free everything native; the handler hears nothing any more."""
        self._connection.close()

    # --- ConnectionHandler

    def on_reachable(self, connection: Connection) -> None:
        """Connection: the peer's address is known."""
        self._handler.on_reachable(self)

    def on_connected(self, connection: Connection) -> None:
        """Connection: the keys are in place."""
        self._handler.on_connected(self)

    def on_lost(self, connection: Connection, reason: str) -> None:
        """Connection: the peer is gone."""
        self._handler.on_lost(self, reason)

    def on_stream(self, connection: Connection, uptrack: int) -> None:
        """Connection: a track flows."""
        self._handler.on_stream(self, uptrack)

    def on_open(self, connection: Connection, label: str) -> None:
        """Connection: a data channel is open."""
        self._handler.on_open(self, label)

    def on_message(self, connection: Connection, label: str, message: Message) -> None:
        """Connection: a message came."""
        self._handler.on_message(self, label, message)

    def on_low(self, connection: Connection, label: str) -> None:
        """Connection: nothing of ours waits for it."""

    def _track(self, section: Section, intent: Take) -> Track:
        uptrack = self._connection.uptracks[section.mid]
        codec = uptrack.codec
        return Track(
            uptrack.id,
            section.kind,
            intent.source,
            codec.name,
            codec.clock_rate,
            codec.parameters,
            uptrack.rids,
        )

    def _watch(self, section: Section, intent: Give) -> Watch:
        downtrack = self._connection.downtracks[section.mid]
        return Watch(self.id, downtrack.id, intent.source, downtrack.codec.name, intent.whose)


def _wanted(intent: Intent, stream: str) -> answering.Intent:
    match intent:
        case Take():
            return answering.Receive(intent.codec)
        case Give():
            if intent.whose is Whose.FLOOR:
                return answering.Send(intent.codec, "floor", intent.source)
            name = "slides" if intent.source == "slides" else stream
            return answering.Send(intent.codec, name, intent.source)
        case Talk():
            return answering.Talk()
        case None:
            return None
