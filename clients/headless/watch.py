"""`tongbu watch`: a school without a screen. Decodes what it gets and counts."""

import asyncio
import json
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

import av
import click
import uvloop
from aiortc import RTCPeerConnection, RTCStatsReport
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from rich.console import Console
from rich.live import Live
from rich.text import Text

from clients.headless.errors import ConnectionLost
from clients.headless.whip import Answer, Endpoint, negotiate, peer_connection

_CONTROL_LABEL = "tongbu"
_FREEZE_HISTORY = 30  # frames


@dataclass
class Report:
    """What a school saw. JSON has the same names."""

    video_frames: int = 0  # decoded, of the camera
    slides_frames: int = 0
    audio_packets: int = 0
    lost: int = 0  # RTP packets that never came, all tracks
    first_frame_ms: int | None = None  # from the POST to the first decoded picture
    freezes: int = 0
    watched_s: float = 0.0  # from the first decoded picture
    ended: bool = False  # the teacher ended the lesson


class FreezeCounter:
    """Counts pictures that stood too long: longer than max(3d, d + 150 ms).

    d is the mean time between the last 30 frames (W3C webrtc-stats, `freezeCount`).
    """

    def __init__(self) -> None:
        self.count = 0
        self._last: float | None = None
        self._gaps: deque[float] = deque(maxlen=_FREEZE_HISTORY)

    def frame(self, now: float) -> None:
        """A frame was decoded at `now` seconds."""
        if self._last is not None:
            gap = now - self._last
            if self._gaps:
                usual = sum(self._gaps) / len(self._gaps)
                self.count += gap > max(3 * usual, usual + 0.15)
            self._gaps.append(gap)
        self._last = now


class School:
    """One viewer: `start`, then `over` or not, then `stop`; `report` counts meanwhile.

    `on_frame` gets every decoded picture of the camera. Slides are asked for and decoded only
    when wanted: decoding is what a viewer's time goes into.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        slides: bool = False,
        on_frame: Callable[[av.VideoFrame], None] = lambda frame: None,
    ) -> None:
        self.report = Report()
        self.over = asyncio.Event()
        """Set when the lesson ended or the connection broke off."""
        self._endpoint = endpoint
        self._on_frame = on_frame
        self._connection = peer_connection()
        self._answer: Answer | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._freezes = FreezeCounter()
        self._asked_at = 0.0
        self._first_frame_at: float | None = None
        self._begin(slides)

    @property
    def connection(self) -> RTCPeerConnection:
        """The WebRTC connection, for its state and description."""
        return self._connection

    async def start(self) -> None:
        """Join; raises EndpointError or ConnectionLost."""
        self._asked_at = time.monotonic()
        self._answer = await negotiate(self._connection, self._endpoint)

    async def measure(self) -> Report:
        """The report, with the transport's figures brought up to date."""
        _add_transport(self.report, await self._connection.getStats())
        return self.report

    async def stop(self) -> Report:
        """Leave; the final report."""
        report = await self.measure()
        answer, self._answer = self._answer, None
        try:
            if answer:
                await self._endpoint.close(answer)
        finally:
            for reader in self._readers:
                reader.cancel()
            await self._connection.close()
        return report

    def _begin(self, slides: bool) -> None:
        connection = self._connection
        connection.on("connectionstatechange", self._state_changed)
        audio = connection.addTransceiver("audio", direction="recvonly")
        camera = connection.addTransceiver("video", direction="recvonly")
        handlers = {audio: self._heard, camera: self._saw_camera}
        if slides:
            handlers[connection.addTransceiver("video", direction="recvonly")] = self._saw_slides
        by_receiver = {transceiver.receiver: handler for transceiver, handler in handlers.items()}

        def on_track(track: MediaStreamTrack) -> None:
            for receiver, handler in by_receiver.items():
                if receiver.track is track:
                    self._readers.append(asyncio.ensure_future(_read(track, handler)))

        connection.on("track", on_track)
        connection.createDataChannel(_CONTROL_LABEL).on("message", self._told)

    def _saw_camera(self, frame: object) -> None:
        now = time.monotonic()
        if self._first_frame_at is None:
            self._first_frame_at = now
            self.report.first_frame_ms = round((now - self._asked_at) * 1000)
        self._freezes.frame(now)
        self.report.freezes = self._freezes.count
        self.report.video_frames += 1
        self.report.watched_s = round(now - self._first_frame_at, 3)
        assert isinstance(frame, av.VideoFrame)
        self._on_frame(frame)

    def _saw_slides(self, frame: object) -> None:
        self.report.slides_frames += 1

    def _heard(self, frame: object) -> None:
        pass  # sound is counted in packets, by the transport

    def _told(self, message: str | bytes) -> None:
        try:
            told = json.loads(message)
        except ValueError:
            return
        if isinstance(told, dict) and told.get("type") == "ended":
            self.report.ended = True
            self.over.set()

    def _state_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self.over.set()


