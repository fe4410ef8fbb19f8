"""The node's own JSON API: live lessons, tokens for developers, the cookie, counters."""

import dataclasses
import secrets
from collections.abc import Callable, Mapping

from aiohttp import web

from recorder.web.access import Right
from sfu.engine import Engine
from signaling.auth import Permissions, TokenRole, mint
from signaling.config import DEV_KEY, DEV_SECRET
from signaling.disk import Disk
from signaling.door import Door
from signaling.edge import COOKIE, is_lesson_name, json_body, lesson_name, permissions, unix_now
from signaling.errors import NotAllowed, NotAuthenticated
from signaling.metrics import Metrics
from signaling.openapi import document
from signaling.registry import Registry
from signaling.webhooks import Counts, Webhooks

DEV_TOKEN_TTL = 12 * 3600
"""Seconds: a school day."""


class Api:
    """The handlers. `recorder_state` tells how recording is, `disk` how the disk is."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        door: Door,
        keys: Mapping[str, str],
        *,
        dev: bool,
        recorder_state: Callable[[], str],
        disk: Callable[[], Disk | None] = lambda: None,
        webhooks: Webhooks | None = None,
    ) -> None:
        self.engine = engine
        self._registry = registry
        self._door = door
        self._keys = keys
        self._dev = dev
        self._recorder_state = recorder_state
        self._disk = disk
        self._metrics = Metrics(
            registry,
            engine,
            joins=lambda: door.counts,
            webhooks=lambda: webhooks.counts if webhooks is not None else Counts(),
            disk=disk,
            keys=keys,
            dev=dev,
        )

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to an application."""
        routes = [
            web.get("/healthz", self._health),
            web.get("/api/lessons", self._lessons),
            web.delete("/api/lessons/{lesson}", self._end),
            web.post("/api/session", self._session),
            web.get("/api/stats", self._stats),
            web.get("/api/openapi.json", self._describe),
            *self._metrics.routes(),
        ]
        return [*routes, web.post("/api/dev/token", self._dev_token)] if self._dev else routes

    def authorize_archive(self, request: web.Request, lesson: str | None, right: Right) -> None:
        """What `recorder.web.media` asks before it shows, edits or deletes a recording."""
        try:
            who = permissions(request, self._keys)
            if right is Right.ADMINISTER:
                who.require_admin()
            elif right is Right.EDIT:
                who.require_edit(lesson)
            elif not who.may_see_archive(lesson):
                raise NotAllowed("This token does not show this recording.")
        except NotAuthenticated as error:
            raise _as_http(web.HTTPUnauthorized, error, {"WWW-Authenticate": "Bearer"}) from None
        except NotAllowed as error:
            raise _as_http(web.HTTPForbidden, error, {}) from None

    async def _health(self, request: web.Request) -> web.Response:
        lessons = sum(1 for _ in self._registry)
        health = {"ok": True, "lessons": lessons, "recorder": self._recorder_state()}
        return web.json_response({**health, **self._disk_facts()})

    async def _lessons(self, request: web.Request) -> web.Response:
        who = self._reader(request)
        visible = [
            self._summary(classroom.summary())
            for classroom in self._registry
            if who is None or who.may_see_archive(classroom.lesson.name)
        ]
        return web.json_response(visible)

    async def _end(self, request: web.Request) -> web.Response:
        lesson = lesson_name(request)
        permissions(request, self._keys).require_end(lesson)
        classroom = self._registry.find(lesson)
        if classroom is None:
            raise web.HTTPNotFound(text="This lesson is not live.")
        classroom.end("teacher")
        return web.Response(status=204)

    async def _session(self, request: web.Request) -> web.Response:
        permissions(request, self._keys)
        token = request.headers["Authorization"].partition(" ")[2].strip()
        response = web.Response(status=204)
        response.set_cookie(
            COOKIE, token, path="/", httponly=True, samesite="Strict", secure=request.secure
        )
        return response

    async def _stats(self, request: web.Request) -> web.Response:
        who = self._reader(request)
        if who is not None:
            who.require_admin()
        joins = dataclasses.asdict(self._door.counts)
        stats = {**self.engine.stats().as_json(), "joins": joins}
        return web.json_response({**stats, **self._disk_facts()})

    async def _describe(self, request: web.Request) -> web.Response:
        return web.json_response(document(dev=self._dev))

    async def _dev_token(self, request: web.Request) -> web.Response:
        wish = await json_body(request)
        lesson, name = wish.get("lesson"), wish.get("name")
        try:
            role = TokenRole(str(wish.get("role")))
        except ValueError:
            allowed = ", ".join(TokenRole)
            raise web.HTTPBadRequest(text=f"role must be one of {allowed}.") from None
        if role is not TokenRole.ARCHIVIST and not is_lesson_name(lesson):
            raise web.HTTPBadRequest(text="lesson must be 1 to 64 letters, digits, _ or -.")
        identity = name if isinstance(name, str) and name else f"{role}-{secrets.token_hex(3)}"
        token = mint(
            DEV_KEY,
            DEV_SECRET,
            role=role,
            identity=identity[:128],
            name=identity[:128],
            lesson=lesson if role is not TokenRole.ARCHIVIST else None,
            ttl=DEV_TOKEN_TTL,
            now=unix_now(),
            admin=True,
        )
        return web.json_response({"token": token})

    def _reader(self, request: web.Request) -> Permissions | None:
        """Who asks; None where --dev lets everybody see everything."""
        return None if self._dev else permissions(request, self._keys)

    def _disk_facts(self) -> dict[str, object]:
        """How much is free, and how long that lasts; nothing where nothing is recorded."""
        disk = self._disk()
        return {} if disk is None else {"disk": disk.as_json()}

    def _summary(self, summary: dict[str, object]) -> dict[str, object]:
        """A lesson's own account, its recorder's trouble when it has none itself, and the disk's
        when it is recorded and there is reason to worry."""
        worker, disk = self._recorder_state(), self._disk()
        if summary["recording"] != "off" and disk is not None and disk.warning:
            summary = {**summary, "disk": disk.as_json()}
        if summary["recording"] == "ok" and worker.startswith("failing"):
            return {**summary, "recording": worker}
        return summary


def _as_http(
    kind: type[web.HTTPException], error: Exception, headers: Mapping[str, str]
) -> web.HTTPException:
    text = web.json_response({"error": str(error)}).text
    return kind(text=text, content_type="application/json", headers=headers)
