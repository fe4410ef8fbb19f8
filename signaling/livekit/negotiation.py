"""The two ways in which LiveKit's clients negotiate what they watch.

`Single` (v1): one connection, on which the client offers. What is to be sent needs sections that
the client offers to receive; when they are too few it is asked to offer more. A section whose track
is gone is answered `inactive` once before it carries another: a browser tells its page of a track
only when the section begins to receive.

`Dual` (v0): the client offers what it publishes on one connection, we what it watches on another.

What both are asked is the same; who asks is a `Negotiator`'s handler, the session.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sfu.errors import NegotiationError
from sfu.negotiation import VIDEO_CODECS, Codec, Offer, Section, choose_audio, choose_video
from sfu.sdp_offer import CONFERENCE, parse_answer, parse_offer
from signaling.answering import Answering, Intent, Receive, Rest, Send, Talk
from signaling.connection import Connection, ConnectionHandler, Downtrack, MediaPlane
from signaling.livekit import messages
from signaling.livekit.data import LOSSY, RELIABLE
from signaling.offering import Offering


@dataclass(frozen=True, slots=True)
class Wanted:
    """A publication that the client is to get."""

    number: int
    kind: str
    codec: str
    stream: str
    """The MediaStream's id as the client is told: publisher and stream."""
    track: str
    """Its sid."""
    encrypted: bool = False
    """From end to end: payloads must arrive as they were sent, so sound is not sent as RED."""


class NegotiationHandler(ConnectionHandler, Protocol):
    """Who decides, and hears what came of it."""

    def send_signal(self, raw: bytes) -> None:
        """Tell the client."""

    def plan(self, offer: Offer) -> Sequence[Codec | None]:
        """An offer came: for each section, in which codec its track is taken, if at all."""

    def carried_out(self) -> None:
        """The offer is answered: `connection.uptracks` are as planned."""

    def begun(self, wanted: Wanted, downtrack: Downtrack) -> None:
        """This publication has a downtrack now, silent until it is watched."""

    def refused(self, wanted: Wanted) -> None:
        """The client cannot decode this publication."""


class Negotiator(Protocol):
    """One client's connections."""

    @property
    def publisher(self) -> Connection | None:
        """Where the client publishes, once it does."""

    @property
    def subscriber(self) -> Connection:
        """Where it watches, and hears data."""

    def take_offer(self, sdp: str, number: int) -> None:
        """The client offers. Raises NegotiationError."""

    def take_answer(self, sdp: str, number: int) -> None:
        """The client answers. Raises NegotiationError."""

    def want(self, wanted: Wanted) -> None:
        """Send this; `settle` makes it so."""

    def unwant(self, number: int) -> None:
        """Send this no more, at once."""

    def settle(self) -> None:
        """Negotiate what has changed, if anything has."""

    def resume(self) -> None:
        """The client is back on another WebSocket: what was said last it may have missed."""

    def lost(self, connection: Connection) -> bool:
        """A connection is gone; whether the client can go on without it."""

    def close(self) -> None:
        """Close all connections."""


