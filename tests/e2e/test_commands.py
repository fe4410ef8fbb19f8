"""`tongbu selftest` and `tongbu demo`, as a user runs them."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from clients.headless.api import Api
from clients.headless.node import Node
from tests.e2e.classroom import until

PATIENT_EXIT_S = 10.0
"""From Ctrl-C to the end, the lesson archived: some 2 s on a quiet machine, where the goal is 3."""


@pytest.fixture(scope="session")
def cache(request: pytest.FixtureRequest) -> dict[str, str]:
    """An environment whose cache is pytest's: the demo lesson is made once."""
    assert request.config.cache is not None
    folder = request.config.cache.mkdir("tongbu")
    return {**os.environ, "XDG_CACHE_HOME": str(folder), "COLUMNS": "120"}


async def test_selftest(cache: dict[str, str]):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signaling.cli", "selftest", "--seconds", "12", "--json"),
        env=cache,
        stdout=PIPE,
        stderr=PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 100)
    assert output.count(b"\n") == 1, errors.decode()
    result = json.loads(output)
    assert process.returncode == 0, result
    assert result["ok"] is True
    assert len(result["schools"]) == 3
    assert all(school["video_frames"] > 100 for school in result["schools"])
    assert result["archive"]["duration_s"] == pytest.approx(12, abs=1)


async def test_demo(cache: dict[str, str], tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "signaling.cli", "demo", "--port", "0"),
        *("--data-dir", str(tmp_path)),
        env={**cache, "TONGBU_RTC__UDP_PORT": "0", "TONGBU_RTC__TCP_PORT": "0"},
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stdout
    printed = b""
    while b"Ctrl-C" not in printed:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, printed
        printed += line
    for link in ("/teach", "/join/demo", "/archive"):
        assert re.search(rf"http://localhost:\d+{link}\b", printed.decode())
    await asyncio.sleep(3.0)

    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert time.monotonic() - asked < PATIENT_EXIT_S
    assert process.returncode == 0
    assert b"Traceback" not in errors, errors.decode()
    manifests = list(tmp_path.glob("lessons/*/manifest.json"))
    assert len(manifests) == 1
    assert json.loads(manifests[0].read_text())["entry"]["state"] == "complete"


async def test_demo_on_a_taken_port(cache: dict[str, str], tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "signaling.cli", "demo", "--port", port),
            *("--data-dir", str(tmp_path)),
            env={**cache, "TONGBU_RTC__UDP_PORT": "0", "TONGBU_RTC__TCP_PORT": "0"},
            stdout=PIPE,
            stderr=PIPE,
        )
        _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert errors.startswith(b"Error: The node did not start: ")
    assert port.encode() in errors
    assert errors.count(b"\n") == 1, errors.decode()


async def test_publish_and_watch_until_ctrl_c(node: Node, lesson_clip: Path):
    async with Api(node.url) as api:
        school = await api.become("school", "math")
        teacher = await api.become("teacher", "math")
        publish = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "signaling.cli", "publish", f"{node.url}/math/whip"),
            *(str(lesson_clip), "--loop"),
            env={**os.environ, "TONGBU_TOKEN": teacher},
            stdout=PIPE,
            stderr=PIPE,
        )

        async def has_tracks() -> bool:
            live = await api.live("math")
            return bool(live and live["tracks"])

        await until(has_tracks, 15, "the lesson")
        watch = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "signaling.cli", "watch", f"{node.url}/math/whep", "--json"),
            env={**os.environ, "TONGBU_TOKEN": school},
            stdout=PIPE,
            stderr=PIPE,
        )

        async def has_school() -> bool:
            live = await api.live("math")
            return bool(live and live["schools"])

        await until(has_school, 15, "the school")
        await asyncio.sleep(2.0)
        for process in (watch, publish):
            process.send_signal(signal.SIGINT)
        output, errors = await asyncio.wait_for(watch.communicate(), 60)
        _, more = await asyncio.wait_for(publish.communicate(), 60)
        assert await api.live("math") is None
    assert (watch.returncode, publish.returncode) == (0, 0)
    assert json.loads(output)["video_frames"] > 20
    assert b"Traceback" not in errors + more
