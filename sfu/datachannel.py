"""Data channels with one peer: aiortc's SCTP (RFC 8831) over our DTLS.

aiortc's transport is a library for well-behaved peers: it asserts on what a peer sends, queues
without bound, and does not notice a closed DTLS. `DataChannels` is the fence around it: a peer
whose packets trip it loses its data channels (and nothing else), and every buffer has a limit.

Limits, and what happens beyond them:
  channels per peer       16      further ones are closed
  label                   64 chars  the channel is closed
  one message in          64 KiB  dropped, counted
  waiting to be sent      256 KiB per channel; the new message is dropped, counted
  waiting for reassembly  1 MiB   the peer's data channels are closed
"""

import logging
from collections.abc import Callable, Coroutine
from typing import Any, cast

from aiortc import RTCDataChannel, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities

from sfu.negotiation import Role
from sfu.sdp_answer import MAX_MESSAGE_SIZE, SCTP_PORT

logger = logging.getLogger(__name__)

MAX_CHANNELS = 16
MAX_LABEL = 64
MAX_BUFFERED = 256 * 1024
LOW_WATER = 64 * 1024
"""Bytes that wait in a channel from which it can be filled again."""

Message = str | bytes


class _Underlay:
    """What RTCSctpTransport asks of its DTLS transport, and no more."""

    state = "connected"

    def __init__(self, role: Role, send: Callable[[bytes], None]) -> None:
        self._role = role
        self._send = send

    def _register_data_receiver(self, receiver: object) -> None:
        pass  # packets are handed over by DataChannels.handle_packet

    def _unregister_data_receiver(self, receiver: object) -> None:
        pass

    async def _send_data(self, packet: bytes) -> None:
        self._send(packet)


class DataChannels:
    """All data channels of one peer.

    `on_open(label)` and `on_message(label, message)` are called on the loop. Labels are the names:
    of two channels with the same label the later one is used for sending. `on_low(label)` says that
    a channel that was filling up can take more.
    """

    def __init__(
        self,
        role: Role,
        send: Callable[[bytes], None],
        *,
        on_open: Callable[[str], None],
        on_message: Callable[[str, Message], None],
        on_low: Callable[[str], None] = lambda label: None,
    ) -> None:
        self._on_open = on_open
        self._on_low = on_low
        self._on_message = on_message
        self._channels: dict[str, RTCDataChannel] = {}
        self._count = 0
        self._closed = False
        self.dropped = 0
        """Messages dropped on a limit, in either direction."""
        underlay = cast(RTCDtlsTransport, _Underlay(role, send))
        self._sctp = RTCSctpTransport(underlay, port=SCTP_PORT)
        self._sctp.on("datachannel", self._add)

    def start(self, remote_port: int, remote_max_message_size: int) -> None:
        """The DTLS below is connected: begin the association."""
        limits = RTCSctpCapabilities(maxMessageSize=remote_max_message_size)
        self._guard(self._sctp.start(limits, remote_port))

    def open(self, label: str, *, ordered: bool = True, max_retransmits: int | None = None) -> None:
        """Open a channel of our own (RFC 8832); `on_open` tells when the peer has it.

        It may be asked for before the association begins.
        """
        parameters = RTCDataChannelParameters(
            label=label, ordered=ordered, maxRetransmits=max_retransmits
        )
        channel = RTCDataChannel(self._sctp, parameters)
        channel.on("open", lambda: self._on_open(label))
        self._count += 1
        self._keep(label, channel)

    def handle_packet(self, packet: bytes) -> None:
        """One SCTP packet of the peer. Never raises."""
        if self._closed:
            return
        self._guard(self._sctp._handle_data(packet))
        if self._sctp._advertised_rwnd < 0:  # the peer ignores the window; aiortc lets it
            self._fail("it overran the receive window")

    def send(self, label: str, message: Message) -> bool:
        """Send to the peer's channel of that label; False when there is none or it is full."""
        channel = self._channels.get(label)
        if channel is None or channel.readyState != "open":
            return False
        if channel.bufferedAmount + _size(message) > MAX_BUFFERED:
            self.dropped += 1
            return False
        try:
            channel.send(message)
        except ValueError:  # larger than the peer takes
            self.dropped += 1
            return False
        return True

    def close(self) -> None:
        """Abort the association. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._channels.clear()
        self._sctp.remove_all_listeners()
        self._drive(self._sctp.stop())

    def _add(self, channel: RTCDataChannel) -> None:
        self._count += 1
        if self._count > MAX_CHANNELS or len(channel.label) > MAX_LABEL:
            channel.close()
            return
        self._keep(channel.label, channel)
        self._on_open(channel.label)

    def _keep(self, label: str, channel: RTCDataChannel) -> None:
        self._channels[label] = channel
        channel.bufferedAmountLowThreshold = LOW_WATER
        channel.on("bufferedamountlow", lambda: self._on_low(label))
        channel.on("message", lambda message: self._receive(label, message))
        channel.on("close", lambda: self._remove(label, channel))

    def _remove(self, label: str, channel: RTCDataChannel) -> None:
        self._count -= 1
        if self._channels.get(label) is channel:
            del self._channels[label]

    def _receive(self, label: str, message: Message) -> None:
        if _size(message) > MAX_MESSAGE_SIZE:
            self.dropped += 1
            return
        self._on_message(label, message)

    def _guard(self, step: Coroutine[Any, Any, None]) -> None:
        """Run a step that peer input drives: whatever it raises is the peer's fault."""
        try:
            self._drive(step)
        except Exception as error:  # asserts, struct.error, UnicodeDecodeError, KeyError, ...
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, reason: str) -> None:
        logger.info("closing a peer's data channels: %s", reason)
        try:
            self.close()
        except Exception:
            logger.exception("the data channels did not close cleanly")

    @staticmethod
    def _drive(step: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine that never waits (its only I/O is `_Underlay._send_data`)."""
        try:
            step.send(None)
        except StopIteration:
            return
        step.close()
        raise RuntimeError("the SCTP transport waited for something")


def _size(message: Message) -> int:
    """Bytes on the wire."""
    return len(message.encode() if isinstance(message, str) else message)
