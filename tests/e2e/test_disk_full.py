"""A full disk: the lesson goes on, the node says so, and nothing written is damaged.

The disk of a test machine cannot be filled; a limit on the size of the node's files (RLIMIT_FSIZE)
makes its writes fail in the same place, and can be lifted again.
"""

import resource
from pathlib import Path

from clients.headless.api import Api
from clients.headless.node import Node
from tests.e2e.classroom import replayed_whole, teaching, until, watching

ROOM = 300_000
"""Bytes the journal may have: one or two seconds of the clip."""


async def test_live_goes_on_and_the_recording_recovers(node: Node, lesson_clip: Path):
    async with teaching(node.url, "math", lesson_clip) as lesson:
        async with watching(node.url, "math") as pupil:
            await pupil.sees(15)
            _, most = resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (ROOM, most))
            said = await until(lambda: _recording(node.url, "failing"), 15, "word of the disk")
            assert said.startswith("failing: ")
            await pupil.sees(len(pupil.numbers) + 60)
            resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (most, most))
            await until(lambda: _recording(node.url, "ok"), 15, "the recording's recovery")
            await pupil.sees(len(pupil.numbers) + 30)
        assert lesson.camera is not None
        sent = lesson.camera.sent
    # What could not be written waited in memory: the archive has no hole either.
    await replayed_whole(node.url, sent)


async def _recording(url: str, state: str) -> str | None:
    """The recording's state as the teacher sees it, once it begins with `state`."""
    async with Api(url) as api:
        await api.become("teacher", "math")
        live = await api.live("math")
    said = str(live["recording"]) if live else ""
    return said if said.startswith(state) else None
