"""`tongbu demo`: a node with a lesson in progress, to look at."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import click
import uvloop
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from clients.headless.api import Api
from clients.headless.demo_media import DemoFiles, demo_files
from clients.headless.errors import ConnectionLost, HeadlessError
from clients.headless.media import inspect
from clients.headless.node import Node
from clients.headless.publish import Publication
from clients.headless.whip import Endpoint

LESSON = "demo"

_RING_TIMEOUT = 1.0  # seconds for the bell, of the three that Ctrl-C may take
_NODE_TIMEOUT = 1.9  # seconds for the node: the worker finishes the archive meanwhile


async def demo(data_dir: Path, port: int, console: Console) -> None:
    """Run node and teacher until a signal comes; raises HeadlessError."""
    files = demo_files()
    environment = {"TONGBU_LOG__LEVEL": os.environ.get("TONGBU_LOG__LEVEL", "warning")}
    node = await Node.start(
        data_dir,
        port=port,
        udp_port=None,
        tcp_port=None,
        environment=environment,
        show_log=True,
    )
    try:
        stopped = _stop_signal()
        async with Api(node.url) as api:
            token = await api.become("teacher", LESSON, "demo teacher")
        async with Endpoint(f"{node.url}/{LESSON}/whip", token) as endpoint:
            lesson = _lesson(endpoint, files)
            try:
                await lesson.start()
                console.print(_links(node.url))
                await _until(stopped, lesson, node)
            finally:
                with contextlib.suppress(TimeoutError, HeadlessError):
                    async with asyncio.timeout(_RING_TIMEOUT):
                        await lesson.stop()
    finally:
        await node.stop(_NODE_TIMEOUT)


def _lesson(endpoint: Endpoint, files: DemoFiles) -> Publication:
    return Publication(endpoint, inspect(files.camera), inspect(files.slides), loop=True)


def _stop_signal() -> asyncio.Event:
    """Set by Ctrl-C, by a polite kill, or when the terminal is closed."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def _until(stopped: asyncio.Event, lesson: Publication, node: Node) -> None:
    """Wait for the signal; a lesson or a node that ends by itself is an error."""
    waits = {
        asyncio.ensure_future(stopped.wait()),
        asyncio.ensure_future(lesson.finished()),
        asyncio.ensure_future(node.process.wait()),
    }
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    if not stopped.is_set():
        raise ConnectionLost("The demo lesson broke off: the node's last words are above.")


def _links(url: str) -> Panel:
    url = url.replace("127.0.0.1", "localhost")
    rows = (
        ("Teach", f"{url}/teach", "start a lesson of your own"),
        ("Join", f"{url}/join/{LESSON}", "the lesson that is going on"),
        ("Archive", f"{url}/archive", "every lesson, this one too"),
    )
    text = Text()
    for name, link, about in rows:
        text.append(f"{name:<9}", style="bold")
        text.append(f"{link:<36}", style=f"link {link} cyan")
        text.append(f"{about}\n", style="dim")
    text.append("\nCtrl-C ends the lesson and archives it.", style="dim")
    return Panel(text, title="同步 Tongbu", border_style="green", expand=False, padding=(1, 2))


@click.command("demo")
@click.option("--port", type=click.IntRange(0, 65535), default=7880, show_default=True)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("data"),
    show_default=True,
    help="Where lessons are kept.",
)
def command(port: int, data_dir: Path) -> None:
    """Start a node with a demo lesson in progress, and print the links to look at it."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(demo(data_dir, port, Console()))


if __name__ == "__main__":
    command()
