"""npm's `livekit-client`, as the pages have it, in Chromium, through an outage of the signalling.

For how long, INTEROP_OUTAGE may say, in seconds. `make interop` lets it last 30; `make test` has no
time for that.
"""

import os
from pathlib import Path

import pytest

from clients.headless.node import Node
from tests.interop.clients.browser_livekit import do, open_page, outage
from tests.interop.clients.python_livekit import token
from tests.interop.severable import Severable

_BUNDLE = (
    Path(__file__).parents[2] / "clients/web/node_modules/livekit-client/dist/livekit-client.umd.js"
)
_OUTAGE = float(os.environ.get("INTEROP_OUTAGE", "8"))
"""Seconds."""


@pytest.mark.skipif(not _BUNDLE.exists(), reason="the web client's packages are not installed")
async def test_an_outage_of_the_signalling_loses_nothing(node: Node) -> None:
    async with Severable(node.url) as way, open_page(way.url, _BUNDLE) as page:
        await do(page, "join", way.url, [token("math", name) for name in ("a", "b")])
        await do(page, "publish")
        await do(page, "watch")
        await do(page, "say", "before")
        await outage(page, way, _OUTAGE, said=["before"])
        await do(page, "leave")
