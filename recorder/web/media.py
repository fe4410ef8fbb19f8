"""HTTP of the archive: all its routes, and the files that players load.

The catalogue's JSON is in `api.py`, who may see what in `access.py`, the playlists of a
lesson that is live in `live.py`.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

from aiohttp import web

from recorder.archive.remote import Remote, unavailable
from recorder.catalogue import Catalogue
from recorder.errors import StorageError
from recorder.pipeline.playlist import for_safari
from recorder.web import texts
from recorder.web.access import Access, Authorize, error
from recorder.web.api import ArchiveApi
from recorder.web.live import FOREVER, Broadcast, asks_for_safari, kept

_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".webm": "video/webm",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt",
    ".json": "application/json",
}
_CHANGING = {".m3u8", ".jpg", ".vtt", ".json"}
_PERMISSION_SECONDS = 10  # that a cache may rely on a permission
_NAME = re.compile(r"[\w-][\w.-]*", re.ASCII)


def routes(
    data_dir: Path,
    authorize: Authorize,
    broadcast: Broadcast | None = None,
    database: str = "",
) -> list[web.RouteDef]:
    """The routes to add to a node's application.

    `broadcast` has the lessons that are live, `database` is as `Catalogue` takes it.

    Raises CatalogueError, or another RecorderError when the storage makes no sense.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    lessons = data_dir / "lessons"
    access = Access(Catalogue(data_dir, database), authorize)
    return [
        *ArchiveApi(access, lessons).routes(),
        *_Media(access, lessons, broadcast or Broadcast(), Remote(data_dir)).routes(),
    ]


class _Media:
    """The files of the lessons' media folders."""

    def __init__(self, access: Access, lessons: Path, broadcast: Broadcast, remote: Remote) -> None:
        self._access = access
        self._lessons = lessons
        self._remote = remote
        self._broadcast = broadcast

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/archive/{id}/media/{path:.+}", self.media),
            web.get("/archive/{id}/allowed", self.allowed),
        ]

    async def allowed(self, request: web.Request) -> web.Response:
        """Whether the asker may load this lesson's media: for a cache that serves them itself."""
        self._access.permit(request)
        return web.Response(status=204, headers=kept(_PERMISSION_SECONDS))

    async def media(self, request: web.Request) -> web.StreamResponse:
        """A file of a lesson's media folder; ranges are served. Of a live one, also its parts."""
        lesson_id = self._access.permit(request)
        name = request.match_info["path"]
        path = self._path(lesson_id, name)
        if path is not None and self._broadcast.knows(lesson_id):
            folder = self._lessons / lesson_id / "media"
            answer = await self._broadcast.serve(request, lesson_id, name, folder)
            if answer is not None:
                return answer
        if path is None:
            raise _no_such_file()
        here = await asyncio.to_thread(path.is_file)
        if path.suffix == ".m3u8" and asks_for_safari(request):
            text = path.read_text if here else partial(self._remote.text, lesson_id, name)
            return await self._for_safari(text)
        headers = {"Content-Type": _TYPES[path.suffix], **self._caching(lesson_id, path)}
        if here and texts.wanted(request, path):
            return await self._text(request, path, headers)
        if here:
            return web.FileResponse(path, headers=headers)
        stored = await self._remote.serve(request, lesson_id, name, headers)
        if stored is None:
            raise _no_such_file()
        return stored

    async def _text(
        self, request: web.Request, path: Path, headers: dict[str, str]
    ) -> web.Response:
        try:
            return await texts.answer(request, path, headers)
        except FileNotFoundError:
            raise _no_such_file() from None

    def _caching(self, lesson_id: str, path: Path) -> dict[str, str]:
        """A segment is immutable once it is whole, which nobody but a manifest says later on."""
        if path.suffix in _CHANGING:
            return {"Cache-Control": "no-cache"}
        manifest = self._lessons / lesson_id / "manifest.json"
        if self._broadcast.knows(lesson_id) or manifest.exists():
            return kept(FOREVER, immutable=True)
        return {"Cache-Control": "no-store"}

    async def _for_safari(self, read: Callable[[], str]) -> web.Response:
        try:
            text = for_safari(await asyncio.to_thread(read))
        except FileNotFoundError:
            raise _no_such_file() from None
        except StorageError:
            return unavailable()
        headers = {"Cache-Control": "no-cache"}
        return web.Response(text=text, content_type=_TYPES[".m3u8"], headers=headers)

    def _path(self, lesson_id: str, name: str) -> Path | None:
        """The file that a URL means; None for what is not, or must not be, one of ours."""
        parts = PurePosixPath(name).parts
        if not all(_NAME.fullmatch(part) for part in parts):
            return None
        media = self._lessons / lesson_id / "media"
        path = media.joinpath(*parts)
        inside = path.resolve().is_relative_to(media.resolve())
        return path if inside and path.suffix in _TYPES else None


def _no_such_file() -> web.HTTPException:
    return error(web.HTTPNotFound, "There is no such file in this lesson.")
