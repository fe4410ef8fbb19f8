"""The web client's files, as Vite built them (clients/web/dist)."""

import re
from pathlib import Path

from aiohttp import web

from signaling.edge import lesson_name

DIST = Path(__file__).parent.parent / "clients" / "web" / "dist"

_ASSET = re.compile(r"[\w-][\w.-]*", re.ASCII)
_ALWAYS_ASK = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
_KEEP = {"Cache-Control": "public, max-age=31536000, immutable"}  # their names carry a hash


class Pages:
    """Three pages and their assets from a folder."""

    def __init__(self, dist: Path = DIST) -> None:
        self._dist = dist

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to an application."""
        return [
            web.get("/", self._root),
            web.get("/teach", self._teach),
            web.get("/join/{lesson}", self._join),
            web.get("/archive", self._archive),
            web.get("/archive/{id}", self._archive),
            web.get("/assets/{name}", self._asset),
        ]

    async def _root(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/archive")

    async def _teach(self, request: web.Request) -> web.StreamResponse:
        return self._page("teach.html")

    async def _join(self, request: web.Request) -> web.StreamResponse:
        lesson_name(request)
        return self._page("join.html")

    async def _archive(self, request: web.Request) -> web.StreamResponse:
        return self._page("archive.html")

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = self._dist / "assets" / name
        if not _ASSET.fullmatch(name) or not path.is_file():
            raise web.HTTPNotFound(text="There is no such asset.")
        return web.FileResponse(path, headers=_KEEP)

    def _page(self, name: str) -> web.StreamResponse:
        path = self._dist / name
        if not path.is_file():
            raise web.HTTPServiceUnavailable(
                text="The web client is not built; run `make web` in a checkout."
            )
        return web.FileResponse(path, headers=_ALWAYS_ASK)
