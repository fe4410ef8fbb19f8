"""PyPI's `livekit`, libwebrtc without a browser: the newest release and the one before."""

import asyncio
from pathlib import Path

from clients.headless.node import Node
from signaling.auth import TokenRole, mint
from signaling.config import DEV_KEY, DEV_SECRET
from signaling.edge import unix_now
from tests.interop.row import Client, Row, lines_of
from tests.interop.severable import Severable
from tests.interop.venvs import previous, python_with, releases

_PROGRAM = Path(__file__).with_name("livekit_program.py")
_OUTAGE = 1.0
"""Seconds without signalling: longer than it takes to notice."""


def clients() -> list[Client]:
    """Two releases. Raises InstallError."""
    found = releases("livekit")
    return [_client(version) for version in (found[0], previous(found))]


def token(lesson: str, identity: str, role: TokenRole = TokenRole.ASSISTANT) -> str:
    """A token of a dev node's."""
    return mint(
        DEV_KEY,
        DEV_SECRET,
        role=role,
        identity=identity,
        name=identity,
        lesson=lesson,
        ttl=600,
        now=unix_now(),
    )


def _client(version: str) -> Client:
    async def check(node: Node, row: Row) -> None:
        python = await asyncio.to_thread(
            python_with, f"livekit-only-{version}", f"livekit=={version}"
        )
        async with Severable(node.url) as way:

            async def heard(line: str) -> str | None:
                if line != "cut":
                    row.holds(line)
                    return None
                way.cut()
                await asyncio.sleep(_OUTAGE)
                way.mend()
                return "go on"

            tokens = [token("sdk", name) for name in ("a", "b")]
            await lines_of([str(python), str(_PROGRAM), way.url, *tokens], heard, 200)

    return Client(f"PyPI livekit {version}", check)
