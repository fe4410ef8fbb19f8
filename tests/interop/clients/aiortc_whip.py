"""aiortc, by WHIP and WHEP: another ICE, DTLS and SCTP, in Python."""

import asyncio
import json
import tempfile
from pathlib import Path

from aiortc import RTCDataChannel, RTCPeerConnection

from clients.headless.api import Api
from clients.headless.media import inspect
from clients.headless.node import Node
from clients.headless.publish import Publication
from clients.headless.watch import School
from clients.headless.whip import Endpoint
from tests.clients.clips import write_clip
from tests.interop.row import Client, Row, until

_LABEL = "chat"


async def check(node: Node, row: Row) -> None:
    """A teacher from a file, a school that decodes, a word from one to the other."""
    async with Api(node.url) as api:
        teacher = await api.become("teacher", "aiortc")
        pupil = await api.become("school", "aiortc")
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "clip.mp4", seconds=10)
        async with (
            Endpoint(f"{node.url}/aiortc/whip", teacher) as whip,
            Endpoint(f"{node.url}/aiortc/whep", pupil) as whep,
        ):
            publication = Publication(whip, inspect(clip), None, loop=True)
            said = publication.connection.createDataChannel(_LABEL)
            await publication.start()
            row.holds("connect")
            school = School(whep)
            heard = _listen(school.connection)
            await school.start()
            await until(lambda: _true(school.report.video_frames > 30), "pictures")
            row.holds("publish", "subscribe")
            await until(lambda: _true(said.readyState == "open"), "the data channel")
            said.send(json.dumps({"hello": 1}))
            assert await asyncio.wait_for(heard, 10) == '{"hello": 1}'
            row.holds("data")
            await school.stop()
            await publication.stop()
    row.lacks("aiortc has no simulcast.", "simulcast")
    row.lacks("aiortc cannot restart ICE.", "resume")


def _listen(connection: RTCPeerConnection) -> "asyncio.Future[str]":
    """What comes on a channel of the same label."""
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    channel: RTCDataChannel = connection.createDataChannel(_LABEL)
    channel.on("message", lambda message: heard.done() or heard.set_result(str(message)))
    return heard


async def _true(value: bool) -> bool:
    return value


CLIENT = Client("aiortc (WHIP, WHEP)", check)
