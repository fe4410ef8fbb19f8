"""Our `DataChannels` against another instance and against raw aiortc, over a list of packets."""

import asyncio
import contextlib
import random
from collections import deque
from typing import Any

import pytest
from aiortc import RTCDataChannel, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters

from sfu.datachannel import MAX_BUFFERED, MAX_CHANNELS, DataChannels, Message, _Underlay


class Ours:
    def __init__(self, send: Any) -> None:
        self.opened: list[str] = []
        self.messages: list[tuple[str, Message]] = []
        self.channels = DataChannels(
            "server",
            send,
            on_open=self.opened.append,
            on_message=lambda label, message: self.messages.append((label, message)),
        )


class Wire:
    """A peer (aiortc's SCTP, as a browser would be) wired to our channels."""

    def __init__(self) -> None:
        self.to_us: deque[bytes] = deque()
        self.to_peer: deque[bytes] = deque()
        self.ours = Ours(self.to_peer.append)
        self.peer = RTCSctpTransport(_Underlay("client", self.to_us.append))  # type: ignore[arg-type]

    async def start(self) -> None:
        self.ours.channels.start(5000, 65536)
        await self.peer.start(None, 5000)
        await self.settle()

    async def settle(self) -> None:
        """Carry packets until both sides have nothing more to say at once."""
        idle = 0
        while idle < 3:
            await asyncio.sleep(0)
            idle = idle + 1 if not self.to_us and not self.to_peer else 0
            while self.to_us:
                self.ours.channels.handle_packet(self.to_us.popleft())
            while self.to_peer:
                await self.peer._handle_data(self.to_peer.popleft())

    async def open(self, label: str) -> RTCDataChannel:
        channel = RTCDataChannel(self.peer, RTCDataChannelParameters(label=label))
        await self.settle()
        return channel

    async def close(self) -> None:
        self.ours.channels.close()
        await self.peer.stop()
        await asyncio.sleep(0)


@pytest.fixture
async def wire() -> Any:
    wire = Wire()
    await wire.start()
    yield wire
    await wire.close()


async def test_messages_go_both_ways(wire: Wire) -> None:
    channel = await wire.open("chat")
    got: list[Message] = []
    channel.on("message", got.append)
    channel.send("hello")
    channel.send(b"\x00\x01")
    await wire.settle()
    assert wire.ours.opened == ["chat"]
    assert wire.ours.messages == [("chat", "hello"), ("chat", b"\x00\x01")]
    assert wire.ours.channels.send("chat", "back")
    await wire.settle()
    assert got == ["back"]


async def test_an_unknown_label_is_not_sent(wire: Wire) -> None:
    assert not wire.ours.channels.send("nobody", "x")


async def test_a_closed_channel_is_forgotten(wire: Wire) -> None:
    channel = await wire.open("chat")
    channel.close()
    await wire.settle()
    assert not wire.ours.channels.send("chat", "x")


async def test_what_waits_to_be_sent_is_bounded(wire: Wire) -> None:
    await wire.open("chat")
    message = bytes(32 * 1024)
    sent = 0
    while wire.ours.channels.send("chat", message):
        sent += 1
        assert sent < 100
    assert sent * len(message) <= MAX_BUFFERED + len(message)
    assert wire.ours.channels.dropped == 1


async def test_a_message_larger_than_the_peer_takes_is_dropped(wire: Wire) -> None:
    await wire.open("chat")
    assert not wire.ours.channels.send("chat", bytes(65537))
    assert wire.ours.channels.dropped == 1


async def test_a_message_larger_than_we_take_is_dropped(wire: Wire) -> None:
    channel = await wire.open("chat")
    channel.send(bytes(65536))
    wire.peer._remote_max_message_size = 0  # the peer ignores our a=max-message-size
    channel.send(bytes(65537))
    channel.send("small")
    for _ in range(200):
        await wire.settle()
        if wire.ours.messages and wire.ours.messages[-1] == ("chat", "small"):
            break
    assert [len(message) for _, message in wire.ours.messages] == [65536, 5]
    assert wire.ours.channels.dropped == 1


async def test_the_number_of_channels_is_bounded(wire: Wire) -> None:
    for index in range(MAX_CHANNELS + 3):
        await wire.open(f"c{index}")
    assert len(wire.ours.opened) == MAX_CHANNELS


async def test_a_peer_that_trips_an_assertion_loses_its_channels_only(wire: Wire) -> None:
    await wire.open("chat")
    stream_id = next(iter(wire.peer._data_channels))
    # A second DATA_CHANNEL_OPEN on an open stream: aiortc asserts on that.
    again = RTCDataChannelParameters(label="again", id=stream_id)
    del wire.peer._data_channels[stream_id]
    RTCDataChannel(wire.peer, again)
    with contextlib.suppress(ConnectionError):
        await wire.settle()
    assert not wire.ours.channels.send("chat", "x")
    wire.ours.channels.handle_packet(b"anything")


async def test_garbage_never_raises() -> None:
    dice = random.Random(7)
    wire = Wire()
    await wire.start()
    await wire.open("chat")
    valid = wire.peer
    for _ in range(300):
        wire.ours.channels.handle_packet(dice.randbytes(dice.randrange(0, 120)))
    header = valid._local_port.to_bytes(2, "big") + (5000).to_bytes(2, "big")
    wire.ours.channels.handle_packet(header + bytes(8) + bytes(40))
    await wire.close()


async def test_close_is_idempotent_and_silent_afterwards(wire: Wire) -> None:
    await wire.open("chat")
    wire.ours.channels.close()
    wire.ours.channels.close()
    assert not wire.ours.channels.send("chat", "x")


async def test_we_open_channels_as_asked() -> None:
    wire = Wire()
    theirs: list[RTCDataChannel] = []
    wire.peer.on("datachannel", theirs.append)
    wire.ours.channels.open("lossy", ordered=False, max_retransmits=0)
    await wire.start()
    wire.ours.channels.open("reliable")
    await wire.settle()
    assert wire.ours.opened == ["lossy", "reliable"]
    assert [(c.label, c.ordered, c.maxRetransmits) for c in theirs] == [
        ("lossy", False, 0),
        ("reliable", True, None),
    ]
    got: list[Message] = []
    theirs[1].on("message", got.append)
    assert wire.ours.channels.send("reliable", "hello")
    theirs[1].send("hello too")
    await wire.settle()
    assert got == ["hello"]
    assert wire.ours.messages == [("reliable", "hello too")]
    await wire.close()


async def test_a_full_channel_says_when_it_takes_more(wire: Wire) -> None:
    low: list[str] = []
    wire.ours.channels._on_low = low.append
    await wire.open("chat")
    while wire.ours.channels.send("chat", b"x" * 16_000):
        pass
    assert low == []
    await wire.settle()
    assert low == ["chat"]
    assert wire.ours.channels.send("chat", b"more")
