"""Media of lessons that are in the storage only, for the web: passed on, or by a signed URL."""

import asyncio
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from aiohttp import web

from recorder.archive import policy, upload
from recorder.archive.policy import Policy
from recorder.archive.storage import Storage
from recorder.errors import ArchiveError, StorageError

URL_SECONDS = 3_600.0
"""How long a signed URL is good for."""

_PIECE = 1 << 20  # bytes asked of the storage at a time: what one viewer may hold in memory
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


class Remote:
    """The storage of a node, as its web server needs it."""

    def __init__(self, data_dir: Path, wanted: Policy | None = None) -> None:
        """The policy is that of the data folder unless another is given. Raises RecorderError."""
        wanted = wanted or policy.read(data_dir)
        self._lessons = data_dir / "lessons"
        self._redirects = wanted.serve == "redirect"
        self._storage = Storage.of(wanted)

    async def serve(
        self, request: web.Request, lesson: str, path: str, headers: Mapping[str, str]
    ) -> web.StreamResponse | None:
        """A file of a lesson's media folder, out of the storage; None when it is not there.

        `lesson` and `path` must have been checked. `headers` are those of the answer. Playlists
        are never redirected: what they name is relative to this node.
        """
        if self._storage is None:
            return None
        name = f"media/{path}"
        size = await asyncio.to_thread(self._size, lesson, name)
        if size is None:
            return None
        try:
            if self._redirects and not path.endswith(".m3u8"):
                url = await asyncio.to_thread(self._storage.url_of, lesson, name, URL_SECONDS)
                caching = f"private, max-age={URL_SECONDS / 2:.0f}"
                return web.Response(status=302, headers={"Location": url, "Cache-Control": caching})
            return await self._pass_on(request, lesson, name, size, headers)
        except (StorageError, FileNotFoundError):
            return unavailable()

    def text(self, lesson: str, path: str) -> str:
        """A text file of a lesson's media folder. Raises FileNotFoundError, StorageError."""
        size = self._size(lesson, f"media/{path}")
        if self._storage is None or size is None:
            raise FileNotFoundError(path)
        if not size:
            return ""
        return bytes(self._storage.open_range(lesson, f"media/{path}", 0, size)).decode()

    async def open_range(self, lesson: str, name: str, start: int, end: int) -> bytes:
        """Bytes `start` to before `end` of a lesson's file. Raises StorageError, OSError."""
        if self._storage is None:
            raise FileNotFoundError(name)
        return bytes(await asyncio.to_thread(self._storage.open_range, lesson, name, start, end))

    async def _pass_on(
        self, request: web.Request, lesson: str, name: str, size: int, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        wanted = byte_range(request.headers.get("Range", ""), size)
        if wanted is None:
            whole = {"Content-Range": f"bytes */{size}"}
            return web.Response(status=416, headers=whole)
        start, end, partial = wanted
        response = web.StreamResponse(status=206 if partial else 200, headers=dict(headers))
        response.headers["Accept-Ranges"] = "bytes"
        response.content_length = end - start
        if partial:
            response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        head = request.method == "HEAD"
        first = b"" if head or start == end else await self._piece(lesson, name, start, end)
        await response.prepare(request)
        at = end if head else start
        while at < end:
            data = first or await self._piece(lesson, name, at, end)
            first = b""
            await response.write(data)
            at += len(data)
        return response

    async def _piece(self, lesson: str, name: str, start: int, end: int) -> bytes:
        data = await self.open_range(lesson, name, start, min(end, start + _PIECE))
        if not data:
            raise StorageError(f"{name} is shorter than it was")
        return data

    def _size(self, lesson: str, name: str) -> int | None:
        """Of a file that was verified to be in the storage."""
        folder = self._lessons / lesson
        try:
            changed = (folder / upload.FILE).stat().st_mtime_ns
            found = _stored_files(folder, changed).get(name)
        except (ArchiveError, OSError):
            return None
        return found[0] if found is not None else None


@lru_cache(maxsize=64)
def _stored_files(folder: Path, changed: int) -> Mapping[str, tuple[int, str]]:
    """What is in the storage of a lesson; a player asks for thousands of files of the same one."""
    known = upload.read(folder)
    return known.files if known is not None else {}


def byte_range(header: str, size: int) -> tuple[int, int, bool] | None:
    """What a Range header asks for (RFC 9110, 14.1.2): from, before, and whether it is a part.

    A header that is none, or asks for several ranges, is ignored, as the RFC allows; None when
    nothing of it is there.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return 0, size, False
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        end = min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return 0, size, False
    return (start, end, True) if start < end else None


def unavailable() -> web.Response:
    """The answer while the storage is away."""
    text = '{"error": "The storage that has this lesson cannot be reached; try again later."}'
    return web.Response(status=503, text=text, content_type="application/json")
