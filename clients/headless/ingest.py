"""`tongbu ingest`: a camera or a recording box becomes part of a lesson.

    tongbu ingest URL WHIP-URL        by hand, from any machine that reaches both
    python -m clients.headless.ingest --job
                                      as the node starts it: the job as one line of JSON on standard
                                      input, whose end is the job's; states as lines of JSON on
                                      standard output, the last one says why it is over

One process is one attempt: whoever starts it tries again. H264 and Opus pass through untouched.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import click
import uvloop
from aiortc import RTCRtpSender
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.packet import Packet

from clients.headless.errors import ConnectionLost, HeadlessError, SourceError
from clients.headless.ingest_source import OPEN_TIMEOUT, READ_TIMEOUT, Sent, Source, Wish
from clients.headless.media import CLOCK_RATES
from clients.headless.whip import Answer, Endpoint, negotiate, peer_connection

REPORT_EVERY = 2.0
"""Seconds between two lines of a job that goes well: whoever started it sees that it lives."""

_CODECS = {"video": "h264", "audio": "opus"}
_MAX_WAITING = 4_000  # packets of a track: more has come at once than any source keeps
_WAITS = (1.0, 2.0, 5.0, 10.0, 20.0)  # between attempts, by hand
_GOOD_LIFE = 30.0  # an attempt that lived so long was none in vain

Report = Mapping[str, Any]
Tell = Callable[[Report], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What to pull, and where it belongs."""

    wish: Wish
    whip: str
    token: str | None
    slides: bool = False
    """The picture is slides, not the camera."""

    @classmethod
    def parse(cls, line: str) -> "Job":
        """From its line of JSON. Raises ValueError, KeyError, TypeError."""
        value = json.loads(line)
        wish = Wish(str(value["url"]), str(value["transport"]), bool(value["audio"]))
        return cls(wish, str(value["whip"]), str(value["token"]), value["source"] == "slides")


class LiveTrack(MediaStreamTrack):
    """One kind of a source, sent when it is due."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.sent = 0
        """Packets handed out: for video, coded frames."""
        self._queue: asyncio.Queue[Sent | None] = asyncio.Queue(_MAX_WAITING)

    def offer(self, sent: Sent | None) -> None:
        """Add a frame, or None for the end; dropped when far too many wait."""
        if not self._queue.full():
            self._queue.put_nowait(sent)

    async def recv(self) -> "Packet[Any]":
        """The next packet, when it is due."""
        sent = await self._queue.get() if self.readyState == "live" else None
        if sent is None:
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
        self._started = asyncio.Event()

    async def open(self) -> Source:
        """Connect; then `tracks` are there. Raises SourceError."""
        threading.Thread(target=self._read, daemon=True).start()
        try:
            async with asyncio.timeout(OPEN_TIMEOUT * 2):  # it should have given up itself
                source = await self._source
        except TimeoutError:
            raise SourceError("The source says nothing.") from None
        self.tracks = {kind: LiveTrack(kind) for kind in source.kinds}
        self._started.set()
        return source

    async def over(self) -> str:
        """Wait for the end, and why it came. Raises SourceError."""
        return await self._over

    def stop(self) -> None:
        """Read no more; returns at once."""
        self._stopping.set()

    def _read(self) -> None:
        """The thread."""
        try:
            source = Source.open(self._wish)
        except SourceError as error:
            self._call(_settle, self._source, error)
            return
        try:
            self._call(_settle, self._source, source)
            for sent in source.sent(lambda sentence: self._call(self._changed, source, sentence)):
                if self._stopping.is_set():
                    return
                self._call(self._deliver, sent)
            self._call(_settle, self._over, "The source has ended.")
        except SourceError as error:
            self._call(_settle, self._over, error)
        finally:
            source.close()

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            self._stopping.set()  # the loop is closed: nobody listens any more

    def _deliver(self, sent: Sent) -> None:
        self.bytes += len(sent.data)
        if self._started.is_set():
            self.tracks[sent.kind].offer(sent)

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


async def pull(job: Job, tell: Tell) -> str:
    """Carry a source into a lesson until it ends; why it did. Raises HeadlessError."""
    reading = Pull(job.wish, tell)
    try:
        source = await reading.open()
        async with Endpoint(job.whip, job.token) as endpoint:
            return await _publish(job, reading, source, endpoint, tell)
    finally:
        reading.stop()


async def _publish(job: Job, reading: Pull, source: Source, endpoint: Endpoint, tell: Tell) -> str:
    connection = peer_connection()
    answer: Answer | None = None
    try:
        for kind in sorted(reading.tracks):  # audio, then video
            transceiver = connection.addTransceiver(reading.tracks[kind], direction="sendonly")
            transceiver.setCodecPreferences(_offered(kind))
        slides = str(len(reading.tracks) - 1) if job.slides and "video" in reading.tracks else None
        answer = await negotiate(connection, endpoint, slides)
        reports = asyncio.create_task(_report(reading, source, tell))
        ended = asyncio.create_task(reading.over())
        lost = asyncio.create_task(_lost(connection))
        tasks = (ended, lost, reports)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return await (ended if ended.done() else lost)
        except SourceError:
            answer = None  # it may come back at once: the lesson waits for it
            raise
        finally:
            for task in tasks:
                task.cancel()
    except ConnectionLost:
        answer = None
        raise
    finally:
        await _hang_up(connection, endpoint, answer)


async def _hang_up(connection: Any, endpoint: Endpoint, answer: Answer | None) -> None:
    """Say goodbye where an answer is given, and close."""
    try:
        if answer:
            await endpoint.close(answer)
    finally:
        await connection.close()


async def _report(reading: Pull, source: Source, tell: Tell) -> None:
    """Say again and again that it goes on. Raises SourceError when nothing comes any more."""
    before, quiet = -1, 0.0
    while True:
        if reading.bytes == before:
            quiet += REPORT_EVERY
            if quiet > READ_TIMEOUT * 1.5:  # FFmpeg should have noticed, or its codec has changed
                raise SourceError("Nothing comes from the source any more.")
        else:
            quiet = 0.0
        before = reading.bytes
        sent = {kind: track.sent for kind, track in reading.tracks.items()}
        tell({"state": "live", **source.description, "bytes": reading.bytes, "sent": sent})
        await asyncio.sleep(REPORT_EVERY)


async def _lost(connection: Any) -> str:
    over = asyncio.Event()

    def look() -> None:
        if connection.connectionState in ("failed", "closed"):
            over.set()

    connection.on("connectionstatechange", look)
    look()
    await over.wait()
    raise ConnectionLost("The connection to the node broke off.")


def _offered(kind: str) -> list[Any]:
    """The one codec we send, in H264's case as what every browser decodes, and its RTX."""
    profile = "42e01f"
    return [
        codec
        for codec in RTCRtpSender.getCapabilities(kind).codecs
        if codec.mimeType.split("/")[1].lower() in (_CODECS[kind], "rtx")
        and codec.parameters.get("profile-level-id", profile) == profile
    ]


