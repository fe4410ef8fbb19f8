"""Voices for the tests of the mix: real Opus packets of tones, and an ear that hears them again."""

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import av
import numpy as np

RATE = 48_000


class Packet(NamedTuple):
    """What the mixer asks of a frame."""

    data: bytes
    after_loss: bool = False


@cache
def tone(
    hertz: int,
    seconds: float,
    *,
    level: float = 0.3,
    application: str = "audio",
    bit_rate: int = 48_000,
    channels: int = 1,
) -> tuple[bytes, ...]:
    """20 ms packets of a sine."""
    times = np.arange(round(seconds * RATE)) / RATE
    return encode(level * np.sin(2 * np.pi * hertz * times), application, bit_rate, channels)


def encode(
    sound: np.ndarray, application: str = "audio", bit_rate: int = 48_000, channels: int = 1
) -> tuple[bytes, ...]:
    """Whole 20 ms packets of a sound between -1 and 1."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format = RATE, "flt"
    encoder.layout = layout = "mono" if channels == 1 else "stereo"
    encoder.bit_rate, encoder.time_base = bit_rate, Fraction(1, RATE)
    encoder.options = {"application": application}
    packets = []
    for at in range(0, len(sound) - 959, 960):
        block = np.repeat(sound[at : at + 960].astype(np.float32), channels)[None]
        frame = av.AudioFrame.from_ndarray(block, "flt", layout)
        frame.sample_rate = RATE
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets)


def decode(packets: list[bytes]) -> np.ndarray:
    """What a listener with one decoder hears, mono."""
    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = RATE, "mono"
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]) / 32_768


def loudness(sound: np.ndarray, hertz: int, window: float = 0.02) -> np.ndarray:
    """The level of one tone, by windows."""
    size = round(window * RATE)
    times = np.arange(len(sound)) / RATE
    mixed = sound * np.exp(-2j * np.pi * hertz * times)
    count = len(sound) // size
    return 2 * np.abs(mixed[: count * size].reshape(count, size).mean(axis=1))


def level(sound: np.ndarray, window: float = 0.01) -> np.ndarray:
    """The rms level, by windows that overlap."""
    size = round(window * RATE)
    power = np.convolve(sound**2, np.ones(size) / size, "valid")
    return np.sqrt(np.maximum(power, 0))
