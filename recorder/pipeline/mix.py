"""The lesson's one sound, from all its microphones.

While one publisher is heard, its packets go on untouched: no cost, no loss. While another one is
heard as well (a school that has the floor), both are decoded, mixed and encoded anew, and only
then. "Heard" means louder than a quiet room within the last second.

What goes on is one Opus stream, which a listener decodes with one decoder. So no change may leave
that decoder with a state that has nothing to do with what follows:

- The mix begins `_LEAD` before the newcomer is heard, with its predecessor alone: the same sound
  as before, which then changes by gain. It ends the same way.
- The encoder is of the CELT kind (`lowdelay`), which keeps little state, and is first fed the
  80 ms before the change. After packets of the SILK kinds it is not: there the listener's decoder
  resets its CELT part itself (RFC 6716, 4.5.2), and begins anew as the encoder does.
- The encoder's lookahead is taken back by giving it sound from that much later.

What comes out depends on the packets and on the journal's clock (`advance`) alone.
"""

from collections import deque
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import numpy as np

from recorder.pipeline.codecs import OPUS_RATE, opus_duration
from recorder.pipeline.voices import FRAME, PRIMING, TOLERANCE, Packet, Samples, Voice

if TYPE_CHECKING:
    from sfu._media import Frame

BITS_PER_SECOND = 48_000
"""What a mix is encoded with."""
PATIENCE = OPUS_RATE
"""Who has been sending and falls silent is waited for so long (samples): its link stalls."""
VOICES = 8
"""Microphones that are listened to at once."""
HEARD = 3
"""Of those, how many are mixed."""

_DTX_PATIENCE = OPUS_RATE * 3 // 10  # who said that it is silent is only as late as its link
_HANG = OPUS_RATE  # for so long after the last loud packet somebody counts as heard
_LEAD = 2 * FRAME
_LOOKAHEAD = 120  # samples by which the encoder's output is late
_FED = 4  # frames; prediction from before has faded after 80 ms
_KNEE = np.float32(0.7)  # above it the limiter is soft
_CEILING = np.float32(0.9)  # the encoder's noise comes on top
_SILK = 16  # configurations below are SILK or hybrid (RFC 6716, table 2)


class Sound(NamedTuple):
    """A packet of the lesson's sound; `data` and `after_loss` are as a `Frame` has them."""

    time_us: int
    track: int
    data: bytes
    after_loss: bool


