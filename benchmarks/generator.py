"""Clients for any WebRTC server: Python signals and shakes hands, Rust carries the load.

How a client tells the server of itself is the server's own matter, a `Signaling`; what follows, ICE
checks, DTLS and SRTP, is the same for all. WHIP and WHEP are here, other protocols in
`benchmarks/servers/`.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from benchmarks import _loadgen, session
from benchmarks.session import Local, Remote, Role
from sfu.dtls import AEAD_AES_128_GCM, Closed, Dtls, Identity, Keys

SAMPLE = 32
"""One viewer in so many opens its packets."""
JOIN_TIMEOUT = 15.0
_POLL = 0.002
_HEADERS = {"Content-Type": "application/sdp"}


class JoinError(Exception):
    """A client could not join; the message says why."""


class NotLiveError(JoinError):
    """There is nothing to watch yet."""


class Signaling(Protocol):
    """How one server hears of a client, and the client of its server."""

    async def join(self, http: aiohttp.ClientSession, me: Local, role: Role) -> Remote:
        """Tell the server of this client. Raises JoinError."""


@dataclass(frozen=True)
class Endpoint:
    """Where a client joins by WHIP (a teacher, RFC 9725) or WHEP (a school)."""

    url: str
    token: str

    async def join(self, http: aiohttp.ClientSession, me: Local, role: Role) -> Remote:
        """Post an offer."""
        headers = {**_HEADERS, "Authorization": f"Bearer {self.token}"}
        offer = session.offer(me, role)
        async with http.post(self.url, data=offer, headers=headers) as response:
            text = await response.text()
            if response.status != 201:
                kind = NotLiveError if response.status == 404 else JoinError
                raise kind(f"{self.url}: {response.status} {text[:200]}")
        return session.remote(text)


class Clients:
    """A teacher and his schools. Use as `async with`."""

    def __init__(self) -> None:
        self.native = _loadgen.Generator()
        self.viewers = 0
        self.began_ns: dict[int, int] = {}
        """When each client told the server of itself, on the monotonic clock."""
        # One profile: servers differ in which they would choose, and a packet's cost with it.
        self._identity = Identity.generate(profiles=(AEAD_AES_128_GCM,))
        self._handshakes: dict[int, tuple[Dtls, asyncio.Future[None]]] = {}
        self._http: aiohttp.ClientSession | None = None
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Clients":
        # Some servers want a WebSocket of each client.
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._pump = asyncio.create_task(self._carry())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._pump is not None:
            self._pump.cancel()
        if self._http is not None:
            await self._http.close()

    async def teach(self, signaling: Signaling) -> int:
        """Join as the teacher; sends nothing yet."""
        return await self._join(signaling, "teacher", sampled=False)

    async def watch(self, signaling: Signaling) -> int:
        """Join as one more school."""
        self.viewers += 1
        return await self._join(signaling, "school", sampled=self.viewers % SAMPLE == 1)

    async def _join(self, signaling: Signaling, role: Role, *, sampled: bool) -> int:
        assert self._http is not None
        began_ns = time.monotonic_ns()
        me = Local(secrets.token_hex(4), secrets.token_hex(12), self._identity.fingerprint)
        lacking = "description of the server"
        try:
            async with asyncio.timeout(JOIN_TIMEOUT):
                remote = await signaling.join(self._http, me, role)
                lacking = f"connection with {remote.address}"
                client = self._add(remote, me, role, sampled)
                await asyncio.sleep(remote.checks)
                dtls, connected = self._handshakes[client]
                dtls.start()
                self._drive(client)
                await connected
        except TimeoutError:
            raise JoinError(f"a {role} had no {lacking} in {JOIN_TIMEOUT:.0f} s") from None
        except session.DescriptionError as error:
            raise JoinError(f"the server's description is of no use: {error}") from None
        self.began_ns[client] = began_ns
        return client

    def _add(self, remote: Remote, me: Local, role: Role, sampled: bool) -> int:
        """A native client of that server, its handshake ready to start."""
        teaches = role == "teacher"
        client = self.native.add(
            remote.address,
            remote.ufrag,
            remote.pwd,
            me.ufrag,
            me.pwd,
            audio=(session.AUDIO_PAYLOAD_TYPE, session.AUDIO_SSRC) if teaches else None,
            video=(session.VIDEO_PAYLOAD_TYPE, session.VIDEO_SSRC) if teaches else None,
            sampled=sampled,
            transport_cc=remote.transport_cc,
            asks=None if teaches else remote.video,
            probes=remote.probes,
        )
        dtls = Dtls(self._identity, "client", remote.fingerprints)
        self._handshakes[client] = (dtls, asyncio.get_running_loop().create_future())
        return client

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
                case Closed(reason) if not connected.done():
                    connected.set_exception(JoinError(reason))
                case _:
                    pass
        if dtls.complete and not connected.done():  # the server has seen our last flight
            connected.set_result(None)
        while (datagram := dtls.poll_transmit()) is not None:
            self.native.send_dtls(client, datagram)
        if (delay := dtls.poll_timeout()) is not None and not connected.done():
            asyncio.get_running_loop().call_later(delay, self._retry, client)

    def _retry(self, client: int) -> None:
        dtls, connected = self._handshakes[client]
        if not connected.done() and dtls.poll_timeout() == 0:
            dtls.handle_timeout()
            self._drive(client)
