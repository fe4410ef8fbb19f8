"""A film's sound as Opus packets without holes from lesson time 0: copied, or made."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from recorder.pipeline import codecs

RATE = codecs.OPUS_RATE

_FRAME = 960
_TOLERANCE = 2 * _FRAME  # samples that a clock may be off before silence goes in
_BITS = 64_000
_MOST_SILENCE = 24 * 3_600 * RATE

Emit = Callable[[bytes, int, int], None]
"""Takes a packet, its start and its length in samples."""


class Passed:
    """Opus packets as they are; what is missing between them is silent."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._cursor = 0

    def push(self, packet: Any, seconds: float) -> None:
        """Add a packet that begins at this lesson time."""
        data = bytes(packet)
        length = codecs.opus_duration(data)
        ahead = round(seconds * RATE) - self._cursor
        if not length or ahead < -_TOLERANCE:
            return
        if ahead > _TOLERANCE:
            self._silence(ahead)
        self._put(data, length)

    def finish(self, seconds: float) -> None:
        """Be silent up to the film's end."""
        self._silence(round(seconds * RATE) - self._cursor)

    def _silence(self, samples: int) -> None:
        for data, length in codecs.silence(min(samples, _MOST_SILENCE)):
            self._put(data, length)

    def _put(self, data: bytes, length: int) -> None:
        self._emit(data, self._cursor, length)
        self._cursor += length


class Coded:
    """Sound of any codec, decoded and encoded as Opus."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._cursor = 0
        self._taken = 0
        """Samples that have come in, fillings too."""
        self._resampler = AudioResampler(format="s16", layout="stereo", rate=RATE)
        self._rest = np.zeros((1, 0), np.int16)
        encoder: Any = av.CodecContext.create("libopus", "w")
        encoder.sample_rate, encoder.layout, encoder.format = RATE, "stereo", "s16"
        encoder.bit_rate, encoder.time_base = _BITS, Fraction(1, RATE)
        encoder.options = {"frame_duration": "20"}
        self._encoder = encoder

    def push(self, packet: Any, seconds: float) -> None:
        """Add a packet that begins at this lesson time; a damaged one is left out."""
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            self._add(frame, seconds)
            seconds += frame.samples / max(frame.sample_rate, 1)

    def finish(self, seconds: float) -> None:
        """Be silent up to the film's end, and write what waits."""
        self._fill(round(seconds * RATE) - self._taken)
        self._take(np.zeros((1, -self._rest.shape[1] % (2 * _FRAME)), np.int16))
        for packet in self._encoder.encode(None):
            self._put(bytes(packet))

    def _add(self, frame: AudioFrame, seconds: float) -> None:
        ahead = round(seconds * RATE) - self._taken
        if ahead > _TOLERANCE:
            self._fill(ahead)
        elif ahead < -RATE // 2:
            return  # a clock that went back: this was heard already
        frame.pts = None
        for resampled in self._resampler.resample(frame):
            self._take(resampled.to_ndarray())

    def _fill(self, samples: int) -> None:
        samples = min(samples, _MOST_SILENCE)
        while samples > 0:
            now = min(samples, RATE)
            self._take(np.zeros((1, 2 * now), np.int16))
            samples -= now

    def _take(self, samples: np.ndarray) -> None:
        """Interleaved samples of two channels."""
        self._taken += samples.shape[1] // 2
        joined = np.concatenate([self._rest, samples], axis=1)
        whole = joined.shape[1] // (2 * _FRAME) * (2 * _FRAME)
        self._rest = joined[:, whole:]
        for piece in _pieces(joined[:, :whole]):
            frame = AudioFrame.from_ndarray(piece, format="s16", layout="stereo")
            frame.sample_rate, frame.pts = RATE, None
            for packet in self._encoder.encode(frame):
                self._put(bytes(packet))

    def _put(self, data: bytes) -> None:
        self._emit(data, self._cursor, _FRAME)
        self._cursor += _FRAME


def _pieces(samples: np.ndarray) -> Iterator[np.ndarray]:
    for at in range(0, samples.shape[1], 2 * _FRAME):
        yield np.ascontiguousarray(samples[:, at : at + 2 * _FRAME])
