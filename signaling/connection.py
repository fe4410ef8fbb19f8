"""One WebRTC transport with a client, and what is on it: tracks each way, data channels.

A connection knows neither who offers nor what a lesson is. `answering.py` renegotiates it as the
client offers (WHIP, WHEP, LiveKit's single connection); `offering.py` as we do (LiveKit's
subscriber connection). A media section is known by its mid throughout (RFC 9143).
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sfu.datachannel import DataChannels, Message
from sfu.dtls import Dtls, Identity
from sfu.engine import DowntrackConfig, Engine, UptrackConfig
from sfu.errors import NegotiationError
from sfu.negotiation import Codec, Fingerprint, Role, tells_arrivals
from sfu.sdp_answer import LocalTransport
from sfu.transport import Transport

Extensions = Sequence[tuple[int, str]]
Ssrcs = tuple[int, int | None, int | None]
"""Of a track, of its repair (RFC 4588), of its parity (FlexFEC)."""


@dataclass(frozen=True, slots=True)
class MediaPlane:
    """What every connection of a node shares."""

    engine: Engine
    identity: Identity
    addresses: Sequence[str]
    """Announced to clients, the preferred one first."""


class ConnectionHandler(Protocol):
    """Who hears of a connection's life."""

    def on_reachable(self, connection: "Connection") -> None:
        """The peer's address is known, or moved."""

    def on_connected(self, connection: "Connection") -> None:
        """Media can flow; nothing has flowed yet."""

    def on_lost(self, connection: "Connection", reason: str) -> None:
        """The connection is gone (said once, and not after `close`)."""

    def on_stream(self, connection: "Connection", uptrack: int) -> None:
        """A published track has begun to flow."""

    def on_open(self, connection: "Connection", label: str) -> None:
        """The peer hears us on this data channel from now on."""

    def on_message(self, connection: "Connection", label: str, message: Message) -> None:
        """The peer said something on a data channel."""

    def on_low(self, connection: "Connection", label: str) -> None:
        """A data channel that was filling up takes more."""


@dataclass(frozen=True, slots=True)
class Uptrack:
    """What the peer sends in a section."""

    id: int
    kind: str
    codec: Codec
    rids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Downtrack:
    """What we send in a section."""

    id: int
    kind: str
    codec: Codec
    ssrc: int
    rtx_ssrc: int | None
    fec_ssrc: int | None
    stream: str
    """The MediaStream and the track as the peer is told of them (RFC 8830)."""
    track: str


