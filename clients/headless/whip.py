"""The client's side of WHIP (RFC 9725) and WHEP: one POST to begin, one DELETE to end.

Both protocols are the same to a client: it posts an SDP offer and gets an answer and the address
of a session. All our candidates are in the offer and all of the node's in the answer, so there is
no PATCH.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.exceptions import OperationError

from clients.headless.errors import ConnectionLost, EndpointError

CONNECT_TIMEOUT = 15.0
"""Seconds for ICE and DTLS; as long as a node waits for a handshake."""
_HTTP_TIMEOUT = aiohttp.ClientTimeout(total=10)

_REFUSALS = {
    401: "asks for a valid token: pass --token, or make one with `tongbu token`",
    403: "does not allow this with your token",
    404: "does not know this address; it should end in /<lesson>/whip or /<lesson>/whep",
    413: "finds the offer too large",
    415: "is not a WHIP or WHEP endpoint",
}


@dataclass(frozen=True)
class Answer:
    """What an endpoint gave: its SDP and the address of the session (absolute)."""

    sdp: str
    session_url: str


class Endpoint:
    """A WHIP or WHEP address, and the HTTP connection to it.

    Use as `async with`; every method raises EndpointError when the node refuses or is silent.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise EndpointError(f"{url} is not an http or https address.")
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=_HTTP_TIMEOUT, headers=self._headers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http:
            await self._http.close()

    async def open(self, offer: str) -> Answer:
        """POST the offer; the session exists from now on."""
        headers = {"Content-Type": "application/sdp"}
        status, body, replied = await self._request("POST", self.url, offer, headers)
        if status != 201:
            raise EndpointError(_refusal(self.url, status, body, replied), status)
        if "Location" not in replied:
            raise EndpointError(f"{self.url} answered without a Location header.", status)
        return Answer(body, urljoin(self.url, replied["Location"]))

    async def close(self, answer: Answer) -> None:
        """DELETE the session. One that is gone already is no error."""
        status, body, replied = await self._request("DELETE", answer.session_url, None, {})
        if status >= 300 and status != 404:
            raise EndpointError(_refusal(answer.session_url, status, body, replied), status)

    async def _request(
        self, method: str, url: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        assert self._http, "use `async with Endpoint(...)`"
        try:
            async with self._http.request(method, url, data=body, headers=headers) as response:
                return response.status, await response.text(), dict(response.headers)
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            raise EndpointError(f"Nobody answers at {url}: {reason}.") from None


def peer_connection() -> RTCPeerConnection:
    """A connection without a STUN server: the node is reached directly.

    Bundling is left to the answer. With max-bundle aiortc looks for candidates in the last section
    (an answer has them in the first, RFC 8843, 7.3.1); with its default a second video section
    never joins the bundle.
    """
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_COMPAT)
    return RTCPeerConnection(configuration)


async def negotiate(
    connection: RTCPeerConnection, endpoint: Endpoint, slides_mid: str | None = None
) -> Answer:
    """Offer what the connection has, take the answer, and wait until media can flow.

    `slides_mid` names the section that carries slides (RFC 4796). Raises EndpointError,
    ConnectionLost.
    """
    await connection.setLocalDescription(await connection.createOffer())
    answer = await endpoint.open(with_slides(connection.localDescription.sdp, slides_mid))
    try:
        await _apply(connection, endpoint, answer)
        await _connected(connection)
    except BaseException:
        await endpoint.close(answer)
        raise
    return answer


def with_slides(offer: str, mid: str | None) -> str:
    """Mark the section with that mid as slides, by `a=content:slides`."""
    line = f"a=mid:{mid}\r\n"
    return offer.replace(line, f"{line}a=content:slides\r\n") if mid is not None else offer


async def _apply(connection: RTCPeerConnection, endpoint: Endpoint, answer: Answer) -> None:
    for line in answer.sdp.splitlines():
        if line.startswith("m=") and line.split(" ")[1] == "0":
            raise EndpointError(f"{endpoint.url} takes no {line[2:].split(' ')[0]} of this codec.")
    try:
        await connection.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))
    except (OperationError, ValueError) as error:
        raise EndpointError(f"{endpoint.url} gave an answer we cannot use: {error}.") from None


async def _connected(connection: RTCPeerConnection) -> None:
    """Wait for ICE and DTLS."""
    changed = asyncio.Event()
    connection.on("connectionstatechange", changed.set)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            while connection.connectionState != "connected":
                if connection.connectionState in ("failed", "closed"):
                    raise ConnectionLost("The node answered, but no media connection came up.")
                await changed.wait()
                changed.clear()
    except TimeoutError:
        raise ConnectionLost(
            "The node answered, but no media connection came up: is its UDP port reachable?"
        ) from None
    finally:
        connection.remove_listener("connectionstatechange", changed.set)


def _refusal(url: str, status: int, body: str, headers: dict[str, str]) -> str:
    """One sentence for a refusal: ours where the status says it all, else the node's own."""
    if status in _REFUSALS:
        return f"{url} {_REFUSALS[status]}."
    if status == 409 and "Retry-After" in headers:
        return f"{url} has no lesson in progress; try again in {headers['Retry-After']} s."
    if status == 409:
        return f"{url} is in use: this lesson has a teacher already."
    said = body.strip().splitlines()[0][:200] if body.strip() else "no reason given"
    return f"{url} refused with {status}: {said}"
