"""Live lessons as LL-HLS playlists (RFC 8216bis), from the worker's news. Pure.

In: `LiveLessons.handle` with each piece of news, which may come twice (see `recorder.news`). Out:
playlists as text, and where the bytes of a part are. Who asks for what is not there yet learns
whether to wait; waiting itself is `recorder.web_live`'s.

A media playlist lists the whole lesson (EVENT), so that it can be rewound; players that have it
already ask for what is new only (EXT-X-SKIP). A segment's text is made once, when it is closed.
"""

import enum
import gzip
import math
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from recorder.news import Closed, Ended, News, Opened, Part
from recorder.playlist import TARGET_SECONDS, Stream, date_time, master

AUDIO = "audio"
"""The rendition that all views share."""

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


class Rendered:
    """A playlist, and what it is on the wire: nine tenths of it are the same words."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._compressed = b""

    @property
    def compressed(self) -> bytes:
        """By gzip; made when it is first asked for."""
        self._compressed = self._compressed or gzip.compress(self.text.encode(), 5, mtime=0)
        return self._compressed


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
    """One rendition of a live lesson; for a `recorder.playlist.Stream` it is `Measured`."""

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


class LiveLesson:
    """The renditions of one lesson."""

    def __init__(self) -> None:
        self.renditions: dict[str, LiveRendition] = {}
        self.version = 0
        """Grows with every piece of news."""
        self._rendered: dict[tuple[str, bool], tuple[int, Rendered]] = {}

    def handle(self, news: News) -> None:
        """Take a piece of news of this lesson."""
        self.version += 1
        match news:
            case Opened():
                rendition = self.renditions.get(news.rendition)
                if rendition is None:
                    self.renditions[news.rendition] = LiveRendition(news)
                else:
                    rendition.handle_opened(news)
            case Part():
                self.renditions[news.rendition].handle_part(news)
            case Closed():
                self.renditions[news.rendition].handle_closed(news)
            case Ended():
                for rendition in self.renditions.values():
                    rendition.end()

    def media_playlist(self, name: str, *, skip: bool) -> "Rendered":
        """A rendition's playlist; made once for all who ask. Raises KeyError."""
        known = self._rendered.get((name, skip))
        if known is None or known[0] != self.version:
            others = [other for other in self.renditions.values() if other.name != name]
            reports = "".join(other.report("../") for other in others if other.playable)
            text = self.renditions[name].render(reports, skip=skip)
            known = self.version, Rendered(text)
            self._rendered[name, skip] = known
        return known[1]

    def master(self, name: str) -> str | None:
        """A view's master playlist, or (AUDIO) the sound's; None while there is none."""
        audio = self._stream(AUDIO)
        video = self._stream(name) if name != AUDIO else None
        if video is None and name != AUDIO:
            return None
        return master(video, audio) if video or audio else None

    def _stream(self, name: str) -> Stream | None:
        rendition = self.renditions.get(name)
        if rendition is None or not rendition.playable:
            return None
        size = rendition.width, rendition.height
        return Stream(f"{name}/index.m3u8", rendition.codec, rendition, *size)


class LiveLessons:
    """All lessons that are live, by their ids."""

    def __init__(self) -> None:
        self.lessons: dict[str, LiveLesson] = {}

    def handle(self, news: News) -> None:
        """Take a piece of news; what makes no sense is as if it were not told."""
        lesson = self.lessons.get(news.lesson)
        if lesson is None:
            if not isinstance(news, Opened):
                return
            lesson = self.lessons[news.lesson] = LiveLesson()
        if isinstance(news, Part | Closed) and news.rendition not in lesson.renditions:
            return
        lesson.handle(news)

    def forget(self, lesson: str) -> None:
        """The files say all there is to say."""
        self.lessons.pop(lesson, None)


def _length(parts: list[Part]) -> float:
    return sum(part.duration for part in parts)


def _part_name(segment: int, part: int) -> str:
    return f"{segment + 1:06d}.{part}.m4s"
