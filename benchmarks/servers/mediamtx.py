"""MediaMTX: WHIP and WHEP as ours."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Mapping
from typing import ClassVar

import aiohttp

from benchmarks.generator import Endpoint, NotLiveError
from benchmarks.servers.base import PEERS, Running, Server, not_installed
from benchmarks.servers.program import free_port, output, program
from benchmarks.session import Local, Remote, Role

_PROGRAM = PEERS / "mediamtx" / "mediamtx"
_PATH = "bench"


class MediaMTX(Server):
    """WebRTC alone of its protocols, on one UDP port."""

    name = "mediamtx"
    settings: ClassVar[Mapping[str, object]] = {
        "webrtcLocalUDPAddress": "one port",
        "logLevel": "error",
        "protocols": "WebRTC only",
    }

    def missing(self) -> str | None:
        """The program that `install.sh` builds."""
        return None if _PROGRAM.exists() else not_installed("mediamtx", self.name)

    async def version(self) -> str:
        """What it prints."""
        return await output([_PROGRAM, "--version"])

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Running]:
        """A server that takes anybody."""
        port = free_port()
        settings = environment(port, free_port(socket.SOCK_DGRAM))
        async with program([_PROGRAM], cwd=_PROGRAM.parent, env={**os.environ, **settings}) as mtx:
            await mtx.listens(port)
            url = f"http://127.0.0.1:{port}/{_PATH}"
            yield Running(mtx.pid, Endpoint(f"{url}/whip", ""), _Patient(f"{url}/whep", ""))


class _Patient(Endpoint):
    """It takes nobody before it has heard of both of the teacher's streams."""

    async def join(self, http: aiohttp.ClientSession, me: Local, role: Role) -> Remote:
        while True:
            with contextlib.suppress(NotLiveError):
                return await super().join(http, me, role)
            await asyncio.sleep(0.1)


def environment(port: int, udp_port: int) -> dict[str, str]:
    """Its settings, which it also takes from the environment."""
    others = ("RTSP", "RTMP", "HLS", "SRT", "API", "METRICS")
    return {
        **{f"MTX_{protocol}": "no" for protocol in others},
        "MTX_LOGLEVEL": "error",
        "MTX_WEBRTCADDRESS": f"127.0.0.1:{port}",
        "MTX_WEBRTCLOCALUDPADDRESS": f"127.0.0.1:{udp_port}",
        "MTX_WEBRTCIPSFROMINTERFACES": "no",
        "MTX_WEBRTCADDITIONALHOSTS": "127.0.0.1",
        f"MTX_PATHS_{_PATH.upper()}_SOURCE": "publisher",
    }
