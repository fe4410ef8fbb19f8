"""Small pictures of a lesson in sheets, so that a seek bar needs a handful of files.

Only pictures that segments begin with are decoded: one for each tile.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from recorder.archive.extras.webvtt import Cue, render

COLUMNS, ROWS = 10, 10
HEIGHT = 90
"""Pixels of a tile; its width follows from the picture's shape."""
MOST = 1_080
"""Tiles of one lesson: one each 10 s for three hours, farther apart in a longer one."""

_WIDEST = 240
_SOONEST, _USUAL, _FEW = 1.0, 10.0, 60


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a small picture is: a sheet's number from 0, and there the rectangle in pixels."""

    sheet: int
    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of tiles as a JPEG."""

    number: int
    jpeg: bytes


def spacing(duration: float) -> float:
    """Seconds between the tiles of a lesson."""
    return max(min(_USUAL, max(_SOONEST, duration / _FEW)), duration / MOST)


class Album:
    """Pictures in, sheets out; all tiles are as wide as the first picture makes them."""

    def __init__(self) -> None:
        self.width = 0
        self.count = 0
        self._planes: list[np.ndarray] = []

    def add(self, picture: VideoFrame) -> Iterator[Sheet]:
        """Add the next tile; gives the sheet that this one fills, if it does."""
        if not self.width:
            shape = picture.width / max(picture.height, 1)
            self.width = min(_WIDEST, max(16, round(HEIGHT * shape))) & ~1
        at = self.count % (COLUMNS * ROWS)
        if at == 0:
            self._planes = _black(self.width * COLUMNS, HEIGHT * ROWS)
        row, column = divmod(at, COLUMNS)
        for plane, small in zip(self._planes, _small(picture, self.width), strict=True):
            height, width = small.shape
            top, left = row * height, column * width
            plane[top : top + height, left : left + width] = small
        self.count += 1
        if at == COLUMNS * ROWS - 1:
            yield self._finished(ROWS)

    def last(self) -> Iterator[Sheet]:
        """The sheet that is not full, if there is one."""
        rest = self.count % (COLUMNS * ROWS)
        if rest:
            yield self._finished(-(-rest // COLUMNS))

    def tile(self, number: int) -> Tile:
        """Where a tile is, by its number from 0."""
        sheet, at = divmod(number, COLUMNS * ROWS)
        row, column = divmod(at, COLUMNS)
        return Tile(sheet, column * self.width, row * HEIGHT, self.width, HEIGHT)

    def _finished(self, rows: int) -> Sheet:
        number = (self.count - 1) // (COLUMNS * ROWS)
        flat = [plane[: len(plane) * rows // ROWS].ravel() for plane in self._planes]
        pixels = np.concatenate(flat).reshape(HEIGHT * rows * 3 // 2, self.width * COLUMNS)
        return Sheet(number, _jpeg(VideoFrame.from_ndarray(pixels, "yuvj420p")))


def webvtt(tiles: Iterable[tuple[float, float, str]]) -> str:
    """WebVTT thumbnails from (start, end, what shows it: `file#xywh=x,y,w,h`)."""
    return render([Cue(start, end, text) for start, end, text in tiles])


def _small(picture: VideoFrame, width: int) -> list[np.ndarray]:
    """A tile's planes: brightness, and two of colour of half the width and height."""
    flat = picture.reformat(width=width, height=HEIGHT, format="yuvj420p").to_ndarray().ravel()
    size = width * HEIGHT
    half = HEIGHT // 2, width // 2
    return [
        flat[:size].reshape(HEIGHT, width),
        flat[size : size + size // 4].reshape(half),
        flat[size + size // 4 :].reshape(half),
    ]


def _black(width: int, height: int) -> list[np.ndarray]:
    half = height // 2, width // 2
    return [
        np.zeros((height, width), np.uint8),
        np.full(half, 128, np.uint8),
        np.full(half, 128, np.uint8),
    ]


def _jpeg(picture: VideoFrame) -> bytes:
    encoder = VideoCodecContext.create("mjpeg", mode="w")
    encoder.width, encoder.height = picture.width, picture.height
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
    encoder.thread_count = 1
    encoder.qmin = encoder.qmax = 6
    picture.pts, picture.time_base = 0, encoder.time_base
    out = io.BytesIO()
    for packet in [*encoder.encode(picture), *encoder.encode(None)]:
        out.write(bytes(packet))
    return out.getvalue()
