"""PyPI's `livekit` (the Rust SDK over libwebrtc), unmodified, in both of its topologies."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from clients.headless.node import Node
from signaling.auth import TokenRole, mint
from signaling.config import DEV_KEY, DEV_SECRET
from signaling.edge import unix_now
from tests.interop.severable import Severable

pytest.importorskip("livekit.rtc", reason="the SDK under test (pip install livekit) is not here")

_PROGRAM = Path(__file__).with_name("livekit_pair.py")
_OUTAGE = 3.0
"""Seconds without a WebSocket. The SDK tries to resume once, for 5 s, and then begins anew."""

Command = Callable[..., Awaitable[Any]]


def token(identity: str, role: TokenRole) -> str:
    return mint(
        *(DEV_KEY, DEV_SECRET),
        role=role,
        identity=identity,
        name=identity,
        lesson="math",
        ttl=600,
        now=unix_now(),
    )


@asynccontextmanager
async def pair(
    url: str,
    url_of_bob: str,
    topology: str,
    roles: tuple[TokenRole, TokenRole] = (TokenRole.ASSISTANT, TokenRole.SCHOOL),
) -> AsyncIterator[Command]:
    """Two participants, anna who publishes and bob who listens."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_PROGRAM)),
        *(url, token("anna", roles[0])),
        *(url_of_bob, token("bob", roles[1]), topology),
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin
    assert process.stdout

    async def command(name: str, *arguments: Any) -> Any:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps([name, *arguments]).encode() + b"\n")
        async with asyncio.timeout(90):
            while True:  # the SDK writes to stdout too
                line = await process.stdout.readline()
                assert line, f"the program ended at {name}"
                if line.startswith(b'{"'):
                    break
        answer = json.loads(line)
        assert "error" not in answer, f"{name}: {answer['error']}"
        return answer["ok"]

    try:
        yield command
        await command("leave")
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 60)


def url_of(node: Node) -> str:
    return node.url.replace("http", "ws", 1)


@pytest.mark.parametrize("topology", ["single", "dual"])
async def test_it_publishes_subscribes_and_talks(node: Node, topology: str) -> None:
    async with pair(url_of(node), url_of(node), topology) as do:
        assert await do("join") == ["bob", "anna"]
        assert (await do("publish", "camera")).startswith("TR_VC")
        assert (await do("publish", "microphone")).startswith("TR_AM")
        await do("wait_frames", "camera", 20)
        await do("wait_frames", "microphone", 50)
        await do("say", "a", True, "one", "two")
        assert await do("wait_heard", "b", 2) == ["one", "two"]
        await do("say", "b", True, "three")
        assert await do("wait_heard", "a", 1) == ["three"]
        await do("say", "b", False, "four")
        assert await do("wait_heard", "a", 2) == ["three", "four"]
        await do("mute", "microphone")
        await do("wait_event", "b muted microphone")
        await do("unpublish", "camera")
        await do("wait_event", "b lost camera")
        await do("publish", "screen")
        await do("wait_frames", "screen", 10)


@pytest.mark.parametrize("topology", ["single", "dual"])
async def test_an_outage_of_the_signalling_loses_nothing(node: Node, topology: str) -> None:
    url = url_of(node)
    async with Severable(url) as way, pair(url, way.url, topology) as do:
        await do("join")
        await do("publish", "microphone")
        await do("publish", "camera")
        await do("wait_frames", "camera", 5)
        await do("wait_frames", "microphone", 5)
        way.cut()
        before = (await do("frames"))["microphone"]
        await asyncio.sleep(_OUTAGE)  # media has nothing to wait for but time itself
        heard = (await do("frames"))["microphone"] - before
        assert heard > _OUTAGE * 100 * 0.8, "sound stopped with the WebSocket"
        messages = [str(number) for number in range(20)]
        await do("say", "a", True, *messages)
        assert await do("wait_heard", "b", 20) == messages, "data needs no WebSocket"
        await do("publish", "screen")  # of which bob is told when he is back
        way.mend()
        await do("wait_event", "b reconnected")
        await do("wait_frames", "screen", 10)
        await do("wait_frames", "camera", 10)
        await do("say", "b", True, "back")
        assert await do("wait_heard", "a", 1) == ["back"]
        assert (await do("wait_heard", "b", 20)) == messages, "nothing came twice"
        assert await do("events") == ["b reconnecting", "b reconnected"]


@pytest.mark.parametrize("topology", ["single", "dual"])
async def test_a_school_is_heard_while_it_has_the_floor(node: Node, topology: str) -> None:
    url, roles = url_of(node), (TokenRole.SCHOOL, TokenRole.TEACHER)
    bearer = {"Authorization": f"Bearer {token('bob', TokenRole.TEACHER)}"}
    floor = f"{node.url}/api/lessons/math/floor"
    async with pair(url, url, topology, roles) as do, ClientSession(headers=bearer) as http:
        await do("join")
        if topology == "single":  # the SDK waits 10 s before it believes that
            with pytest.raises(AssertionError, match="publish"):
                await do("publish", "microphone")
        given = await http.post(floor, json={"identity": "anna"})
        assert (await given.json())["floor"] == "anna"
        await do("publish", "microphone")
        await do("wait_frames", "microphone", 20)
        assert (await http.delete(floor)).status == 200
        await do("wait_event", "b lost microphone")
