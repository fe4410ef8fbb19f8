"""Connectivity checks of clients that take RFC 8445 lightly, on a real node."""

import asyncio
import hashlib
import hmac
import re
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from signaling.node import Node
from tests.signaling.conftest import offer, token
from tests.signaling.test_node import configured

COOKIE = 0x2112A442
USERNAME, INTEGRITY, FINGERPRINT = 0x0006, 0x0008, 0x8028
SUCCESS = 0x0101
HANDSHAKE = 22
"""The type of a DTLS handshake record (RFC 6347, section 4.1)."""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = await Node.start(configured(tmp_path), dev=True)
    yield node
    await node.stop()


class Client(asyncio.DatagramProtocol):
    """FFmpeg's end: it sends a check, answers none, and waits for our ClientHello."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.heard.put_nowait(data)


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def check(username: str, password: str, transaction: bytes) -> bytes:
    """A binding request with USERNAME, MESSAGE-INTEGRITY and FINGERPRINT, and nothing else: no
    PRIORITY, no ICE-CONTROLLING, no USE-CANDIDATE."""
    body = attribute(USERNAME, username.encode())
    covered = struct.pack("!HHI", 1, len(body) + 24, COOKIE) + transaction + body
    body += attribute(INTEGRITY, hmac.new(password.encode(), covered, hashlib.sha1).digest())
    covered = struct.pack("!HHI", 1, len(body) + 8, COOKIE) + transaction + body
    body += attribute(FINGERPRINT, struct.pack("!I", zlib.crc32(covered) ^ 0x5354554E))
    return struct.pack("!HHI", 1, len(body), COOKIE) + transaction + body


async def test_ffmpegs_check_is_answered_and_we_begin_the_handshake(node: Node) -> None:
    headers = {"Authorization": f"Bearer {token('teacher')}", "Content-Type": "application/sdp"}
    async with ClientSession() as http:
        text = offer("ffmpeg_publish")
        response = await http.post(f"{node.url}/math/whip", data=text, headers=headers)
        answer = await response.text()
    ufrag, password, port = (
        re.search(pattern, answer)[1]  # type: ignore[index]
        for pattern in (r"ice-ufrag:(\S+)", r"ice-pwd:(\S+)", r"udp \d+ 127\.0\.0\.1 (\d+)")
    )
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(
        Client, remote_addr=("127.0.0.1", int(port))
    )
    transport.sendto(check(f"{ufrag}:b7ddf05a", password, b"ffmpeg-check"))
    async with asyncio.timeout(10):
        answered = await client.heard.get()
        hello = await client.heard.get()
    transport.close()
    assert struct.unpack("!H", answered[:2]) == (SUCCESS,)
    assert answered[8:20] == b"ffmpeg-check"
    assert hello[0] == HANDSHAKE
    assert hello[13] == 1  # client_hello: it takes the server's part
