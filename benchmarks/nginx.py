"""Debian's nginx with the configuration that we ship, on a port and in a folder of our own."""

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

CONFIG = Path(__file__).parents[1] / "deploy" / "nginx.conf"

_MEMORY = Path("/dev/shm")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configured(folder: Path, memory: Path, node_port: int, port: int, workers: int = 1) -> str:
    """The configuration with what an operator would change, and nothing else."""
    text = CONFIG.read_text()
    for ours, theirs in {
        "worker_processes auto": f"worker_processes {workers}",
        "server 127.0.0.1:7880": f"server 127.0.0.1:{node_port}",
        "listen 80;": f"listen 127.0.0.1:{port};",
        "pid /run/nginx.pid": f"pid {folder}/nginx.pid",
        "/var/log/nginx/error.log": f"{folder}/error.log",
        "/var/cache/nginx/tongbu": f"{folder}/cache",
        "/run/tongbu-live": f"{memory}/live",
        "/etc/tongbu/?.lua": f"{CONFIG.parent}/?.lua",
    }.items():
        assert text.count(ours) == 1, ours
        text = text.replace(ours, theirs)
    return text


@contextlib.asynccontextmanager
async def running(
    folder: Path, node_port: int, workers: int = 1
) -> AsyncIterator[tuple[str, Process]]:
    """Its URL, while it runs before a node on that port."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    config = folder / "nginx.conf"
    memory = Path(
        tempfile.mkdtemp(prefix="tongbu-live-", dir=_MEMORY if _MEMORY.is_dir() else None)
    )
    config.write_text(configured(folder, memory, node_port, port, workers))
    own = "user root;" if os.geteuid() == 0 else ""  # nobody else may read that folder
    paths = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(config.read_text().replace("http {", f"http {{ {paths}"))
    command = ("nginx", "-p", str(folder), "-c", str(config), "-g", f"daemon off; {own}")
    process = await asyncio.create_subprocess_exec(*command, stdout=DEVNULL, stderr=PIPE)
    try:
        await _until_listening(process, port)
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
        shutil.rmtree(memory)


async def _until_listening(process: Process, port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            assert process.returncode is None, (await process.communicate())[1].decode()
            await asyncio.sleep(0.02)
