"""Data between the participants of one lesson: packets, RPC, text and byte streams.

A packet is stamped with who sent it and goes to whom it names, or to all others. What is reliable
waits for a receiver whose channel is not open yet, or is full; what is lossy does not wait. The
newest reliable packets are kept, so that who resumes gets those it missed: publishers number their
packets (`sequence`), and both ends forget what came twice.

What bounds it (beyond: dropped, counted):

- a packet: 64 KiB; what a sender costs: 2,000 deliveries a second, 10,000 at once, because each
  one is SCTP in Python; a lesson three times that;
- what waits for a receiver: 512 packets, 2 MiB;
- what is kept for those who resume: 1,024 packets, 4 MiB, 60 s;
- what came from who is away, behind a gap: 512 packets.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from livekit.protocol import models

from signaling.allowance import Allowance
from signaling.livekit.ordering import Ordering

logger = logging.getLogger(__name__)

RELIABLE, LOSSY = "_reliable", "_lossy"
"""Labels of the data channels."""

MAX_PACKET = 64 * 1024
_RATE, _BURST = 2_000.0, 10_000
_LESSON_RATE, _LESSON_BURST = 6_000.0, 30_000
_SERVED = 100
"""What a packet to a server-side participant costs: 20 a second, 100 at once."""
_MAX_WAITING, _MAX_WAITING_BYTES = 512, 2 * 1024 * 1024
_MAX_KEPT, _MAX_KEPT_BYTES, _KEPT_SECONDS = 1_024, 4 * 1024 * 1024, 60.0
_REMEMBERED = 30.0
"""Seconds for which clients remember the newest that they have of somebody who is silent."""
_CATCH_UP = 5.0
"""Seconds for a client that is back to send again what it kept."""
_TRY_AGAIN = 0.05
"""Seconds until a full channel is tried again."""

Send = Callable[[str, bytes], bool]
"""Label and packet to a participant's data channel; False when it is not open, or full."""
Handler = Callable[[str, models.DataPacket], None]
"""Session and packet that a server-side participant is sent, or that all are."""
CallLater = Callable[[float, Callable[[], None]], object]


@dataclass(slots=True)
class _Member:
    identity: str
    sid: str
    send: Send
    since: float
    allowance: Allowance
    waiting: deque[bytes] = field(default_factory=deque)
    waiting_bytes: int = 0
    ordering: Ordering[models.DataPacket] = field(default_factory=Ordering)


@dataclass(frozen=True, slots=True)
class _Kept:
    at: float
    session: str
    sid: str
    sequence: int
    raw: bytes
    wanted: frozenset[str]
    """Identities; empty for all others."""


