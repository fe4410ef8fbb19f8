"""When the slides changed, told from the sizes of coded pictures. Pure.

A shared screen that stands still costs its encoder almost nothing, and a new slide is a picture
many times as large as those around it; or it comes just with a keyframe, and that is not as large
as the one before. This finds the picture at which a slide appears without decoding. But encoders
also send large pictures for reasons of their own, so the keyframes before and after are looked at.
A film or a scrolled page is large all the time: there nothing stands out.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from statistics import median
from typing import NamedTuple

from recorder.archive.reading import Sample

SHOWN = 4.0
"""Seconds that a slide must stay to count: who leafs through ten to reach one shows one."""

_WINDOW = 90  # pictures that the median is of: 3 s of a screen at 30 a second
_FEWEST = 5  # pictures to take a median of
_TIMES = 8  # times the median: noise of a still screen stays below 4, a new slide is above 20
_OF_KEYFRAME = 0.12  # and this part of a keyframe: a mouse that moves costs a hundredth
_DOUBTFUL = 0.03  # two keyframes of one still picture differ by less than this part
_BUSY = 0.06  # a median of this part of a keyframe: a film, whose keyframes all differ
_LIKELY = 0.5  # of the largest between two keyframes: an encoder's own refreshes are less
_WHOLE = 0.6  # of the keyframe before, where none follows that could be looked at
_ONE_CHANGE = 1.0  # seconds: an encoder may need several pictures for one slide


LOOKS = 300
"""Pairs of keyframes of a lesson that are looked at: about 4 s of work."""

Differ = Callable[[float, float], bool]
"""Do the keyframes at these two lesson times show different slides?"""


class _Candidate(NamedTuple):
    """A picture that may be the first of a slide, the keyframe before, and the next from it on."""

    at: float
    before: float
    after: float | None


def changes(samples: Iterable[Sample], differ: Differ) -> list[float]:
    """Lesson times at which another slide appears, the first one's not among them."""
    found = []
    for candidate in islice(_candidates(samples), LOOKS):
        if candidate.after is None or differ(candidate.before, candidate.after):
            found.append(candidate.at)
    return [at for at, after in pairwise([*found, float("inf")]) if after - at >= SHOWN]


def _candidates(samples: Iterable[Sample]) -> Iterator[_Candidate]:
    deltas = _Deltas()
    keyframe: Sample | None = None
    waiting: list[Sample] = []  # for the next keyframe
    for sample in samples:
        if not sample.keyframe:
            if deltas.is_new(sample.size) and keyframe is not None:
                waiting.append(sample)
            continue
        deltas.keyframe = sample.size
        if keyframe is not None:
            if not waiting and not deltas.busy and _doubtful(keyframe, sample):
                waiting.append(sample)
            yield from (_Candidate(at, keyframe.start, sample.start) for at in _likely(waiting))
        keyframe, waiting = sample, []
    if keyframe is not None:
        whole = [sample for sample in waiting if sample.size > _WHOLE * keyframe.size]
        yield from (_Candidate(at, keyframe.start, None) for at in _likely(whole))


def _likely(between: list[Sample]) -> list[float]:
    """Of what stands out between two keyframes: what is not much smaller than the largest, and
    does not belong to the same change."""
    least = _LIKELY * max((sample.size for sample in between), default=0)
    found: list[float] = []
    for sample in between:
        if sample.size >= least and (not found or sample.start - found[-1] >= _ONE_CHANGE):
            found.append(sample.start)
    return found


def _doubtful(one: Sample, other: Sample) -> bool:
    return abs(one.size - other.size) > _DOUBTFUL * max(one.size, other.size)


class _Deltas:
    """Pictures that are told as what changed since the one before."""

    def __init__(self) -> None:
        self.keyframe = 0
        """The size of the last keyframe: what a whole picture costs."""
        self._recent: deque[int] = deque(maxlen=_WINDOW)

    @property
    def busy(self) -> bool:
        """Something moves all the time."""
        return bool(self._recent) and median(self._recent) > _BUSY * self.keyframe

    def is_new(self, size: int) -> bool:
        """Whether the picture stands out from those before."""
        recent = self._recent
        stands_out = (
            size > _OF_KEYFRAME * self.keyframe > 0
            and len(recent) >= _FEWEST
            and size > _TIMES * median(recent)
        )
        recent.append(size)
        return stands_out
