import numpy as np
import pytest

from clients.headless import demo_voice
from clients.headless.marks import beep_onsets


def test_the_voice_pauses_around_the_tone():
    samples = demo_voice.voice(4.0)
    quiet = samples[round(2.1 * demo_voice.RATE) + 10 : round(2.21 * demo_voice.RATE)]
    assert np.abs(quiet).max() == 0
    assert np.abs(samples[round(2.5 * demo_voice.RATE) : round(3.5 * demo_voice.RATE)]).max() > 0.05


def test_a_tone_begins_every_two_seconds():
    onsets = beep_onsets(demo_voice.voice(6.0), demo_voice.RATE)
    assert onsets == pytest.approx([0.0, 2.0, 4.0], abs=0.0005)


def test_it_never_clips():
    assert np.abs(demo_voice.voice(4.0)).max() <= 0.7


def test_it_is_speech_not_a_hum():
    """Its spectrum moves from syllable to syllable, and lies where a voice lies."""
    speech = demo_voice.voice(2.0)[round(0.4 * demo_voice.RATE) : round(1.6 * demo_voice.RATE)]
    blocks = speech[: len(speech) // 4096 * 4096].reshape(-1, 4096) * np.hanning(4096)
    power = np.abs(np.fft.rfft(blocks)) ** 2
    frequency = np.fft.rfftfreq(4096, 1 / demo_voice.RATE)
    centroid = (power * frequency).sum(axis=1) / power.sum(axis=1)
    assert centroid.min() > 150
    assert centroid.max() < 3000
    assert centroid.max() > 1.3 * centroid.min()
