"""Telling other systems what happens here: signed, in order, tried again, and bounded.

Each URL has a queue of its own, so that one that does not answer holds up no other. A request is
LiveKit's: JSON as `application/webhook+json`, and in `Authorization` a token of ours (without the
word Bearer) whose `sha256` is the body's, in base64. An event that nobody took after `ATTEMPTS`, or
for which the queue had no room, is dropped; the next one says how many were (`numDropped`).
"""

import asyncio
import base64
import hashlib
import json
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/webhook+json"
MAX_WAITING = 1_000
"""Events that wait for one URL."""
ATTEMPTS = 6
"""With the pauses between them about half a minute: a restart of whoever listens."""
FIRST_PAUSE = 1.0
"""Seconds; each further pause is twice as long."""
TIMEOUT = 10.0
"""Seconds for one attempt."""
_TOKEN_TTL = 300  # seconds
_PARTING = 0.5
"""Seconds that a node which stops gives to the events that wait."""

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]
"""URL, body and headers; the status of the answer. Raises OSError or TimeoutError."""


@dataclass(frozen=True, slots=True)
class Key:
    """What signs."""

    name: str
    secret: str


@dataclass(slots=True)
class Counts:
    """What became of the events of all URLs."""

    delivered: int = 0
    failed: int = 0
    """Attempts that were tried again or given up."""
    dropped: int = 0


class Webhooks:
    """The URLs of a node. `wall` tells Unix seconds; `post` and `pause` are for tests."""

    def __init__(
        self,
        urls: Sequence[str],
        key: Key,
        wall: Callable[[], float],
        *,
        post: Post | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.counts = Counts()
        self._client: aiohttp.ClientSession | None = None
        self._wall = wall
        self._lines = [
            _Line(url, key, wall, post or self._post, pause, self.counts) for url in urls
        ]

    @property
    def wanted(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._lines)

    def send(self, event: str, what: Mapping[str, Any]) -> None:
        """Something happened: an event's name, and in JSON to whom. Never waits."""
        head = {
            "event": event,
            "id": f"EV_{secrets.token_hex(8)}",
            "createdAt": str(int(self._wall())),  # 64 bits are a string in protobuf's JSON
        }
        for line in self._lines:
            line.add({**head, **what})

    async def close(self) -> None:
        """Give what waits a moment to leave; stop."""
        tasks = [task for line in self._lines if (task := line.task) is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_PARTING)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        if self._client is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
            self._client = aiohttp.ClientSession(timeout=timeout)
        try:
            async with self._client.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status
        except aiohttp.ClientError as error:
            raise OSError(type(error).__name__) from None  # its text may hold the URL


class _Line:
    """One URL's queue; a task works on it while there is something in it."""

    def __init__(
        self,
        url: str,
        key: Key,
        wall: Callable[[], float],
        post: Post,
        pause: Callable[[float], Awaitable[None]],
        counts: Counts,
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self._url = url
        self._host = urlsplit(url).hostname or "?"  # all of a URL that a log may show
        self._key = key
        self._wall = wall
        self._post = post
        self._pause = pause
        self._counts = counts
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._dropped = 0

    def add(self, event: Mapping[str, Any]) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._drop()
            return
        self._waiting.append(event)
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            dropped = self._dropped
            event = self._waiting.popleft()
            body = json.dumps({**event, "numDropped": dropped} if dropped else event).encode()
            if await self._deliver(body):
                self._dropped -= dropped
                self._counts.delivered += 1
            else:
                logger.warning("webhook: %s took no %s", self._host, event["event"])
                self._drop()

    async def _deliver(self, body: bytes) -> bool:
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._pause(FIRST_PAUSE * 2 ** (attempt - 1))
            try:
                status = await self._post(self._url, body, self._headers(body))
            except (OSError, TimeoutError) as error:
                logger.info("webhook: %s does not answer: %s", self._host, type(error).__name__)
                status = 0
            if 200 <= status < 300:
                return True
            self._counts.failed += 1
            if 300 <= status < 500 and status not in (408, 429):
                return False  # it says that it will never take this
        return False

    def _headers(self, body: bytes) -> Mapping[str, str]:
        return {"Content-Type": CONTENT_TYPE, "Authorization": sign(body, self._key, self._wall())}

    def _drop(self) -> None:
        self._dropped += 1
        self._counts.dropped += 1


def sign(body: bytes, key: Key, now: float) -> str:
    """The token that proves a body to be ours; `now` in Unix seconds."""
    claims = {
        "iss": key.name,
        "nbf": int(now),
        "exp": int(now) + _TOKEN_TTL,
        "sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
    }
    return jwt.encode(claims, key.secret, algorithm="HS256")
