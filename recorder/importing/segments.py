"""Packets of one track in, the files of a rendition out: initialisation, segments, playlist."""

from fractions import Fraction
from typing import Any

import av
from av.stream import Stream as AvStream

from recorder.archive.layout import LessonFolder
from recorder.pipeline import codecs
from recorder.pipeline.playlist import MediaPlaylist, Segment, Stream

_SHORTEST = 1.9  # seconds of a segment, as recorded ones
_AUDIO_US = 2_000_000
# Not `cmaf`, by which pictures may be shown before they are decoded: where there is no edit list
# FFmpeg's own reader then shows all of them late.
_FLAGS = "empty_moov+default_base_moof+frag_discont+skip_trailer"


class Track:
    """A track of `rate` ticks a second; packets in order of decoding, each lasting to the next.

    Raises av.FFmpegError, MediaError, OSError.
    """

    def __init__(
        self, name: str, folder: LessonFolder, zero: float, template: AvStream, rate: int
    ) -> None:
        self.rate = rate
        self.playlist = MediaPlaylist(zero)
        self.packets = 0
        self._name = name
        self._folder = folder
        self._sink = _Sink()
        self._waiting: list[bytes] = []
        self._start: int | None = None
        self._last = -1
        self._end = 0
        audio = template.type == "audio"
        options = {
            "movflags": _FLAGS if audio else f"{_FLAGS}+frag_keyframe",
            "avoid_negative_ts": "disabled",
            "flush_packets": "1",
            "fflags": "+bitexact",
        }
        if audio:
            options["frag_duration"] = str(_AUDIO_US)
        self._container = av.open(self._sink, "w", format="mp4", options=options)
        self._stream = self._container.add_stream_from_template(template, opaque=True)
        self._stream.time_base = Fraction(1, rate)
        self._container.start_encoding()
        init = self._sink.take()
        self._codec = codecs.codec_string(init)
        folder.publish(f"{name}/init-0001.mp4", init)

    def add(self, data: bytes, pts: int, dts: int, duration: int, keyframe: bool) -> None:
        """Add a packet, shown at `pts`; the first, a keyframe, is made to start at 0."""
        if self._start is None:
            self._start, pts, dts = 0, 0, 0
        dts = max(dts, self._last + 1)
        pts = max(pts, dts)
        self._last = dts
        packet: Any = av.Packet(data)
        packet.stream = self._stream
        packet.pts, packet.dts, packet.duration = pts, dts, max(duration, 1)
        packet.is_keyframe = keyframe
        self._container.mux_one(packet)
        self._collect(self._last)
        self._end = self._last + max(duration, 1)
        self.packets += 1

    def finish(self) -> None:
        """Close, and write the playlist."""
        self._container.close()
        self._collect(self._end, last=True)
        self.playlist.ended = True
        self._folder.replace_playlist(f"{self._name}/index.m3u8", self.playlist)

    def stream(self, width: int = 0, height: int = 0) -> Stream:
        """What a master playlist says of it."""
        uri = f"{self._name}/index.m3u8"
        return Stream(uri, self._codec, self.playlist, width, height)

    @property
    def seconds(self) -> float:
        """How far it has come."""
        return self._end / self.rate

    def _collect(self, until: int, *, last: bool = False) -> None:
        """Publish a segment when what has come out lasts long enough."""
        data = self._sink.take()
        if data:
            self._waiting.append(data)
        start = self._start or 0
        if not self._waiting or (not data and not last):
            return
        if until - start < _SHORTEST * self.rate and not last:
            return
        whole = b"".join(self._waiting)
        self._waiting.clear()
        uri = f"{self.playlist.count + 1:06d}.m4s"
        self._folder.publish(f"{self._name}/{uri}", whole)
        seconds = (until - start) / self.rate
        at = start / self.rate
        self.playlist.append(Segment(uri, "init-0001.mp4", at, seconds, len(whole)))
        self._start = until


class _Sink:
    """A file that keeps what is written to it, for PyAV."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """What was written since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data
