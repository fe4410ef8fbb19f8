"""One microphone on its way into the mix: its packets, and what they sound like when asked.

Packets wait in `queue` until the lesson's sound has come past them. Most are handed on as they
are, so nothing is decoded before `decode` is called; then a new decoder is fed the last few packets
first (`PRIMING`), because an Opus decoder needs about 80 ms to sound like the one it replaces
(RFC 6716, 4.5, of the state that prediction leaves behind).

Times are in samples of 48 kHz of the lesson.
"""

from collections import deque
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from recorder.pipeline.codecs import OPUS_RATE

Samples = NDArray[np.float32]
"""Sound between -1 and 1, by channel (one or two) and time."""

FRAME = 960
"""20 ms."""
PRIMING = 5
"""Packets that a new decoder hears before the first one that counts."""
TOLERANCE = 480
"""How far a packet may be off its neighbour's end and still touch it: the sender's clock drifts."""

_LOUD = 0.00316  # -50 dB of full scale (rms): speech is above, a room behind noise reduction below
_SILENT_BYTES = 3  # DTX and digital silence: a TOC and at most two bytes
_STEREO = 4  # the TOC's channel bit (RFC 6716, 3.1)
_QUEUED = 512  # packets that may wait: ten seconds


class Packet(NamedTuple):
    """An Opus packet at its place in the lesson."""

    time_us: int
    start: int
    length: int
    data: bytes
    after_loss: bool

    @property
    def end(self) -> int:
        """Where the next one should start."""
        return self.start + self.length

    @property
    def silent(self) -> bool:
        """It says that there is nothing to hear."""
        return len(self.data) <= _SILENT_BYTES


class Voice:
    """A track of sound while it is published. `push` in order; `pop` what the lesson has passed."""

    def __init__(self, track: int, rank: int) -> None:
        self.track = track
        self.rank = rank
        """Who comes first when not all can be heard: the least."""
        self.queue: deque[Packet] = deque()
        self.known = 0
        """What is before this time has come."""
        self.awaited: int | None = None
        """Packets from here on are known to come, although the first is not placed yet."""
        self.ended = False
        """Nothing more comes: it is muted, or not published any more."""
        self.gain = 0.0
        """How much of it is in the mix now."""
        self._passed: deque[Packet] = deque(maxlen=PRIMING)
        self._decoder: Any = None
        self._decoded = 0  # how many of the queue, from its front
        self._sound: deque[tuple[int, Samples]] = deque()
        self._sound_end = 0
        self._loud: deque[int] = deque()

    def push(self, packet: Packet) -> bool:
        """Take the next packet; False when there are too many."""
        self.awaited = None
        if len(self.queue) >= _QUEUED:
            return False
        self.queue.append(packet)
        self.known = max(self.known, packet.end)
        return True

    def pass_by(self, packet: Packet) -> None:
        """The packet went on as it is and never waited; it may be needed to prime a decoder."""
        self.awaited = None
        self.known = packet.end
        self._decoder = None
        self._passed.append(packet)

    def pop(self) -> Packet:
        """The lesson's sound has come past the first packet."""
        packet = self.queue.popleft()
        if self._decoded:
            self._decoded -= 1
        else:
            self._decoder = None  # it has missed this one
        self._passed.append(packet)
        return packet

    def decode(self, until: int) -> None:
        """Know how everything sounds that starts before `until`."""
        if self._decoder is None:
            self._begin()
        while self._decoded < len(self.queue):
            packet = self.queue[self._decoded]
            if packet.start >= until:
                return
            self._hear(packet)
            self._decoded += 1

    def heard(self, start: int, end: int) -> bool:
        """Something loud was decoded between these times."""
        while self._loud and self._loud[0] < start:
            self._loud.popleft()
        return bool(self._loud) and self._loud[0] < end

    def sound(self, start: int, length: int, channels: int) -> Samples:
        """What was decoded of this stretch, silence where there is nothing."""
        out = np.zeros((channels, length), np.float32)
        for at, block in self._sound:
            first, last = max(at, start), min(at + block.shape[1], start + length)
            if first < last:
                piece = block[:, first - at : last - at]
                if channels < piece.shape[0]:
                    piece = piece.mean(axis=0, keepdims=True)
                out[:, first - start : last - start] = piece
        return out

    def forget(self, before: int) -> None:
        """Sound before this time will not be asked for."""
        while self._sound and self._sound[0][0] + self._sound[0][1].shape[1] <= before:
            self._sound.popleft()

    @property
    def stereo(self) -> bool:
        """Its newest packet has two channels."""
        newest = self.queue or self._passed
        return bool(newest) and bool(newest[-1].data[0] & _STEREO)

    def _begin(self) -> None:
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate = OPUS_RATE
        self._decoder.layout = "stereo" if self.stereo else "mono"
        self._decoded = 0
        self._sound.clear()
        self._sound_end = 0
        for packet in self._passed:
            self._hear(packet)

    def _hear(self, packet: Packet) -> None:
        block = None if packet.silent else self._pcm(packet)
        if abs(packet.start - self._sound_end) > TOLERANCE:
            self._sound_end = packet.start
        start = self._sound_end
        self._sound_end += packet.length
        if block is None:
            return
        self._sound.append((start, block))
        if float(np.sqrt(np.mean(np.square(block)))) > _LOUD:
            self._loud.append(start)

    def _pcm(self, packet: Packet) -> Samples | None:
        """As many samples as the packet says; None when it cannot be decoded."""
        try:
            frames = self._decoder.decode(av.Packet(packet.data))
        except av.FFmpegError:
            return None
        if not frames:
            return None
        channels = len(frames[0].layout.channels)
        parts = [np.asarray(f.to_ndarray(), np.float32).reshape(-1, channels).T for f in frames]
        block: Samples = np.concatenate(parts, axis=1)[:, : packet.length]
        return block / np.float32(32768)
