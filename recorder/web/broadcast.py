"""Live lessons as LL-HLS, from the worker's news. Pure.

In: `LiveLessons.handle` with each piece of news, which may come twice (see `recorder.news`). Out:
playlists, made once for all who ask, and (`recorder.web.rendition`) where the bytes of a part
are. Who asks for what is not there yet learns whether to wait; waiting itself is
`recorder.web.live`'s.
"""

import gzip

from recorder.news import Closed, Ended, News, Opened, Part
from recorder.pipeline.playlist import Stream, master
from recorder.web.rendition import LiveRendition

AUDIO = "audio"
"""The rendition that all views share."""


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