class Mixer:
    """Packets of all microphones in, one sound out.

    In: `add` and `remove` as tracks come and go (or are muted), `expect`, `push`, `advance`,
    `finish`. Out: `poll`. What `passes` needs no push: it goes on as it is, at once.
    """

    def __init__(self) -> None:
        self.mixed = 0
        """Frames of 20 ms that were mixed."""
        self.dropped = 0
        """Packets that came too late, or were none."""
        self._voices: list[Voice] = []
        self._out: list[Sound] = []
        self._cursor = 0  # what is before was decided
        self._end = 0  # where the last packet ended that went on
        self._now = 0
        self._mix: _Mix | None = None
        self._silk = False  # the last packet that went on has another kind than a mix
        self._lone: int | None = None  # the only track there is, when nothing of it waits
        self.unnoted: deque[tuple[int, Frame]] = deque(maxlen=PRIMING)
        """What passed of it; who lets packets pass without asking (`is_lone`) adds them here."""

    def add(self, track: int, rank: int) -> None:
        """A microphone may send; who has the least `rank` is the one that goes on in silence."""
        self._note_passed()
        known = self._voice(track)
        if known is not None:
            known.ended = False
        elif len(self._voices) < VOICES:
            self._voices.append(Voice(track, rank))
            self._voices.sort(key=lambda voice: (voice.rank, voice.track))
        self._run()

    def remove(self, track: int) -> None:
        """It sends no more: what has come is still heard."""
        self._note_passed()
        voice = self._voice(track)
        if voice is not None:
            voice.ended = True
            self._run()

    def expect(self, track: int, time_us: int) -> None:
        """Packets from this time on have come, and will be pushed as soon as they are placed."""
        voice = self._voice(track)
        if voice is not None and voice.awaited is None and not voice.queue:
            voice.awaited = _samples(time_us)

    def passes(self, time_us: int, frame: "Frame", track: int) -> bool:
        """The packet need not be pushed: there is nobody else who could be heard."""
        if track != self._lone:
            return False
        self.unnoted.append((time_us, frame))
        return True

    def is_lone(self, track: int) -> bool:
        """All its packets pass, until a track comes or goes."""
        return track == self._lone

    def push(self, time_us: int, frame: "Frame", track: int) -> None:
        """Add a packet of a track; in order within the track."""
        voice = self._voice(track)
        packet = _packet(time_us, frame)
        if voice is not None and packet is not None and voice.push(packet):
            self._note_passed()
            self._run()
        else:
            self.dropped += 1

    def advance(self, now_us: int) -> None:
        """The journal's clock, as lesson time."""
        self._now = max(self._now, _samples(now_us))
        if len(self._voices) > 1 or self._mix is not None:
            self._run()

    def finish(self) -> None:
        """Nothing more comes."""
        self._note_passed()
        for voice in self._voices:
            voice.ended = True
        self._run()

    def poll(self) -> list[Sound]:
        """What was decided since the last call."""
        out, self._out = self._out, []
        return out

    def _voice(self, track: int) -> Voice | None:
        for voice in self._voices:
            if voice.track == track:
                return voice
        return None

    def _run(self) -> None:
        """Decide as far as all voices are known."""
        horizon = min(map(self._known, self._voices), default=0)
        while self._voices and self._cursor + FRAME + _LEAD + _LOOKAHEAD <= horizon:
            self._decide(horizon)
            for voice in self._voices:
                self._trim(voice)
        if any(voice.ended and not voice.queue for voice in self._voices):
            self._retire()
        if len(self._voices) == 1 and self._mix is None:
            (alone,) = self._voices
            while alone.queue:
                self._pass(alone, alone.pop())
            self._lone = alone.track

    def _note_passed(self) -> None:
        """Others may be heard from now on: take up what went by."""
        if self._lone is None:
            return
        (alone,) = self._voices
        self._lone = None
        for packet in (_packet(*passed) for passed in self.unnoted):
            if packet is not None:
                alone.pass_by(packet)
                self._go_on(alone, packet)
        self.unnoted.clear()

    def _known(self, voice: Voice) -> int:
        """What is before this time has come, or is not waited for."""
        if voice.ended:
            return max(voice.known, self._latest()) + FRAME + _LEAD + _LOOKAHEAD
        if voice.awaited is not None:
            return max(voice.awaited, self._now - PATIENCE)
        silent = not voice.queue or voice.queue[-1].silent
        return max(voice.known, self._now - (_DTX_PATIENCE if silent else PATIENCE))

    def _latest(self) -> int:
        return max(voice.known for voice in self._voices)

    def _retire(self) -> None:
        """Let those go that have ended, once all they sent has been heard."""
        stay = [voice for voice in self._voices if not voice.ended or voice.queue]
        if self._mix is None:
            self._voices = stay

    def _decide(self, horizon: int) -> None:
        """Say what is heard from the cursor on, for about a frame."""
        heard = self._heard()
        if self._mix is not None or len(heard) > 1:
            self._mix_frame(heard)
            return
        source = heard[0] if heard else self._main()
        packet = source.queue[0] if source is not None and source.queue else None
        if source is None or packet is None or packet.start >= self._cursor + FRAME:
            starts = [voice.queue[0].start for voice in self._voices if voice.queue]
            beyond = min([horizon, *starts])
            self._cursor = max(self._cursor + FRAME, beyond - FRAME - _LEAD)
            return
        source.pop()
        self._pass(source, packet)

    def _heard(self) -> list[Voice]:
        """Who is loud around the cursor, the first by rank. The main voice is only listened to
        when there is another: alone it goes on anyway."""
        until = self._cursor + FRAME + _LEAD
        main = self._main()
        others = [voice for voice in self._voices if voice is not main]
        heard = [voice for voice in others if self._is_loud(voice, until)]
        if heard and main is not None and self._is_loud(main, until):
            heard.insert(0, main)
        return heard[:HEARD]

    def _is_loud(self, voice: Voice, until: int) -> bool:
        voice.decode(until + _LOOKAHEAD)
        return voice.heard(self._cursor - _HANG, until)

    def _main(self) -> Voice | None:
        """Who goes on while nobody is heard."""
        return next((voice for voice in self._voices if voice.queue), None)

    def _pass(self, voice: Voice, packet: Packet) -> None:
        """The packet goes on as it is, unless something else stands there."""
        if packet.start < self._end - TOLERANCE:
            self.dropped += packet.end <= self._end  # else the mix before it had its beginning
            return
        self._go_on(voice, packet)
        self._out.append(Sound(packet.time_us, voice.track, packet.data, packet.after_loss))

    def _go_on(self, voice: Voice, packet: Packet) -> None:
        """The listener has heard this packet, and nothing else."""
        self._end = packet.end
        self._cursor = max(self._cursor, packet.end)
        self._silk = packet.data[0] >> 3 < _SILK
        for other in self._voices:
            other.gain = 0.0
        voice.gain = 1.0

    def _mix_frame(self, heard: list[Voice]) -> None:
        """Mix one frame; leave off when one voice is all that there is in it."""
        main = self._main()
        heard = heard or ([main] if main is not None else [])
        parts = [voice for voice in self._voices if voice in heard or voice.gain > 0]
        for voice in parts:
            voice.decode(self._cursor + FRAME + _LOOKAHEAD)
        if self._mix is None:
            self._cursor = max(self._end, self._cursor)
            self._mix = _Mix(self._cursor, parts, primed=not self._silk)
        data = self._mix.frame(self._cursor, [(voice, voice in heard) for voice in parts])
        time_us = -(-self._cursor * 125 // 6)
        track = parts[0].track if parts else 0
        self._out.append(Sound(time_us, track, data, False))
        self.mixed += 1
        self._cursor += FRAME
        self._end = self._cursor
        self._silk = False
        if sum(voice.gain > 0 for voice in self._voices) < 2:
            self._mix = None

    def _trim(self, voice: Voice) -> None:
        """Drop what the cursor has passed."""
        while voice.queue and voice.queue[0].end <= self._cursor - TOLERANCE:
            voice.pop()
        voice.forget(self._cursor - (_FED + 1) * FRAME)


class _Mix:
    """One stretch of mixed sound."""

    def __init__(self, start: int, voices: Iterable[Voice], *, primed: bool) -> None:
        voices = list(voices)
        self._channels = 2 if any(voice.stereo for voice in voices) else 1
        self._encoder = _encoder(self._channels)
        if primed:
            for number in range(_FED, 0, -1):
                at = start - number * FRAME
                before = [voice.gain * self._sound(voice, at) for voice in voices]
                self._encode(sum(before, self._silence()))

    def frame(self, at: int, voices: list[tuple[Voice, bool]]) -> bytes:
        """The packet of the frame at `at`; voices come and go within a frame."""
        total = self._silence()
        for voice, present in voices:
            target = 1.0 if present else 0.0
            ramp = np.linspace(voice.gain, target, FRAME, dtype=np.float32)
            total += ramp * self._sound(voice, at)
            voice.gain = target
        return self._encode(_limited(total))

    def _sound(self, voice: Voice, at: int) -> Samples:
        return voice.sound(at + _LOOKAHEAD, FRAME, self._channels)

    def _silence(self) -> Samples:
        return np.zeros((self._channels, FRAME), np.float32)

    def _encode(self, sound: Samples) -> bytes:
        packed = np.ascontiguousarray(sound.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", _LAYOUTS[self._channels])
        frame.sample_rate = OPUS_RATE
        return b"".join(map(bytes, self._encoder.encode(frame)))


_LAYOUTS = {1: "mono", 2: "stereo"}


def _encoder(channels: int) -> Any:
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format = OPUS_RATE, "flt"
    encoder.layout = _LAYOUTS[channels]
    encoder.bit_rate, encoder.time_base = BITS_PER_SECOND, Fraction(1, OPUS_RATE)
    encoder.options = {"application": "lowdelay", "frame_duration": "20"}
    return encoder


def _limited(sound: Samples) -> Samples:
    """Two loud voices at once may be louder than there is room: bend, never clip."""
    size = np.abs(sound)
    if float(size.max()) <= _KNEE:
        return sound
    room = _CEILING - _KNEE
    over = np.tanh((size - _KNEE) / room) * room + _KNEE
    return np.where(size > _KNEE, np.copysign(over, sound), sound)


def _packet(time_us: int, frame: "Frame") -> Packet | None:
    """None when it is no Opus packet."""
    length = opus_duration(frame.data)
    if not length:
        return None
    return Packet(time_us, _samples(time_us), length, frame.data, frame.after_loss)


def _samples(time_us: int) -> int:
    return time_us * 6 // 125
