"""GStreamer's webrtcbin (its own ICE, DTLS 1.2 with AES_CM, no code of ours) teaches a lesson."""

import asyncio
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from clients.headless.api import Api
from clients.headless.node import Node
from clients.headless.watch import School
from clients.headless.whip import Endpoint
from tests.e2e.classroom import archived, until

_SYSTEM_PYTHON = "/usr/bin/python3"
_SCRIPT = Path(__file__).with_name("gstreamer_whip.py")


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_webrtcbin_teaches(node: Node, codec: str):
    async with Api(node.url) as api:
        school_token = await api.become("school", "math")
        token = await api.become("teacher", "math")
    gstreamer = await asyncio.create_subprocess_exec(
        *(_SYSTEM_PYTHON, str(_SCRIPT), f"{node.url}/math/whip", token, codec),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )
    assert gstreamer.stdout
    assert gstreamer.stdin
    assert gstreamer.stderr
    try:
        line = await asyncio.wait_for(gstreamer.stdout.readline(), 60)
        assert line == b"live\n", (await gstreamer.stderr.read()).decode()
        async with Endpoint(f"{node.url}/math/whep", school_token) as endpoint:
            school = School(endpoint)
            await school.start()
            await until(lambda: school.report.video_frames > 90, 15, "pictures")
            report = await school.stop()
    finally:
        gstreamer.stdin.close()
        await asyncio.wait_for(gstreamer.wait(), 60)
    assert report.lost == 0
    assert report.audio_packets > 100
    entry = await archived(node.url, "math")
    assert entry["state"] == "complete"
    assert [(view["source"], view["codec"]) for view in entry["views"]] == [("camera", codec)]
