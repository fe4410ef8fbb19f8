"""The composition root: everything a node is made of is made here, and unmade in reverse."""

import asyncio
import contextlib
import ipaddress
import logging
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import ifaddr
from aiohttp import web

from recorder.archive import policy
from recorder.archive.policy import Policy
from recorder.errors import RecorderError
from recorder.supervisor import Supervisor
from recorder.web.live import Broadcast
from recorder.web.media import routes as archive_routes
from sfu.config import EngineConfig
from sfu.dtls import Identity
from sfu.engine import Engine, start_engine
from sfu.errors import EngineError
from sfu.stats import Counters
from signaling.admission import Limits
from signaling.api import Api
from signaling.classroom import ClassroomConfig
from signaling.config import MAX_SHARDS, NodeConfig
from signaling.delivery import Budgets
from signaling.desk import Desks
from signaling.disk import DiskGuard, DiskWatch, Watermarks, free_bytes
from signaling.door import Door
from signaling.edge import MAX_BODY, AccessLog, errors_as_json, unix_now
from signaling.endpoint import allow_cross_origin
from signaling.errors import ConfigError
from signaling.feeds.api import FeedsApi
from signaling.feeds.ingest import Ingests
from signaling.feeds.push import Pushes
from signaling.floor_api import FloorApi
from signaling.lesson import Rules
from signaling.livekit.endpoint import LiveKitEndpoint, allow_pages
from signaling.livekit.join import MAX_JOIN
from signaling.livekit.reports import reports
from signaling.livekit.rooms import Rooms
from signaling.livekit.twirp import RoomService
from signaling.livekit.watching import Watching
from signaling.pages import Pages
from signaling.registry import Registry
from signaling.session import MediaPlane
from signaling.webhooks import Key, Webhooks
from signaling.whep import Whep
from signaling.whip import Whip

logger = logging.getLogger(__name__)

INGESTS = web.AppKey("ingests", Ingests)
PUSHES = web.AppKey("pushes", Pushes)

_WORKER_PATIENCE = 2.0
"""Seconds the recorder's worker has for the archives of lessons that a shutdown ended."""
_HTTP_PATIENCE = 0.1
"""Seconds a running request has at shutdown: a replay's download is simply begun again."""


