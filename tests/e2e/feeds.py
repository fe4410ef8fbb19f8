"""Cameras, recording boxes and platforms on this machine, none of them ours."""

import asyncio
import contextlib
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from clients.headless.api import Api
from tests.e2e.classroom import until

_SYSTEM_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("gstreamer_feeds.py")

PICTURE = (
    "videotestsrc is-live=true pattern=ball"
    " ! video/x-raw,format=I420,width=320,height=180,framerate=30/1"
)
SOUND = "audiotestsrc is-live=true wave=ticks ! audioconvert"
H264 = "x264enc tune=zerolatency speed-preset=ultrafast bitrate=300 key-int-max=30"

CAMERA = (
    f"( {PICTURE} ! {H264} ! rtph264pay name=pay0 pt=96"
    f" {SOUND} ! opusenc ! rtpopuspay name=pay1 pt=97 )"
)
"""What WebRTC takes as it is, parameter sets in the SDP only."""
OLD_CAMERA = (
    f"( {PICTURE} ! x264enc bframes=2 b-adapt=false speed-preset=ultrafast bitrate=300"
    " key-int-max=30 ! video/x-h264,profile=main ! rtph264pay name=pay0 pt=96 config-interval=1"
    f" {SOUND} ! audioresample ! audio/x-raw,rate=8000,channels=1 ! alawenc"
    " ! rtppcmapay name=pay1 )"
)
"""B-frames and telephone sound."""
BOX = (
    f"{PICTURE} ! {H264} ! h264parse config-interval=-1 ! mpegtsmux alignment=7 name=mux"
    f" {SOUND} ! opusenc ! opusparse ! mux. mux. ! queue"
)
"""MPEG-TS, for SRT."""

ALLOWED = {"TONGBU_INGEST__ALLOW": '["127.0.0.1"]', "TONGBU_PUSH__ALLOW": '["127.0.0.1"]'}


@asynccontextmanager
async def gstreamer(kind: str, launch: str) -> AsyncIterator[str]:
    """A server or a pipeline, for the block; what it printed when it was ready."""
    process = await asyncio.create_subprocess_exec(
        *(_SYSTEM_PYTHON, str(_SCRIPT), kind, launch), stdin=PIPE, stdout=PIPE
    )
    assert process.stdout
    assert process.stdin
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line, "GStreamer did not start"
        yield line.decode().strip()
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def camera(launch: str = CAMERA) -> AsyncIterator[str]:
    """An RTSP camera; its URL."""
    async with gstreamer("rtsp", launch) as port:
        yield f"rtsp://127.0.0.1:{port}/stream1"


class Platform:
    """nginx with its RTMP module: others' streams come in, are kept as FLV, and go out again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Where to send a stream of a lesson, and to take it from."""
        return f"rtmp://127.0.0.1:{self.port}/live/the-secret-key"

    async def start(self) -> None:
        """Listen."""
        records = self.folder / "records"
        records.mkdir(parents=True, exist_ok=True)
        records.chmod(0o777)
        self.folder.chmod(0o755)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n"
            f"daemon off; master_process off; pid {self.folder}/pid;\n"
            f"error_log {self.folder}/log warn; events {{ worker_connections 64; }}\n"
            f"rtmp {{ server {{ listen 127.0.0.1:{self.port}; application live {{ live on;\n"
            f"record all; record_path {records}; record_unique on; record_suffix -%s.flv; }} }} }}"
        )
        self._process = await asyncio.create_subprocess_exec(
            *("/usr/sbin/nginx", "-e", f"{self.folder}/log"),
            *("-c", str(configuration), "-p", str(self.folder)),
        )
        await until(self._listens, 20, "nginx")

    async def stop(self) -> None:
        """Go away, as platforms do."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    def records(self) -> list[Path]:
        """What came, a file for each connection."""
        return sorted((self.folder / "records").glob("*.flv"))

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


class Desk:
    """A teacher's view of a lesson's feeds."""

    def __init__(self, url: str, token: str, lesson: str) -> None:
        self._http = aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
        self._base = f"{url}/api/lessons/{lesson}"

    async def post(self, kind: str, **wish: object) -> tuple[int, dict[str, Any]]:
        """Ask for a feed; status and answer."""
        async with self._http.post(f"{self._base}/{kind}", json=wish) as response:
            return response.status, await response.json()

    async def begin(self, kind: str, **wish: object) -> dict[str, Any]:
        """Ask for a feed, which must be granted."""
        status, feed = await self.post(kind, **wish)
        assert status == 201, feed
        return feed

    async def feeds(self, kind: str) -> list[dict[str, Any]]:
        """All of a kind."""
        async with self._http.get(f"{self._base}/{kind}") as response:
            assert response.status == 200
            return list(await response.json())

    async def end(self, kind: str, feed_id: str) -> int:
        """The status of a DELETE."""
        async with self._http.delete(f"{self._base}/{kind}/{feed_id}") as response:
            return response.status

    async def reaches(self, kind: str, state: str, patience: float = 60) -> dict[str, Any]:
        """Wait until the first feed's state begins so."""
        seen: list[dict[str, Any]] = []

        async def there() -> bool:
            seen[:] = await self.feeds(kind)
            return bool(seen) and str(seen[0]["state"]).startswith(state)

        try:
            await until(there, patience, state, 0.2)
        except AssertionError:
            raise AssertionError(f"waited for {state} in vain: {seen}") from None
        return seen[0]

    async def close(self) -> None:
        await self._http.close()


@asynccontextmanager
async def desk(url: str, lesson: str = "math") -> AsyncIterator[Desk]:
    """A teacher's."""
    async with Api(url) as api:
        token = await api.become("teacher", lesson)
    made = Desk(url, token, lesson)
    try:
        yield made
    finally:
        await made.close()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody has."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
