"""Text files of a lesson, compressed for who accepts that.

The playlist of an hour is 52 kB, of which gzip leaves 5: on a school's link that is the difference
between seeing a picture and waiting for one.
"""

import asyncio
import gzip
from collections.abc import Mapping
from pathlib import Path

from aiohttp import ETag, web

SUFFIXES = frozenset({".m3u8", ".vtt", ".json"})

_LEVEL = 5


def wanted(request: web.Request, path: Path) -> bool:
    """Whether this file is best sent compressed: a text, and not asked for in pieces."""
    accepted = "gzip" in request.headers.get("Accept-Encoding", "")
    return path.suffix in SUFFIXES and accepted and "Range" not in request.headers


async def answer(request: web.Request, path: Path, headers: Mapping[str, str]) -> web.Response:
    """The file, or that it has not changed. Raises FileNotFoundError."""
    stat = await asyncio.to_thread(path.stat)
    tag = ETag(f"{stat.st_mtime_ns:x}-{stat.st_size:x}-gzip")
    response = web.Response(headers={**headers, "Vary": "Accept-Encoding"})
    response.etag = tag
    if tag in (request.if_none_match or ()):
        response.set_status(304)
        return response
    response.headers["Content-Encoding"] = "gzip"
    response.body = await asyncio.to_thread(_packed, path)
    return response


def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), _LEVEL, mtime=0)
