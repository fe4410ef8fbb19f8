"""When the slides changed, told from the sizes of coded pictures; nothing is decoded. Pure.

A shared screen that stands still costs its encoder almost nothing. A new slide is a picture many
times as large as those around it, or a keyframe of another size than the keyframe before. A film
or a scrolled page is large all the time: there the median is large too, and nothing stands out.
"""

from collections import deque
from collections.abc import Iterable
from itertools import pairwise
from statistics import median

from recorder.reading import Sample

SHOWN = 4.0
"""Seconds that a slide must stay to count: who leafs through ten to reach one shows one."""

_WINDOW = 90  # pictures that the median is of: 3 s of a screen at 30 a second
_FEWEST = 5  # pictures to take a median of
_TIMES = 8  # times the median: noise of a still screen stays below 4, a new slide is above 20
_OF_KEYFRAME = 0.12  # and this part of a keyframe: a mouse that moves costs a hundredth
_SETTLED = 0.1  # two keyframes in a row that differ by less are of one still picture, well coded
_ANOTHER = 0.25  # a keyframe that differs by more from settled ones is of another picture
_ONE_CHANGE = 1.0  # seconds: an encoder may need several pictures for one slide


def changes(samples: Iterable[Sample]) -> list[float]:
    """Lesson times at which another slide appears, the first one's not among them."""
    found: list[float] = []
    deltas, keyframes = _Deltas(), _Keyframes()
    for sample in samples:
        if sample.keyframe:
            deltas.keyframe = sample.size
            new = keyframes.is_new(sample.size)
        else:
            new = deltas.is_new(sample.size)
            if new:
                keyframes.forget()
        if new and (not found or sample.start - found[-1] >= _ONE_CHANGE):
            found.append(sample.start)
    return [at for at, after in pairwise([*found, float("inf")]) if after - at >= SHOWN]


class _Deltas:
    """Pictures that are told as what changed since the one before."""

    def __init__(self) -> None:
        self.keyframe = 0
        """The size of the last keyframe: what a whole picture costs."""
        self._recent: deque[int] = deque(maxlen=_WINDOW)

    def is_new(self, size: int) -> bool:
        recent = self._recent
        stands_out = (
            size > _OF_KEYFRAME * self.keyframe > 0
            and len(recent) >= _FEWEST
            and size > _TIMES * median(recent)
        )
        recent.append(size)
        return stands_out


class _Keyframes:
    """Pictures that are told whole. A rate control improves them while nothing moves, so only
    once two in a row are alike does a third that is not mean another picture."""

    def __init__(self) -> None:
        self._last = 0
        self._settled = False

    def is_new(self, size: int) -> bool:
        apart = abs(size - self._last) / max(size, self._last, 1)
        new = self._settled and apart > _ANOTHER
        self._settled = self._last > 0 and apart < _SETTLED
        self._last = size
        return new

    def forget(self) -> None:
        """Another picture has come in between."""
        self._last, self._settled = 0, False
