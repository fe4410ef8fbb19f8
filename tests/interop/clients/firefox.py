"""Firefox by WHIP and WHEP: its own WebRTC, its own simulcast; VP8 here."""

import asyncio
import shutil
from pathlib import Path

from clients.headless.api import Api
from clients.headless.node import Node
from tests.interop.row import Client, Row, Unavailable, lines_of
from tests.interop.venvs import node_modules

_DRIVER = "puppeteer-core@24"
_PROGRAM = Path(__file__).with_name("firefox_program.mjs")


async def check(node: Node, row: Row) -> None:
    """A teacher with three layers and a school, in one page."""
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        raise Unavailable("There is no Firefox: apt-get install firefox-esr.")
    modules = await asyncio.to_thread(node_modules, "firefox", _DRIVER)
    async with Api(node.url) as api:
        teacher = await api.become("teacher", "firefox")
        school = await api.become("school", "firefox")

    async def heard(line: str) -> None:
        row.holds(line)

    command = ("node", str(_PROGRAM), firefox, str(modules), node.url, teacher, school)
    await lines_of(command, heard, 200)


CLIENT = Client("Firefox (WHIP, WHEP)", check)