class Single:
    """One connection for both directions (v1)."""

    def __init__(self, media: MediaPlane, handler: NegotiationHandler) -> None:
        self._handler = handler
        self._connection = Connection(media, handler)
        self._answering = Answering(self._connection, publishes_later=True)
        self._waiting: dict[int, Wanted] = {}
        self._placed: dict[str, Wanted] = {}  # by mid
        self._resting: set[str] = set()  # mids to be answered inactive once
        self._free: dict[str, int] = {}  # by kind, as last offered
        self._receiving = 0  # sections to receive in, as last offered
        self._asked = False
        self._stalled = False  # the client was asked for more, and did not offer more

    @property
    def publisher(self) -> Connection | None:
        """The one connection."""
        return self._connection

    @property
    def subscriber(self) -> Connection:
        """The one connection."""
        return self._connection

    def take_offer(self, sdp: str, number: int) -> None:
        """Answer; what waits gets the sections that the client offers to receive in."""
        offer = parse_offer(sdp, CONFERENCE)
        codecs = self._handler.plan(offer)
        before, resting = self._given(), len(self._resting)
        receiving = sum(section.receives for section in offer.sections)
        self._free = {}
        pairs = zip(offer.sections, codecs, strict=True)
        intents = [self._intent(section, codec) for section, codec in pairs]
        self._forget_missing(offer)
        answer = self._answering.answer(offer, intents)
        tracks = {mid: wanted.track for mid, wanted in self._placed.items()}
        self._handler.send_signal(messages.description("answer", answer, number, tracks))
        self._handler.carried_out()
        # A track that the client takes in another form from now on has a new downtrack, too.
        begun = [mid for mid, given in self._given().items() if given != before.get(mid)]
        for mid in begun:
            self._handler.begun(self._placed[mid], self._connection.downtracks[mid])
        progress = begun or receiving > self._receiving or len(self._resting) < resting
        self._stalled = not progress and (self._asked or self._stalled)
        self._asked, self._receiving = False, receiving
        self.settle()

    def take_answer(self, sdp: str, number: int) -> None:
        """Raises NegotiationError: we do not offer."""
        raise NegotiationError("There is no offer of ours to answer.")

    def want(self, wanted: Wanted) -> None:
        """It waits for the client's next offer."""
        self._waiting[wanted.number] = wanted
        self._stalled = False

    def unwant(self, number: int) -> None:
        """Its section rests from the next answer on."""
        self._waiting.pop(number, None)
        mid = next((mid for mid, w in self._placed.items() if w.number == number), None)
        if mid is not None:
            del self._placed[mid]
            self._connection.stop_giving(mid)
            self._resting.add(mid)

    def settle(self) -> None:
        """Ask the client to offer, with as many more sections as are too few."""
        if not self._waiting or self._asked or self._stalled:
            return
        missing = {
            kind: max(0, self._count(kind) - self._free.get(kind, 0)) for kind in ("audio", "video")
        }
        self._asked = True
        self._handler.send_signal(messages.sections_missing(missing["audio"], missing["video"]))

    def resume(self) -> None:
        """A client offers again by itself; what it is asked for it may have missed."""
        self._asked = self._stalled = False
        self.settle()

    def lost(self, connection: Connection) -> bool:
        """There is no other."""
        return False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _given(self) -> dict[str, tuple[int, int]]:
        """By mid: which publication is sent there, and on which downtrack."""
        tracks = self._connection.downtracks
        placed = self._placed.items()
        return {mid: (w.number, tracks[mid].id) for mid, w in placed if mid in tracks}

    def _count(self, kind: str) -> int:
        return sum(wanted.kind == kind for wanted in self._waiting.values())

    def _intent(self, section: Section, codec: Codec | None) -> Intent:
        if section.is_data_channel:
            return Talk()
        if section.disabled or section.kind not in ("audio", "video"):
            return None
        if section.sends:
            return Receive(codec) if codec is not None else _rest(section)
        if not section.receives:
            return _rest(section)
        wanted = self._placed.get(section.mid) or self._place(section)
        if wanted is None:
            self._free[section.kind] = self._free.get(section.kind, 0) + 1
            return _rest(section)
        chosen = choose(section, wanted.codec)
        if chosen is None:
            return _rest(section)
        if wanted.encrypted:
            chosen = replace(chosen, red_payload_type=None)
        return Send(chosen, wanted.stream, wanted.track)

    def _place(self, section: Section) -> Wanted | None:
        """Give a free section to the oldest that waits and can be decoded."""
        if section.mid in self._resting:
            self._resting.discard(section.mid)
            return None
        for wanted in [w for w in self._waiting.values() if w.kind == section.kind]:
            del self._waiting[wanted.number]
            if choose(section, wanted.codec) is not None:
                self._placed[section.mid] = wanted
                return wanted
            self._handler.refused(wanted)
        return None

    def _forget_missing(self, offer: Offer) -> None:
        """What was sent in a section that no longer receives waits for another."""
        receiving = {section.mid for section in offer.sections if section.receives}
        for mid in [mid for mid in self._placed if mid not in receiving]:
            wanted = self._placed.pop(mid)
            self._connection.stop_giving(mid)
            self._waiting[wanted.number] = wanted


