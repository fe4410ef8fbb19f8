"""Kill anything at any time: what was taught is in the archive."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from clients.headless.api import Api
from clients.headless.errors import EndpointError
from clients.headless.node import Node
from clients.headless.publish import Publication
from tests.e2e.classroom import (
    archived,
    breaks,
    live_id,
    replayed,
    replayed_whole,
    teaching,
    until,
    watching,
)
from tests.e2e.conftest import StartNode
from tests.e2e.processes import command_line, worker_of

FRAME_RATE = 30


async def test_a_killed_recorder_leaves_no_hole(node: Node, lesson_clip: Path):
    async with teaching(node.url, "math", lesson_clip) as lesson:
        await asyncio.sleep(3.0)
        first = worker_of(node.process.pid)
        assert first is not None
        os.kill(first, signal.SIGKILL)
        second = await until(
            lambda: (pid := worker_of(node.process.pid)) != first and pid, 10, "a new worker"
        )
        assert second
        await asyncio.sleep(2.0)
        assert lesson.camera is not None
        sent = lesson.camera.sent
    seen = await replayed_whole(node.url, sent)
    assert seen.longest_gap < 2 / FRAME_RATE


async def test_a_killed_node_loses_the_last_second_at_most(
    start_node: StartNode, lesson_clip: Path
):
    node = await start_node()
    with suppress(Exception):  # the lesson's own end finds nobody
        async with teaching(node.url, "math", lesson_clip) as lesson:
            worker = worker_of(node.process.pid)
            await asyncio.sleep(5.0)
            assert lesson.camera is not None
            sent = lesson.camera.sent
            await node.kill()
    again = await start_node()
    entry = await archived(again.url, "math")
    assert entry["state"] == "recovered"
    seen = await replayed(again.url, entry)
    assert breaks(seen.taught) == []
    assert seen.taught[0] == 0
    assert seen.frames >= sent - FRAME_RATE
    assert worker is not None
    assert b"recorder.worker" not in command_line(worker), "the killed node's worker lives on"


async def test_a_lost_teacher_returns_to_the_same_lesson(node: Node, lesson_clip: Path):
    """The teacher's computer dies without a word; another takes over; schools stay."""
    url = f"{node.url}/math/whip"
    async with Api(node.url) as api:
        token = await api.become("teacher", "math")
    lost = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clients.headless.publish", url, str(lesson_clip)),
        *("--token", token, "--loop"),
        stderr=DEVNULL,
    )
    try:
        lesson_id = await until(lambda: _live_id_or_none(node.url), 15, "the lesson")
        async with watching(node.url, "math") as pupil:
            await pupil.sees(30)
            lost.kill()
            await lost.wait()
            before = len(pupil.numbers)
            async with AsyncExitStack() as stack:

                async def returned() -> Publication | None:
                    with suppress(EndpointError):  # 409 until the node knows that the first is lost
                        return await stack.enter_async_context(
                            teaching(node.url, "math", lesson_clip)
                        )
                    return None

                await until(returned, 15, "the return", step=0.5)
                await pupil.sees(before + 60, patience=20)
                assert await live_id(node.url, "math") == lesson_id
    finally:
        with suppress(ProcessLookupError):
            lost.kill()
    entry = await archived(node.url, "math")
    assert (entry["id"], entry["state"]) == (lesson_id, "complete")
    seen = await replayed(node.url, entry)
    assert seen.frames > before + 60
    # one break: where the second teacher begins
    assert len(breaks(seen.taught)) == 1


async def _live_id_or_none(url: str) -> str | None:
    async with Api(url) as api:
        await api.become("teacher", "math")
        live = await api.live("math")
    return str(live["id"]) if live and live["tracks"] else None
