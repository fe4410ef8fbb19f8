"""mediasoup: a C++ worker that Node drives; `mediasoup.mjs` is our part of that."""

import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import aiohttp

from benchmarks import session
from benchmarks.generator import JoinError
from benchmarks.servers.base import PEERS, Running, Server, not_installed
from benchmarks.servers.program import program
from benchmarks.session import Local, Remote, Role
from sfu.negotiation import Fingerprint

_FOLDER = PEERS / "mediasoup"
_PACKAGE = _FOLDER / "node_modules" / "mediasoup"
_PROBATION = 127
"""The payload type of mediasoup's bandwidth probes, which have an SSRC of their own."""
_SCRIPT = Path(__file__).with_name("mediasoup.mjs")


class Mediasoup(Server):
    """One worker with one router, on one port."""

    name = "mediasoup"
    settings: ClassVar[Mapping[str, object]] = {
        "workers": 1,
        "WebRtcServer": "one UDP port, socket buffers of 4 MiB",
        "initialAvailableOutgoingBitrate": 5_000_000,
        "logLevel": "none",
    }

    def missing(self) -> str | None:
        """Node, the package and its worker."""
        if shutil.which("node") is None:
            return "Node is not there; mediasoup needs 20 or newer"
        if not _worker().exists():
            return not_installed("mediasoup's worker", self.name)
        return None

    async def version(self) -> str:
        """That of the package."""
        return str(json.loads((_PACKAGE / "package.json").read_text())["version"])

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Running]:
        """Node, which starts the worker."""
        async with program(["node", _SCRIPT, _FOLDER]) as running:
            signaling = _Signaling(await running.line("ready "))
            yield Running(running.pid, signaling, signaling)


@dataclass(frozen=True)
class _Signaling:
    url: str

    async def join(self, http: aiohttp.ClientSession, me: Local, role: Role) -> Remote:
        async with http.post(f"{self.url}/{role}", json=introduction(me)) as response:
            text = await response.text()
            if response.status != 200:
                raise JoinError(f"mediasoup: {text[:200]}")
        return introduced(text)


def introduction(me: Local) -> dict[str, object]:
    """What the script must know of a client; the streams count for a teacher only."""
    return {
        "fingerprint": {
            "algorithm": me.fingerprint.algorithm,
            "value": me.fingerprint.value,
        },
        "audio": {"payloadType": session.AUDIO_PAYLOAD_TYPE, "ssrc": session.AUDIO_SSRC},
        "video": {"payloadType": session.VIDEO_PAYLOAD_TYPE, "ssrc": session.VIDEO_SSRC},
        "transportCc": session.TRANSPORT_CC_ID,
    }


def introduced(text: str) -> Remote:
    """The script's reply."""
    said = json.loads(text)
    payload_type, rtx = said.get("video", (session.VIDEO_PAYLOAD_TYPE, None))
    return Remote(
        said["address"],
        said["ufrag"],
        said["pwd"],
        tuple(Fingerprint(f["algorithm"], f["value"]) for f in said["fingerprints"]),
        transport_cc=said["transportCc"],
        video=(payload_type, rtx),
        probes=_PROBATION,
    )


def _worker() -> Path:
    return _PACKAGE / "worker" / "out" / "Release" / "mediasoup-worker"