class Node:
    """A running node. `start` raises ConfigError, in one sentence; `stop` takes under 3 s."""

    def __init__(self, config: NodeConfig, *, dev: bool) -> None:
        self._config = config
        self._dev = dev
        self._recorder_state = "starting" if config.recorder.enabled else "off"
        self._broadcast = Broadcast()
        self._guard: DiskGuard | None = None
        self._undo = contextlib.AsyncExitStack()
        self.url = ""
        """Where the node listens, as this machine reaches it."""

    @classmethod
    async def start(cls, config: NodeConfig, *, dev: bool = False) -> Self:
        """Bind, start, listen."""
        node = cls(config, dev=dev)
        try:
            await node._start()
        except BaseException:
            await node._undo.aclose()
            raise
        return node

    async def stop(self) -> None:
        """End every lesson, finish its archive, close everything. Idempotent."""
        await self._undo.aclose()

    async def _start(self) -> None:
        config = self._config
        data_dir = prepare_data_dir(config.data_dir)
        leave_policy(data_dir, config)
        engine = self._start_engine()
        self._undo.push_async_callback(engine.close)
        registry = Registry(self._classrooms(engine, data_dir), clock=unix_now)
        if config.recorder.enabled:
            await self._guard_disk(data_dir, engine, registry)
        door = Door(
            Limits(config.join.at_once, config.join.waiting, config.join.waiting_per_lesson)
        )
        webhooks = make_webhooks(config)
        self._undo.push_async_callback(webhooks.close)
        api = Api(
            registry,
            engine,
            door,
            config.keys,
            dev=self._dev,
            recorder_state=self._recording_state,
            disk=lambda: self._guard.disk if self._guard is not None else None,
            webhooks=webhooks,
        )
        app = make_app(registry, config, api, door, self._archive(data_dir, api), webhooks)
        await self._listen(app)
        if config.recorder.enabled:
            await self._supervise(data_dir)
        self._undo.push_async_callback(registry.close, "shutdown")
        app[INGESTS].serve(self.url)
        tcp = "no TCP" if engine.tcp_port is None else f"TCP port {engine.tcp_port}"
        logger.info("HTTP on %s, %s, media on UDP ports %s", self.url, tcp, list(engine.ports))

    def _archive(self, data_dir: Path, api: Api) -> Sequence[web.RouteDef]:
        try:
            return archive_routes(
                data_dir,
                api.authorize_archive,
                self._broadcast,
                self._config.archive.database,
            )
        except RecorderError as error:
            raise ConfigError(f"The catalogue cannot be opened: {error}.") from error

    def _start_engine(self) -> Engine:
        rtc = self._config.rtc
        shards = own_cores() if rtc.shards == "auto" else rtc.shards
        config = EngineConfig(
            port=rtc.udp_port,
            tcp_port=rtc.tcp_port,
            shards=shards,
            consent_timeout=rtc.consent_timeout,
        )
        try:
            engine = start_engine(config)
        except EngineError as error:
            raise ConfigError(str(error)) from error
        if warning := buffer_warning(config.buffer_bytes, engine.stats().shards):
            logger.warning(warning)
        return engine

    def _classrooms(self, engine: Engine, data_dir: Path) -> ClassroomConfig:
        config = self._config
        addresses = config.rtc.node_ip or own_addresses(loopback=self._dev)
        return ClassroomConfig(
            media=MediaPlane(engine, Identity.generate(), addresses),
            rules=Rules(config.lesson.linger, config.lesson.max_schools),
            video_codecs=config.rtc.video_codecs,
            lessons_dir=data_dir / "lessons" if config.recorder.enabled else None,
            budgets=Budgets(config.quality.viewer_bitrate or math.inf, config.quality.sites),
        )

    async def _listen(self, app: web.Application) -> None:
        config = self._config
        runner = web.AppRunner(
            app,
            access_log_class=AccessLog,
            shutdown_timeout=_HTTP_PATIENCE,
            handle_signals=False,
            handler_cancellation=True,  # who hangs up leaves the queue of joins
            max_line_size=MAX_JOIN,  # an offer travels in the URL of LiveKit's WebSocket
        )
        await runner.setup()
        self._undo.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, config.bind, config.port).start()
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise ConfigError(
                f"HTTP {config.bind}:{config.port} cannot be bound ({reason}): choose another "
                "port (--port or `port:`), or stop what uses it."
            ) from error
        port = runner.addresses[0][1]
        host = "127.0.0.1" if config.bind == "0.0.0.0" else config.bind
        self.url = f"http://{host}:{port}"

    async def _guard_disk(self, data_dir: Path, engine: Engine, registry: Registry) -> None:
        config = self._config.recorder
        marks = Watermarks(config.video_stops_below, config.sound_stops_below, config.warn_hours)
        self._guard = DiskGuard(
            DiskWatch(marks),
            free=lambda: free_bytes(data_dir),
            keep=engine.keep_of_journals,
            lessons=lambda: {room.lesson.id: room.note for room in registry if room.recorded},
            clock=time.monotonic,
        )
        await self._guard.start()
        self._undo.push_async_callback(self._guard.stop)

    def _recording_state(self) -> str:
        """The disk's trouble before the worker's: it is what an operator can mend."""
        disk = self._guard.disk if self._guard is not None else None
        return f"failing: {disk.trouble}" if disk and disk.trouble else self._recorder_state

    async def _supervise(self, data_dir: Path) -> None:
        supervisor = Supervisor(
            data_dir,
            self._on_recorder,
            on_news=self._broadcast.handle,
            database=self._config.archive.database,
        )
        try:
            await supervisor.start()
        except OSError as error:
            raise ConfigError(f"The recorder cannot be started: {error.strerror}.") from error
        self._undo.push_async_callback(supervisor.stop, _WORKER_PATIENCE)

    def _on_recorder(self, state: str) -> None:
        self._recorder_state = state


