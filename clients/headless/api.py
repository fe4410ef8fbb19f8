"""A node's HTTP interface beyond WHIP and WHEP: tokens, live lessons, the archive."""

import json
from types import TracebackType
from typing import Any, Self

import aiohttp

from clients.headless.errors import EndpointError

Json = dict[str, Any]

_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Api:
    """A node's API as one role sees it; use as `async with`. Raises EndpointError.

    Without a token it asks the node for one, which a node with --dev gives.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http:
            await self._http.close()

    async def become(self, role: str, lesson: str, name: str = "") -> str:
        """Take a token of that role (teacher, school or archivist); it is used from now on."""
        wish = {"lesson": lesson, "role": role, "name": name or role}
        reply = await self._json("POST", "/api/dev/token", wish)
        self._token = str(reply["token"])
        return self._token

    async def live(self, lesson: str) -> Json | None:
        """The live lesson of that name."""
        lessons = await self._json("GET", "/api/lessons")
        return next((item for item in lessons if item["lesson"] == lesson), None)

    async def end(self, lesson: str) -> None:
        """Ring the bell."""
        await self._request("DELETE", f"/api/lessons/{lesson}")

    async def entries(self) -> list[Json]:
        """The archive, newest first."""
        return list((await self._json("GET", "/api/archive"))["lessons"])

    async def entry(self, lesson_id: str) -> Json:
        """One archived lesson."""
        return dict(await self._json("GET", f"/api/archive/{lesson_id}"))

    async def stats(self) -> Json:
        """The engine's counters."""
        return dict(await self._json("GET", "/api/stats"))

    async def file(self, path: str) -> bytes:
        """A file of the node, by its absolute path."""
        return await self._request("GET", path)

    async def _json(self, method: str, path: str, body: Json | None = None) -> Any:
        return json.loads(await self._request(method, path, body))

    async def _request(self, method: str, path: str, body: Json | None = None) -> bytes:
        assert self._http, "use `async with Api(...)`"
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            async with self._http.request(
                method, self.url + path, json=body, headers=headers
            ) as response:
                data = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            raise EndpointError(f"Nobody answers at {self.url}: {reason}.") from None
        if response.status >= 300:
            said = data.decode(errors="replace")[:200]
            raise EndpointError(
                f"{method} {self.url}{path} gave {response.status}: {said}", response.status
            )
        return data
