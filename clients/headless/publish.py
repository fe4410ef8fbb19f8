"""`tongbu publish`: a file becomes a lesson, without re-encoding."""

import asyncio
from pathlib import Path

import click
import uvloop
from aiortc import RTCPeerConnection, RTCRtpSender
from rich.console import Console
from rich.live import Live
from rich.text import Text

from clients.headless.errors import ConnectionLost
from clients.headless.media import FileTrack, MediaFile, Playhead, inspect
from clients.headless.whip import Answer, Endpoint, negotiate, peer_connection

_H264_PROFILE = "42e01f"  # constrained baseline 3.1: what every browser decodes


class Publication:
    """A lesson being taught from files: `start`, then `finished` or not, then `stop`.

    Sections are offered in the order microphone, camera, slides.
    """

    def __init__(
        self, endpoint: Endpoint, main: MediaFile, slides: MediaFile | None, *, loop: bool
    ) -> None:
        self._endpoint = endpoint
        self._connection = peer_connection()
        self._answer: Answer | None = None
        playhead = Playhead()
        self.audio = FileTrack(main, "audio", playhead, loop=loop) if main.audio else None
        self.camera = FileTrack(main, "video", playhead, loop=loop) if main.video else None
        self.slides = FileTrack(slides, "video", playhead, loop=loop) if slides else None
        for track, codec in (
            (self.audio, main.audio),
            (self.camera, main.video),
            (self.slides, slides.video if slides else None),
        ):
            if track and codec:
                _offer(self._connection, track, codec)

    @property
    def connection(self) -> RTCPeerConnection:
        """The WebRTC connection, for its state and statistics."""
        return self._connection

    async def start(self) -> None:
        """Go live; raises EndpointError or ConnectionLost."""
        slides_mid = str(len(self._connection.getTransceivers()) - 1) if self.slides else None
        self._answer = await negotiate(self._connection, self._endpoint, slides_mid)

    async def finished(self) -> None:
        """Wait until the files are at their end; raises ConnectionLost."""
        over = asyncio.get_running_loop().create_future()

        def look() -> None:
            tracks = self._tracks()
            stopped = any(track.readyState == "ended" and not track.at_end for track in tracks)
            lost = stopped or self._connection.connectionState in ("failed", "closed")
            if (lost or all(track.at_end for track in tracks)) and not over.done():
                over.set_result(lost)

        self._connection.on("connectionstatechange", look)
        for track in self._tracks():
            track.on("ended", look)
        look()
        if await over:
            raise ConnectionLost("The connection to the node broke off.")

    async def stop(self) -> None:
        """End the lesson and close the connection; safe to call twice."""
        answer, self._answer = self._answer, None
        try:
            if answer:
                await self._endpoint.close(answer)
        finally:
            await self.drop()

    async def drop(self) -> None:
        """Close the connection without a word to the node, as a lost teacher does."""
        for track in self._tracks():
            track.stop()
        await self._connection.close()

    def _tracks(self) -> list[FileTrack]:
        return [track for track in (self.audio, self.camera, self.slides) if track]


def _offer(connection: RTCPeerConnection, track: FileTrack, codec: str) -> None:
    """A sendonly section with the file's codec and nothing else."""
    transceiver = connection.addTransceiver(track, direction="sendonly")
    capabilities = RTCRtpSender.getCapabilities(track.kind).codecs
    wanted = [
        capability
        for capability in capabilities
        if capability.mimeType.split("/")[1].lower() in (codec.lower(), "rtx")
        and capability.parameters.get("profile-level-id", _H264_PROFILE) == _H264_PROFILE
    ]
    transceiver.setCodecPreferences(wanted)


async def publish(
    url: str,
    file: Path,
    slides: Path | None = None,
    token: str | None = None,
    *,
    loop: bool = False,
    seconds: float | None = None,
) -> None:
    """Teach from files until they end or the time is up; raises HeadlessError."""
    main = inspect(file)
    extra = inspect(slides) if slides else None
    async with Endpoint(url, token) as endpoint:
        lesson = Publication(endpoint, main, extra, loop=loop)
        try:
            await lesson.start()
            with Live(_Status(url, lesson), console=Console(stderr=True), refresh_per_second=2):
                async with asyncio.timeout(seconds):
                    await lesson.finished()
        except TimeoutError:
            pass  # `seconds` is up: the end that was asked for
        finally:
            await lesson.stop()


class _Status:
    """The line that shows that the lesson goes on."""

    def __init__(self, url: str, lesson: Publication) -> None:
        self._url = url
        self._lesson = lesson

    def __rich__(self) -> Text:
        camera, audio, slides = self._lesson.camera, self._lesson.audio, self._lesson.slides
        return Text(
            f"● live at {self._url}   {camera.sent if camera else 0} frames,"
            f" {audio.sent if audio else 0} sound packets,"
            f" {slides.sent if slides else 0} slides frames",
            style="green",
        )


@click.command("publish")
@click.argument("url")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--slides", type=click.Path(path_type=Path), help="A second video: the slides.")
@click.option("--token", envvar="TONGBU_TOKEN", help="Made by `tongbu token --role teacher`.")
@click.option("--loop", is_flag=True, help="Begin again at the end of the file.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="Stop after this time.")
def command(
    url: str, file: Path, slides: Path | None, token: str | None, loop: bool, seconds: float | None
) -> None:
    """Teach from FILE: send it to the WHIP address URL as it is, in real time.

    FILE is H264 (without B-frames) or VP8, with Opus; an MP4, MKV or WebM. The lesson ends when
    the file does.

    \b
    tongbu publish http://localhost:7880/math/whip lesson.mp4 --slides slides.mp4
    """
    try:
        uvloop.run(publish(url, file, slides, token, loop=loop, seconds=seconds))
    except KeyboardInterrupt:
        raise SystemExit(0) from None


if __name__ == "__main__":
    command()
