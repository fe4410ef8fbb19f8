"""One member's WebRTC connection: an offer, its answer, and what they became in the engine.

A session knows nothing of lessons: it reports to its handler, and does what it is told.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sfu.datachannel import DataChannels, Message
from sfu.dtls import Dtls, Identity
from sfu.engine import DowntrackConfig, Engine, UptrackConfig
from sfu.negotiation import (
    Offer,
    Section,
    downlink_extensions,
    supported_codec,
    tells_arrivals,
    uplink_extensions,
)
from sfu.sdp_answer import (
    DataChannel,
    Decision,
    Downlink,
    LocalTransport,
    Rejected,
    Uplink,
    build_answer,
    build_fragment,
)
from sfu.transport import Transport
from signaling.events import Role, Track, Watch
from signaling.plan import Give, Intent, Take, Talk


@dataclass(frozen=True, slots=True)
class MediaPlane:
    """What every session of a node shares."""

    engine: Engine
    identity: Identity
    addresses: Sequence[str]
    """Announced to clients, the preferred one first."""


class SessionHandler(Protocol):
    """Who hears of a session's life."""

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
        self.tracks: list[Track] = []
        self.watches: list[Watch] = []
        self.tells_arrivals = False
        """Whether the peer tells which packets came (transport-wide feedback)."""
        self._media = media
        self._offer = offer
        self._handler = handler
        self._stream = stream
        self._cname = secrets.token_hex(8)
        self._on_settled: Callable[[], None] | None = None
        self._channels: DataChannels | None = None
        dtls = Dtls(media.identity, offer.our_role, offer.fingerprints)
        self._transport = Transport(media.engine, dtls, self)
        try:
            pairs = zip(offer.sections, intents, strict=True)
            decisions = [self._realise(section, intent) for section, intent in pairs]
            self.answer = build_answer(offer, decisions, self._local())
        except BaseException:
            self._transport.close()
            raise

    @property
    def peer(self) -> int:
        """Its name in the engine."""
        return self._transport.peer

    @property
    def etag(self) -> str:
        """Names the current ICE session (RFC 9725, section 4.3.1)."""
        return f'"{self._transport.credentials.ufrag}"'

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return self._transport.connected

    def restarts_ice(self, ufrag: str) -> bool:
        """Whether a fragment with this remote ufrag asks for an ICE restart."""
        return ufrag != self._offer.ice.ufrag

    def restart_ice(self) -> str:
        """Take new ICE credentials; the fragment to answer with."""
        self._transport.restart_ice()
        return build_fragment(self._offer, self._local())

    def send(self, label: str, message: Message) -> bool:
        """Send on the peer's data channel of that label; False when it has none or it is full."""
        return self._channels is not None and self._channels.send(label, message)

    def notify(self, label: str, message: Mapping[str, Any]) -> bool:
        """Send a JSON object."""
        return self.send(label, json.dumps(message, ensure_ascii=False))

    def when_settled(self, told: Callable[[], None]) -> None:
        """Call this once the handshake is over: the peer is connected, or never will be."""
        self._on_settled = told

    def close(self) -> None:
        """Say goodbye and free everything native; the handler hears nothing any more."""
        if self._channels is not None:
            self._channels.close()
        self._transport.close()
        self._settle()

    # --- TransportHandler

    def on_connected(self) -> None:
        """Transport: the keys are in place."""
        self._handler.on_connected(self)
        self._settle()
        section = next((s for s in self._offer.sections if s.is_data_channel), None)
        if section is not None and section.sctp_port is not None:
            self._channels = DataChannels(
                self._transport.role,
                self._transport.send,
                on_open=lambda label: self._handler.on_open(self, label),
                on_message=lambda label, message: self._handler.on_message(self, label, message),
            )
            self._channels.start(section.sctp_port, section.max_message_size)

    def on_data(self, payload: bytes) -> None:
        """Transport: an SCTP packet."""
        if self._channels is not None:
            self._channels.handle_packet(payload)

    def on_closed(self, reason: str) -> None:
        """Transport: the peer is gone."""
        if self._channels is not None:
            self._channels.close()
        self._settle()
        self._handler.on_lost(self, reason)

    def _settle(self) -> None:
        told, self._on_settled = self._on_settled, None
        if told is not None:
            told()

    # --- from intents to the engine

    def _realise(self, section: Section, intent: Intent) -> Decision:
        match intent:
            case Take():
                return self._take(section, intent)
            case Give():
                return self._give(section, intent)
            case Talk():
                return DataChannel()
            case None:
                return Rejected()

    def _take(self, section: Section, intent: Take) -> Uplink:
        codec, extensions = supported_codec(intent.codec), uplink_extensions(section)
        config = UptrackConfig(
            kind=section.kind,
            mid=section.mid,
            codec=codec,
            extensions=extensions,
            rids=section.rids,
            ssrcs=section.ssrcs,
        )
        uptrack = self._media.engine.add_uptrack(
            self._transport.peer,
            config,
            lambda rid, ssrc: self._handler.on_stream(self, uptrack),
        )
        self.tracks.append(
            Track(
                uptrack,
                section.kind,
                intent.source,
                codec.name,
                codec.clock_rate,
                codec.parameters,
            )
        )
        return Uplink(codec, extensions, section.rids)

    def _give(self, section: Section, intent: Give) -> Downlink:
        codec, extensions = supported_codec(intent.codec), downlink_extensions(section)
        self.tells_arrivals |= tells_arrivals(codec, extensions)
        ssrc, rtx_ssrc = _ssrc(), _ssrc() if codec.rtx_payload_type is not None else None
        config = DowntrackConfig(
            kind=section.kind,
            mid=section.mid,
            codec=codec,
            extensions=extensions,
            ssrc=ssrc,
            rtx_ssrc=rtx_ssrc,
            cname=self._cname,
        )
        downtrack = self._media.engine.add_downtrack(self._transport.peer, config)
        self.watches.append(Watch(self.id, downtrack, intent.source, codec.name))
        stream = "slides" if intent.source == "slides" else self._stream
        return Downlink(codec, extensions, ssrc, rtx_ssrc, self._cname, stream, intent.source)

    def _local(self) -> LocalTransport:
        return LocalTransport(
            session_id=secrets.randbits(62),
            ice=self._transport.credentials,
            fingerprint=self._media.identity.fingerprint,
            addresses=self._media.addresses,
            port=self._transport.port,
            tcp_port=self._transport.tcp_port,
        )


def _ssrc() -> int:
    """32 random bits, not 0: collisions within one peer are one in four billion (RFC 3550, 8.1)."""
    return secrets.randbelow(2**32 - 1) + 1
