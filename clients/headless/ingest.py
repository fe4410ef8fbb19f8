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
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import av
import click
import uvloop
from aiortc import RTCRtpSender

from clients.headless.errors import ConnectionLost, EndpointError, HeadlessError, SourceError
from clients.headless.ingest_pull import Pull, Report, Tell
from clients.headless.ingest_source import READ_TIMEOUT, Source, Wish
from clients.headless.whip import Answer, Endpoint, negotiate, peer_connection

REPORT_EVERY = 2.0
"""Seconds between two lines of a job that goes well: whoever started it sees that it lives."""

_CODECS = {"video": "h264", "audio": "opus"}
_WAITS = (1.0, 2.0, 5.0, 10.0, 20.0)  # between attempts, by hand
_GOOD_LIFE = 30.0  # an attempt that lived so long was none in vain


@dataclass(frozen=True, slots=True)
class Job:
    """What to pull, and where it belongs."""

    wish: Wish
    whip: str
    token: str | None
    slides: bool = False
    """The picture is slides, not the camera."""
    local: bool = False
    """The node is on this machine: whatever addresses it tells others, loopback is one of its."""

    @classmethod
    def parse(cls, line: str) -> "Job":
        """From its line of JSON. Raises ValueError, KeyError, TypeError."""
        value = json.loads(line)
        wish = Wish(str(value["url"]), str(value["transport"]), bool(value["audio"]))
        slides = value["source"] == "slides"
        return cls(wish, str(value["whip"]), str(value["token"]), slides, local=True)


class _LocalEndpoint(Endpoint):
    """A node on this machine: behind NAT it may announce an address that leads nowhere here."""

    async def open(self, offer: str) -> Answer:
        """Its answer, and that it is at 127.0.0.1 as well."""
        answer = await super().open(offer)
        return replace(answer, sdp=with_loopback(answer.sdp))


def with_loopback(sdp: str) -> str:
    """Add to the first UDP candidate of an answer (RFC 8839, 5.1) one for 127.0.0.1."""
    found = re.search(r"^a=candidate:\S+ 1 udp \d+ \S+ (\d+) typ host.*$", sdp, re.I | re.M)
    if found is None or " 127.0.0.1 " in sdp:
        return sdp
    line = f"\r\na=candidate:local 1 udp 1 127.0.0.1 {found[1]} typ host"
    end = found.end() - found[0].endswith("\r")
    return sdp[:end] + line + sdp[end:]


async def pull(job: Job, tell: Tell) -> str:
    """Carry a source into a lesson until it ends; why it did. Raises HeadlessError."""
    reading = Pull(job.wish, tell)
    try:
        source = await reading.open()
        kind = _LocalEndpoint if job.local else Endpoint
        async with kind(job.whip, job.token) as endpoint:
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
        reading.begin()
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
    quiet, before = 0.0, -1
    while True:
        sent = {kind: track.sent for kind, track in reading.tracks.items()}
        now = sent.get("video", sent.get("audio", 0))  # sound may be silent, a picture is not
        quiet = 0.0 if now > before else quiet + REPORT_EVERY
        before = now
        if quiet > READ_TIMEOUT * 1.5:  # FFmpeg may go on with a stream that is no more
            raise SourceError("Nothing comes from the source any more.")
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
            if _may_pass(error):
                failures = 0 if time.monotonic() - begun > _GOOD_LIFE else failures
                wait = _WAITS[min(failures, len(_WAITS) - 1)]
                failures += 1
                click.echo(f"{error.message} Trying again in {wait:.0f} s.", err=True)
            else:
                raise
        await asyncio.sleep(wait)


def _may_pass(error: HeadlessError) -> bool:
    """Whether another attempt may go better: not where the node says no to us."""
    if isinstance(error, EndpointError):
        return error.status in (None, 409, 503)
    return True


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
