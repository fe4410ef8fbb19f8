"""One WebSocket with a client: a bounded queue out, bounded messages in."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable

from aiohttp import WSCloseCode, WSMsgType, web

logger = logging.getLogger(__name__)

MAX_MESSAGE = 640 * 1024
"""Bytes of one message in: the largest offer we read, and some."""
_MAX_QUEUED = 2_000
"""Messages out; a client that reads none of so many is cut off, and may resume."""
_PATIENCE = 30.0
"""Seconds without a word, though clients ping every 5, until a connection counts as dead."""
_GOODBYE = 2.0
"""Seconds for the last words of a connection that is closed."""


class Wire:
    """A WebSocket that is open. `run` returns when it is closed, whoever did it."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._queue: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._closing: int | None = None

    def send(self, raw: bytes) -> None:
        """Queue a message; never waits."""
        if self._closing is not None:
            return
        if len(self._queue) >= _MAX_QUEUED:
            self._queue.clear()
            self.close(WSCloseCode.POLICY_VIOLATION)
            return
        self._queue.append(raw)
        self._news.set()

    def close(self, code: int = WSCloseCode.OK) -> None:
        """Send what is queued, and close. Idempotent."""
        if self._closing is None:
            self._closing = code
            self._news.set()

    def take_queue(self) -> list[bytes]:
        """What could not be sent."""
        left, self._queue = list(self._queue), deque()
        return left

    async def run(self, on_message: Callable[[bytes], None]) -> None:
        """Carry messages both ways until the end."""
        writer = asyncio.create_task(self._write())
        try:
            await self._read(on_message)
        finally:
            self.close()
            await asyncio.wait([writer], timeout=_GOODBYE)
            writer.cancel()

    async def _read(self, on_message: Callable[[bytes], None]) -> None:
        while not self._socket.closed and self._closing is None:
            try:
                message = await self._socket.receive(timeout=_PATIENCE)
            except TimeoutError:
                return
            if message.type is WSMsgType.BINARY:
                on_message(message.data)
            elif message.type is WSMsgType.TEXT:
                self.close(WSCloseCode.UNSUPPORTED_DATA)
            else:  # closed, by either side, or broken (too large: aiohttp has told the client)
                return

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):  # closed under our hands
            while self._closing is None or self._queue:
                await self._news.wait()
                self._news.clear()
                while self._queue:
                    await self._socket.send_bytes(self._queue[0])
                    self._queue.popleft()
            await self._socket.close(code=self._closing)
