"""The document says what the routes do: neither has anything that the other has not."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from recorder.archive.details import EDITABLE
from recorder.web.media import routes as archive_routes
from signaling.openapi import document
from tests.signaling.conftest import House, token

_METHODS = {"get", "post", "put", "patch", "delete", "options"}
_OTHERS = ("/teach", "/join", "/assets", "/rtc", "/twirp", "/archive")
"""Pages, and what LiveKit's own protobufs describe."""


def described(dev: bool) -> set[tuple[str, str]]:
    paths = document(dev=dev)["paths"]
    return {(method, path) for path, item in paths.items() for method in item}


def routed(app: web.Application, more: Iterable[web.RouteDef]) -> set[tuple[str, str]]:
    found = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method.lower() in _METHODS
    }
    found |= {(route.method.lower(), route.path.replace("{path:.+}", "{path}")) for route in more}
    return {
        (method, path)
        for method, path in found
        if path != "/" and (not path.startswith(_OTHERS) or "/media/" in path)
    }


def application(house: House) -> web.Application:
    app = house.client.server.app  # type: ignore[attr-defined]
    assert isinstance(app, web.Application)
    return app


async def test_it_describes_every_route_and_no_other(house: House, tmp_path: Path) -> None:
    archive = archive_routes(tmp_path, lambda request, lesson, admin: None)
    assert described(dev=True) == routed(application(house), archive)


@pytest.mark.parametrize("dev", [False])
async def test_so_it_does_without_dev(house: House, tmp_path: Path) -> None:
    archive = archive_routes(tmp_path, lambda request, lesson, admin: None)
    assert described(dev=False) == routed(application(house), archive)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_it_is_whole() -> None:
    whole = document(dev=True)
    for reference in references(whole):
        part: Any = whole
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
    for path, item in whole["paths"].items():
        names = {name.partition("}")[0] for name in path.split("{")[1:]}
        for operation in item.values():
            assert operation["summary"].endswith(".")
            given = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert given == names, path


async def test_the_node_serves_it_to_anybody(house: House) -> None:
    response = await house.client.get("/api/openapi.json")
    assert response.status == 200
    assert (await response.json())["openapi"] == "3.1.0"


async def test_answers_are_as_described(house: House) -> None:
    await house.teach()
    schemas = document(dev=True)["components"]["schemas"]
    (lesson,) = await house.lessons()
    assert set(lesson) == set(schemas["Lesson"]["required"])
    assert set(lesson["tracks"][0]) == set(schemas["Track"]["required"]) if lesson["tracks"] else 1
    health = await (await house.client.get("/healthz")).json()
    assert set(health) == set(schemas["Health"]["required"])
    headers = {"Authorization": f"Bearer {token('teacher')}"}
    floor = await house.client.get("/api/lessons/math/floor", headers=headers)
    assert set(await floor.json()) == set(schemas["Floor"]["required"])


def test_what_can_be_said_of_a_lesson_is_what_can_be_edited() -> None:
    whole = document(dev=False)
    patch = whole["paths"]["/api/archive/{id}"]["patch"]
    body = patch["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == set(EDITABLE)
    assert set(EDITABLE) <= set(whole["components"]["schemas"]["Entry"]["required"])
