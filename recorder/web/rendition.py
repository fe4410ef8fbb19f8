"""One rendition of a live lesson as an LL-HLS media playlist (RFC 8216bis). Pure.

It lists the whole lesson (EVENT), so that it can be rewound; players that have it already ask for
what is new only (EXT-X-SKIP). A segment's text is made once, when it is closed.
"""

import enum
import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from recorder.news import Closed, Opened, Part
from recorder.pipeline.playlist import TARGET_SECONDS, date_time

_PARTS_FOR = 3  # target durations from the end in which parts are listed (RFC 8216bis, 4.4.4.9)
_HOLD_BACK = 3  # target durations (part targets) that players stay behind the end (4.4.3.8)
_SKIP_UNTIL = 6  # target durations (4.4.3.8)
_AHEAD = 2  # segments that a player may ask for in advance (6.2.5.2)
_KEPT_PARTS = 20  # closed segments whose parts can be had by their own URLs
_PART_NAME = re.compile(r"(\d{6,9})\.(\d{1,4})\.m4s", re.ASCII)


class Answer(enum.Enum):
    """What becomes of a request for something that is to come."""

    NOW = "now"
    WAIT = "wait"
    BAD = "bad"
    """It is too far in the future, or will never be."""


@dataclass(frozen=True, slots=True)
class Range:
    """Where a part is: in a file of its rendition's folder."""

    file: str
    offset: int
    size: int


@dataclass(slots=True)
class _Segment:
    """A segment, open or closed, with its texts in a playlist."""

    number: int
    start: float
    before: list[str]
    parts: list[Part] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    """Of the parts."""
    after: str = ""
    """EXTINF and URI, once it is closed."""
    end: float = 0.0

    def render(self, *, parts: bool) -> str:
        return "".join([*self.before, *(self.lines if parts else []), self.after])


