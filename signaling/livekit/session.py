"""One participant: its WebSocket, its connections, its seat in the lesson.

A session outlives its WebSocket: when that breaks, media goes on, and for `RESUME_WINDOW` seconds
the client may come back with its sid and its token. What was to be told meanwhile waits.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from livekit.protocol import models, rtc

from sfu.datachannel import Message
from sfu.errors import NegotiationError
from sfu.negotiation import Codec, Offer
from signaling.allowance import Allowance
from signaling.connection import Connection, Downtrack
from signaling.effects import Reason
from signaling.events import Member, Publication, Role, Track, Watch
from signaling.livekit import messages
from signaling.livekit.errors import MalformedRequest
from signaling.livekit.house import House
from signaling.livekit.infos import disconnect_reason
from signaling.livekit.join import Joining
from signaling.livekit.negotiation import Dual, Negotiator, Single, Wanted
from signaling.livekit.publications import Publications
from signaling.livekit.renewal import RENEW_EVERY
from signaling.livekit.requests import Requests
from signaling.livekit.subscribing import Subscriptions
from signaling.livekit.wire import Wire

logger = logging.getLogger(__name__)

RESUME_WINDOW = 45.0
"""Seconds for which a participant stays without a WebSocket: clients try for about 30."""
RATE, BURST = 50.0, 500
"""Messages a second of one client, and at once: a join with many candidates is under 100."""
SETTLE = 0.04
"""Seconds for which wishes are gathered before they are negotiated: a little longer than news of
participants, so that a client knows who publishes before it gets the track."""
_MAX_KEPT = 1_000
"""Messages that wait for a client to come back; with more it has to begin anew."""

DISCONNECT = rtc.LeaveRequest.DISCONNECT
RECONNECT = rtc.LeaveRequest.RECONNECT


class _Ear:
    """Where `Presence` tells a session its news."""

    def __init__(self, session: "LiveKitSession") -> None:
        self._session = session

    def send(self, raw: bytes) -> None:
        self._session.send_signal(raw)


class LiveKitSession:
    """A participant's seat (`signaling.seat.Seat`). Once it is seated, `start` says the first
    words."""

    def __init__(
        self,
        house: House,
        joining: Joining,
        renew: Callable[[Member], str],
        *,
        role: Role,
        site: str,
        now: float,
    ) -> None:
        """`renew` makes a token with which this member may come back."""
        self.id = secrets.token_urlsafe(18)
        self.sid = ""
        self.identity = ""
        self.role = role
        self.site = site
        self.created_at = now
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._single = joining.single
        self._renew = renew
        self._renewed: Member | None = None  # as the newest token describes it
        self._renewing: asyncio.TimerHandle | None = None
        self._wire: Wire | None = None
        self._kept: deque[bytes] = deque()
        self._absence: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._allowance = Allowance(RATE, BURST, now)
        self._leaving = False
        self._closed = False
        self._negotiator: Negotiator = (Single if joining.single else Dual)(house.media, self)
        self._publications = Publications(self.id, house, self._negotiator, self.send_signal)
        self._subscriptions = Subscriptions(
            self.id, house, self._negotiator, auto=joining.auto_subscribe, send=self.send_signal
        )
        self._requests = Requests(
            self.id,
            house,
            self._negotiator,
            self._publications,
            self._subscriptions,
            send=self.send_signal,
            settle=self.settle,
            leave=self._say_goodbye,
        )

    # --- Seat

    @property
    def peer(self) -> int:
        """Its name in the engine, on which it is sent media."""
        return self._negotiator.subscriber.peer

    @property
    def connected(self) -> bool:
        """Whether it can be sent media now."""
        return self._negotiator.subscriber.connected

    @property
    def tells_arrivals(self) -> bool:
        """Whether it tells which packets came."""
        return self._negotiator.subscriber.tells_arrivals

    @property
    def tracks(self) -> Sequence[Track]:
        """What it publishes now."""
        return [p.track for p in self._house.classroom.lesson.published_by(self.id)]

    @property
    def watches(self) -> Sequence[Watch]:
        """What it takes now."""
        return self._subscriptions.watches

    def send(self, label: str, message: Message) -> bool:
        """Send on a data channel; False when it is not open or full."""
        return self._negotiator.subscriber.send(label, message)

    def notify(self, label: str, message: Mapping[str, Any]) -> bool:
        """Our own pages' words: a client of LiveKit's hears the same in its protocol."""
        return False

    def close(self) -> None:
        """Free everything; nothing is heard of it any more. Idempotent."""
        if self._closed:
            return
        self._closed = self._leaving = True
        for timer in (self._absence, self._settling, self._renewing):
            if timer is not None:
                timer.cancel()
        if self._wire is not None:
            self._wire.close()
        self._kept.clear()
        self._house.relay.leave(self.id)
        self._house.presence.leave(self.id)
        self._negotiator.close()
        self._house.gone(self.id)

    # --- its life

    def start(self, joining: Joining) -> None:
        """Say who and what is here, and answer what came with the join. Raises
        NegotiationError."""
        house, lesson = self._house, self._house.classroom.lesson
        self.identity = lesson.members[self.id].identity
        presence = house.presence
        self.sid = presence.enter(self.id, _Ear(self), client_protocol=joining.client_protocol)
        house.relay.enter(self.id, self.identity, self.sid, self.send)
        self.send_signal(
            messages.join(
                room=presence.room(),
                participant=presence.info(self.id),
                others=presence.others(self.id),
                video_codecs=house.video_codecs,
                ice_servers=house.ice_servers,
                subscriber_primary=not self._single,
                trailer=house.trailer,
            )
        )
        self._send_token()
        for request in joining.add_tracks:
            self._requests.add_track(request)
        self._subscriptions.review(lesson.publications.values())
        if joining.offer is not None:
            self._requests.offer(joining.offer)
        self._settle()

    def when_settled(self, told: Callable[[], None]) -> None:
        """Call this once the first handshake is over, either way."""
        self._negotiator.subscriber.when_settled(told)

    def attach(self, wire: Wire) -> None:
        """The client speaks on this WebSocket from now on."""
        if self._absence is not None:
            self._absence.cancel()
            self._absence = None
        old, self._wire = self._wire, wire
        if old is not None:
            old.close()
        while self._kept:
            wire.send(self._kept.popleft())

    def detach(self, wire: Wire) -> None:
        """A WebSocket is closed: the client may come back on another."""
        if self._wire is not wire or self._leaving:
            return
        self._wire = None
        self._kept.extend(wire.take_queue())
        self._house.relay.away(self.id)
        self._absence = self._loop.call_later(RESUME_WINDOW, self.give_up)

    def resume(self, wire: Wire, joining: Joining) -> bool:
        """The client is back: say what it missed. False when it has to begin anew.

        Raises NegotiationError.
        """
        if self._leaving or len(self._kept) >= _MAX_KEPT:
            return False
        house, presence = self._house, self._house.presence
        wire.send(messages.reconnect(house.relay.last_sequence(self.id), house.ice_servers))
        house.relay.back(self.id)
        self.attach(wire)
        self.send_signal(messages.update([presence.info(self.id), *presence.others(self.id)]))
        self.send_signal(messages.room_update(presence.room()))
        self._negotiator.resume()
        if joining.sync_state is not None:
            self._requests.sync_state(joining.sync_state)
        if joining.offer is not None:
            self._requests.offer(joining.offer)
        return True

    def on_request(self, raw: bytes) -> None:
        """WebSocket: a message came. Floods and what cannot be read end the session."""
        if self._leaving:
            return
        if not self._allowance.take(self._loop.time()):
            self._depart("it floods us with messages", models.SIGNAL_CLOSE)
            return
        try:
            self._requests.handle(raw)
        except MalformedRequest as error:
            self._depart(str(error), models.STATE_MISMATCH)
        except NegotiationError as error:
            self._depart(error.reason, models.MEDIA_FAILURE)

    # --- what others tell it

    def send_signal(self, raw: bytes) -> None:
        """Queue one serialised SignalResponse; never waits."""
        if self._wire is not None:
            self._wire.send(raw)
        elif not self._leaving and len(self._kept) < _MAX_KEPT:
            self._kept.append(raw)

    def dismiss(self, reason: Reason) -> None:
        """The lesson has removed its member, and will close this in a moment: say why."""
        if not self._leaving:
            self.send_signal(messages.leave(disconnect_reason(reason), DISCONNECT))
            self._leaving = True

    def withdrawn(self, publication: Publication, reason: Reason) -> None:
        """It is published no more."""
        if publication.session != self.id:
            self._subscriptions.forget(publication.number)
            self.settle()
        elif reason is Reason.FORBIDDEN:
            self._publications.forbidden(publication.track.uptrack)

    def changed(self, member: Member) -> None:
        """Other things are said of its member, or it may do others."""
        if self._renewed is not None and member != self._renewed:  # the floor is not in tokens
            self._send_token()
        self._publications.review()

    def review(self, publications: Sequence[Publication]) -> None:
        """These are new, or other rules hold for them."""
        self._subscriptions.review(publications)
        self.settle()

    def subscribe(self, sids: Sequence[str], wanted: bool) -> None:
        """The client wants these tracks or does not, or somebody with authority says so."""
        self._subscriptions.ask(sids, subscribe=wanted)
        self.settle()

    def settle(self) -> None:
        """Negotiate once for all that happens in a moment."""
        if self._settling is None and not self._leaving:
            self._settling = self._loop.call_later(SETTLE, self._settle)

    def stream_state(self, downtrack: int, *, paused: bool) -> None:
        """The line does not carry this any more, or does again."""
        if (found := self._subscriptions.track_of(downtrack)) is not None:
            self.send_signal(messages.stream_state(*found, paused=paused))

    # --- NegotiationHandler

    def plan(self, offer: Offer) -> Sequence[Codec | None]:
        """In which codec we take what each section sends."""
        return self._publications.plan(offer)

    def carried_out(self) -> None:
        """What we take has uptracks now."""
        publisher = self._negotiator.publisher
        if publisher is not None and publisher.connected:
            self._publications.publish_all(publisher)

    def begun(self, wanted: Wanted, downtrack: Downtrack) -> None:
        """We send a publication in a section of the client's."""
        self._subscriptions.begun(wanted, downtrack)
        self._house.subscribed(wanted.number)

    def refused(self, wanted: Wanted) -> None:
        """The client cannot decode a publication."""
        self.send_signal(self._subscriptions.refused(wanted))

    def on_reachable(self, connection: Connection) -> None:
        """Connection: keys will follow."""
        if connection is self._negotiator.subscriber and not connection.connected:
            self._house.classroom.freshen()

    def on_connected(self, connection: Connection) -> None:
        """Connection: media can flow."""
        if connection is self._negotiator.publisher:
            self._publications.publish_all(connection)
        if connection is self._negotiator.subscriber:
            self._house.presence.active(self.id)
            self._house.classroom.delivery.add(self)
            self._subscriptions.connected()

    def on_lost(self, connection: Connection, reason: str) -> None:
        """Connection: it is gone. A client that is still there may begin anew."""
        if connection is self._negotiator.publisher:
            self._publications.lost()
        if not self._negotiator.lost(connection):
            self._depart(reason, models.MEDIA_FAILURE, RECONNECT)

    def on_stream(self, connection: Connection, uptrack: int) -> None:
        """Connection: a track flows."""
        self._house.classroom.flows(uptrack)

    def on_open(self, connection: Connection, label: str) -> None:
        """Connection: a data channel is open."""
        if connection is self._negotiator.subscriber:
            self._house.relay.opened(self.id, label)

    def on_low(self, connection: Connection, label: str) -> None:
        """Connection: a data channel takes more."""
        self._house.relay.opened(self.id, label)

    def on_message(self, connection: Connection, label: str, message: Message) -> None:
        """Connection: something came on a data channel."""
        if isinstance(message, bytes):
            self._house.relay.received(self.id, label, message)

    # --- later

    def _send_token(self) -> None:
        """Now and every few minutes: its client may need one to come back."""
        if self._renewing is not None:
            self._renewing.cancel()
        member = self._house.classroom.lesson.members.get(self.id)
        if member is not None and not self._leaving:
            self._renewed = member
            self._renewing = self._loop.call_later(RENEW_EVERY, self._send_token)
            self.send_signal(messages.refresh_token(self._renew(member)))

    def _settle(self) -> None:
        self._settling = None
        self._negotiator.settle()

    # --- the end

    def _say_goodbye(self) -> None:
        # A page that is reloaded says goodbye too: a teacher's lesson waits for it.
        lost = self._house.classroom.lesson.members[self.id].role is Role.TEACHER
        self._depart("it says goodbye", models.CLIENT_INITIATED, lost=lost)

    def give_up(self) -> None:
        """The client is not there any more."""
        self._depart("it does not come back", models.CONNECTION_TIMEOUT)

    def _depart(
        self,
        why: str,
        reason: models.DisconnectReason,
        action: "rtc.LeaveRequest.Action" = DISCONNECT,
        *,
        lost: bool = True,
    ) -> None:
        if self._leaving:
            return
        classroom = self._house.classroom
        logger.info("%s: %s is gone: %s", classroom.lesson.name, self.sid, why)
        self.send_signal(messages.leave(reason, action))
        self._leaving = True
        classroom.leave(self, lost=lost)  # which closes this
