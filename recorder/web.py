"""HTTP of the archive: the catalogue as JSON, and the files that players load.

Who may do what is decided by `authorize(request, lesson, admin)`, which returns or raises
HTTPUnauthorized or HTTPForbidden: `lesson` is a lesson's name, or None for all of them; `admin`
asks for the right to delete.
"""

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from aiohttp import web

from recorder.archive import LESSON_ID, Entry
from recorder.catalogue import Catalogue

Authorize = Callable[[web.Request, str | None, bool], None]
"""`authorize(request, lesson, admin)`; see the module's docstring."""

LIMIT = 100
"""Entries in one answer unless `limit` says otherwise, which may ask for up to 1000."""

_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
}
_CHANGING = {".m3u8", ".jpg"}
_NAME = re.compile(r"[\w-][\w.-]*", re.ASCII)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(data_dir: Path, authorize: Authorize) -> list[web.RouteDef]:
    """The routes to add to a node's application. Raises CatalogueError."""
    archive = _Archive(data_dir, authorize)
    return [
        web.get("/api/archive", archive.index),
        web.get("/api/archive/{id}", archive.show),
        web.delete("/api/archive/{id}", archive.delete),
        web.get("/archive/{id}/media/{path:.+}", archive.media),
    ]


class _Archive:
    """The handlers."""

    def __init__(self, data_dir: Path, authorize: Authorize) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._lessons = data_dir / "lessons"
        self._authorize = authorize
        self._catalogue = Catalogue(data_dir)

    async def index(self, request: web.Request) -> web.Response:
        """`?q=` words, `?limit=&offset=`: the lessons that the asker may see, newest first."""
        limit = _number(request, "limit", LIMIT, 1000)
        offset = _number(request, "offset", 0, 2**31)
        words = request.query.get("q", "")
        lessons = await self._visible(request)
        entries = await asyncio.to_thread(
            self._catalogue.search, words, lessons=lessons, limit=limit, offset=offset
        )
        return web.json_response({"lessons": [_as_json(entry) for entry in entries]})

    async def show(self, request: web.Request) -> web.Response:
        """One lesson."""
        return web.json_response(_as_json(await self._find(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a lesson for good: its journal, its media and its place in the catalogue."""
        entry = await self._find(request, admin=True)
        if entry.state in ("live", "finishing"):
            raise _error(web.HTTPConflict, "The lesson is still being recorded; end it first.")
        await asyncio.to_thread(self._remove, entry.id)
        return web.Response(status=204)

    async def media(self, request: web.Request) -> web.StreamResponse:
        """A file of a lesson's media folder; ranges are served."""
        entry = await self._find(request)
        path = self._path(entry.id, request.match_info["path"])
        if path is None or not await asyncio.to_thread(path.is_file):
            raise _error(web.HTTPNotFound, "There is no such file in this lesson.")
        changing = path.suffix in _CHANGING
        caching = "no-cache" if changing else "private, max-age=31536000, immutable"
        headers = {"Content-Type": _TYPES[path.suffix], "Cache-Control": caching}
        return web.FileResponse(path, headers=headers)

    async def _find(self, request: web.Request, *, admin: bool = False) -> Entry:
        """The lesson that the URL names, if the asker may know of it."""
        lesson_id = request.match_info["id"]
        match = LESSON_ID.fullmatch(lesson_id)
        self._authorize(request, match[2] if match else None, admin)
        entry = await asyncio.to_thread(self._catalogue.find, lesson_id) if match else None
        if entry is None:
            raise _error(web.HTTPNotFound, "There is no such lesson in the archive.")
        return entry

    async def _visible(self, request: web.Request) -> list[str] | None:
        """The names of the lessons that the asker may list; None for all."""
        try:
            self._authorize(request, None, False)
        except web.HTTPForbidden:
            names = await asyncio.to_thread(self._catalogue.lessons)
            return [name for name in names if self._permits(request, name)]
        return None

    def _permits(self, request: web.Request, lesson: str) -> bool:
        try:
            self._authorize(request, lesson, False)
        except web.HTTPForbidden:
            return False
        return True

    def _path(self, lesson_id: str, name: str) -> Path | None:
        """The file that a URL means; None for what is not, or must not be, one of ours."""
        parts = PurePosixPath(name).parts
        if not all(_NAME.fullmatch(part) for part in parts):
            return None
        media = self._lessons / lesson_id / "media"
        path = media.joinpath(*parts)
        inside = path.resolve().is_relative_to(media.resolve())
        return path if inside and path.suffix in _TYPES else None

    def _remove(self, lesson_id: str) -> None:
        """Out of the catalogue first: what is listed can be played."""
        self._catalogue.remove(lesson_id)
        shutil.rmtree(self._lessons / lesson_id)


def _as_json(entry: Entry) -> dict[str, Any]:
    """The entry as the API says it: paths become URLs."""

    def url(path: str | None) -> str | None:
        return path and f"/archive/{entry.id}/media/{path}"

    value = asdict(entry)
    for view in value["views"]:
        view["hls"], view["webm"] = url(view["hls"]), url(view["webm"])
    if value["audio"]:
        value["audio"]["hls"] = url(value["audio"]["hls"])
    value["poster"] = url(value["poster"])
    value["downloads"] = [url(path) for path in value["downloads"]]
    return value


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise _error(web.HTTPBadRequest, f"{name} must be a whole number of 0 or more.")
    return min(int(text), most)


def _error(kind: type[web.HTTPException], sentence: str) -> web.HTTPException:
    return kind(text=web.json_response({"error": sentence}).text, content_type="application/json")