class Dual:
    """A connection for what the client publishes, and one of ours for what it watches (v0)."""

    def __init__(self, media: MediaPlane, handler: NegotiationHandler) -> None:
        self._media = media
        self._handler = handler
        self._publisher: Connection | None = None
        self._answering: Answering | None = None
        self._subscriber = Connection(media, handler)
        self._subscriber.open_channel(RELIABLE)
        self._subscriber.open_channel(LOSSY, ordered=False, max_retransmits=0)
        self._offering = Offering(self._subscriber, self._send_offer)
        self._number = 0
        self._wanted: dict[str, Wanted] = {}  # by mid
        self._changed = True  # the client waits for an offer, even of nothing

    @property
    def publisher(self) -> Connection | None:
        """Made with the client's first offer."""
        return self._publisher

    @property
    def subscriber(self) -> Connection:
        """Ours to offer on."""
        return self._subscriber

    def take_offer(self, sdp: str, number: int) -> None:
        """Answer what the client publishes."""
        offer = parse_offer(sdp, CONFERENCE)
        if self._publisher is None or self._answering is None:
            self._publisher = Connection(self._media, self._handler)
            self._answering = Answering(self._publisher, publishes_later=True)
        codecs = self._handler.plan(offer)
        pairs = zip(offer.sections, codecs, strict=True)
        answer = self._answering.answer(offer, [_uplink(*pair) for pair in pairs])
        self._handler.send_signal(messages.description("answer", answer, number, {}))
        self._handler.carried_out()

    def take_answer(self, sdp: str, number: int) -> None:
        """What the client takes of our offer begins; an answer to an older offer is passed over."""
        if number not in (0, self._number):
            return
        for mid, downtrack in self._offering.take_answer(parse_answer(sdp)):
            wanted = self._wanted[mid]
            if downtrack is not None:
                self._handler.begun(wanted, downtrack)
                continue
            self.unwant(wanted.number)
            self._handler.refused(wanted)

    def want(self, wanted: Wanted) -> None:
        """It goes into the next offer."""
        mid = self._offering.send(
            wanted.kind, wanted.codec, wanted.stream, wanted.track, redundant=not wanted.encrypted
        )
        self._wanted[mid] = wanted
        self._changed = True

    def unwant(self, number: int) -> None:
        """Its section rests from the next offer on."""
        mid = next((mid for mid, w in self._wanted.items() if w.number == number), None)
        if mid is not None:
            del self._wanted[mid]
            self._offering.stop(mid)
            self._changed = True

    def settle(self) -> None:
        """Offer, now or when the client has answered."""
        if self._changed:
            self._changed = False
            self._offering.offer()

    def resume(self) -> None:
        """The client restarts its own ICE; ours is for us to restart."""
        self._changed = False
        self._offering.restart_ice()

    def lost(self, connection: Connection) -> bool:
        """A client may close its publishing connection, and open another."""
        if connection is not self._publisher:
            return False
        self._publisher = self._answering = None
        return True

    def close(self) -> None:
        """Close both connections."""
        self._subscriber.close()
        if self._publisher is not None:
            self._publisher.close()

    def _send_offer(self, sdp: str) -> None:
        self._number += 1
        tracks = {mid: wanted.track for mid, wanted in self._wanted.items()}
        self._handler.send_signal(messages.description("offer", sdp, self._number, tracks))


def choose(section: Section, codec: str) -> Codec | None:
    """The section's form of a codec, by the name of the house."""
    return choose_audio(section) if section.kind == "audio" else choose_video(section, [codec])


def _uplink(section: Section, codec: Codec | None) -> Intent:
    if section.is_data_channel:
        return Talk()
    if section.disabled or section.kind not in ("audio", "video"):
        return None
    return Receive(codec) if codec is not None and section.sends else _rest(section)


def _rest(section: Section) -> Intent:
    names: Sequence[str] = ("opus",) if section.kind == "audio" else VIDEO_CODECS
    codecs = [codec for name in names if (codec := choose(section, name)) is not None]
    return Rest(codecs) if codecs else None
