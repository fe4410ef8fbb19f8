"""A camera or a recording box, by its URL: RTSP, RTMP, SRT or a file, as packets on one clock.

FFmpeg's demuxers may hang or crash on what they are fed, so that all of this belongs into a
process of its own, and into a thread there. Nothing but the network protocols that a URL needs is
open to it: a playlist or a redirect inside a stream opens no file and no other service.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from clients.headless import srt
from clients.headless.errors import SourceError
from clients.headless.ingest_clock import SourceClock
from clients.headless.ingest_convert import (
    AudioPassthrough,
    AudioTranscoder,
    BFrames,
    Changed,
    Converter,
    Timed,
    VideoPassthrough,
    VideoTranscoder,
    passes_audio,
    passes_video,
)

OPEN_TIMEOUT = 10.0
"""Seconds until a source must have said what it sends."""
READ_TIMEOUT = 10.0
"""Seconds without a packet after which a source counts as lost."""

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "file")

_SILENT = "The source says nothing."
_LEAD = 1.0  # how far ahead of its time a file is read, seconds
_CHANGED = "What the source sends has changed its codec."
_IN_VAIN = 500  # packets in a row that decode to nothing: more than there is between keyframes
_EARLY = 10  # packets without a time that are kept
_FRAME = 1 / 30
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,tcp,udp",
    "rtsps": "rtsps,rtsp,rtp,tcp,udp,tls,srtp,crypto",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,rtmp,tls,tcp",
    "file": "file",
}
_FORMATS = {"rtsp": "rtsp", "rtsps": "rtsp", "rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
"""What comes must be this: a source does not choose among FFmpeg's hundreds of demuxers."""
_FILE_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,flv"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is pulled."""

    url: str
    transport: str = "tcp"
    """How RTSP carries its media: "tcp" (in its own connection, nothing lost) or "udp"."""
    audio: bool = True
    """Whether the sound is taken too."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One coded frame for a lesson."""

    kind: str
    """"video" or "audio"."""
    data: bytes
    seconds: float
    """Media time."""
    due: float
    """When it should be sent, by `time.monotonic`."""


