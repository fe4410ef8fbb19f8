import numpy as np
import pytest

from clients.headless.marks import (
    CAMERA_STRIP,
    SLIDES_STRIP,
    beep_onsets,
    lamp_is_lit,
    skew_ms,
)

RATE = 48000


def grey(width: int = 1280, height: int = 720) -> np.ndarray:
    return np.full((height, width), 90, np.uint8)


@pytest.mark.parametrize("strip", [CAMERA_STRIP, SLIDES_STRIP])
@pytest.mark.parametrize("number", [0, 1, 599, 0x5555, 65535])
def test_a_strip_reads_back_what_was_drawn(strip, number):
    picture = grey()
    strip.draw(picture, number)
    assert strip.read(picture) == number


def test_a_strip_is_read_from_a_smaller_picture():
    picture = grey()
    CAMERA_STRIP.draw(picture, 1234)
    small = picture.reshape(180, 4, 320, 4).mean(axis=(1, 3)).astype(np.uint8)
    assert CAMERA_STRIP.read(small) == 1234


def test_a_strip_survives_noise():
    picture = grey()
    CAMERA_STRIP.draw(picture, 777)
    noise = np.random.default_rng(0).normal(0, 20, picture.shape)
    noisy = (picture + noise).clip(0, 255).astype(np.uint8)
    assert CAMERA_STRIP.read(noisy) == 777


def test_no_strip_is_no_number():
    assert CAMERA_STRIP.read(grey()) is None


@pytest.mark.parametrize("cell", range(2, 22))
def test_a_damaged_cell_is_noticed(cell):
    picture = grey()
    CAMERA_STRIP.draw(picture, 300)
    x = CAMERA_STRIP.x + cell * CAMERA_STRIP.cell
    box = picture[CAMERA_STRIP.y : CAMERA_STRIP.y + CAMERA_STRIP.cell, x : x + CAMERA_STRIP.cell]
    box[:] = 251 - box
    assert CAMERA_STRIP.read(picture) is None


def test_the_lamp():
    picture = grey()
    assert not lamp_is_lit(picture)
    picture[40:136, 32:128] = 235
    assert lamp_is_lit(picture)
    assert lamp_is_lit(picture[::2, ::2])


def beep(length: float, at: float, total: float = 2.0) -> np.ndarray:
    now = np.arange(round(total * RATE)) / RATE
    return 0.5 * np.sin(2 * np.pi * 1000 * now) * ((now >= at) & (now < at + length))


def test_a_beep_is_found_to_a_millisecond():
    assert beep_onsets(beep(0.1, 0.7371), RATE) == pytest.approx([0.7371], abs=0.001)


def test_a_click_is_no_beep():
    assert beep_onsets(beep(0.02, 0.5), RATE) == []


def test_too_little_sound_has_no_beep():
    assert beep_onsets(np.zeros(100), RATE) == []


def test_skew_is_the_median_over_pairs():
    assert skew_ms([0.0, 2.0, 4.0], [0.01, 2.012, 4.5]) == pytest.approx(12)


def test_early_sound_is_negative_skew():
    assert skew_ms([2.0], [1.95]) == pytest.approx(-50)


def test_skew_without_pairs_is_unknown():
    assert skew_ms([], [1.0]) is None
    assert skew_ms([1.0], []) is None
    assert skew_ms([1.0], [5.0]) is None