def make_webhooks(config: NodeConfig) -> Webhooks:
    """Who tells other systems, signed with the key that the operator chose, or with the first."""
    name = config.webhook.api_key or next(iter(config.keys))
    return Webhooks(config.webhook.urls, Key(name, config.keys[name]), unix_now)


def make_app(
    registry: Registry,
    config: NodeConfig,
    api: Api,
    door: Door,
    archive: Sequence[web.RouteDef],
    webhooks: Webhooks,
) -> web.Application:
    """All of the node's HTTP."""
    app = web.Application(middlewares=[errors_as_json], client_max_size=MAX_BODY)
    app.on_response_prepare.append(allow_cross_origin)
    app.on_response_prepare.append(allow_pages)
    desks = Desks(registry)
    for endpoint in (Whip, Whep):
        served = endpoint(registry, desks, config.keys, door, config.rtc.ice_servers)
        app.add_routes(served.routes())
    rooms = Rooms(
        registry,
        reports(webhooks, lambda classroom: rooms.of(classroom).presence.room()),
        config.rtc.ice_servers,
    )
    watching = Watching(registry, lambda classroom: rooms.of(classroom).presence, api.engine)
    app.cleanup_ctx.append(watching.run)
    app.add_routes(LiveKitEndpoint(rooms, config.keys, door).routes())
    app.add_routes(RoomService(registry, rooms.of, config.keys).routes())
    app.add_routes(api.routes())
    app.add_routes(FloorApi(registry, config.keys).routes())
    app[INGESTS] = Ingests(registry, config.ingest, config.keys)
    app[PUSHES] = Pushes(registry, config.push)
    app.on_cleanup.append(_end_feeds)
    app.add_routes(FeedsApi(app[INGESTS], app[PUSHES], config.keys).routes())
    app.add_routes(archive)
    app.add_routes(Pages().routes())
    return app


async def _end_feeds(app: web.Application) -> None:
    await asyncio.gather(app[INGESTS].close(), app[PUSHES].close())


def prepare_data_dir(path: Path) -> Path:
    """Make the folder if need be; its absolute path. Raises ConfigError if it is not writable."""
    path = path.absolute()
    try:
        (path / "lessons").mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"The data folder {path} is not writable ({error.strerror}): choose another data_dir."
        ) from error
    return path


def leave_policy(data_dir: Path, config: NodeConfig) -> None:
    """Tell those who tend to finished lessons what the operator wants. Raises ConfigError."""
    try:
        policy.write(data_dir, Policy.from_json(config.archive.model_dump(exclude={"database"})))
    except OSError as error:
        raise ConfigError(f"The data folder cannot be written: {error.strerror}.") from error


def own_cores() -> int:
    """How many cores this process may use (a container may have been given fewer than all)."""
    return min(len(os.sched_getaffinity(0)), MAX_SHARDS)


def buffer_warning(asked: int, shards: Sequence[Counters]) -> str | None:
    """One sentence when the kernel grants smaller socket buffers than `asked` bytes, else None."""
    granted = {
        key: min((int(shard.get(f"{name}_buffer_bytes", asked)) for shard in shards), default=asked)
        for name, key in (("receive", "net.core.rmem_max"), ("send", "net.core.wmem_max"))
    }
    short = {key: size for key, size in granted.items() if size < asked}
    if not short:
        return None
    return (
        f"The kernel grants UDP sockets a buffer of {min(short.values()) // 1024} KiB where "
        f"{asked // 1024} KiB were asked for, so that bursts, such as a keyframe for every "
        "school, may be lost; allow more by: sysctl -w "
        + " ".join(f"{key}={asked}" for key in short)
    )


def own_addresses(*, loopback: bool) -> tuple[str, ...]:
    """This machine's IPv4 addresses; with `loopback` 127.0.0.1 too, last."""
    found = [
        str(ip.ip)
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
        if isinstance(ip.ip, str) and not ipaddress.ip_address(ip.ip).is_loopback
    ]
    if loopback or not found:
        found.append("127.0.0.1")
    return tuple(dict.fromkeys(found))
