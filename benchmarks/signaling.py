"""What does a participant cost the signalling, and does it cost more where there are more of them?

Participants by LiveKit's protocol without media: a WebSocket each, and the pings of a client. For
each N a lesson of its own is filled with a teacher and N schools; then they sit there. Told of each
N are

- `joins_per_second`, and `ms_per_join`, the node's CPU time for one;
- `idle_us_per_second`, the node's CPU time for a participant that sits there, a second;
- `rss_kb`, resident memory of a participant;
- `bytes_mean`, what a participant was sent in all, the mean of the schools, and `bytes_first`, what
  the one was that saw all others come: neither grows with N once the lesson is a crowd, and
  `bytes_total_per_n2` shrinks.
"""

import argparse
import asyncio
import base64
import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from livekit.protocol import rtc

from benchmarks.machine import (
    GENERATOR_CORE,
    SERVER_CORE,
    conditions,
    cpu_us,
    on_core,
    resident_bytes,
)
from clients.headless.node import Node
from signaling.auth import TokenRole, mint
from signaling.config import DEV_KEY, DEV_SECRET

SIZES = (10, 50, 100, 200, 500)
AT_ONCE = 8
"""Joins under way at a time."""
SETTLE = 2.0
"""Seconds for what is said of the last join."""
_PING = 5.0
_ENVIRONMENT = {
    "TONGBU_RECORDER__ENABLED": "false",
    "TONGBU_LOG__LEVEL": "warning",
    "TONGBU_LESSON__MAX_SCHOOLS": "10000",
    "TONGBU_JOIN__AT_ONCE": "10000",  # without media a join never ends
    "TONGBU_RTC__SHARDS": "1",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--seconds", type=float, default=5.0, help="of sitting there")


def quick(options: argparse.Namespace) -> None:
    """Less of it, for a look."""
    options.sizes, options.seconds = [size for size in options.sizes if size <= 100], 2.0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """One answer."""
    found = asyncio.run(_run(options.sizes, options.seconds))
    largest = found[str(max(options.sizes))]
    return {
        "sizes": list(options.sizes),
        "joins_per_second": largest["joins_per_second"],
        "idle_us_per_second": largest["idle_us_per_second"],
        "rss_kb_per_participant": largest["rss_kb"],
        "by_participants": found,
        "conditions": conditions(),
    }


@dataclass
class Participant:
    """One WebSocket, and what came on it."""

    socket: aiohttp.ClientWebSocketResponse
    octets: int = 0
    messages: int = 0
    left: bool = False


class Lesson:
    """One lesson's participants."""

    def __init__(self, http: aiohttp.ClientSession, url: str, name: str) -> None:
        self.participants: list[Participant] = []
        self._readers: list[asyncio.Task[None]] = []
        self._http = http
        self._url = url
        self._name = name

    async def fill(self, schools: int) -> None:
        """Seat that many, a few at a time."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with turns:
                await self.join(f"school-{number}", TokenRole.SCHOOL)

        await asyncio.gather(*(one(number) for number in range(schools)))

    async def join(self, identity: str, role: TokenRole) -> None:
        """Seat a participant; it is in when it has heard the first word."""
        token = mint(
            DEV_KEY,
            DEV_SECRET,
            role=role,
            identity=identity,
            name=identity,
            lesson=self._name,
            ttl=3600,
            now=time.time(),
        )
        wrapped = rtc.WrappedJoinRequest(join_request=rtc.JoinRequest().SerializeToString())
        request = base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()
        socket = await self._http.ws_connect(
            f"{self._url}/rtc/v1?join_request={request}",
            headers={"Authorization": f"Bearer {token}"},
        )
        participant, first = Participant(socket), asyncio.Event()
        self.participants.append(participant)
        self._readers.append(asyncio.create_task(_read(participant, first)))
        await first.wait()

    async def leave(self) -> None:
        """All go."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for participant in self.participants:
            await participant.socket.close()


async def _read(participant: Participant, first: asyncio.Event) -> None:
    pings = asyncio.create_task(_ping(participant.socket))
    try:
        async for message in participant.socket:
            participant.messages += 1
            participant.octets += len(message.data)
            first.set()
        participant.left = True
        first.set()
    finally:
        pings.cancel()


async def _ping(socket: aiohttp.ClientWebSocketResponse) -> None:
    raw = rtc.SignalRequest(ping_req=rtc.Ping(timestamp=1)).SerializeToString()
    with contextlib.suppress(ConnectionError):  # it has left; its reader says so
        while not socket.closed:
            await asyncio.sleep(_PING)
            await socket.send_bytes(raw)


async def _run(sizes: Sequence[int], seconds: float) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder, on_core(GENERATOR_CORE):
        with on_core(SERVER_CORE):
            node = await Node.start(Path(folder), environment=_ENVIRONMENT)
        try:
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as http:
                url = node.url.replace("http", "ws", 1)
                await _measured(node, Lesson(http, url, "warm"), 10, 0.1)
                return {
                    str(size): await _measured(node, Lesson(http, url, f"n{size}"), size, seconds)
                    for size in sizes
                }
        finally:
            await node.stop()


async def _measured(node: Node, lesson: Lesson, size: int, seconds: float) -> dict[str, float]:
    pid = node.process.pid
    await lesson.join("teacher", TokenRole.TEACHER)
    await asyncio.sleep(SETTLE)
    memory, worked, began = resident_bytes(pid), sum(cpu_us(pid)), time.monotonic()
    await lesson.fill(size)
    took = time.monotonic() - began
    joined = sum(cpu_us(pid)) - worked
    await asyncio.sleep(SETTLE)
    seated = resident_bytes(pid) - memory
    worked, began = sum(cpu_us(pid)), time.monotonic()
    await asyncio.sleep(seconds)
    idle = (sum(cpu_us(pid)) - worked) / (time.monotonic() - began)
    schools = lesson.participants[1:]
    octets = [participant.octets for participant in schools]
    lost = sum(participant.left for participant in lesson.participants)
    await lesson.leave()
    return {
        "joins_per_second": round(size / took, 1),
        "ms_per_join": round(joined / size / 1e3, 3),
        "idle_us_per_second": round(idle / size, 1),
        "rss_kb": round(seated / size / 1e3, 1),
        "bytes_mean": round(sum(octets) / size),
        "bytes_first": octets[0],
        "bytes_total_per_n2": round(sum(octets) / size**2, 1),
        "messages_mean": round(sum(p.messages for p in schools) / size, 1),
        "lost": lost,
    }
