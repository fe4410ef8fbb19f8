"""What the demo teacher's camera and slides show: plain pictures, animated with numpy.

The pictures are drawings (`pictures/*.svg`), rendered once to PNG so that Chinese text looks right
on a machine without a Chinese font:

    chromium --headless --hide-scrollbars --default-background-color=00000000 \\
        --window-size=1280,720 --screenshot=slide-1.png slide-1.svg

A painter keeps the still part in memory and touches only what moves: a frame costs about 3 ms.

Pictures are yuv420p as PyAV has it: one array of (height * 3 / 2, width), luma first.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

import av
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from clients.headless.marks import (
    CAMERA_STRIP,
    FLASH_LENGTH,
    FLASH_PERIOD,
    HEIGHT,
    SLIDES_STRIP,
    WHITE,
    WIDTH,
)

Picture = NDArray[np.uint8]
Alpha = NDArray[np.floating]

SLIDES = ("slide-1", "slide-2", "slide-3", "slide-4")

_NEUTRAL_CHROMA = 128
_LAMP_CENTRE, _LAMP_RADIUS = (80, 88), 42
_CLOCK_AT = (1040, 644)
_DIGIT_WIDTH = 28
_BODY_TOP = 232
_REACH = 100  # pixels from the chalk to the teacher's left side
_SHOULDER = (44, 150)  # within teacher.png
_SLEEVE = (86, 154, 107)  # Y, U, V of the teacher's blue
_HAND = (184, 105, 152)


def camera(seconds: float, rate: int) -> Iterator[Picture]:
    """The teacher at the blackboard, frame by frame. Each picture is valid until the next."""
    board, written = _Planes(_load("board")), _Planes(_load("board-written"))
    teacher, digits = _Sprite.load("teacher"), _Planes(_load("digits"))
    noise = _noise(count=8)
    frame = _Planes(np.empty_like(board.array))
    for number in range(round(seconds * rate)):
        now = number / rate
        _write_on(board, written, now)
        frame.array[:] = board.array
        _draw_teacher(frame, teacher, *_chalk(now))
        _draw_clock(frame, digits, int(now))
        frame.y += noise[number % len(noise)]
        if now % FLASH_PERIOD < FLASH_LENGTH - 0.5 / rate:
            frame.fill_disc(_LAMP_CENTRE, _LAMP_RADIUS, (WHITE, _NEUTRAL_CHROMA, _NEUTRAL_CHROMA))
        frame.grey(*CAMERA_STRIP.box)
        CAMERA_STRIP.draw(frame.y, number)
        yield frame.array


def slides(seconds: float, rate: int) -> Iterator[Picture]:
    """The slides in turn, each for the same time. Each picture is valid until the next."""
    pages = [_Planes(_load(name)) for name in SLIDES]
    total = round(seconds * rate)
    for page in pages:
        page.grey(*SLIDES_STRIP.box)
    for number in range(total):
        page = pages[number * len(pages) // total]
        SLIDES_STRIP.draw(page.y, number)
        yield page.array


@dataclass(frozen=True)
class _Stroke:
    """A part of the board that is written from left to right between two times."""

    begin: float
    end: float
    left: int
    right: int
    top: int
    bottom: int


_STROKES = (
    _Stroke(0.4, 3.2, 196, 740, 76, 150),
    _Stroke(3.8, 6.2, 196, 532, 152, 244),
    _Stroke(7.0, 10.6, 776, 1152, 190, 500),
    _Stroke(11.6, 13.4, 196, 540, 270, 336),
    _Stroke(14.0, 17.0, 196, 788, 346, 416),
    _Stroke(17.6, 19.4, 196, 590, 448, 508),
)


class _Planes:
    """The three planes of a picture, as views of one array."""

    def __init__(self, array: Picture) -> None:
        height = array.shape[0] * 2 // 3
        width = array.shape[1]
        chroma = array[height:].reshape(2, height // 2, width // 2)
        self.array = array
        self.y, self.u, self.v = array[:height], chroma[0], chroma[1]

    def boxes(self, x: int, y: int, width: int, height: int) -> tuple[Picture, Picture, Picture]:
        """The same box of each plane; all four are even."""
        half = np.s_[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2]
        return self.y[y : y + height, x : x + width], self.u[half], self.v[half]

    def grey(self, x: int, y: int, width: int, height: int) -> None:
        """Take the colour out of a box."""
        for chroma in self.boxes(x, y, width, height)[1:]:
            chroma[:] = _NEUTRAL_CHROMA

    def fill_disc(self, centre: tuple[int, int], radius: int, colour: tuple[int, int, int]) -> None:
        """A disc with a soft edge."""
        x, y, size = _even(centre[0] - radius), _even(centre[1] - radius), 2 * radius
        rows, columns = np.mgrid[y : y + size, x : x + size]
        distance = np.hypot(columns - centre[0], rows - centre[1])
        self.blend(x, y, _soft(radius - distance), colour)

    def blend(self, x: int, y: int, alpha: Alpha, colour: tuple[int, int, int]) -> None:
        """One colour through a mask; x, y and the mask's size are even."""
        masks = (alpha, _halved(alpha), _halved(alpha))
        for box, mask, value in zip(
            self.boxes(x, y, *alpha.shape[::-1]), masks, colour, strict=True
        ):
            box[:] = box + mask * (np.float32(value) - box)


