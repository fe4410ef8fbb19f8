"""Live lessons over HTTP: playlists that are waited for, and parts as files of their own.

Who asks for what is to come waits (RFC 8216bis, 6.2.5.2), at most three target durations. What
may be kept is told twice: to browsers by Cache-Control, which is `private` as only a cache that
asks who may see a lesson must keep its media; to such a cache (`deploy/nginx.conf`) by
X-Accel-Expires.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from recorder.news import Ended, News
from recorder.pipeline import playlist
from recorder.web.access import error
from recorder.web.broadcast import LiveLesson, LiveLessons
from recorder.web.rendition import Answer, LiveRendition, Range

PATIENCE = 3.0 * playlist.TARGET_SECONDS
"""Seconds that a request may wait for what is to come (RFC 8216bis, 6.2.5.2)."""

FOREVER = 31_536_000
"""Seconds that what never changes may be kept."""

LINGER = 60.0
"""Seconds that parts of a lesson that has ended can still be had."""

_SOON = 1  # seconds that the newest playlist may be kept
_WHILE = 6 * playlist.TARGET_SECONDS  # seconds that an answer to a directive may be kept
_PLAYLIST = "application/vnd.apple.mpegurl"
_MEDIA = "video/iso.segment"


class Broadcast:
    """The live lessons of a node: hears the worker, answers who watches."""

    def __init__(self) -> None:
        self._lessons = LiveLessons()
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def handle(self, news: News) -> None:
        """Take a piece of news, in the event loop; who waited for it is woken."""
        self._lessons.handle(news)
        if isinstance(news, Ended):
            asyncio.get_running_loop().call_later(LINGER, self.forget, news.lesson)
        for waiter in self._waiting.pop(news.lesson, ()):
            if not waiter.done():
                waiter.set_result(None)

    def forget(self, lesson_id: str) -> None:
        """From now on the files on disk say all there is to say."""
        self._lessons.forget(lesson_id)

    def lesson(self, lesson_id: str) -> LiveLesson:
        """A lesson that is live. Raises KeyError."""
        return self._lessons.lessons[lesson_id]

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._waiting.values()))

    def knows(self, lesson_id: str) -> bool:
        """Whether this lesson is live, or was a minute ago."""
        return lesson_id in self._lessons.lessons

    async def serve(
        self, request: web.Request, lesson_id: str, path: str, folder: Path
    ) -> web.Response | None:
        """The answer for a path in the media folder; None for a file that is whole by now.

        Raises HTTPBadRequest, HTTPNotFound, HTTPServiceUnavailable.
        """
        lesson = self.lesson(lesson_id)
        head, _, name = path.rpartition("/")
        if not head:
            return _master(lesson, name, request)
        rendition = lesson.renditions.get(head)
        if rendition is None:
            return None
        if name == "index.m3u8":
            return await self._media_playlist(request, lesson_id, lesson, rendition)
        if name.count(".") == 2:
            place = await self._find(lesson_id, rendition, name)
            data = await asyncio.to_thread(_read, folder / head, place)
            return web.Response(
                body=data, content_type=_MEDIA, headers=kept(FOREVER, immutable=True)
            )
        if not rendition.has_segment(name):
            raise _gone()
        return None

    async def _media_playlist(
        self,
        request: web.Request,
        lesson_id: str,
        lesson: LiveLesson,
        rendition: LiveRendition,
    ) -> web.Response:
        segment, part = _number(request, "_HLS_msn"), _number(request, "_HLS_part")
        if segment is None and part is not None:
            raise error(web.HTTPBadRequest, "_HLS_part needs _HLS_msn.")
        if segment is not None:
            await self._until(lesson_id, lambda: rendition.ask(segment, part))
        elif not rendition.playable:
            raise _gone()
        skip = _directive(request, "_HLS_skip") in ("YES", "v2")
        made = lesson.media_playlist(rendition.name, skip=skip)
        headers = {**kept(_SOON), "Cache-Control": "no-cache"} if segment is None else kept(_WHILE)
        headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=made.compressed, content_type=_PLAYLIST, headers=headers)
        return web.Response(text=made.text, content_type=_PLAYLIST, headers=headers)

    async def _find(self, lesson_id: str, rendition: LiveRendition, name: str) -> Range:
        place: Range | None = None

        def ask() -> Answer:
            nonlocal place
            answer, place = rendition.find(name)
            return answer

        try:
            await self._until(lesson_id, ask)
        except web.HTTPBadRequest:
            raise _gone() from None
        assert place is not None  # it said that it is there
        return place

    async def _until(self, lesson_id: str, ask: Callable[[], Answer]) -> None:
        """Wait until `ask` says now. Raises HTTPBadRequest, HTTPServiceUnavailable."""
        deadline = time.monotonic() + PATIENCE
        while (answer := ask()) is Answer.WAIT:
            left = deadline - time.monotonic()
            if left <= 0 or not await self._changed(lesson_id, left):
                raise error(web.HTTPServiceUnavailable, "The lesson has not come so far in time.")
        if answer is Answer.BAD:
            raise error(web.HTTPBadRequest, "The lesson is not that far by a long way.")

    async def _changed(self, lesson_id: str, seconds: float) -> bool:
        """Whether there was news of the lesson within so many seconds."""
        waiter = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(lesson_id, set())
        waiters.add(waiter)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiter
                    return True
            return False
        finally:
            waiters.discard(waiter)


def kept(seconds: int, *, immutable: bool = False) -> dict[str, str]:
    """The headers of what may be kept for so long; see the module's docstring."""
    caching = f"private, max-age={seconds}{', immutable' if immutable else ''}"
    return {"Cache-Control": caching, "X-Accel-Expires": str(seconds)}


def _master(lesson: LiveLesson, name: str, request: web.Request) -> web.Response | None:
    stem, dot, suffix = name.rpartition(".")
    text = lesson.master(stem) if dot and suffix == "m3u8" else None
    if text is None:
        return None
    if asks_for_safari(request):
        text = playlist.for_safari(text)
    headers = {**kept(_SOON), "Cache-Control": "no-cache"}
    return web.Response(text=text, content_type=_PLAYLIST, headers=headers)


def asks_for_safari(request: web.Request) -> bool:
    """A master playlist is asked for that says `mp4a.ad` where others say `opus`."""
    return _directive(request, "opus") == "mp4a.ad"


def _directive(request: web.Request, name: str) -> str | None:
    """A parameter as it stands in the URL, unescaped and in any case: as nginx reads it, so that
    what its cache takes for the answer to a request is that."""
    for pair in request.rel_url.raw_query_string.split("&"):
        key, _, value = pair.partition("=")
        if key.lower() == name.lower():
            return value
    return None


def _number(request: web.Request, name: str) -> int | None:
    text = _directive(request, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise error(web.HTTPBadRequest, f"{name} must be a whole number of 0 or more.")
    return int(text)


def _read(folder: Path, place: Range) -> bytes:
    file = os.open(folder / place.file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(file, place.size, place.offset)
    finally:
        os.close(file)


def _gone() -> web.HTTPException:
    return error(web.HTTPNotFound, "There is no such file in this lesson.")
