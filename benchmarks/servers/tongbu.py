"""Ours, as a peer among peers."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from benchmarks.generator import Endpoint
from benchmarks.servers.base import Running, Server
from clients.headless.api import Api
from clients.headless.node import Node

_LESSON = "bench"


class Tongbu(Server):
    """A node with one shard. Its recorder is off: no peer records, either."""

    name = "tongbu"
    settings: ClassVar[Mapping[str, object]] = {
        "rtc.shards": 1,
        "recorder.enabled": False,
        "log.level": "warning",
    }

    def missing(self) -> str | None:
        """Whoever runs this has it."""
        return None

    async def version(self) -> str:
        """That of the package."""
        return version("tongbu")

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Running]:
        """A node of its own, with an empty archive."""
        environment = {
            "TONGBU_RTC__SHARDS": "1",
            "TONGBU_RECORDER__ENABLED": "false",
            "TONGBU_LOG__LEVEL": "warning",
            "TONGBU_LESSON__MAX_SCHOOLS": "10000",
        }
        with tempfile.TemporaryDirectory() as folder:
            node = await Node.start(Path(folder), environment=environment)
            try:
                async with Api(node.url) as api:
                    teacher, school = [
                        Endpoint(f"{node.url}/{_LESSON}/{path}", await api.become(role, _LESSON))
                        for path, role in (("whip", "teacher"), ("whep", "school"))
                    ]
                yield Running(node.process.pid, teacher, school)
            finally:
                await node.stop()
