"""HTTP of the archive: all its routes, and the files that players load.

The catalogue's JSON is in `web_api.py`, who may see what in `web_access.py`.
"""

import asyncio
import re
from pathlib import Path, PurePosixPath

from aiohttp import web

from recorder.catalogue import Catalogue
from recorder.web_access import Access, Authorize, error
from recorder.web_api import ArchiveApi

_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
}
_CHANGING = {".m3u8", ".jpg"}
_NAME = re.compile(r"[\w-][\w.-]*", re.ASCII)


def routes(data_dir: Path, authorize: Authorize, database: str = "") -> list[web.RouteDef]:
    """The routes to add to a node's application; `database` as `Catalogue` takes it.

    Raises CatalogueError.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    lessons = data_dir / "lessons"
    access = Access(Catalogue(data_dir, database), authorize)
    return [*ArchiveApi(access, lessons).routes(), *_Media(access, lessons).routes()]


class _Media:
    """The files of the lessons' media folders."""

    def __init__(self, access: Access, lessons: Path) -> None:
        self._access = access
        self._lessons = lessons

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/archive/{id}/media/{path:.+}", self.media)]

    async def media(self, request: web.Request) -> web.StreamResponse:
        """A file of a lesson's media folder; ranges are served."""
        entry = await self._access.find(request)
        path = self._path(entry.id, request.match_info["path"])
        if path is None or not await asyncio.to_thread(path.is_file):
            raise error(web.HTTPNotFound, "There is no such file in this lesson.")
        changing = path.suffix in _CHANGING
        caching = "no-cache" if changing else "private, max-age=31536000, immutable"
        headers = {"Content-Type": _TYPES[path.suffix], "Cache-Control": caching}
        return web.FileResponse(path, headers=headers)

    def _path(self, lesson_id: str, name: str) -> Path | None:
        """The file that a URL means; None for what is not, or must not be, one of ours."""
        parts = PurePosixPath(name).parts
        if not all(_NAME.fullmatch(part) for part in parts):
            return None
        media = self._lessons / lesson_id / "media"
        path = media.joinpath(*parts)
        inside = path.resolve().is_relative_to(media.resolve())
        return path if inside and path.suffix in _TYPES else None
