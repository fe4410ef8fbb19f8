"""A lesson as FLV (for RTMP) or MPEG-TS (for SRT): H264 as it is, Opus as AAC or as it is.

Other platforms want a sound that never stops: silence fills what is missing of it.
"""

from contextlib import suppress
from fractions import Fraction
from typing import Any, Protocol

import av
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import OutputContainer
from av.stream import Stream

from recorder.pipeline.codecs import (
    OPUS_RATE,
    Parameters,
    opus_duration,
    parameters,
    silence,
    template,
)

AAC_BITS_PER_SECOND = 128_000
"""What platforms ask for, stereo."""
SILENT_AFTER_US = 1_000_000
"""How far behind the picture the sound may be before silence is put in its place."""

_AAC_FRAME = 1024
_TOLERANCE = 1_920  # samples at 48 kHz: less than 40 ms off is jitter, not a gap
_MICROSECOND = Fraction(1, 1_000_000)
_LAYOUT = "stereo"


class File(Protocol):
    """Where a container's bytes go, when not to a URL of FFmpeg's own."""

    def write(self, data: bytes) -> int:
        """All of it."""


class Output:
    """One connection's worth of a lesson; its time 0 is the keyframe it begins with.

    Raises MediaError, OSError (which FFmpeg's errors of the network are).
    """

    def __init__(
        self, target: str | File, container: str, keyframe: bytes, start_us: int, *, opus: bool
    ) -> None:
        """`container` is "flv" or "mpegts"."""
        self.parameters: Parameters = parameters("H264", keyframe)
        self.bytes = 0
        """Of coded media."""
        self._start_us = start_us
        self._last_video = -1
        self._container = av.open(target, "w", format=container, options=_options(container))
        try:
            with template("H264", keyframe) as source:
                self._video = self._container.add_stream_from_template(
                    source.streams[0], opaque=True
                )
            self._sound: _Aac | _Opus = (_Opus if opus else _Aac)(self._container)
            self._container.start_encoding()
        except BaseException:
            self.abandon()
            raise

    def fits(self, keyframe: bytes) -> bool:
        """Whether the keyframe goes on with the same parameters. Raises MediaError."""
        return parameters("H264", keyframe) == self.parameters

    def picture(self, data: bytes, time_us: int, keyframe: bool) -> None:
        """Add a picture (Annex B), and silence where the sound is far behind it."""
        at = max(time_us - self._start_us, self._last_video + 1_000)  # FLV counts milliseconds
        self._last_video = at
        self._mux(self._video, data, at, keyframe)
        behind = (at - SILENT_AFTER_US) * 6 // 125
        self._write(self._sound.advance(behind))

    def sound(self, data: bytes, time_us: int) -> None:
        """Add an Opus packet."""
        if time_us >= self._start_us:
            self._write(self._sound.push(data, (time_us - self._start_us) * 6 // 125))

    def close(self) -> None:
        """Say goodbye in good order."""
        self._container.close()

    def abandon(self) -> None:
        """Let go of a connection that is broken."""
        with suppress(OSError, ValueError):
            self._container.close()

    def _write(self, packets: "list[tuple[bytes, int]]") -> None:
        for data, samples in packets:
            self._mux(self._sound.stream, data, samples * 125 // 6, True)

    def _mux(self, stream: Stream, data: bytes, at_us: int, keyframe: bool) -> None:
        packet: Any = av.Packet(data)
        packet.stream = stream
        packet.time_base = _MICROSECOND
        packet.pts = packet.dts = at_us
        packet.is_keyframe = keyframe
        self._container.mux_one(packet)
        self.bytes += len(data)


class _Opus:
    """The sound as it is."""

    def __init__(self, container: OutputContainer) -> None:
        with template("opus", b"") as source:
            self.stream: Stream = container.add_stream_from_template(source.streams[0], opaque=True)
        self._cursor = 0

    def push(self, data: bytes, start: int) -> list[tuple[bytes, int]]:
        """A packet that starts at a sample; with what fills the gap before it."""
        length = opus_duration(data)
        if not length or start < self._cursor - _TOLERANCE:
            return []
        packets = self.advance(start) if start > self._cursor + _TOLERANCE else []
        packets.append((data, self._cursor))
        self._cursor += length
        return packets

    def advance(self, until: int) -> list[tuple[bytes, int]]:
        """Silence up to there."""
        packets = []
        for data, length in silence(until - self._cursor):
            packets.append((data, self._cursor))
            self._cursor += length
        return packets


class _Aac:
    """The sound, decoded and encoded anew: what RTMP platforms understand."""

    def __init__(self, container: OutputContainer) -> None:
        self.stream = container.add_stream("aac", rate=OPUS_RATE, layout=_LAYOUT)
        self.stream.bit_rate = AAC_BITS_PER_SECOND
        self.stream.codec_context.options = {"aac_coder": "fast"}  # a third of the default's CPU
        self._decoder: Any = av.CodecContext.create("opus", "r")
        self._decoder.sample_rate, self._decoder.layout = OPUS_RATE, _LAYOUT
        self._resampler = AudioResampler("fltp", _LAYOUT, OPUS_RATE)
        self._fifo = AudioFifo()
        self._cursor = 0  # samples that went into the fifo
        self._read = 0  # and out of it

    def push(self, data: bytes, start: int) -> list[tuple[bytes, int]]:
        """A packet that starts at a sample; the AAC frames that are complete with it."""
        if not opus_duration(data) or start < self._cursor - _TOLERANCE:
            return []
        if start > self._cursor + _TOLERANCE:
            self._add_silence(start)
        try:
            frames = self._decoder.decode(av.Packet(data))
        except av.InvalidDataError:
            return self._encode()  # the next one fills its place with silence
        for frame in frames:
            for samples in self._resampler.resample(frame):
                self._add(samples)
        return self._encode()

    def advance(self, until: int) -> list[tuple[bytes, int]]:
        """Silence up to there."""
        if until <= self._cursor:
            return []
        self._add_silence(until)
        return self._encode()

    def _add_silence(self, until: int) -> None:
        while self._cursor < until:
            frame = AudioFrame("fltp", _LAYOUT, min(until - self._cursor, OPUS_RATE))
            frame.sample_rate = OPUS_RATE
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            self._add(frame)

    def _add(self, frame: AudioFrame) -> None:
        frame.pts = None
        self._cursor += frame.samples
        self._fifo.write(frame)

    def _encode(self) -> list[tuple[bytes, int]]:
        packets: list[tuple[bytes, int]] = []
        while block := self._fifo.read(_AAC_FRAME):
            block.pts, block.time_base = self._read, Fraction(1, OPUS_RATE)
            self._read += _AAC_FRAME
            for packet in self.stream.encode(block):
                packets.append((bytes(packet), max(packet.pts or 0, 0)))
        return packets


def _options(container: str) -> dict[str, str]:
    if container == "flv":
        return {"flvflags": "no_duration_filesize", "flush_packets": "1"}
    return {"mpegts_flags": "+resend_headers", "pat_period": "0.5", "flush_packets": "1"}
