"""Clients for any WHIP and WHEP server: Python signals and shakes hands, Rust carries the load."""

import asyncio
import secrets
import time
from dataclasses import dataclass

import aiohttp
from aiortc import sdp

from benchmarks import _loadgen
from sfu.dtls import Closed, Dtls, Identity, Keys
from sfu.negotiation import Fingerprint

AUDIO_PAYLOAD_TYPE = 111
VIDEO_PAYLOAD_TYPE = 96
AUDIO_SSRC = 0x0A0D10
VIDEO_SSRC = 0x071DE0
SAMPLE = 32
"""One viewer in so many opens its packets."""
JOIN_TIMEOUT = 15.0
_POLL = 0.002
_HEADERS = {"Content-Type": "application/sdp"}


class JoinError(Exception):
    """A client could not join; the message says why."""


@dataclass(frozen=True)
class Endpoint:
    """Where a client joins."""

    url: str
    token: str


@dataclass(frozen=True)
class _Remote:
    address: str
    ufrag: str
    pwd: str
    fingerprints: list[Fingerprint]


class Clients:
    """A teacher and his schools. Use as `async with`."""

    def __init__(self) -> None:
        self.native = _loadgen.Generator()
        self.viewers = 0
        self.began_ns: dict[int, int] = {}
        """When each client posted its offer, on the monotonic clock."""
        self._identity = Identity.generate()
        self._handshakes: dict[int, tuple[Dtls, asyncio.Future[None]]] = {}
        self._http: aiohttp.ClientSession | None = None
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Clients":
        self._http = aiohttp.ClientSession()
        self._pump = asyncio.create_task(self._carry())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pump is not None:
            self._pump.cancel()
        if self._http is not None:
            await self._http.close()

    async def teach(self, endpoint: Endpoint) -> int:
        """Join as the teacher; sends nothing yet."""
        return await self._join(endpoint, "sendonly", sampled=False)

    async def watch(self, endpoint: Endpoint) -> int:
        """Join as one more school."""
        self.viewers += 1
        return await self._join(endpoint, "recvonly", sampled=self.viewers % SAMPLE == 1)

    async def _join(self, endpoint: Endpoint, direction: str, *, sampled: bool) -> int:
        began_ns = time.monotonic_ns()
        ufrag, pwd = secrets.token_hex(4), secrets.token_hex(12)
        remote = await self._signal(endpoint, self._offer(direction, ufrag, pwd))
        publishing = direction == "sendonly"
        client = self.native.add(
            remote.address,
            remote.ufrag,
            remote.pwd,
            ufrag,
            audio=(AUDIO_PAYLOAD_TYPE, AUDIO_SSRC) if publishing else None,
            video=(VIDEO_PAYLOAD_TYPE, VIDEO_SSRC) if publishing else None,
            sampled=sampled,
        )
        dtls = Dtls(self._identity, "client", remote.fingerprints)
        connected = asyncio.get_running_loop().create_future()
        self._handshakes[client] = (dtls, connected)
        await asyncio.sleep(0.03)  # the first check goes ahead of the handshake
        dtls.start()
        self._drive(client)
        try:
            async with asyncio.timeout(JOIN_TIMEOUT):
                await connected
        except TimeoutError:
            raise JoinError(f"{endpoint.url}: no connection in {JOIN_TIMEOUT:.0f} s") from None
        self.began_ns[client] = began_ns
        return client

    async def _signal(self, endpoint: Endpoint, offer: str) -> _Remote:
        assert self._http is not None
        headers = {**_HEADERS, "Authorization": f"Bearer {endpoint.token}"}
        async with self._http.post(endpoint.url, data=offer, headers=headers) as response:
            text = await response.text()
            if response.status != 201:
                raise JoinError(f"{endpoint.url}: {response.status} {text[:200]}")
        return _remote(text)

    def _offer(self, direction: str, ufrag: str, pwd: str) -> str:
        fingerprint = self._identity.fingerprint
        transport = (
            f"a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n"
            f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}\r\na=setup:active\r\n"
            f"a={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
        )
        audio = (
            f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO_PAYLOAD_TYPE}\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
            f"{transport}a=rtpmap:{AUDIO_PAYLOAD_TYPE} opus/48000/2\r\n"
        )
        video = (
            f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO_PAYLOAD_TYPE} 97\r\nc=IN IP4 0.0.0.0\r\n"
            f"a=mid:1\r\n{transport}"
            f"a=rtpmap:{VIDEO_PAYLOAD_TYPE} H264/90000\r\n"
            f"a=fmtp:{VIDEO_PAYLOAD_TYPE} level-asymmetry-allowed=1;packetization-mode=1;"
            "profile-level-id=42e01f\r\n"
            f"a=rtcp-fb:{VIDEO_PAYLOAD_TYPE} nack\r\na=rtcp-fb:{VIDEO_PAYLOAD_TYPE} nack pli\r\n"
            f"a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt={VIDEO_PAYLOAD_TYPE}\r\n"
        )
        if direction == "sendonly":
            audio += f"a=msid:s a\r\na=ssrc:{AUDIO_SSRC} cname:loadgen\r\n"
            video += f"a=msid:s v\r\na=ssrc:{VIDEO_SSRC} cname:loadgen\r\n"
        head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n"
        return head + audio + video

    async def _carry(self) -> None:
        """Datagrams and timers of the handshakes under way."""
        while True:
            for client, datagram in self.native.poll_dtls():
                if client in self._handshakes:
                    self._handshakes[client][0].handle_datagram(datagram)
                    self._drive(client)
            await asyncio.sleep(_POLL)

    def _drive(self, client: int) -> None:
        dtls, connected = self._handshakes[client]
        while (event := dtls.poll_event()) is not None:
            match event:
                case Keys(profile, rx, tx):
                    self.native.set_keys(client, profile, rx, tx)
                    if not connected.done():
                        connected.set_result(None)
                case Closed(reason) if not connected.done():
                    connected.set_exception(JoinError(reason))
                case _:
                    pass
        while (datagram := dtls.poll_transmit()) is not None:
            self.native.send_dtls(client, datagram)
        if (delay := dtls.poll_timeout()) is not None and not connected.done():
            asyncio.get_running_loop().call_later(delay, self._retry, client)

    def _retry(self, client: int) -> None:
        dtls, connected = self._handshakes[client]
        if not connected.done() and dtls.poll_timeout() == 0:
            dtls.handle_timeout()
            self._drive(client)


def _remote(answer: str) -> _Remote:
    """What the answer tells of the server: its loopback candidate before others."""
    media = sdp.SessionDescription.parse(answer).media
    ice = next((m.ice for m in media if m.ice and m.ice.usernameFragment), None)
    dtls = next((m.dtls for m in media if m.dtls), None)
    candidates = [c for m in media for c in m.ice_candidates if c.protocol == "udp"]
    if not candidates or dtls is None or ice is None:
        raise JoinError("the answer has no UDP candidate, no fingerprint or no ICE credentials")
    best = min(candidates, key=lambda c: (not c.ip.startswith("127."), -c.priority))
    fingerprints = [Fingerprint(f.algorithm, f.value) for f in dtls.fingerprints]
    ufrag, pwd = ice.usernameFragment or "", ice.password or ""
    return _Remote(f"{best.ip}:{best.port}", ufrag, pwd, fingerprints)
