"""Viewers of a live lesson by LL-HLS, as many as a process can be: they ask, and decode nothing.

Each viewer asks as a player does: for both renditions the next playlist (blocking reload, delta)
and the part that is hinted at, each on a connection of its own that is kept. One scout reads the
playlists, so that all know which part is next; the others only take what comes.
"""

import asyncio
import gzip
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import cast

_HEADERS_END = b"\r\n\r\n"
_PART = re.compile(r'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="((\d+)\.(\d+)\.m4s)"')


@dataclass(frozen=True)
class Target:
    """Whom to ask, and as whom."""

    host: str
    port: int
    media: str
    """The path of the lesson's media folder, with a slash at its end."""
    token: str

    def request(self, path: str) -> bytes:
        """The request's bytes."""
        return (
            f"GET {self.media}{path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Accept-Encoding: gzip\r\nCookie: tongbu_token={self.token}\r\n\r\n"
        ).encode()


@dataclass
class Tally:
    """What all viewers together got."""

    answers: int = 0
    bytes: int = 0
    refused: int = 0
    late_ms: list[float] = field(default_factory=list)
    """How much later than the scout a viewer has a part, of one in 16."""


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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to ask."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth

    def connection_lost(self, error: Exception | None) -> None:
        """Whoever waits learns of it."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(ConnectionError("the server hung up"))

    async def ask(self, request: bytes, *, keep: bool = False) -> bytes:
        """Send, and wait for the whole answer; its body, if it is to be kept."""
        assert self._transport is not None
        self._keep, self._body = keep, []
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        await self._waiter
        self._tally.answers += 1
        self._tally.refused += self.status != 200
        return b"".join(self._body)

    def close(self) -> None:
        """Hang up."""
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
                raise ValueError("an answer without Content-Length")
            self._left = int(lower[at + 15 :].split(b"\r\n", 1)[0])
        self._left -= len(data)
        self._tally.bytes += len(data)
        if self._keep:
            self._body.append(data)
        if self._left <= 0 and self._waiter and not self._waiter.done():
            self._left = 0
            self._waiter.set_result(None)


class Rendition:
    """What comes next in one rendition, as the scout read it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hints: list[tuple[int, int, str]] = []
        """(segment, part, URI), each after the one before."""
        self.seen_at: dict[str, float] = {}
        self._grown = asyncio.Event()

    def learn(self, text: str) -> None:
        """From a playlist: the part that is hinted at."""
        match = _PART.search(text)
        if match is None:
            raise ValueError("a playlist without a hint: is the lesson over?")
        hint = int(match[2]) - 1, int(match[3]), match[1]
        if not self.hints or hint != self.hints[-1]:
            self.hints.append(hint)
            self._grown.set()
            self._grown = asyncio.Event()

    async def after(self, number: int) -> tuple[int, int, str]:
        """The hint with this number, when there is one."""
        while number >= len(self.hints):
            await self._grown.wait()
        return self.hints[number]


class Crowd:
    """Viewers: `gather` them, let time pass, `leave`."""

    def __init__(self, target: Target, renditions: tuple[str, ...] = ("camera", "audio")) -> None:
        self.tally = Tally()
        self._target = target
        self._renditions = [Rendition(name) for name in renditions]
        self._tasks: list[asyncio.Task[None]] = []
        self._connections: list[Connection] = []

    async def gather(self, viewers: int) -> None:
        """Seat them; returns when the scout has read a playlist of each rendition."""
        for rendition in self._renditions:
            connection = await self._connect(Tally())
            await self._read(connection, rendition, f"{rendition.name}/index.m3u8")
            self._start(self._scout(connection, rendition))
        for number in range(viewers):
            for rendition in self._renditions:
                playlists, parts = await self._connect(), await self._connect()
                self._start(self._reload(playlists, rendition))
                self._start(self._load(parts, rendition, watched=number % 16 == 0))
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

    async def _connect(self, tally: Tally | None = None) -> Connection:
        make: Callable[[], Connection] = lambda: Connection(tally or self.tally)  # noqa: E731
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(make, self._target.host, self._target.port)
        self._connections.append(connection)
        return connection

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _read(self, connection: Connection, rendition: Rendition, path: str) -> None:
        body = await connection.ask(self._target.request(path), keep=True)
        rendition.learn((gzip.decompress(body) if body[:1] == b"\x1f" else body).decode())

    async def _scout(self, connection: Connection, rendition: Rendition) -> None:
        while True:
            segment, part, uri = rendition.hints[-1]
            await self._read(connection, rendition, _reload(rendition, segment, part))
            rendition.seen_at[uri] = time.monotonic()

    async def _reload(self, connection: Connection, rendition: Rendition) -> None:
        number = len(rendition.hints) - 1
        while True:
            segment, part, _ = await rendition.after(number)
            await connection.ask(self._target.request(_reload(rendition, segment, part)))
            number += 1

    async def _load(self, connection: Connection, rendition: Rendition, *, watched: bool) -> None:
        number = len(rendition.hints) - 1
        while True:
            _, _, uri = await rendition.after(number)
            await connection.ask(self._target.request(f"{rendition.name}/{uri}"))
            number += 1
            if watched and uri in rendition.seen_at:
                late = time.monotonic() - rendition.seen_at[uri]
                self.tally.late_ms.append(late * 1_000)


def _reload(rendition: Rendition, segment: int, part: int) -> str:
    return f"{rendition.name}/index.m3u8?_HLS_msn={segment}&_HLS_part={part}&_HLS_skip=YES"