class Connection:
    """A peer that is expected as soon as this is made, and lives until `close`."""

    def __init__(self, media: MediaPlane, handler: ConnectionHandler) -> None:
        self.uptracks: dict[str, Uptrack] = {}
        """By mid, as are the downtracks."""
        self.downtracks: dict[str, Downtrack] = {}
        self.tells_arrivals = False
        """Whether the peer tells which packets came (transport-wide feedback)."""
        self.cname = secrets.token_hex(8)
        self._media = media
        self._handler = handler
        self._session_id = secrets.randbits(62)
        self._version = 0
        self._fingerprints: Sequence[Fingerprint] | None = None
        self._remote_data: tuple[int, int] | None = None
        self._channels: DataChannels | None = None
        self._ours: list[tuple[str, bool, int | None]] = []
        self._on_settled: Callable[[], None] | None = None
        self._transport = Transport(media.engine, None, self)

    # --- the transport

    @property
    def peer(self) -> int:
        """Its name in the engine."""
        return self._transport.peer

    @property
    def ufrag(self) -> str:
        """Names our end of the current ICE session."""
        return self._transport.credentials.ufrag

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""
        return self._transport.connected

    def secure(self, role: Role, fingerprints: Sequence[Fingerprint]) -> None:
        """The peer has described its end. DTLS stays what it is over all renegotiations.

        Raises NegotiationError when the peer comes with another certificate.
        """
        if self._fingerprints is None:
            self._fingerprints = tuple(fingerprints)
            self._transport.secure(Dtls(self._media.identity, role, self._fingerprints))
        elif not set(self._fingerprints) & set(fingerprints):
            raise NegotiationError("The certificate changed; that needs a new connection.")

    def restart_ice(self) -> None:
        """Take new ICE credentials."""
        self._transport.restart_ice()

    def local(self) -> LocalTransport:
        """Our end as a new description tells of it."""
        self._version += 1
        return LocalTransport(
            session_id=self._session_id,
            version=self._version,
            ice=self._transport.credentials,
            fingerprint=self._media.identity.fingerprint,
            addresses=self._media.addresses,
            port=self._transport.port,
            tcp_port=self._transport.tcp_port,
        )

    def when_settled(self, told: Callable[[], None]) -> None:
        """Call this once the handshake is over: the peer is connected, or never will be."""
        self._on_settled = told

    def close(self) -> None:
        """Say goodbye and free everything native; the handler hears nothing any more."""
        if self._channels is not None:
            self._channels.close()
        self._transport.close()
        self._settle()

    # --- tracks

    def receive(
        self,
        mid: str,
        kind: str,
        codec: Codec,
        extensions: Extensions,
        rids: Sequence[str],
        ssrcs: Sequence[int],
    ) -> Uptrack:
        """Expect a track in this section; one that is as it was before goes on."""
        known = self.uptracks.get(mid)
        if known is not None and (known.codec, known.rids) == (codec, tuple(rids)):
            return known
        self.stop_receiving(mid)
        config = UptrackConfig(kind, mid, codec, extensions, tuple(rids), tuple(ssrcs))
        uptrack = self._media.engine.add_uptrack(
            self.peer, config, lambda rid, ssrc: self._handler.on_stream(self, uptrack)
        )
        self.uptracks[mid] = Uptrack(uptrack, kind, codec, tuple(rids))
        return self.uptracks[mid]

    def stop_receiving(self, mid: str) -> None:
        """Forget what came in this section, if anything did."""
        if (gone := self.uptracks.pop(mid, None)) is not None:
            self._media.engine.remove_uptrack(gone.id)

    def give(
        self,
        mid: str,
        kind: str,
        codec: Codec,
        extensions: Extensions,
        ssrcs: Ssrcs,
        names: tuple[str, str],
    ) -> Downtrack:
        """Send a track in this section, silent until it has a source."""
        self.tells_arrivals |= tells_arrivals(codec, extensions)
        ssrc, rtx_ssrc, fec_ssrc = ssrcs
        config = DowntrackConfig(kind, mid, codec, extensions, ssrc, rtx_ssrc, self.cname, fec_ssrc)
        downtrack = self._media.engine.add_downtrack(self.peer, config)
        self.downtracks[mid] = Downtrack(downtrack, kind, codec, *ssrcs, *names)
        return self.downtracks[mid]

    def stop_giving(self, mid: str) -> None:
        """Send nothing more in this section, if anything was sent."""
        if (gone := self.downtracks.pop(mid, None)) is not None:
            self._media.engine.remove_downtrack(gone.id)

    # --- data channels

    def talk(self, sctp_port: int, max_message_size: int) -> None:
        """The peer has a data channel section (RFC 8841): begin as soon as there is DTLS."""
        if self._remote_data is None:
            self._remote_data = (sctp_port, max_message_size)
            if self.connected:
                self._start_channels()

    def open_channel(
        self, label: str, *, ordered: bool = True, max_retransmits: int | None = None
    ) -> None:
        """Open a channel of our own once there is an association."""
        self._ours.append((label, ordered, max_retransmits))
        if self._channels is not None:
            self._channels.open(label, ordered=ordered, max_retransmits=max_retransmits)

    def send(self, label: str, message: Message) -> bool:
        """Send on the peer's data channel of that label; False when it has none or it is full."""
        return self._channels is not None and self._channels.send(label, message)

    def notify(self, label: str, message: Mapping[str, Any]) -> bool:
        """Send a JSON object."""
        return self.send(label, json.dumps(message, ensure_ascii=False))

    # --- TransportHandler

    def on_reachable(self) -> None:
        """Transport: the peer's address is known."""
        self._handler.on_reachable(self)

    def on_connected(self) -> None:
        """Transport: the keys are in place."""
        self._handler.on_connected(self)
        self._settle()
        if self._remote_data is not None:
            self._start_channels()

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

    def _start_channels(self) -> None:
        assert self._remote_data is not None  # both callers have just looked
        self._channels = channels = DataChannels(
            self._transport.role,
            self._transport.send,
            on_open=lambda label: self._handler.on_open(self, label),
            on_message=lambda label, message: self._handler.on_message(self, label, message),
            on_low=lambda label: self._handler.on_low(self, label),
        )
        channels.start(*self._remote_data)
        for label, ordered, max_retransmits in self._ours:
            channels.open(label, ordered=ordered, max_retransmits=max_retransmits)


def new_ssrcs(codec: Codec) -> Ssrcs:
    """Fresh SSRCs for a track, and for its repair and its parity where the codec has them."""
    repairs = codec.rtx_payload_type, codec.flexfec_payload_type
    rtx_ssrc, fec_ssrc = (_ssrc() if repair is not None else None for repair in repairs)
    return _ssrc(), rtx_ssrc, fec_ssrc


def _ssrc() -> int:
    """32 random bits, not 0: collisions within one peer are one in four billion (RFC 3550, 8.1)."""
    return secrets.randbelow(2**32 - 1) + 1
