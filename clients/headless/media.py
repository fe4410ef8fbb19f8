"""A media file as tracks that aiortc sends without decoding or encoding anything.

aiortc packetises an `av.Packet` that a track yields (H264, VP8, Opus). What this file adds: the
checks that the file can be sent as it is, the pace of the real clock, and the loop.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from clients.headless.errors import MediaFileError

CLOCK_RATES = {"audio": 48000, "video": 90000}
"""RTP clocks in Hz (RFC 7587; RFC 6184 and RFC 7741)."""

_SENDABLE = {"h264": "H264", "vp8": "VP8", "opus": "opus"}


@dataclass(frozen=True)
class MediaFile:
    """A file that can be published: what `inspect` found in it."""

    path: Path
    duration: Fraction  # seconds
    video: str | None  # codec names as in SDP
    audio: str | None


class Playhead:
    """The clock that the tracks of one publication share: media time 0 is its first use."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._origin: float | None = None

    async def reach(self, media_time: float) -> None:
        """Wait until a media time, in seconds, is due."""
        if self._origin is None:
            self._origin = self._now()
        await asyncio.sleep(max(0.0, self._origin + media_time - self._now()))


class FileTrack(MediaStreamTrack):
    """One stream of a file, packet by packet, in real time. Ends when the file does."""

    def __init__(self, file: MediaFile, kind: str, playhead: Playhead, *, loop: bool) -> None:
        super().__init__()
        self.kind = kind
        self.sent = 0
        """Packets handed out: for video, coded frames."""
        self.at_end = False
        """Ended because the file did, not because it was stopped."""
        self._playhead = playhead
        self._packets = packets(file, kind, loop=loop)

    async def recv(self) -> "Packet[Any]":
        """The next packet, when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        packet = next(self._packets, None)
        if packet is None:
            self.at_end = True
            self.stop()
            raise MediaStreamError
        assert packet.pts is not None  # `packets` sets it
        await self._playhead.reach(packet.pts / CLOCK_RATES[self.kind])
        self.sent += 1
        return packet

    def stop(self) -> None:
        """End the track and let go of the file."""
        super().stop()
        self._packets.close()


def inspect(path: Path) -> MediaFile:
    """Open a file and see that it can be sent as it is; raises MediaFileError."""
    with _opened(path) as container:
        video = _checked_video(path, container.streams.video)
        audio = _checked(path, "audio", container.streams.audio)
        if not (video or audio):
            raise MediaFileError(f"{path} has neither picture nor sound.")
        if not container.duration:
            raise MediaFileError(f"{path} does not say how long it is; put it into MP4 or MKV.")
        return MediaFile(path, Fraction(container.duration, av.time_base), video, audio)


def packets(file: MediaFile, kind: str, *, loop: bool) -> "Generator[Packet[Any], None, None]":
    """The coded frames of a file's first stream of that kind, with times in RTP clock units.

    In a loop the times go on; what a container holds beyond its duration (an encoder's padding)
    is left out, or it would overlap the next round.
    """
    rate = CLOCK_RATES[kind]
    for round_number in count():
        with _opened(file.path) as container:
            first: Fraction | None = None
            for packet, when in _demuxed(container, kind):
                first = when if first is None else first
                if loop and when - first >= file.duration:
                    break
                packet.pts = packet.dts = round((when + round_number * file.duration) * rate)
                packet.time_base = Fraction(1, rate)
                yield packet
        if not loop:
            return


def _demuxed(container: InputContainer, kind: str) -> "Iterator[tuple[Packet[Any], Fraction]]":
    """Packets and their time in seconds; H264 as Annex B with SPS and PPS before each IDR."""
    stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
    annex_b = None
    if stream.codec_context.name == "h264":
        annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
    for packet in container.demux(stream):
        if packet.pts is None:  # the demuxer's end mark
            continue
        when = packet.pts * Fraction(packet.time_base)
        for out in annex_b.filter(packet) if annex_b else [packet]:
            yield out, when


def _opened(path: Path) -> InputContainer:
    try:
        return av.open(path, "r")
    except FileNotFoundError:
        raise MediaFileError(f"There is no file {path}.") from None
    except (OSError, av.FFmpegError) as error:
        raise MediaFileError(f"{path} cannot be read as media: {error.strerror}.") from None


def _checked_video(path: Path, streams: Sequence[VideoStream]) -> str | None:
    codec = _checked(path, "video", streams)
    if codec and streams[0].codec_context.has_b_frames:
        raise MediaFileError(
            f"{path} has B-frames, which WebRTC cannot carry; encode it again with "
            "`ffmpeg -i IN -c:v libx264 -profile:v baseline -g 60 -c:a libopus OUT.mp4`."
        )
    return codec


def _checked(path: Path, kind: str, streams: Sequence[VideoStream | AudioStream]) -> str | None:
    """The codec's name in SDP; None when there is no such stream."""
    if not streams:
        return None
    name = streams[0].codec_context.codec.canonical_name
    if name not in _SENDABLE:
        raise MediaFileError(
            f"{path} has {kind} in {name}, which cannot be sent as it is; it takes H264 or VP8 "
            "with Opus, as `ffmpeg -i IN -c:v libx264 -profile:v baseline -g 60 -c:a libopus "
            "OUT.mp4` makes."
        )
    return _SENDABLE[name]
