"""Clips made once, and an endpoint to talk to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clients.clips import write_clip
from tests.clients.responder import Responder


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def h264(clips: Path) -> Path:
    return write_clip(clips / "h264.mp4")


@pytest.fixture(scope="session")
def vp8(clips: Path) -> Path:
    return write_clip(clips / "vp8.webm", video="vp8")


@pytest.fixture(scope="session")
def slides(clips: Path) -> Path:
    return write_clip(clips / "slides.mp4", audio=None)


@pytest.fixture
async def responder(h264: Path, slides: Path) -> AsyncIterator[Responder]:
    endpoint = Responder(h264, slides)
    await endpoint.start()
    yield endpoint
    await endpoint.stop()
