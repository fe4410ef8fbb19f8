"""The catalogue as JSON: what is recorded, one lesson of it, and its end."""

import asyncio
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from recorder.archive import Entry
from recorder.web_access import Access, error

LIMIT = 100
"""Entries in one answer unless `limit` says otherwise, which may ask for up to 1000."""


class ArchiveApi:
    """The handlers."""

    def __init__(self, access: Access, lessons: Path) -> None:
        self._access = access
        self._lessons = lessons

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to a node's application."""
        return [
            web.get("/api/archive", self.index),
            web.get("/api/archive/{id}", self.show),
            web.delete("/api/archive/{id}", self.delete),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """`?q=` words, `?limit=&offset=`: the lessons that the asker may see, newest first."""
        limit = _number(request, "limit", LIMIT, 1000)
        offset = _number(request, "offset", 0, 2**31)
        words = request.query.get("q", "")
        lessons = await self._access.visible(request)
        entries = await asyncio.to_thread(
            self._access.catalogue.search, words, lessons=lessons, limit=limit, offset=offset
        )
        return web.json_response({"lessons": [_as_json(entry) for entry in entries]})

    async def show(self, request: web.Request) -> web.Response:
        """One lesson."""
        return web.json_response(_as_json(await self._access.find(request)))

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a lesson for good: its journal, its media and its place in the catalogue."""
        entry = await self._access.find(request, admin=True)
        if entry.state in ("live", "finishing"):
            raise error(web.HTTPConflict, "The lesson is still being recorded; end it first.")
        await asyncio.to_thread(self._remove, entry.id)
        return web.Response(status=204)

    def _remove(self, lesson_id: str) -> None:
        """Out of the catalogue first: what is listed can be played."""
        self._access.catalogue.remove(lesson_id)
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
        raise error(web.HTTPBadRequest, f"{name} must be a whole number of 0 or more.")
    return min(int(text), most)