class Relay:
    """The data of one lesson. `clock` is a steady one, in seconds; `later` calls back;
    `may_send` tells whether a session may say anything now; `overhear` what is said to all."""

    def __init__(
        self,
        clock: Callable[[], float],
        later: CallLater,
        may_send: Callable[[str], bool],
        overhear: Handler = lambda session, packet: None,
    ) -> None:
        self._clock = clock
        self._later = later
        self._may_send = may_send
        self._overhear = overhear
        self._members: dict[str, _Member] = {}
        self._servers: dict[str, Handler] = {}
        self._allowance = Allowance(_LESSON_RATE, _LESSON_BURST, clock())
        self._kept: deque[_Kept] = deque()
        self._kept_bytes = 0
        self._due = False
        self.relayed = 0
        """Packets delivered, or waiting to be."""
        self.dropped = 0
        """Packets that broke a rule or a bound."""

    # --- who is here

    def enter(self, session: str, identity: str, sid: str, send: Send) -> None:
        """A participant is here; its channels may open later."""
        now = self._clock()
        allowance = Allowance(_RATE, _BURST, now)
        self._members[session] = _Member(identity, sid, send, now, allowance)

    def leave(self, session: str) -> None:
        """It is gone, with all that waits for it."""
        self._settle(session)
        self._members.pop(session, None)

    def away(self, session: str) -> None:
        """Its signalling is broken off, its channels are not: it may send out of order."""
        if member := self._members.get(session):
            member.ordering.gather()

    def back(self, session: str) -> None:
        """It has been told `last_sequence`, and will send again what came later or never."""
        self._later(_CATCH_UP, lambda: self._settle(session))

    def serve(self, identity: str, handler: Handler) -> None:
        """Packets that name this identity go to a handler of ours instead."""
        self._servers[identity] = handler

    # --- what comes

    def opened(self, session: str, label: str) -> None:
        """A channel to this participant is open, or has room again."""
        if label == RELIABLE and (member := self._members.get(session)):
            self._flush(member)

    def received(self, session: str, label: str, raw: bytes) -> None:
        """A participant says something on this channel."""
        sender = self._members.get(session)
        if sender is None or label not in (RELIABLE, LOSSY):
            return
        packet = self._parsed(sender, raw) if self._may_send(session) else None
        if packet is None:
            self.dropped += 1
            return
        if label == RELIABLE and packet.sequence:
            for following in sender.ordering.take(packet.sequence, packet):
                self._route(sender, session, label, following)
        else:
            self._route(sender, session, label, packet)

    def _route(self, sender: _Member, session: str, label: str, packet: models.DataPacket) -> None:
        wanted = wanted_identities(packet, self._identity_of)
        for identity in wanted & self._servers.keys():
            self._ask(sender, session, identity, packet)
            wanted -= {identity}
            if not wanted:
                return
        self._spread(sender, session, label, packet, wanted)

    def publish(self, packet: models.DataPacket, label: str, identities: Iterable[str]) -> None:
        """The server says something, to these identities or, with none, to all."""
        wanted = frozenset(identities)
        raw = packet.SerializeToString()
        for member in self._members.values():
            if not wanted or member.identity in wanted:
                self._deliver(member, label, raw)

    # --- resuming

    def last_sequence(self, session: str) -> int:
        """The newest reliable packet that came from this participant before any gap: it sends
        later ones again."""
        member = self._members.get(session)
        return member.ordering.last if member is not None else 0

    def replay(self, session: str, received: Mapping[str, int]) -> None:
        """A participant resumes; by publisher's sid, the newest that it has. The rest goes again,
        before what waits. Of whom it names nothing it may have forgotten what is older."""
        member = self._members.get(session)
        if member is None:
            return
        self._forget_old()
        known = self._clock() - _REMEMBERED
        missed = [
            kept.raw
            for kept in self._kept
            if kept.session != session
            and kept.at >= member.since
            and (not kept.wanted or member.identity in kept.wanted)
            and kept.sequence > received.get(kept.sid, 0)
            and (kept.sid in received or kept.at > known)
        ]
        again = set(missed)
        waiting = [raw for raw in member.waiting if raw not in again]
        member.waiting.clear()
        member.waiting_bytes = 0
        for raw in (*missed, *waiting):
            self._queue(member, raw)
        self._flush(member)

    # --- how it goes on

    def _settle(self, session: str) -> None:
        if (member := self._members.get(session)) is not None:
            for packet in member.ordering.settle():
                self._route(member, session, RELIABLE, packet)

    def _identity_of(self, sid: str) -> str:
        """For clients that still name sids. One that nobody has here must not become everybody."""
        return next((m.identity for m in self._members.values() if m.sid == sid), sid)

    def _parsed(self, sender: _Member, raw: bytes) -> models.DataPacket | None:
        """The packet as it goes on, or None for one that may not."""
        if len(raw) > MAX_PACKET:
            return None
        try:
            packet = models.DataPacket.FromString(raw)
        except DecodeError:
            return None
        kind = packet.WhichOneof("value")
        if kind in (None, "speaker"):  # who speaks is for the server to say
            return None
        packet.participant_identity, packet.participant_sid = sender.identity, sender.sid
        if kind == "user":
            packet.user.participant_identity = sender.identity
            packet.user.participant_sid = sender.sid
        return packet

    def _ask(self, sender: _Member, session: str, identity: str, packet: models.DataPacket) -> None:
        if sender.allowance.take(self._clock(), _SERVED):
            self._servers[identity](session, packet)
        else:
            self.dropped += 1

    def _spread(
        self,
        sender: _Member,
        session: str,
        label: str,
        packet: models.DataPacket,
        wanted: frozenset[str],
    ) -> None:
        receivers = [
            member
            for member in self._members.values()
            if member is not sender and (not wanted or member.identity in wanted)
        ]
        now, cost = self._clock(), max(1, len(receivers))
        if not sender.allowance.take(now, cost) or not self._allowance.take(now, cost):
            self.dropped += 1
            return
        raw = packet.SerializeToString()
        for member in receivers:
            self._deliver(member, label, raw)
        if label == RELIABLE and packet.sequence:
            self._keep(_Kept(now, session, sender.sid, packet.sequence, raw, wanted))
        if not wanted:
            self._overhear(session, packet)

    def _deliver(self, member: _Member, label: str, raw: bytes) -> None:
        self.relayed += 1
        if label == LOSSY:
            self.dropped += not member.send(label, raw)
        elif member.waiting or not member.send(label, raw):
            self._queue(member, raw)
            self._try_again()

    def _queue(self, member: _Member, raw: bytes) -> None:
        if (
            len(member.waiting) >= _MAX_WAITING
            or member.waiting_bytes + len(raw) > _MAX_WAITING_BYTES
        ):
            self.dropped += 1
            return
        member.waiting.append(raw)
        member.waiting_bytes += len(raw)

    def _flush(self, member: _Member) -> None:
        while member.waiting and member.send(RELIABLE, member.waiting[0]):
            member.waiting_bytes -= len(member.waiting.popleft())
        if member.waiting:
            self._try_again()

    def _try_again(self) -> None:
        if not self._due:
            self._due = True
            self._later(_TRY_AGAIN, self._flush_all)

    def _flush_all(self) -> None:
        self._due = False
        for member in list(self._members.values()):
            self._flush(member)

    def _keep(self, kept: _Kept) -> None:
        self._kept.append(kept)
        self._kept_bytes += len(kept.raw)
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = self._clock() - _KEPT_SECONDS
        while self._kept and (
            len(self._kept) > _MAX_KEPT
            or self._kept_bytes > _MAX_KEPT_BYTES
            or self._kept[0].at < oldest
        ):
            self._kept_bytes -= len(self._kept.popleft().raw)


def wanted_identities(
    packet: models.DataPacket, identity_of: Callable[[str], str]
) -> frozenset[str]:
    """Whom a packet names, by all the ways there have been to name them; empty for everybody."""
    wanted = set(packet.destination_identities)
    if packet.WhichOneof("value") == "user":
        wanted.update(packet.user.destination_identities)
        wanted.update(map(identity_of, packet.user.destination_sids))
    return frozenset(wanted)
