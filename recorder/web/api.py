"""The catalogue as JSON: what is recorded, found and counted; one lesson; what is said of it.

GET    /api/archive?q=words&school=...&from=2026-09-01&sort=newest&facets=1&limit=24&offset=0
GET    /api/archive/{id}
PATCH  /api/archive/{id}    {"title": "Fractions", "subject": "Mathematics", "tags": null}
DELETE /api/archive/{id}
"""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from recorder.archive import policy, retention
from recorder.archive.details import RULES, clean
from recorder.archive.layout import Entry
from recorder.archive.storage import Storage
from recorder.archive.talk import Message
from recorder.catalogue import FILTERS, Hit, Query, Sort
from recorder.errors import DetailsError, RecorderError
from recorder.web.access import Access, Right, error, no_such_lesson

LIMIT = 100
"""Entries in one answer unless `limit` says otherwise, which may ask for up to 1000."""
LONGEST_QUERY = 200
"""Characters of a search."""
MOST_CHOSEN = 50
"""Values of one filter."""
_MOST_BYTES = 128 << 10


class ArchiveApi:
    """The handlers."""

    def __init__(self, access: Access, lessons: Path) -> None:
        self._access = access
        self._lessons = lessons

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to a node's application."""
        return [
            web.get("/api/archive", self.index),
            web.get("/api/archive/{id}", self.show),
            web.patch("/api/archive/{id}", self.edit),
            web.delete("/api/archive/{id}", self.delete),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """The lessons that the asker may see and that have all words and one of each filter."""
        query = _query(request, await self._access.visible(request))
        page = await self._access.ask(self._access.catalogue.search, query)
        answer: dict[str, Any] = {"lessons": [_hit(hit) for hit in page.hits], "total": page.total}
        if query.facets:
            answer["facets"] = {
                name: [{"value": value, "count": count} for value, count in counted]
                for name, counted in page.facets.items()
            }
        return web.json_response(answer)

    async def show(self, request: web.Request) -> web.Response:
        """One lesson, what was written in it, and whether the asker may change what it is about."""
        entry = await self._access.find(request)
        said = await self._access.ask(self._access.catalogue.talk, entry.id)
        editable = self._access.permits(request, entry.lesson, Right.EDIT)
        return web.json_response(_with_talk({**_as_json(entry), "editable": editable}, said))

    async def edit(self, request: web.Request) -> web.Response:
        """Change what is said of a lesson; null takes an edit back."""
        entry = await self._access.find(request, Right.EDIT)
        changes = await _changes(request)
        if not changes.keys().isdisjoint(RULES):
            await self._access.find(request, Right.ADMINISTER)
        try:
            entry = await self._access.ask(self._access.catalogue.edit, entry.id, changes)
        except DetailsError as refused:
            raise error(web.HTTPBadRequest, str(refused)) from None
        except FileNotFoundError:
            raise no_such_lesson() from None
        except OSError as trouble:
            sentence = f"The change cannot be written ({trouble.strerror}); make room, try again."
            raise error(web.HTTPServiceUnavailable, sentence) from trouble
        return web.json_response(_as_json(entry))

    async def delete(self, request: web.Request) -> web.Response:
        """Remove a lesson for good: its journal, its media and its place in the catalogue."""
        entry = await self._access.find(request, Right.ADMINISTER)
        if entry.state in ("live", "finishing"):
            raise error(web.HTTPConflict, "The lesson is still being recorded; end it first.")
        if entry.hold:
            raise error(web.HTTPConflict, "The lesson is on hold; lift the hold first.")
        try:
            await self._access.ask(self._delete, entry.id)
        except (RecorderError, OSError) as trouble:
            sentence = f"The lesson could not be deleted everywhere: {trouble}; try again."
            raise error(web.HTTPServiceUnavailable, sentence) from trouble
        return web.Response(status=204)

    def _delete(self, lesson_id: str) -> None:
        data_dir = self._lessons.parent
        executor = retention.Executor(
            data_dir, Storage.of(policy.read(data_dir)), self._access.catalogue
        )
        executor.delete(lesson_id, "somebody asked for it", time.time())


def _query(request: web.Request, lessons: list[str] | None) -> Query:
    """What the URL asks for. Raises HTTPBadRequest."""
    words = request.query.get("q", "")
    if len(words) > LONGEST_QUERY:
        raise error(web.HTTPBadRequest, f"Search for at most {LONGEST_QUERY} characters.")
    wish = request.query.get("sort", "") or Sort.BEST
    if wish not in set(Sort):
        raise error(web.HTTPBadRequest, f"sort must be one of {', '.join(Sort)}.")
    return Query(
        words=words,
        filters={name: _values(request, name) for name in FILTERS if name in request.query},
        since=_moment(request, "from"),
        until=_moment(request, "to"),
        lessons=lessons,
        sort=Sort(wish),
        limit=_number(request, "limit", LIMIT, 1000),
        offset=_number(request, "offset", 0, 2**31),
        facets=request.query.get("facets", "") in ("1", "true"),
    )


def _values(request: web.Request, name: str) -> list[str]:
    values = [clean(value) for value in request.query.getall(name)]
    if len(values) > MOST_CHOSEN:
        raise error(web.HTTPBadRequest, f"Choose at most {MOST_CHOSEN} of {name}.")
    return values


def _moment(request: web.Request, name: str) -> float | None:
    """Unix seconds, a date, or a date and time (UTC unless it says otherwise)."""
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        return _seconds(text, end=name == "to")
    except (ValueError, OverflowError):
        sentence = f"{name} must be a date such as 2026-09-01, or a time in Unix seconds."
        raise error(web.HTTPBadRequest, sentence) from None


def _seconds(text: str, *, end: bool) -> float:
    """`end`: of a date, its end is meant. Raises ValueError, OverflowError."""
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        if end and len(text) <= len("2026-09-01"):
            moment += timedelta(days=1)
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return zoned.timestamp()
    if not math.isfinite(seconds):
        raise ValueError(text)
    return seconds


async def _changes(request: web.Request) -> Mapping[str, Any]:
    """The body. Raises HTTPBadRequest."""
    sentence = "The body must be a JSON object of what to change."
    if (request.content_length or 0) > _MOST_BYTES:
        raise error(web.HTTPBadRequest, "That is too much to say of one lesson.")
    try:
        value = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise error(web.HTTPBadRequest, sentence) from None
    if not isinstance(value, dict):
        raise error(web.HTTPBadRequest, sentence)
    return value


def _hit(hit: Hit) -> dict[str, Any]:
    """A lesson of a list, with what a search found in it."""
    value = _as_json(hit.entry)
    if hit.passages:
        value["found"] = [_passage(asdict(passage)) for passage in hit.passages]
    return value


def _passage(value: dict[str, Any]) -> dict[str, Any]:
    told = {"in": value.pop("where"), **value}
    return {name: item for name, item in told.items() if item is not None}


def _with_talk(value: dict[str, Any], said: list[Message]) -> dict[str, Any]:
    if said:
        value["talk"] = [
            {"t": message.t, "name": message.name, "text": message.text, "kind": "chat"}
            for message in said
        ]
    return value


def _as_json(entry: Entry) -> dict[str, Any]:
    """The entry as the API says it: paths become URLs."""

    def url(path: str | None) -> str | None:
        return path and f"/archive/{entry.id}/media/{path}"

    value = asdict(entry)
    for view in value["views"]:
        view["hls"], view["webm"] = url(view["hls"]), url(view["webm"])
    if value["audio"]:
        value["audio"]["hls"] = url(value["audio"]["hls"])
    for name in ("poster", "thumbnails", "chapters"):
        value[name] = url(value[name])
    value["downloads"] = [url(path) for path in value["downloads"]]
    return value


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise error(web.HTTPBadRequest, f"{name} must be a whole number of 0 or more.")
    return min(int(text), most)
