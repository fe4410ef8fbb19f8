"""A real node on free ports, clips to teach from, and browsers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from clients.headless.node import Node
from tests.clients.clips import write_clip
from tests.e2e.classroom import CLIP_FRAMES
from tests.recorder import judging

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]

StartNode = Callable[..., Awaitable[Node]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Whatever archive a test leaves behind is judged."""
    yield
    judging.after(item)


@pytest.fixture(scope="session")
def lesson_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of H264 and Opus."""
    return write_clip(tmp_path_factory.mktemp("lesson") / "h264.mp4", seconds=CLIP_FRAMES / 30)


@pytest.fixture(scope="session")
def vp8_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of VP8 and Opus."""
    path = tmp_path_factory.mktemp("lesson") / "vp8.webm"
    return write_clip(path, seconds=CLIP_FRAMES / 30, video="vp8")


@pytest.fixture
async def start_node(tmp_path: Path) -> AsyncIterator[StartNode]:
    """Starts nodes on this test's data folder; they end with the test."""
    nodes: list[Node] = []

    async def start(environment: dict[str, str] | None = None) -> Node:
        nodes.append(await Node.start(tmp_path / "data", environment=environment))
        return nodes[-1]

    yield start
    for node in nodes:
        if node.process.returncode is None:
            await node.stop()
        assert not any("Traceback" in line for line in node.log), "\n".join(node.log)


@pytest.fixture
async def node(start_node: StartNode) -> Node:
    """A node with nothing but its defaults."""
    return await start_node()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium with a fake camera and microphone."""
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        yield chromium
        await chromium.close()
