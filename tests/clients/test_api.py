import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from clients.headless.api import Api
from clients.headless.errors import EndpointError


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """A node that knows one token and one live lesson."""

    async def token(request: web.Request) -> web.Response:
        wish = await request.json()
        return web.json_response({"token": f"{wish['role']}-{wish['lesson']}"})

    async def lessons(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer teacher-math":
            return web.json_response({"error": "No token."}, status=401)
        return web.json_response([{"lesson": "math", "id": "1"}, {"lesson": "art", "id": "2"}])

    app = web.Application()
    app.router.add_post("/api/dev/token", token)
    app.router.add_get("/api/lessons", lessons)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_role_is_taken_and_used(address: str):
    async with Api(address) as api:
        assert await api.become("teacher", "math") == "teacher-math"
        assert await api.live("math") == {"lesson": "math", "id": "1"}
        assert await api.live("music") is None


async def test_a_refusal_names_what_was_asked(address: str):
    async with Api(address) as api:
        with pytest.raises(EndpointError, match=r"GET .*/api/lessons gave 401: .*No token") as no:
            await api.live("math")
    assert no.value.status == 401


async def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with Api(f"http://127.0.0.1:{unused.getsockname()[1]}") as api:
            with pytest.raises(EndpointError, match="Nobody answers"):
                await api.live("math")
