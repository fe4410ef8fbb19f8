"""A full disk: the lesson goes on, the node says so, and nothing written is damaged.

The disk of a test machine cannot be filled; a limit on the size of the node's files (RLIMIT_FSIZE)
makes its writes fail in the same place, and can be lifted again. A disk that is nearly full is one
of which more must be free than there is.
"""

import resource
from pathlib import Path

from clients.headless.api import Api
from clients.headless.node import Node
from recorder.journal_inspect import inspect
from tests.e2e.classroom import archived, replayed_whole, teaching, until, watching
from tests.e2e.conftest import StartNode

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


async def test_video_yields_on_a_disk_that_is_nearly_full(
    start_node: StartNode, lesson_clip: Path, tmp_path: Path
):
    node = await start_node(
        {
            "TONGBU_RECORDER__VIDEO_STOPS_BELOW": str(10**16),
            "TONGBU_RECORDER__SOUND_STOPS_BELOW": "0",
        }
    )
    async with teaching(node.url, "math", lesson_clip):
        said = await until(lambda: _recording(node.url, "failing"), 30, "word of the disk")
        assert said.startswith("failing: disk nearly full (")
        assert said.endswith("): video is not recorded")
        async with watching(node.url, "math") as pupil:
            await pupil.sees(60, patience=30)
        async with Api(node.url) as api:
            disk = (await api.stats())["disk"]
        assert disk["keeps"] == "sound"
        assert disk["warning"].endswith("): video is not recorded")
    entry = await archived(node.url, "math", patience=30)
    assert (entry["views"], entry["audio"]["codec"]) == ([], "opus")
    facts = inspect(tmp_path / "data" / "lessons" / entry["id"] / "journal")
    packets = {track.source: track.packets for track in facts.tracks}
    assert packets["camera"] == 0
    assert packets["microphone"] > 50
    assert facts.event_counts["recording_limited"] == 1


async def _recording(url: str, state: str) -> str | None:
    """The recording's state as the teacher sees it, once it begins with `state`."""
    async with Api(url) as api:
        await api.become("teacher", "math")
        live = await api.live("math")
    said = str(live["recording"]) if live else ""
    return said if said.startswith(state) else None
