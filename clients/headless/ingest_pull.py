"""A source in a thread of its own, as tracks that aiortc sends when they are due."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.packet import Packet

from clients.headless.errors import SourceError
from clients.headless.ingest_source import OPEN_TIMEOUT, Sent, Source, Wish
from clients.headless.media import CLOCK_RATES

Report = Mapping[str, Any]
Tell = Callable[[Report], None]

_MAX_WAITING = 4_000  # packets of a track: more has come at once than any source keeps


class LiveTrack(MediaStreamTrack):
    """One kind of a source, sent when it is due."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.sent = 0
        """Packets handed out: for video, coded frames."""
        self.drained = asyncio.Event()
        """All is sent, up to the end."""
        self._queue: asyncio.Queue[Sent | None] = asyncio.Queue(_MAX_WAITING)

    def offer(self, sent: Sent | None) -> None:
        """Add a frame, or None for the end; dropped when far too many wait."""
        if sent is None and self._queue.full():
            self._queue.get_nowait()
        if not self._queue.full():
            self._queue.put_nowait(sent)

    async def recv(self) -> "Packet[Any]":
        """The next packet, when it is due."""
        sent = await self._queue.get() if self.readyState == "live" else None
        if sent is None:
            self.drained.set()
            self.stop()
            raise MediaStreamError
        await asyncio.sleep(max(0.0, sent.due - time.monotonic()))
        rate = CLOCK_RATES[self.kind]
        packet: Packet[Any] = Packet(sent.data)
        packet.pts = packet.dts = round(sent.seconds * rate)
        packet.time_base = Fraction(1, rate)
        self.sent += 1
        return packet


class Pull:
    """A source, read by a thread of its own: FFmpeg waits wherever it likes."""

    def __init__(self, wish: Wish, tell: Tell) -> None:
        self.tracks: dict[str, LiveTrack] = {}
        self.bytes = 0
        """Of all that was read."""
        self._wish = wish
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._source: asyncio.Future[Source] = self._loop.create_future()
        self._over: asyncio.Future[str] = self._loop.create_future()
        self._stopping = threading.Event()
        self._begun = threading.Event()
        self._finishing: asyncio.Task[None] | None = None

    async def open(self) -> Source:
        """Connect; then `tracks` are there. Raises SourceError."""
        threading.Thread(target=self._read, daemon=True).start()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT * 2):  # it should have given up itself
                return await self._source
        except TimeoutError:
            raise SourceError("The source says nothing.") from None

    def begin(self) -> None:
        """Whoever takes the tracks is ready: what was read before would come late, in a heap."""
        self._begun.set()

    async def over(self) -> str:
        """Wait for the end, and why it came. Raises SourceError."""
        return await self._over

    def stop(self) -> None:
        """Read no more; returns at once."""
        self._stopping.set()
        self._begun.set()

    def _read(self) -> None:
        """The thread."""
        try:
            source = Source.open(self._wish)
        except SourceError as error:
            self._call(_settle, self._source, error)
            return
        try:
            self._call(self._opened, source)
            self._begun.wait()
            for sent in source.sent(lambda sentence: self._call(self._changed, source, sentence)):
                if self._stopping.is_set():
                    return
                self._call(self._deliver, sent)
            self._call(self._finish)
        except SourceError as error:
            self._call(_settle, self._over, error)
        finally:
            source.close()

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            self._stopping.set()  # the loop is closed: nobody listens any more

    def _opened(self, source: Source) -> None:
        """Before anything of it is delivered: who missed a keyframe would see nothing for long."""
        self.tracks = {kind: LiveTrack(kind) for kind in source.kinds}
        _settle(self._source, source)

    def _deliver(self, sent: Sent) -> None:
        self.bytes += len(sent.data)
        self.tracks[sent.kind].offer(sent)

    def _finish(self) -> None:
        """A file was read to its end, and is over when all of it is sent."""

        async def drain() -> None:
            for track in self.tracks.values():
                track.offer(None)
            for track in self.tracks.values():
                await track.drained.wait()
            _settle(self._over, "The source has ended.")

        self._finishing = self._loop.create_task(drain())

    def _changed(self, source: Source, sentence: str) -> None:
        self._tell({"note": sentence, **source.description})


def _settle(future: "asyncio.Future[Any]", value: Any) -> None:
    if future.done():
        return
    if isinstance(value, Exception):
        future.set_exception(value)
        future.exception()  # looked at: nobody may be waiting any more
    else:
        future.set_result(value)
