"""The HTTP edge: what a handler takes from a request, and how errors leave as answers.

Every refusal is JSON, `{"error": "one sentence"}`, with the status of its kind.
"""

import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from sfu.errors import EngineError, NegotiationError, OfferTooLarge
from sfu.sdp_offer import MAX_OFFER_BYTES
from signaling.auth import Permissions, verify
from signaling.errors import (
    Crowded,
    LessonError,
    LessonFull,
    NotAllowed,
    NotAuthenticated,
    NotLive,
    NotPermitted,
)

logger = logging.getLogger(__name__)

COOKIE = "tongbu_token"
MAX_BODY = MAX_OFFER_BYTES
"""Bytes of any request body."""

_LESSON_NAME = re.compile(r"[\w-]{1,64}")

# Error, status, headers: the first line that fits.
_ANSWERS: tuple[tuple[type[Exception], int, Mapping[str, str]], ...] = (
    (OfferTooLarge, 413, {}),
    (NegotiationError, 400, {}),
    (NotAuthenticated, 401, {"WWW-Authenticate": "Bearer"}),
    (NotAllowed, 403, {}),
    (NotLive, 409, {"Retry-After": "2"}),
    (LessonFull, 503, {"Retry-After": "10"}),
    (Crowded, 503, {"Retry-After": "3"}),
    (NotPermitted, 403, {}),
    (LessonError, 409, {}),
    (EngineError, 503, {"Retry-After": "10"}),
)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refusal(status: int, sentence: str, headers: Mapping[str, str] = {}) -> web.Response:
    """An error as every handler of the node answers it."""
    return web.json_response({"error": sentence}, status=status, headers=headers)


@web.middleware
async def errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Turn every exception into a `refusal`; only our own bugs are logged."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400 or error.content_type == "application/json":
            raise
        return refusal(error.status, _sentence(error), _kept_headers(error))
    except web.RequestPayloadError:
        return refusal(400, "The body is cut short, or not what its Content-Encoding says.")
    except Exception as error:
        for kind, status, headers in _ANSWERS:
            if isinstance(error, kind):
                return refusal(status, str(error), headers)
        logger.exception("%s %s failed", request.method, masked(request.path))
        return refusal(500, "The node made a mistake; its log says more.")


def lesson_name(request: web.Request) -> str:
    """The lesson in the URL. Raises HTTPNotFound for what cannot be one."""
    name = request.match_info["lesson"]
    if not is_lesson_name(name):
        raise web.HTTPNotFound(text="A lesson's name is 1 to 64 letters, digits, _ or -.")
    return name


def is_lesson_name(name: object) -> bool:
    """Whether this can be a lesson's name."""
    return isinstance(name, str) and _LESSON_NAME.fullmatch(name) is not None


def permissions(request: web.Request, keys: Mapping[str, str]) -> Permissions:
    """Who asks: by Bearer, for GET also by cookie. Raises NotAuthenticated."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return verify(token.strip(), keys)
    readable = request.method in ("GET", "HEAD")  # nothing is changed on a cookie's word
    return verify(request.cookies.get(COOKIE) if readable else None, keys)


async def text_body(request: web.Request, content_type: str) -> str:
    """The body. Raises HTTPUnsupportedMediaType, HTTPRequestEntityTooLarge, HTTPBadRequest."""
    if request.content_type != content_type:
        raise web.HTTPUnsupportedMediaType(text=f"The body must be {content_type}.")
    body = await request.read()  # bounded by the application's client_max_size
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise web.HTTPBadRequest(text="The body is not UTF-8.") from None


async def json_body(request: web.Request) -> Mapping[str, Any]:
    """The body as a JSON object. Raises HTTPBadRequest and what `text_body` raises."""
    try:
        value = json.loads(await text_body(request, "application/json"))
    except (json.JSONDecodeError, RecursionError):
        raise web.HTTPBadRequest(text="The body is not JSON.") from None
    if not isinstance(value, dict):
        raise web.HTTPBadRequest(text="The body must be a JSON object.")
    return value


class AccessLog(AbstractAccessLogger):
    """One line a request. Tokens travel in headers and never show; session URLs are masked."""

    @property
    def enabled(self) -> bool:
        """Spare aiohttp the work when nobody listens."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Note one exchange; `time` is in seconds."""
        path = masked(request.path)
        milliseconds = time * 1000
        self.logger.info("%s %s %d %.1f ms", request.method, path, response.status, milliseconds)


def masked(path: str) -> str:
    """A path without what only the owner of a session may know, and without control characters."""
    safe = re.sub(r"/(whip|whep)/[^/]+", r"/\1/…", path)
    return "".join(char if char.isprintable() else "?" for char in safe)


def unix_now() -> float:
    """Wall clock, in Unix seconds; for people and tokens, not for measuring."""
    return time.time()


def _sentence(error: web.HTTPException) -> str:
    match error.status:
        case 404 if error.text == f"404: {error.reason}":
            return "There is nothing at this address."
        case 405:
            return "This address does not take that method."
        case 413:
            return f"The body is larger than {MAX_BODY // 1024} KiB."
        case _:
            return error.text or error.reason


def _kept_headers(error: web.HTTPException) -> dict[str, str]:
    return {name: error.headers[name] for name in ("Allow",) if name in error.headers}