@dataclass(frozen=True)
class _Sprite:
    """A picture with transparency, ready to be put into another."""

    planes: _Planes
    alpha: Alpha
    alpha_chroma: Alpha

    @classmethod
    def load(cls, name: str) -> "_Sprite":
        rgba = _decode(name).to_ndarray(format="rgba")
        alpha = rgba[..., 3].astype(np.float32) / 255
        return cls(_Planes(_load(name)), alpha, _halved(alpha))

    def draw(self, target: _Planes, x: int, y: int) -> None:
        """Put the sprite at even coordinates; it must lie inside the target."""
        height, width = self.alpha.shape
        masks = (self.alpha, self.alpha_chroma, self.alpha_chroma)
        mine = (self.planes.y, self.planes.u, self.planes.v)
        for box, mask, own in zip(target.boxes(x, y, width, height), masks, mine, strict=True):
            box[:] = box + mask * (own.astype(np.float32) - box)


def _write_on(board: _Planes, written: _Planes, now: float) -> None:
    """Copy what the chalk has passed by now."""
    for stroke in _STROKES:
        if stroke.begin <= now <= stroke.end + 0.1:
            box = (
                stroke.left,
                stroke.top,
                _even(_progress(stroke, now)),
                stroke.bottom - stroke.top,
            )
            for mine, theirs in zip(board.boxes(*box), written.boxes(*box), strict=True):
                mine[:] = theirs


def _progress(stroke: _Stroke, now: float) -> float:
    """How many pixels of the stroke are written."""
    done = min(1.0, max(0.0, (now - stroke.begin) / (stroke.end - stroke.begin)))
    return done * (stroke.right - stroke.left)


def _chalk(now: float) -> tuple[float, float]:
    """Where the chalk is: on a stroke, or on its way to the next."""
    place, left_at = (float(_STROKES[0].left), 300.0), 0.0
    for stroke in _STROKES:
        middle = (stroke.top + stroke.bottom) / 2
        if now < stroke.begin:
            way = _eased((now - left_at) / (stroke.begin - left_at))
            return place[0] + way * (stroke.left - place[0]), place[1] + way * (middle - place[1])
        swing = math.sin(9 * (min(now, stroke.end) - stroke.begin))
        wobble = (stroke.bottom - stroke.top) * 0.3 * swing
        place, left_at = (stroke.left + _progress(stroke, now), middle + wobble), stroke.end
        if now <= stroke.end:
            break
    return place


def _eased(way: float) -> float:
    """0..1 with a gentle start and stop."""
    return way * way * (3 - 2 * way)


def _draw_teacher(frame: _Planes, teacher: _Sprite, tip_x: float, tip_y: float) -> None:
    """The body beside the chalk, and the arm that reaches for it."""
    width = teacher.alpha.shape[1]
    x = min(_even(tip_x + _REACH), WIDTH - width)
    shoulder = (x + _SHOULDER[0], _BODY_TOP + _SHOULDER[1])
    _draw_capsule(frame, shoulder, (tip_x + 14, tip_y + 10), 17, _SLEEVE)
    _draw_capsule(frame, (tip_x + 10, tip_y + 8), (tip_x + 18, tip_y + 14), 13, _HAND)
    teacher.draw(frame, x, _BODY_TOP)


def _draw_capsule(
    frame: _Planes,
    a: tuple[float, float],
    b: tuple[float, float],
    radius: float,
    colour: tuple[int, int, int],
) -> None:
    """A thick line with round ends."""
    left, right = _even(min(a[0], b[0]) - radius), _even(max(a[0], b[0]) + radius + 2)
    top, bottom = _even(min(a[1], b[1]) - radius), _even(max(a[1], b[1]) + radius + 2)
    columns = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(a[0])
    rows = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(a[1])
    dx, dy = b[0] - a[0], b[1] - a[1]
    along = np.clip((columns * dx + rows * dy) / (dx * dx + dy * dy), 0, 1)
    distance = np.hypot(columns - along * dx, rows - along * dy)
    frame.blend(left, top, _soft(radius - distance), colour)


def _draw_clock(frame: _Planes, digits: _Planes, seconds: int) -> None:
    """The time since the lesson began, as mm:ss."""
    height = digits.y.shape[0]
    x, y = _CLOCK_AT
    for character in f"{seconds // 60:02}:{seconds % 60:02}":
        index = "0123456789:".index(character)
        source = digits.boxes(index * _DIGIT_WIDTH, 0, _DIGIT_WIDTH, height)
        for box, cell in zip(frame.boxes(x, y, _DIGIT_WIDTH, height), source, strict=True):
            box[:] = cell
        x += _DIGIT_WIDTH


def _noise(count: int) -> list[Picture]:
    """Grain as of a camera sensor: it makes the codec work as on a real picture.

    To be added modulo 256; with luma in 16..235 and grain within +-8 nothing wraps.
    """
    random = np.random.default_rng(1)
    grain = random.normal(0, 1.5, (count, HEIGHT, WIDTH)).clip(-8, 8).round().astype(np.int8)
    return list(grain.view(np.uint8))


def _load(name: str) -> Picture:
    """A picture of the package as yuv420p, in limited range as cameras send it."""
    limited = _decode(name).reformat(format="yuv420p", dst_color_range=ColorRange.MPEG)
    return limited.to_ndarray().astype(np.uint8)


def _decode(name: str) -> av.VideoFrame:
    path = resources.files("clients.headless") / "pictures" / f"{name}.png"
    with path.open("rb") as file, av.open(file, "r") as container:
        return next(container.decode(video=0))


def _soft(inside: Alpha) -> Alpha:
    """A mask from the distance inside an edge: one pixel of transition."""
    return np.asarray(np.clip(inside + 0.5, 0, 1), np.float32)


def _halved(alpha: Alpha) -> Alpha:
    """A mask at the resolution of chroma."""
    quads = alpha.reshape(alpha.shape[0] // 2, 2, alpha.shape[1] // 2, 2)
    return np.asarray(quads.mean(axis=(1, 3)), np.float32)


def _even(value: float) -> int:
    return int(value) // 2 * 2
