"""Marks that survive a codec: what the demo lesson carries so that a machine can judge it.

Written by `demo_scene` and `demo_voice`, read by `selftest` and the tests:

- a `Strip` of black and white cells holds the number of the frame, so that a picture received
  can be compared with the picture sent;
- every `FLASH_PERIOD` seconds the lamp on the wall goes white and a 1 kHz tone begins in the same
  instant, so that the skew between sound and picture can be measured.

Pictures are luma planes: uint8 arrays of shape (height, width). Places are given for a picture of
1280x720; a reader scales them to the picture it was handed.
"""

from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
Samples = NDArray[np.floating]

WIDTH, HEIGHT = 1280, 720

BLACK, WHITE = 16, 235
"""Luma of the darkest and brightest colour in limited range (BT.601)."""

FLASH_PERIOD = 2.0
"""Seconds from one flash and beep to the next; the first is at 0."""
FLASH_LENGTH = 0.1
"""Seconds the lamp and the tone stay on."""
BEEP_HZ = 1000
LAMP = (48, 56, 64, 64)
"""x, y, width, height of the part of the lamp that is lit evenly."""

_NUMBER_BITS = 16
_CHECK_BITS = 4
_CELLS = 2 + _NUMBER_BITS + _CHECK_BITS  # a white and a black cell lead, to find the threshold
_MIN_CONTRAST = 60


@dataclass(frozen=True)
class Strip:
    """A row of square cells that spells a number from 0 to 65535."""

    x: int
    y: int
    cell: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x, y, width, height."""
        return self.x, self.y, self.cell * _CELLS, self.cell

    def draw(self, luma: Luma, number: int) -> None:
        """Write `number` into the picture."""
        cells = np.where(_bits(number), WHITE, BLACK).astype(np.uint8)
        box = luma[self.y : self.y + self.cell, self.x : self.x + self.cell * _CELLS]
        box[:] = np.repeat(cells, self.cell)

    def read(self, luma: Luma) -> int | None:
        """The number in the picture; None when there is none that can be trusted."""
        values = self._cell_values(luma)
        white, black = values[0], values[1]
        if white - black < _MIN_CONTRAST:
            return None
        bits = values > (white + black) / 2
        number = int(np.packbits(bits[2 : 2 + _NUMBER_BITS]).view(">u2")[0])
        return number if np.array_equal(bits, _bits(number)) else None

    def _cell_values(self, luma: Luma) -> NDArray[np.float64]:
        """The mean of the inner half of each cell: edges are blurred by the codec."""
        scale = luma.shape[1] / WIDTH
        values = np.empty(_CELLS)
        for i in range(_CELLS):
            left = (self.x + (i + 0.25) * self.cell) * scale
            top = (self.y + 0.25 * self.cell) * scale
            values[i] = _mean(luma, left, top, self.cell / 2 * scale, self.cell / 2 * scale)
        return values


CAMERA_STRIP = Strip(x=160, y=656, cell=24)
SLIDES_STRIP = Strip(x=96, y=696, cell=8)


def luma_of(frame: av.VideoFrame) -> Luma:
    """The luma plane of a decoded yuv420p picture, without a copy."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def lamp_is_lit(luma: Luma) -> bool:
    """Whether the lamp on the wall is white in this picture."""
    scale = luma.shape[1] / WIDTH
    x, y, width, height = (value * scale for value in LAMP)
    return _mean(luma, x, y, width, height) > (BLACK + WHITE) / 2


def beep_onsets(samples: Samples, rate: int) -> list[float]:
    """The times, in seconds from the first sample, at which the 1 kHz tone begins.

    The tone is mixed down to 0 Hz and averaged over 10 ms; it begins where that passes half of
    its plateau, when the window is half filled. Speech around it never holds that level for as
    long as a beep lasts.
    """
    if len(samples) < rate // 10:
        return []
    turns = np.exp(-2j * np.pi * BEEP_HZ / rate * np.arange(len(samples)))
    window = np.ones(rate // 100) / (rate // 100)
    level = np.abs(np.convolve(samples * turns, window, mode="same"))
    loud = np.concatenate(([False], level > level.max() / 2, [False]))
    starts = np.flatnonzero(~loud[:-1] & loud[1:])
    ends = np.flatnonzero(loud[:-1] & ~loud[1:])
    long_enough = (ends - starts) > 0.8 * FLASH_LENGTH * rate
    return [float(start) / rate for start in starts[long_enough]]


def skew_ms(flashes: list[float], beeps: list[float]) -> float | None:
    """Median of (beep - flash) in milliseconds over the flashes that have a beep near them.

    Positive: the sound is late. None when nothing pairs up.
    """
    if not beeps:
        return None
    distances = [min((beep - flash for beep in beeps), key=abs) for flash in flashes]
    paired = [distance for distance in distances if abs(distance) < FLASH_PERIOD / 2]
    return float(np.median(paired) * 1000) if paired else None


def _bits(number: int) -> NDArray[np.bool_]:
    nibbles = sum((number >> shift) & 0xF for shift in (0, 4, 8, 12))
    word = (number << _CHECK_BITS) | (nibbles & 0xF)
    digits = [bool(word >> i & 1) for i in reversed(range(_NUMBER_BITS + _CHECK_BITS))]
    return np.array([True, False, *digits])


def _mean(luma: Luma, x: float, y: float, width: float, height: float) -> float:
    left, top = round(x), round(y)
    right, bottom = max(left + 1, round(x + width)), max(top + 1, round(y + height))
    return float(luma[top:bottom, left:right].mean())
