"""Viewers of a live lesson by LL-HLS, as many as a process can be: they ask, and decode nothing.

Each viewer asks as hls.js does (its requests in Chromium were looked at: as many, as large, on as
many connections): for both renditions the next playlist (blocking reload, delta), and when that is
there the part that it lists, with a token of the viewer's own. One scout, who is before the cache
that is measured, reads the playlists, so that all know which part is next; the others only take
what comes.
"""

import asyncio
import gzip
import re
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import cast

_HEADERS_END = b"\r\n\r\n"
_HINT = re.compile(r'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="(\d+)\.(\d+)\.m4s"')
_LISTED = re.compile(r'#EXT-X-PART:[^\n]*URI="([^"]+)"')


# What Chromium says beside the path and the cookie.
_HEADERS = (
    'Connection: keep-alive\r\nsec-ch-ua-platform: "Linux"\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/156.0.0.0 Safari/537.36\r\n"
    'sec-ch-ua: "Chromium";v="156", "Not.A/Brand";v="24"\r\nsec-ch-ua-mobile: ?0\r\n'
    "Accept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Dest: empty\r\nReferer: {referer}\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
)


@dataclass(frozen=True)
class Target:
    """Whom to ask."""

    host: str
    port: int
    media: str
    """The path of the lesson's media folder, with a slash at its end."""

    def request(self, path: str, token: str) -> bytes:
        """The request's bytes."""
        host = f"{self.host}:{self.port}"
        return (
            f"GET {self.media}{path} HTTP/1.1\r\nHost: {host}\r\n"
            f"{_HEADERS.format(referer=f'http://{host}/')}Cookie: tongbu_token={token}\r\n\r\n"
        ).encode()


@dataclass
class Tally:
    """What all viewers together got."""

    answers: int = 0
    bytes: int = 0
    refused: int = 0
    asked: int = 0
    """Bytes of requests."""
    late_ms: list[float] = field(default_factory=list)
    """How much later than the scout knows of a part a viewer has it, of one in 16."""


class Connection(asyncio.Protocol):
    """One kept HTTP/1.1 connection that asks for one thing at a time."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._head = b""
        self._left = 0
        self._body: list[bytes] = []
        self._keep = False
        self.status = 0
        self.arrived = 0.0
        """When the last answer was whole, by the monotonic clock."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to ask."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever waits learns of it."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(ConnectionError("the server hung up"))

    def send(self, request: bytes, *, keep: bool = False) -> None:
        """Ask; the answer before must be there. The next one's body is kept on demand."""
        assert self._transport is not None
        self._keep, self._body = keep, []
        self._waiter = asyncio.get_running_loop().create_future()
        self._tally.asked += len(request)
        self._transport.write(request)

    async def answer(self) -> bytes:
        """Wait for the whole answer; its body, if it is to be kept."""
        if self._waiter is None:
            return b""
        await self._waiter
        self._waiter = None
        self._tally.answers += 1
        self._tally.refused += self.status != 200
        return b"".join(self._body)

    def close(self) -> None:
        """Hang up."""
        self._waiter = None
        if self._transport:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """The head, then as many bytes as it says."""
        if not self._left:
            self._head += data
            end = self._head.find(_HEADERS_END)
            if end < 0:
                return
            head, data, self._head = self._head[:end], self._head[end + 4 :], b""
            self.status = int(head[9:12])
            lower = head.lower()
            at = lower.find(b"content-length:")
            if at < 0 and self.status != 204:
                raise ValueError(f"an answer without Content-Length: {head.decode()}")
            self._left = int(lower[at + 15 :].split(b"\r\n", 1)[0])
        self._left -= len(data)
        self._tally.bytes += len(data)
        if self._keep:
            self._body.append(data)
        if self._left <= 0 and self._waiter and not self._waiter.done():
            self._left = 0
            self.arrived = time.monotonic()
            self._waiter.set_result(None)


