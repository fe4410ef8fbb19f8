"""Debian's Firefox, driven by WebDriver BiDi (W3C): as much of it as a page's test needs.

Playwright drives a Firefox of its own making only; an archive has to play in the one people have.
"""

import asyncio
import json
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

_PREFERENCES = {
    "media.autoplay.default": 0,
    "intl.accept_languages": "en",
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.shell.checkDefaultBrowser": False,
}
_PATIENCE = 60.0
_LISTENING = "WebDriver BiDi listening on "


class FirefoxError(Exception):
    """Firefox refused a command, or the page's script failed."""


class Firefox:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._context = ""

    async def begin(self, width: int, height: int) -> None:
        """Take the first tab of a new session."""
        await self._command("session.new", {"capabilities": {}})
        tree = await self._command("browsingContext.getTree", {})
        self._context = tree["contexts"][0]["context"]
        size = {"width": width, "height": height}
        await self._command("browsingContext.setViewport", self._here(viewport=size))

    async def goto(self, url: str) -> None:
        """Open a page; another fragment of the same one is another moment of it."""
        await self._command("browsingContext.navigate", self._here(url=url, wait="complete"))

    async def reload(self) -> None:
        """As the reload key does."""
        await self._command("browsingContext.reload", self._here(wait="complete"))

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page, as JSON; a promise is awaited."""
        text = f"Promise.resolve({expression}).then(value => JSON.stringify(value ?? null))"
        target = {"context": self._context}
        wish = {"expression": text, "target": target, "awaitPromise": True, "userActivation": True}
        answer = await self._command("script.evaluate", wish)
        if answer["type"] != "success":
            raise FirefoxError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def _here(self, **more: Any) -> dict[str, Any]:
        return {"context": self._context, **more}

    async def _command(self, method: str, parameters: dict[str, Any]) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_PATIENCE):
            while True:
                answer = await self._socket.receive_json()
                if answer.get("id") == number:
                    break  # what has no number is an event
        if answer["type"] == "error":
            raise FirefoxError(f"{method}: {answer['message']}")
        return answer["result"]


def program() -> str | None:
    """Where Firefox is; None when there is none."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


@asynccontextmanager
async def firefox(profile: Path, width: int, height: int) -> AsyncIterator[Firefox]:
    """A Firefox of its own, on an empty profile; it ends with the block."""
    path = program()
    assert path, "There is no Firefox: apt-get install firefox-esr."
    profile.mkdir()
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in _PREFERENCES.items()]
    (profile / "user.js").write_text("".join(lines))
    command = (path, "--headless", "--no-remote", "--profile", str(profile))
    process = await asyncio.create_subprocess_exec(
        *command, "--remote-debugging-port", "0", stdout=DEVNULL, stderr=PIPE
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            address = await _address(process)
        rest = asyncio.create_task(_discard(process))
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{address}/session", max_msg_size=0) as socket,
        ):
            tab = Firefox(socket)
            await tab.begin(width, height)
            yield tab
    finally:
        process.kill()
        await process.wait()
    await rest


async def _address(process: Process) -> str:
    assert process.stderr
    async for line in process.stderr:
        text = line.decode(errors="replace").strip()
        if text.startswith(_LISTENING):
            return text.removeprefix(_LISTENING)
    raise FirefoxError("Firefox ended before it could be driven.")


async def _discard(process: Process) -> None:
    assert process.stderr
    async for _ in process.stderr:
        pass
