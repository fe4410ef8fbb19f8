"""Further schools in the same lesson, on the good side: does one weak viewer cost them anything?

They are the load generator's: real ICE, DTLS, SRTP and feedback, no decoders.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp

from benchmarks import session
from benchmarks.generator import Clients, Endpoint, JoinError
from benchmarks.session import Local, Remote, Role
from benchmarks.span import BYTES, LOST

_H264 = "H264/90000"


class Strong:
    """So many schools that have joined."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def counters(self) -> dict[str, list[int]]:
        """Of each school, bytes (of UDP payload) and packets lost so far."""
        received = self._clients.native.snapshot()["received"]
        return {
            "bytes": [row[BYTES] for row in received],
            "lost": [row[LOST] for row in received],
        }


@contextlib.asynccontextmanager
async def strong(
    number: int, endpoint: Endpoint, camera: str, slides: str
) -> AsyncIterator[Strong]:
    """They join, and stay as long as the context. Raises JoinError."""
    async with Clients() as clients:
        way = _Viewing(endpoint, camera, slides)
        await asyncio.gather(*(clients.watch(way) for _ in range(number)))
        yield Strong(clients)


class _Viewing:
    """By WHEP: sound, camera and slides, in the lesson's codecs."""

    def __init__(self, endpoint: Endpoint, camera: str, slides: str) -> None:
        self._endpoint = endpoint
        self._codecs = (camera, slides)

    async def join(self, http: aiohttp.ClientSession, me: Local, role: Role) -> Remote:
        headers = {
            "Content-Type": "application/sdp",
            "Authorization": f"Bearer {self._endpoint.token}",
        }
        body = offer(me, role, *self._codecs)
        async with http.post(self._endpoint.url, data=body, headers=headers) as response:
            text = await response.text()
            if response.status != 201:
                raise JoinError(f"{self._endpoint.url}: {response.status} {text[:200]}")
        return session.remote(text)


def offer(me: Local, role: Role, camera: str, slides: str) -> str:
    """The generator's offer, with a second section of video, in these codecs."""
    said = session.offer(me, role)
    at = said.index("m=video")
    sections = _in_codec(said[at:], camera) + _in_codec(said[at:], slides).replace(
        "a=mid:1", "a=mid:2"
    )
    return said[:at].replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 2") + sections


def _in_codec(section: str, codec: str) -> str:
    """A section of video, which is H264's, for another codec in its plainest form."""
    if codec == "H264":
        return section
    lines = section.replace(_H264, f"{codec}/90000").splitlines(keepends=True)
    profile = f"a=fmtp:{session.VIDEO_PAYLOAD_TYPE} "
    return "".join(line for line in lines if not line.startswith(profile))