@dataclass(frozen=True)
class Step:
    """What a playlist brought."""

    newest: str
    """The part that it lists last."""
    segment: int
    """Of what it hints at, which is what the next playlist is asked to have."""
    part: int
    at: float
    """When the scout read it, by the monotonic clock."""


class Rendition:
    """How one rendition grows, as the scout reads it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[Step] = []
        self._grown = asyncio.Event()

    def learn(self, text: str) -> None:
        """From a playlist."""
        hint, listed = _HINT.search(text), _LISTED.findall(text)
        if hint is None or not listed:
            raise ValueError("a playlist without parts: is the lesson over?")
        step = Step(listed[-1], int(hint[1]) - 1, int(hint[2]), time.monotonic())
        if not self.steps or step.newest != self.steps[-1].newest:
            self.steps.append(step)
            self._grown.set()
            self._grown = asyncio.Event()

    async def step(self, number: int) -> Step:
        """The step with this number, when it is made."""
        while number >= len(self.steps):
            await self._grown.wait()
        return self.steps[number]


class Crowd:
    """Viewers: `gather` them, let time pass, `leave`."""

    def __init__(self, target: Target, renditions: tuple[str, ...] = ("camera", "audio")) -> None:
        self.tally = Tally()
        self._target = target
        self._renditions = [Rendition(name) for name in renditions]
        self._tasks: list[asyncio.Task[None]] = []
        self._connections: list[Connection] = []

    async def gather(self, tokens: list[str], scouted: Target | None = None) -> None:
        """Seat a viewer for each token; returns when the scout has read a playlist of each.

        The scout asks `scouted`, if that is another server, with the first token.
        """
        for rendition in self._renditions:
            scout = _Scout(await self._connect(scouted), scouted or self._target, tokens[0])
            await scout.read(rendition, f"{rendition.name}/index.m3u8")
            self._start(scout.follow(rendition))
        for number, token in enumerate(tokens):
            for rendition in self._renditions:
                playlists, parts = await self._connect(), await self._connect()
                watched = number % 16 == 0
                self._start(self._watch(playlists, parts, rendition, token, watched=watched))
            if number % 50 == 49:
                await asyncio.sleep(0.1)

    def check(self) -> None:
        """Raise what a viewer died of."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def leave(self) -> None:
        """All of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self._connections:
            connection.close()

    async def _connect(self, scouted: Target | None = None) -> Connection:
        tally = Tally() if scouted else self.tally
        target = scouted or self._target
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(tally), target.host, target.port
        )
        self._connections.append(connection)
        return connection

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _watch(
        self,
        playlists: Connection,
        parts: Connection,
        rendition: Rendition,
        token: str,
        *,
        watched: bool,
    ) -> None:
        number = len(rendition.steps) - 1
        step = rendition.steps[number]
        while True:
            playlists.send(self._target.request(_reload(rendition, step), token))
            await playlists.answer()
            await parts.answer()
            if watched and parts.arrived:
                self.tally.late_ms.append((parts.arrived - step.at) * 1_000)
            number += 1
            step = await rendition.step(number)
            parts.send(self._target.request(f"{rendition.name}/{step.newest}", token))


class _Scout:
    """Who reads what the others only take."""

    def __init__(self, connection: Connection, target: Target, token: str) -> None:
        self._connection = connection
        self._target = target
        self._token = token

    async def read(self, rendition: Rendition, path: str) -> None:
        """Learn from a playlist which part is next."""
        self._connection.send(self._target.request(path, self._token), keep=True)
        body = await self._connection.answer()
        rendition.learn((gzip.decompress(body) if body[:1] == b"\x1f" else body).decode())

    async def follow(self, rendition: Rendition) -> None:
        """From then on."""
        while True:
            await self.read(rendition, _reload(rendition, rendition.steps[-1]))


def _reload(rendition: Rendition, step: Step) -> str:
    place = f"_HLS_msn={step.segment}&_HLS_part={step.part}"
    return f"{rendition.name}/index.m3u8?{place}&_HLS_skip=YES"