class Source:
    """An open source. `close` when done; every method raises SourceError."""

    def __init__(self, container: InputContainer, wish: Wish, *, live: bool) -> None:
        self._container = container
        self._clock = SourceClock(live=live)
        self._live = live
        self._streams: dict[int, tuple[str, VideoStream | AudioStream, Converter]] = {}
        self._vain: dict[Converter, int] = {}  # packets in a row that came to nothing
        self.description: dict[str, str] = {}
        """What each kind is, and what becomes of it, for people."""
        video = container.streams.video[0] if container.streams.video else None
        if video is not None:
            if not video.width:
                raise SourceError(
                    "The picture's parameters do not come: let the source repeat them with each "
                    "keyframe."
                )
            self._take_video(video, passes_video(video))
        if wish.audio and container.streams.audio:
            self._take_audio(container.streams.audio[0])
        if not self._streams:
            raise SourceError("The source has neither a picture nor sound.")

    @classmethod
    def open(cls, wish: Wish) -> Self:
        """Connect, and find out what it sends; takes up to OPEN_TIMEOUT."""
        scheme = urlsplit(wish.url).scheme
        if scheme not in SCHEMES:
            raise SourceError(f"A source begins with {', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}.")
        begun = time.monotonic()
        try:
            container = _opened(wish, scheme)
            try:
                return cls(container, wish, live=scheme != "file")
            except BaseException:
                container.close()
                raise
        except (av.FFmpegError, OSError) as error:
            silent = time.monotonic() - begun > OPEN_TIMEOUT  # the RTSP demuxer does not say so
            raise SourceError(_SILENT if silent else why(error)) from None

    @property
    def kinds(self) -> list[str]:
        """What it sends: "video", "audio" or both."""
        return [kind for kind, _, _ in self._streams.values()]

    def sent(self, tell: Callable[[str], None] = lambda sentence: None) -> Iterator[Sent]:
        """All that comes, as it is to be sent; `tell` hears of changes. Only a file has an end."""
        try:
            for packet, seconds in self._demuxed():
                kind, stream, converter = self._streams[packet.stream_index]
                try:
                    for data, at in self._converted(converter, packet, seconds):
                        yield self._placed(kind, data, at)
                except BFrames:
                    assert isinstance(stream, VideoStream)
                    tell("The picture comes out of order (B-frames): it is encoded anew from here.")
                    self._take_video(stream, passes=False)
        except Changed:
            raise SourceError(_CHANGED) from None
        except (av.FFmpegError, OSError) as error:
            raise SourceError(why(error)) from None
        if self._live:  # a camera that starts anew says goodbye just so
            raise SourceError("The source has ended its stream.")

    def close(self) -> None:
        """Hang up."""
        self._container.close()

    def _demuxed(self) -> "Iterator[tuple[Packet[Any], float]]":
        """Packets and their media time. RTSP's first have none: they are just before the next."""
        early: dict[int, list[Packet[Any]]] = {}
        for packet in self._container.demux([stream for _, stream, _ in self._streams.values()]):
            when = packet.pts if packet.pts is not None else packet.dts
            waiting = early.setdefault(packet.stream_index, [])
            if when is not None:
                seconds = float(when * packet.time_base)
                for before, one in enumerate(waiting, -len(waiting)):
                    yield one, seconds + before * _FRAME
                waiting.clear()
                yield packet, seconds
            elif packet.size and len(waiting) < _EARLY:  # else the demuxer's end mark
                waiting.append(packet)

    def _converted(
        self, converter: Converter, packet: "Packet[Any]", seconds: float
    ) -> Iterator[Timed]:
        given = False
        try:
            for item in converter.convert(packet, seconds):
                given = True
                yield item
        except av.FFmpegError:
            pass  # a damaged packet; what follows may be whole again
        if given or isinstance(converter, VideoPassthrough | AudioPassthrough):
            self._vain[converter] = 0
            return
        self._vain[converter] = self._vain.get(converter, 0) + 1
        if self._vain[converter] > _IN_VAIN:
            raise SourceError(_CHANGED)

    def _placed(self, kind: str, data: bytes, at: float) -> Sent:
        now = time.monotonic()
        seconds, due = self._clock.place(kind, at, now)
        if not self._live and due - now > _LEAD:
            time.sleep(due - now - _LEAD)
        return Sent(kind, data, seconds, due)

    def _take_video(self, stream: VideoStream, passes: bool) -> None:
        converter = VideoPassthrough(stream) if passes else VideoTranscoder(stream)
        self._streams[stream.index] = ("video", stream, converter)
        size = f"{stream.width}x{stream.height}"
        self.description["video"] = _described(stream, passes, "H264", size)

    def _take_audio(self, stream: AudioStream) -> None:
        passes = passes_audio(stream)
        converter = AudioPassthrough() if passes else AudioTranscoder(stream)
        self._streams[stream.index] = ("audio", stream, converter)
        self.description["audio"] = _described(stream, passes, "opus", "")


def why(error: Exception) -> str:
    """What went wrong, in a sentence without the URL, which may hold a password."""
    match error:
        case av.HTTPUnauthorizedError() | av.HTTPForbiddenError():
            return "The source wants a user name and a password, or not these."
        case av.HTTPNotFoundError():
            return "The source knows no such path."
        case av.ExitError() | TimeoutError():
            return _SILENT
        case av.InvalidDataError():
            return "What the source sends makes no sense."
        case ConnectionRefusedError():
            return "Nobody listens at this address."
        case OSError():
            return f"The source cannot be read: {error.strerror or 'connection lost'}."
        case _:
            return "The source cannot be read."


def _described(stream: VideoStream | AudioStream, passes: bool, wanted: str, size: str) -> str:
    found = stream.codec_context.codec.canonical_name
    words = [wanted if passes else f"{found} to {wanted}", size]
    return " ".join(word for word in words if word)


def _opened(wish: Wish, scheme: str) -> InputContainer:
    timeouts = (OPEN_TIMEOUT, READ_TIMEOUT)
    options = {"probesize": "1000000", "analyzeduration": "3000000", "fflags": "+discardcorrupt"}
    if scheme == "srt":
        stream = srt.Receiver(wish.url, OPEN_TIMEOUT, READ_TIMEOUT)
        return av.open(stream, "r", format="mpegts", options=options, timeout=timeouts)
    options["protocol_whitelist"] = _PROTOCOLS[scheme]
    if scheme == "file":
        options["format_whitelist"] = _FILE_FORMATS
        path = urlsplit(wish.url).path
        return av.open(f"file:{path}", "r", options=options, timeout=timeouts)
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "udp" if wish.transport == "udp" else "tcp"
    else:
        options["rtmp_live"] = "live"
        options["rtmp_buffer"] = "100"
    return av.open(wish.url, "r", format=_FORMATS[scheme], options=options, timeout=timeouts)
