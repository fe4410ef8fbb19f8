"""What is to be done with a file: what of it is copied as it is, and what has to be transcoded.

The file is hostile until it has been read to its end: only known containers are opened, nothing it
names is followed, and everything counted has a limit. Run this in a process that may die.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from recorder.errors import MediaError

LONGEST_GOP = 12.0
"""Seconds between keyframes above which a film is transcoded: seeking in it would be slow."""

MOST_SECONDS = 24 * 3_600.0
MOST_PIXELS = 8_192 * 4_320

_CONTAINERS = "mov,matroska,webm,flv,mpegts,mpeg,avi,ogg,asf,live_flv,m4v,h264,ivf"
_MOST_STREAMS = 64
_COPIED = {"h264": "H264", "vp9": "VP9", "av1": "AV1"}
_PIXELS = {"yuv420p", "yuvj420p"}
_H264_PROFILES = {"Baseline", "Constrained Baseline", "Main", "High"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What was found in a file, and what is to be done with it."""

    duration: float
    """Seconds."""
    start: float
    """Where its clock begins, seconds: pictures are decoded before they are shown."""
    codec: str
    """Of the video in the archive."""
    copy_video: bool
    has_audio: bool
    copy_audio: bool
    title: str
    created: float | None
    """Unix seconds, if the file tells."""
    notes: tuple[str, ...]
    """One sentence for each thing that the user should know."""


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The file, for reading. Raises MediaError when it is no film, OSError."""
    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": ""}
    with path.open("rb") as file:
        try:
            container = av.open(io.BufferedReader(file, 1 << 20), mode="r", options=options)
        except (av.FFmpegError, OSError) as error:  # an empty file is either
            raise MediaError(f"{path.name} is no video file that can be read") from error
        try:
            yield container
        finally:
            container.close()


def make_plan(path: Path) -> Plan:
    """Read the file to its end, decoding nothing. Raises MediaError, OSError."""
    with opened(path) as container:
        video, audio = tracks(container)
        if video is None:
            raise MediaError(f"{path.name} has no video")
        size = video.codec_context
        if not 0 < size.width * size.height <= MOST_PIXELS:
            raise MediaError(f"{path.name} has pictures of {size.width}x{size.height} pixels")
        why = _why_not_copied(video)
        metadata = {key.lower(): value for key, value in container.metadata.items()}
        name = video.codec_context.name
        has_audio = audio is not None
        opus = audio is not None and audio.codec_context.name in ("opus", "libopus")
        scan = _scan(path, container, video, audio)
    why = why or scan.why
    notes = []
    if why:
        notes.append(f"The video ({name}) is transcoded to H264: {why}.")
    if has_audio and not opus:
        notes.append("The sound is transcoded to Opus.")
    return Plan(
        duration=scan.end - scan.start,
        start=scan.start,
        codec="H264" if why else _COPIED[_plain(name)],
        copy_video=not why,
        has_audio=has_audio,
        copy_audio=opus,
        title=metadata.get("title", "")[:200].strip(),
        created=_created(metadata.get("creation_time", "")),
        notes=tuple(notes),
    )


def tracks(container: InputContainer) -> tuple[VideoStream | None, AudioStream | None]:
    """The film's video and sound. Raises MediaError when it has too many streams."""
    if len(container.streams) > _MOST_STREAMS:
        raise MediaError("the file has too many streams")
    films = [s for s in container.streams.video if s.codec_context.name not in ("mjpeg", "png")]
    sounds = container.streams.audio
    return next(iter(films), None), next(iter(sounds), None)


@dataclass(slots=True)
class _Scan:
    start: float
    end: float
    why: str


def _scan(
    path: Path, container: InputContainer, video: VideoStream, audio: AudioStream | None
) -> _Scan:
    """Where the film begins and ends, and whether its keyframes are near enough to each other."""
    starts: dict[int, float] = {}
    end, keyframe, longest, packets = 0.0, None, 0.0, 0
    streams = [video] if audio is None else [video, audio]
    try:
        for packet in container.demux(streams):
            at = packet.pts if packet.pts is not None else packet.dts
            if at is None or not packet.size:
                continue
            seconds = _seconds(at, packet)
            index = packet.stream_index
            first = seconds if packet.dts is None else min(seconds, _seconds(packet.dts, packet))
            starts[index] = min(starts.get(index, first), first)
            end = max(end, seconds + _seconds(packet.duration or 0, packet))
            if index == video.index:
                packets += 1
                if packet.is_keyframe:
                    longest = max(longest, seconds - (seconds if keyframe is None else keyframe))
                    keyframe = seconds
            if end - min(starts.values()) > MOST_SECONDS:
                raise MediaError(f"{path.name} is longer than a day")
    except av.FFmpegError as error:
        raise MediaError(f"{path.name} is damaged: {error.strerror}") from error
    if not packets:
        raise MediaError(f"{path.name} has no pictures")
    if keyframe is None:
        return _Scan(min(starts.values()), end, "it has no keyframes")
    longest = max(longest, end - keyframe)
    far = f"its keyframes are up to {longest:.0f} s apart" if longest > LONGEST_GOP else ""
    return _Scan(min(starts.values()), end, far)


def _seconds(ticks: int, packet: "av.Packet[Any]") -> float:
    return float(ticks * (packet.time_base or 0))


def _why_not_copied(video: VideoStream) -> str:
    """Why browsers would not play it as it is; empty when they do."""
    context = video.codec_context
    name = _plain(context.name)
    if name not in _COPIED:
        return "browsers do not play it from HLS"
    if context.pix_fmt not in _PIXELS:
        return f"browsers do not play its pixels ({context.pix_fmt})"
    if name == "h264" and context.profile not in _H264_PROFILES:
        return f"browsers do not play its profile ({context.profile})"
    return ""


def _plain(decoder: str) -> str:
    """A codec's name by that of its decoder."""
    return {"libdav1d": "av1", "libaom-av1": "av1", "libvpx-vp9": "vp9"}.get(decoder, decoder)


def _created(text: str) -> float | None:
    """A file's creation time; clocks that were never set are not believed."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp() if moment.year >= 1990 else None