async def _read(track: MediaStreamTrack, handle: Callable[[object], None]) -> None:
    """Hand over what a track yields until it ends."""
    while True:
        try:
            handle(await track.recv())
        except MediaStreamError:
            return


def _add_transport(report: Report, statistics: RTCStatsReport) -> None:
    """Packets received and lost, from the receivers' statistics."""
    inbound = [item for item in statistics.values() if item.type == "inbound-rtp"]
    report.audio_packets = sum(item.packetsReceived for item in inbound if item.kind == "audio")
    report.lost = sum(item.packetsLost for item in inbound)


async def watch(
    url: str,
    token: str | None = None,
    *,
    seconds: float | None = None,
    slides: bool = False,
    quiet: bool = False,
) -> Report:
    """Watch until the lesson ends or the time is up; raises HeadlessError."""
    async with Endpoint(url, token) as endpoint:
        school = School(endpoint, slides=slides)
        try:
            await school.start()
            _leave_on_interrupt(school)
            status = _Status(url, school)
            with (
                Live(status, console=Console(stderr=True, quiet=quiet), refresh_per_second=2),
                suppress(TimeoutError),  # `seconds` is up
            ):
                async with asyncio.timeout(seconds):
                    await school.over.wait()
        finally:
            report = await school.stop()
    if report.first_frame_ms is None and not report.ended:
        raise ConnectionLost(f"{url} was joined, but no picture came.")
    return report


def _leave_on_interrupt(school: School) -> None:
    """Ctrl-C ends the watching, not the program: the report is still wanted."""
    with suppress(RuntimeError, ValueError):  # not the main thread: nobody presses Ctrl-C here
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, school.over.set)


class _Status:
    """The line that shows what comes in."""

    def __init__(self, url: str, school: School) -> None:
        self._url = url
        self._school = school

    def __rich__(self) -> Text:
        report = self._school.report
        return Text(
            f"▶ {self._url}   {report.video_frames} frames in {report.watched_s:.0f} s,"
            f" {report.freezes} freezes",
            style="cyan",
        )


def _summary(report: Report) -> str:
    first = "-" if report.first_frame_ms is None else f"{report.first_frame_ms} ms"
    return (
        f"{report.video_frames} frames decoded, {report.audio_packets} sound packets, "
        f"{report.lost} lost, {report.freezes} freezes, first picture after {first}"
    )


@click.command("watch")
@click.argument("url")
@click.option("--token", envvar="TONGBU_TOKEN", help="Made by `tongbu token --role school`.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="Leave after this time.")
@click.option("--slides", is_flag=True, help="Take the slides too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def command(
    url: str, token: str | None, seconds: float | None, slides: bool, as_json: bool
) -> None:
    """Watch the lesson at the WHEP address URL without a screen, and tell how it went.

    Pictures are really decoded, and counted. Ends with the lesson, or after --seconds.

    \b
    tongbu watch http://localhost:7880/math/whep --seconds 20 --json
    """
    try:
        report = uvloop.run(watch(url, token, seconds=seconds, slides=slides, quiet=as_json))
    except KeyboardInterrupt:
        raise SystemExit(0) from None
    click.echo(json.dumps(asdict(report)) if as_json else _summary(report))


if __name__ == "__main__":
    command()
