"""GStreamer's webrtcbin: libnice's ICE, OpenSSL's DTLS, no code of a browser's."""

from pathlib import Path

from clients.headless.api import Api
from clients.headless.node import Node
from clients.headless.watch import School
from clients.headless.whip import Endpoint
from tests.interop.row import END, Client, Row, Unavailable, lines_of, until

_SYSTEM_PYTHON = Path("/usr/bin/python3")
_TEACHER = Path(__file__).parents[1] / "gstreamer_whip.py"
_SCHOOL = Path(__file__).with_name("gstreamer_whep.py")


async def check(node: Node, row: Row) -> None:
    """It teaches, and it watches what it teaches; its two ends say a word to each other."""
    if not _SYSTEM_PYTHON.exists():
        raise Unavailable(
            "GStreamer's bindings belong to a Python of the system, and there is none."
        )
    row.lacks("webrtcbin (1.22) sends no simulcast.", "simulcast")
    row.lacks("webrtcbin (1.22) cannot restart ICE.", "resume")
    async with Api(node.url) as api:
        pupil = await api.become("school", "gst")
        token = await api.become("teacher", "gst")

    async def taught(line: str) -> str:
        assert line == "live", line
        row.holds("connect")
        async with Endpoint(f"{node.url}/gst/whep", pupil) as endpoint:
            school = School(endpoint)
            await school.start()

            async def decoded() -> bool:
                return school.report.video_frames > 30

            await until(decoded, "pictures")
            await school.stop()
        row.holds("publish")
        school_command = (str(_SYSTEM_PYTHON), str(_SCHOOL), f"{node.url}/gst/whep", pupil)
        await lines_of(school_command, watched, 60)
        return END

    async def watched(line: str) -> None:
        row.holds(line)

    whip = (str(_SYSTEM_PYTHON), str(_TEACHER), f"{node.url}/gst/whip", token, "VP8")
    await lines_of(whip, taught, 120)


CLIENT = Client("GStreamer webrtcbin (WHIP, WHEP)", check)
