"""Janus and its VideoRoom plugin, over its WebSocket API."""

import asyncio
import contextlib
import itertools
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import aiohttp

from benchmarks import session
from benchmarks.generator import JoinError
from benchmarks.servers.base import Running, Server, ServerError, not_installed
from benchmarks.servers.program import free_port, output, program
from benchmarks.session import Local, Remote, Role

_ROOM = 1
_CHECKS = 0.15
"""libnice answers our first check with one of its own, even where it is lite."""
_PLUGIN = "janus.plugin.videoroom"
_LIBRARIES = ("libjanus_videoroom.so", "libjanus_websockets.so")
_ROOM_SETTINGS: Mapping[str, object] = {
    "publishers": 1,
    "bitrate": 0,
    "audiocodec": "opus",
    "videocodec": "h264",
    "h264_profile": "42e01f",
    "transport_wide_cc_ext": True,
    "require_pvtid": False,
    "notify_joining": False,
}


class Janus(Server):
    """One event loop for all handles, as there is one core; ICE lite, as the others."""

    name = "janus"
    settings: ClassVar[Mapping[str, object]] = {
        "event_loops": 1,
        "ice_lite": True,
        "debug_level": 0,
        "plugins": "videoroom only",
        "videoroom": _ROOM_SETTINGS,
    }

    def missing(self) -> str | None:
        """Debian's package, as it installs itself."""
        return None if shutil.which("janus") else not_installed("the program `janus`", self.name)

    async def version(self) -> str:
        """From the first line of its help, "Janus version: 1102 (1.1.2)"."""
        said = await output(["janus", "--help"])
        return said.splitlines()[0].split("(")[-1].rstrip(")")

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Running]:
        """Janus with a room."""
        port = free_port()
        with tempfile.TemporaryDirectory() as folder:
            for name, text in configuration(port).items():
                (Path(folder) / name).write_text(text)
            async with (
                program(["janus", "--configs-folder", folder, "--log-stdout"]) as running,
                aiohttp.ClientSession() as http,
            ):
                await running.listens(port)
                async with _link(http, f"http://127.0.0.1:{port}") as link:
                    await link.open()
                    yield Running(running.pid, link, link)


def configuration(port: int) -> dict[str, str]:
    """Its configuration files, by name."""
    return {
        "janus.jcfg": f"""
general: {{ debug_level = 0; session_timeout = 0; event_loops = 1 }}
nat: {{ ice_lite = true; ice_enforce_list = "lo,127.0.0.1" }}
plugins: {{ disable = "{_others("plugins")}" }}
transports: {{ disable = "{_others("transports")}" }}
loggers: {{ disable = "{_others("loggers")}" }}
""",
        "janus.transport.websockets.jcfg": f"""
general: {{ json = "compact"; ws = true; ws_ip = "127.0.0.1"; ws_port = {port} }}
""",
        "janus.plugin.videoroom.jcfg": "general: { }\n",
    }


def _others(kind: str) -> str:
    """The installed libraries of a kind that the benchmark has no use for."""
    found = {path.name for path in Path("/usr/lib").glob(f"*/janus/{kind}/*.so")}
    return ",".join(sorted(found - set(_LIBRARIES)))


class _Link:
    """One session: requests, and the answers that come to them."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._session: dict[str, int] = {}
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._feed = self._teacher = 0
        self._taught = asyncio.Event()

    async def open(self) -> None:
        """A session, and the room. Raises ServerError."""
        self._session = {"session_id": (await self._ask({"janus": "create"}))["data"]["id"]}
        handle = await self._attach()
        body = {"request": "create", "room": _ROOM, **_ROOM_SETTINGS}
        made = await self._ask({"janus": "message", "handle_id": handle, "body": body})
        if made["plugindata"]["data"].get("videoroom") != "created":
            raise ServerError(f"janus made no room: {json.dumps(made)[:300]}")

    async def join(self, http: aiohttp.ClientSession, me: Local, role: Role) -> Remote:
        """A handle for each client."""
        handle = await self._attach()
        remote = await (self._teach(handle, me) if role == "teacher" else self._watch(handle, me))
        return replace(remote, checks=_CHECKS)

    async def carry(self) -> None:
        """Hand each answer to whoever waits for it; "ack" says that the answer is to come."""
        async for message in self._socket:
            said = json.loads(message.data)
            if said["janus"] == "webrtcup" and said["sender"] == self._teacher:
                self._taught.set()
            waiting = self._waiting.get(said.get("transaction", ""))
            if waiting and not waiting.done() and said["janus"] != "ack":
                waiting.set_result(said)

    async def _teach(self, handle: int, me: Local) -> Remote:
        self._teacher = handle
        room = {"room": _ROOM, "ptype": "publisher"}
        joined, _ = await self._message(handle, {"request": "join", **room})
        self._feed = joined["id"]
        _, answered = await self._message(
            handle, {"request": "publish"}, ("offer", session.offer(me, "teacher"))
        )
        return session.remote(answered)

    async def _watch(self, handle: int, me: Local) -> Remote:
        await self._taught.wait()  # there is no such feed before
        room = {"room": _ROOM, "ptype": "subscriber", "streams": [{"feed": self._feed}]}
        _, offered = await self._message(handle, {"request": "join", **room})
        await self._message(handle, {"request": "start"}, ("answer", session.answer(offered, me)))
        return session.remote(offered)

    async def _attach(self) -> int:
        said = await self._ask({"janus": "attach", "plugin": _PLUGIN})
        return int(said["data"]["id"])

    async def _message(
        self, handle: int, body: dict[str, object], jsep: tuple[str, str] | None = None
    ) -> tuple[dict[str, Any], str]:
        """Ask the plugin; its answer, and the description that came with it."""
        request: dict[str, object] = {"janus": "message", "handle_id": handle, "body": body}
        if jsep:
            request["jsep"] = {"type": jsep[0], "sdp": jsep[1]}
        said = await self._ask(request)
        data = said["plugindata"]["data"]
        if "error" in data:
            raise JoinError(f"janus: {data['error']}")
        return data, str(said.get("jsep", {}).get("sdp", ""))

    async def _ask(self, request: dict[str, object]) -> dict[str, Any]:
        transaction = str(next(self._numbers))
        self._waiting[transaction] = answer = asyncio.get_running_loop().create_future()
        await self._socket.send_json({**request, **self._session, "transaction": transaction})
        try:
            said = await answer
        finally:
            del self._waiting[transaction]
        if said["janus"] == "error":
            raise JoinError(f"janus: {said['error']['reason']}")
        return dict(said)


@contextlib.asynccontextmanager
async def _link(http: aiohttp.ClientSession, url: str) -> AsyncIterator[_Link]:
    async with http.ws_connect(url, protocols=["janus-protocol"]) as socket:
        link = _Link(socket)
        carrier = asyncio.create_task(link.carry())
        try:
            yield link
        finally:
            carrier.cancel()