# --- as the node starts it


async def _serve() -> int:
    """One job, from standard input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    job = Job.parse((await reader.readline()).decode())
    work = asyncio.create_task(pull(job, _say))
    stop = asyncio.create_task(reader.read(1))  # its end, when the node goes or wants us to
    await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        work.cancel()
    stop.cancel()
    try:
        _say({"state": "ended", "reason": await work})
    except HeadlessError as error:
        _say({"state": "failing", "reason": error.message})
        return 2
    except asyncio.CancelledError:
        _say({"state": "ended", "reason": ""})
    return 0


def _say(report: Report) -> None:
    print(json.dumps(report, ensure_ascii=False), flush=True)


# --- by hand


async def ingest(job: Job) -> None:
    """Pull, and try again whatever happens, until the source ends in good order."""
    failures = 0
    while True:
        begun = time.monotonic()
        try:
            click.echo(await pull(job, _show), err=True)
            return
        except HeadlessError as error:
            if isinstance(error, SourceError | ConnectionLost):
                failures = 0 if time.monotonic() - begun > _GOOD_LIFE else failures
                wait = _WAITS[min(failures, len(_WAITS) - 1)]
                failures += 1
                click.echo(f"{error.message} Trying again in {wait:.0f} s.", err=True)
            else:
                raise
        await asyncio.sleep(wait)


def _show(report: Report) -> None:
    if "note" in report:
        click.echo(report["note"], err=True)
    elif not any(report["sent"].values()):
        click.echo(f"● live: {_words(report)}", err=True)


def _words(report: Report) -> str:
    kinds: Iterable[str] = (report[kind] for kind in ("video", "audio") if kind in report)
    return ", ".join(kinds)


@click.command("ingest")
@click.argument("url", required=False)
@click.argument("whip", required=False)
@click.option("--token", envvar="TONGBU_TOKEN", help="Made by `tongbu token --role teacher`.")
@click.option("--slides", is_flag=True, help="The picture is slides, not the camera.")
@click.option("--no-audio", is_flag=True, help="Leave its sound.")
@click.option("--udp", is_flag=True, help="RTSP carries its media over UDP, not within TCP.")
@click.option("--job", is_flag=True, hidden=True)
def command(
    url: str | None,
    whip: str | None,
    token: str | None,
    slides: bool,
    no_audio: bool,
    udp: bool,
    job: bool,
) -> None:
    """Bring the camera or recording box at URL into a lesson, at the WHIP address WHIP.

    URL is rtsp, rtsps, rtmp, rtmps, srt or file. H264 without B-frames and Opus pass as they are;
    anything else is encoded anew.

    \b
    tongbu ingest rtsp://me:secret@192.168.1.64/stream1 http://localhost:7880/math/whip
    """
    av.logging.set_level(av.logging.PANIC)  # what matters comes as exceptions; logs name URLs
    if job:
        code = uvloop.run(_serve())
        sys.stdout.flush()
        os._exit(code)  # whatever FFmpeg's thread still waits for
    if not (url and whip):
        raise click.UsageError("URL and WHIP are needed.")
    wish = Wish(url, "udp" if udp else "tcp", audio=not no_audio)
    try:
        uvloop.run(ingest(Job(wish, whip, token, slides)))
    except KeyboardInterrupt:
        raise SystemExit(0) from None


if __name__ == "__main__":
    command()
