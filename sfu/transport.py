"""One peer's way in: a `Dtls` wired to the engine and to the loop's timers."""

import asyncio
import logging
import secrets
from typing import Protocol

from sfu.dtls import Closed, Data, Dtls, DtlsEvent, Keys
from sfu.engine import Engine
from sfu.negotiation import IceCredentials, Role

logger = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT = 15.0
"""Seconds from the answer until the peer must be connected."""
_MAX_EARLY = 8
"""DTLS datagrams kept of a peer whose answer is still on its way; more it sends again."""


def make_credentials() -> IceCredentials:
    """Fresh ICE credentials: 48 and 128 random bits (RFC 8445, section 5.3 asks 24 and 128)."""
    return IceCredentials(ufrag=secrets.token_hex(6), pwd=secrets.token_hex(16))


class TransportHandler(Protocol):
    """Who hears of a transport's life."""

    def on_reachable(self) -> None:
        """The peer's address is known, or moved."""

    def on_connected(self) -> None:
        """The keys are native. Of a DTLS client nothing has come yet, for the flight that lets it
        send leaves after this returns; a server has our last flight on its way before our media."""

    def on_data(self, payload: bytes) -> None:
        """One SCTP packet arrived."""

    def on_closed(self, reason: str) -> None:
        """The peer is gone (said once, and not after our own `close`)."""


class Transport:
    """The asyncio shell: a `Dtls` wired to the engine and to the loop's timers."""

    def __init__(
        self,
        engine: Engine,
        dtls: Dtls | None,
        handler: TransportHandler,
        *,
        timeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        """Register a peer and expect it to connect within `timeout` seconds.

        Without `dtls` it is we who offer: `secure` follows when the peer has answered.
        """
        self._engine = engine
        self._early: list[bytes] = []
        self._reachable = False
        self._dtls = dtls
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._retransmission: asyncio.TimerHandle | None = None
        self.credentials = make_credentials()
        self.peer = engine.add_peer(self.credentials.ufrag, self.credentials.pwd, self)
        self._deadline = self._loop.call_later(timeout, self._expire)

    @property
    def role(self) -> Role:
        """Our DTLS role."""
        return self._dtls.role if self._dtls is not None else "server"

    @property
    def connected(self) -> bool:
        """Whether media can flow: the keys are native and the peer is still there."""
        return self._dtls is not None and self._dtls.state == "connected"

    @property
    def port(self) -> int:
        """The UDP port this peer must send to."""
        return self._engine.port_of(self.peer)

    @property
    def tcp_port(self) -> int | None:
        """The TCP port it may connect to instead, if there is one."""
        return self._engine.tcp_port

    def secure(self, dtls: Dtls) -> None:
        """The peer has answered: this is its DTLS. To be called once."""
        self._dtls = dtls
        if self._reachable and dtls.role == "client":
            dtls.start()
        early, self._early = self._early, []
        for datagram in early:
            dtls.handle_datagram(datagram)
        self._pump()

    def restart_ice(self) -> IceCredentials:
        """New ICE credentials under the same DTLS association (RFC 8445, section 2.4)."""
        self.credentials = make_credentials()
        self._engine.rotate_credentials(self.peer, self.credentials.ufrag, self.credentials.pwd)
        return self.credentials

    def send(self, payload: bytes) -> None:
        """Send one SCTP packet; dropped unless connected."""
        if self._dtls is None:
            return
        self._dtls.send(payload)
        self._transmit()  # no pump: we may be inside a handler, and events keep their order

    def close(self) -> None:
        """Say goodbye and forget the peer; the handler hears nothing any more. Idempotent."""
        if self._dtls is not None:
            self._dtls.close()
            self._transmit()
        self._release()

    # --- PeerHandler

    def on_dtls(self, datagram: bytes) -> None:
        """Engine: a DTLS datagram arrived."""
        if self._dtls is None:
            if len(self._early) < _MAX_EARLY:
                self._early.append(datagram)
            return
        self._dtls.handle_datagram(datagram)
        self._pump()

    def on_reachable(self, host: str, port: int) -> None:
        """Engine: the peer's address is known."""
        logger.debug("peer %d is at %s:%d", self.peer, host, port)
        self._reachable = True
        if self._dtls is not None and self._dtls.role == "client":
            self._dtls.start()
            self._pump()
        self._handler.on_reachable()

    def on_consent_lost(self) -> None:
        """Engine: the peer's STUN checks have stopped."""
        self._lose("the peer's connectivity checks stopped")

    def _pump(self) -> None:
        assert self._dtls is not None  # whoever pumps has just fed it
        while (event := self._dtls.poll_event()) is not None:
            self._take(event)
        if self._dtls.complete:
            self._deadline.cancel()
        self._transmit()
        self._arm()

    def _take(self, event: DtlsEvent) -> None:
        match event:
            case Keys(profile, rx, tx):
                if self.role == "client":
                    # The engine may send media as soon as it has the keys, and the peer drops all
                    # that comes before our Finished: a lost keyframe. What the peer sends in the
                    # instant before the keys are there, the engine keeps.
                    self._transmit()
                self._engine.set_keys(self.peer, profile, rx, tx)
                self._handler.on_connected()
            case Data(payload):
                self._handler.on_data(payload)
            case Closed(reason):
                self._transmit()  # an alert may tell the peer why
                self._lose(reason)

    def _transmit(self) -> None:
        assert self._dtls is not None
        while (datagram := self._dtls.poll_transmit()) is not None:
            self._engine.send_dtls(self.peer, datagram)

    def _arm(self) -> None:
        if self._retransmission is not None:
            self._retransmission.cancel()
            self._retransmission = None
        if self._dtls is not None and (delay := self._dtls.poll_timeout()) is not None:
            self._retransmission = self._loop.call_later(delay, self._retransmit)

    def _retransmit(self) -> None:
        if self._dtls is not None:
            self._dtls.handle_timeout()
        self._pump()

    def _expire(self) -> None:
        self._lose("the peer did not connect in time")

    def _lose(self, reason: str) -> None:
        self._release()
        self._handler.on_closed(reason)

    def _release(self) -> None:
        if self._dtls is not None:
            self._dtls.close()
        self._deadline.cancel()
        if self._retransmission is not None:
            self._retransmission.cancel()
            self._retransmission = None
        self._engine.remove_peer(self.peer)
