"""What the demo teacher says: a babble that sounds like speech, and a tone every two seconds.

The babble is a source and a filter: a buzz at the pitch of the voice, its harmonics weighted by
three formants that glide from vowel to vowel (Peterson and Barney, 1952). It pauses around each
tone, so that the tone's beginning can be measured to a millisecond.
"""

import numpy as np
from numpy.typing import NDArray

from clients.headless.marks import BEEP_HZ, FLASH_LENGTH, FLASH_PERIOD, Samples

RATE = 48000

_VOWELS = np.array(  # formants in Hz, of women's voices
    [
        (850, 1220, 2810),  # a
        (610, 2330, 2990),  # e
        (310, 2790, 3310),  # i
        (590, 920, 2710),  # o
        (370, 950, 2670),  # u
        (500, 1640, 1960),  # er
    ],
    dtype=np.float32,
)
_BANDWIDTHS = np.array((90, 110, 170), dtype=np.float32)
_GAINS = np.array((1.0, 0.5, 0.25), dtype=np.float32)
_PITCH = 205.0
_HARMONICS = 18
_SYLLABLE = 0.22
_BEEP_LEVEL = 0.5
_VOICE_LEVEL = 0.18
_QUIET = 0.12  # seconds without speech before and after a tone
_CONTROL_RATE = 400  # Hz at which formants and pitch are computed; in between they are interpolated


def voice(seconds: float) -> Samples:
    """Mono samples at 48 kHz in -1..1. Repeating them is seamless when seconds is even."""
    count = round(seconds * RATE)
    babble = _babble(seconds, count) * _pauses(count)
    return (babble + _beeps(count)).astype(np.float32)


def _babble(seconds: float, count: int) -> Samples:
    steps = round(seconds * _CONTROL_RATE) + 1
    control = np.arange(steps) / _CONTROL_RATE
    pitch = _pitch(control)
    phase = 2 * np.pi * np.cumsum(_interpolated(pitch, count)) / RATE
    formants = _formants(control)
    loudness = _syllables(control)
    out: Samples = np.zeros(count, dtype=np.float32)
    for harmonic in range(1, _HARMONICS + 1):
        gain = _filter_gain(pitch * harmonic, formants) * loudness / harmonic**0.5
        out += _interpolated(gain, count) * np.sin(harmonic * phase).astype(np.float32)
    return np.asarray(out * (_VOICE_LEVEL / np.abs(out).max()), np.float32)


def _pitch(control: Samples) -> Samples:
    """A sentence melody: it falls over three seconds and wavers a little."""
    fall = 1.12 - 0.24 * (control / 3.0 % 1.0)
    return np.asarray(_PITCH * fall * (1 + 0.02 * np.sin(2 * np.pi * 5.1 * control)), np.float32)


def _formants(control: Samples) -> NDArray[np.float32]:
    """(steps, 3) in Hz, gliding from one vowel to the next."""
    order = np.random.default_rng(7).integers(0, len(_VOWELS), int(control[-1] / _SYLLABLE) + 2)
    times = (np.arange(len(order)) + 0.5) * _SYLLABLE
    columns = [np.interp(control, times, _VOWELS[order, i]) for i in range(_VOWELS.shape[1])]
    return np.stack(columns, axis=1).astype(np.float32)


def _syllables(control: Samples) -> Samples:
    """Loudness: each syllable swells and fades."""
    return np.asarray(np.sin(np.pi * (control / _SYLLABLE % 1.0)) ** 0.6, np.float32)


def _filter_gain(frequency: Samples, formants: NDArray[np.float32]) -> Samples:
    """How much the mouth lets through of a frequency: a resonance per formant."""
    distance = (frequency[:, None] - formants) / _BANDWIDTHS
    return np.asarray((_GAINS / (1 + distance**2)).sum(axis=1), np.float32)


def _interpolated(control: Samples, count: int) -> Samples:
    """A control curve brought to the sample rate."""
    places = np.arange(count) * (_CONTROL_RATE / RATE)
    return np.asarray(np.interp(places, np.arange(len(control)), control), np.float32)


def _beeps(count: int) -> Samples:
    now = np.arange(count) / RATE
    on = now % FLASH_PERIOD < FLASH_LENGTH
    return np.asarray(_BEEP_LEVEL * np.sin(2 * np.pi * BEEP_HZ * now) * on, np.float32)


def _pauses(count: int) -> Samples:
    """1 where speech may be, 0 around the tones, with short ramps."""
    since = np.arange(count) / RATE % FLASH_PERIOD
    distance = np.minimum(since - FLASH_LENGTH, FLASH_PERIOD - since)
    return np.asarray(np.clip((distance - _QUIET) / 0.02, 0, 1), np.float32)
