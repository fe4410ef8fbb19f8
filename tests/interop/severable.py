"""A TCP way to a node that a test can cut and mend: a WebSocket's outage, not the media's."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Severable:
    """Forwards a local port to where a node's HTTP listens."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._whole = asyncio.Event()
        self._whole.set()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut()
        self._whole.set()
        self._server.close()

    def cut(self) -> None:
        """Break what is open, and let nothing through; who comes meanwhile waits."""
        self._whole.clear()
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let new connections through, those that wait first."""
        self._whole.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        back, forth = await asyncio.open_connection(*self._target)
        self._writers |= {writer, forth}
        try:
            await asyncio.gather(self._carry(reader, forth), self._carry(back, writer))
        finally:
            self._writers -= {writer, forth}

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