class LiveRendition:
    """One rendition of a live lesson; for a `playlist.Stream` it is `Measured`."""

    def __init__(self, opened: Opened) -> None:
        self.name = opened.rendition
        self.codec = opened.codec
        self.width, self.height = opened.width, opened.height
        self.zero = opened.zero
        self.part_target = opened.part_target
        self.ended = False
        self.peak = 0.0
        self.average = 0.0
        self.count = 0
        """Closed segments; the open one has this number."""
        self._target = TARGET_SECONDS
        self._inits: list[str] = []
        self._init = ""  # what the segments listed so far need
        self._size = 0
        self._texts: list[str] = []  # of every closed segment, without parts
        self._ends: list[float] = []
        self._closed: deque[_Segment] = deque(maxlen=_KEPT_PARTS)
        self._joined = ("", 0)
        self._open = _Segment(0, 0.0, [])
        self.handle_opened(opened)

    @property
    def playable(self) -> bool:
        """There is something to play."""
        return bool(self.count or self._open.parts)

    @property
    def last(self) -> tuple[int, int]:
        """The numbers of the newest segment and of its newest part; -1 for what there is not."""
        newest = self._open if self._open.parts or not self._closed else self._closed[-1]
        return (newest.number, len(newest.parts) - 1) if self.playable else (-1, -1)

    def handle_opened(self, opened: Opened) -> None:
        """Another init segment, unless it is one of those before: then a worker replays."""
        if opened.init in self._inits:
            return
        self._inits.append(opened.init)
        self.codec, self.width, self.height = opened.codec, opened.width, opened.height
        if not self._open.parts:
            self._begin(self._open.start)

    def handle_part(self, part: Part) -> None:
        """A part, unless it is known."""
        segment = self._open
        if part.segment != segment.number or part.number != len(segment.parts):
            return
        segment.parts.append(part)
        uri = _part_name(part.segment, part.number)
        independent = ",INDEPENDENT=YES" if part.independent else ""
        segment.lines.append(f'#EXT-X-PART:DURATION={part.duration:.6f},URI="{uri}"{independent}\n')
        if not self.count:
            self._measure(sum(known.size for known in segment.parts), _length(segment.parts))

    def handle_closed(self, closed: Closed) -> None:
        """A whole segment, unless it is known."""
        segment = self._open
        if closed.segment != segment.number:
            return
        segment.after = f"#EXTINF:{closed.duration:.6f},\n{closed.uri}\n"
        segment.end = closed.start + closed.duration
        self._closed.append(segment)
        self._texts.append(segment.render(parts=False))
        self._ends.append(segment.end)
        self._target = max(self._target, round(closed.duration))
        self._size += closed.size
        self.count += 1
        self._measure(closed.size, closed.duration)
        self.average = self._size * 8 / segment.end
        self._begin(segment.end)

    def end(self) -> None:
        """Nothing follows."""
        self.ended = True
        self._open.parts.clear()
        self._open.lines.clear()

    def ask(self, segment: int, part: int | None) -> Answer:
        """Whether there is a playlist with this part, or (None) with this whole segment."""
        if self.ended or segment < self.count - 1:
            return Answer.NOW
        if segment == self.count - 1:
            beyond = part is not None and part >= len(self._closed[-1].parts)
            return Answer.WAIT if beyond and not self._open.parts else Answer.NOW
        if segment >= self.count + _AHEAD:
            return Answer.BAD
        if part is None or segment > self.count:
            return Answer.WAIT
        there = len(self._open.parts)
        if part < there:
            return Answer.NOW
        ahead = math.ceil(3 / self.part_target) if self.part_target < 1 else 3  # 6.2.5.2
        return Answer.WAIT if part < there + ahead else Answer.BAD

    def find(self, name: str) -> tuple[Answer, Range | None]:
        """A part by its URI: where it is, or whether it is hinted at."""
        match = _PART_NAME.fullmatch(name)
        if match is None:
            return Answer.BAD, None
        number, index = int(match[1]) - 1, int(match[2])
        if number == self.count and index == len(self._open.parts) and not self.ended:
            return Answer.WAIT, None
        for segment in (self._open, *self._closed):
            if segment.number == number and index < len(segment.parts):
                part = segment.parts[index]
                file = f"{number + 1:06d}.m4s"
                return Answer.NOW, Range(file, part.offset, part.size)
        return Answer.BAD, None

    def has_segment(self, name: str) -> bool:
        """Whether a file of the rendition's folder is whole: only then may it be kept."""
        stem = name.removesuffix(".m4s")
        return not (name.endswith(".m4s") and stem.isdigit() and int(stem) > self.count)

    def render(self, reports: str, *, skip: bool) -> str:
        """The media playlist; with `skip` a delta to one that is not too old, if that is less."""
        edge = self._open.start + _length(self._open.parts)
        skipped = self._skippable(edge) if skip else 0
        recent = [
            segment for segment in self._closed if segment.end > edge - _PARTS_FOR * self._target
        ]
        first = self.count - len(recent)
        if skipped:
            skipped = min(skipped, first)
            old = "".join(self._texts[skipped:first])
        else:
            old = self._old(first)
        return "".join(
            (
                self._head(skipped),
                old,
                *(segment.render(parts=not self.ended) for segment in recent),
                *self._tail(reports),
            )
        )

    def report(self, base: str) -> str:
        """What the other playlists say of this one (RFC 8216bis, 4.4.5.4)."""
        segment, part = self.last
        last_part = f",LAST-PART={part}" if part >= 0 else ""
        return (
            f'#EXT-X-RENDITION-REPORT:URI="{base}{self.name}/index.m3u8",'
            f"LAST-MSN={segment}{last_part}\n"
        )

    def _begin(self, start: float) -> None:
        before = []
        if self._init != self._inits[-1]:
            before.append(f'#EXT-X-MAP:URI="{self._inits[-1]}"\n')
        self._open = _Segment(self.count, start, before)
        before.append(f"#EXT-X-PROGRAM-DATE-TIME:{date_time(self.zero + start)}\n")

    def _measure(self, size: int, duration: float) -> None:
        if duration >= 0.5 or not self.peak:
            self.peak = max(self.peak, size * 8 / duration)

    def _skippable(self, edge: float) -> int:
        """Segments older than the skip boundary."""
        boundary = edge - _SKIP_UNTIL * self._target
        count = self.count
        while count and self._ends[count - 1] > boundary:
            count -= 1
        return count

    def _old(self, count: int) -> str:
        """The texts of the first segments, joined once for all."""
        text, joined = self._joined
        if joined > count:
            text, joined = "", 0
        if joined < count:
            text += "".join(self._texts[joined:count])
            self._joined = text, count
        return text

    def _head(self, skipped: int) -> str:
        hold_back = self.part_target * _HOLD_BACK
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            f"#EXT-X-TARGETDURATION:{self._target}",
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,"
            f"CAN-SKIP-UNTIL={_SKIP_UNTIL * self._target}.0,"
            f"HOLD-BACK={_HOLD_BACK * self._target}.0,PART-HOLD-BACK={hold_back:.3f}",
            f"#EXT-X-PART-INF:PART-TARGET={self.part_target}",
            "#EXT-X-MEDIA-SEQUENCE:0",
            "#EXT-X-PLAYLIST-TYPE:EVENT",
            "#EXT-X-INDEPENDENT-SEGMENTS",
        ]
        if skipped:
            lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
        return "\n".join([*lines, ""])

    def _tail(self, reports: str) -> Iterator[str]:
        if self.ended:
            yield "#EXT-X-ENDLIST\n"
            return
        if self._open.parts:
            yield self._open.render(parts=True)
        hint = _part_name(self.count, len(self._open.parts))
        yield f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{hint}"\n'
        yield reports


def _length(parts: list[Part]) -> float:
    return sum(part.duration for part in parts)


def _part_name(segment: int, part: int) -> str:
    return f"{segment + 1:06d}.{part}.m4s"
