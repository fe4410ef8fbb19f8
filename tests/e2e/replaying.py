"""The replay page of one lesson as a test sees it, in Chromium or in Firefox."""

from typing import Any, Protocol

from clients.headless.node import Node
from tests.e2e.classroom import until

LESSON = "20260921-141320-math-00aa"
CLIP = 4.0
"""The pictures repeat after so many seconds."""
NEAR = 0.2
"""Seconds a picture may be off what the clock says: the journal's own delays, and a frame."""
PATIENCE = 60.0

_HELPERS = """
  globalThis.seen = {
    get all() { return [...document.querySelectorAll('#screens video, #screens audio')] },
    get lead() { return this.all.find(one => one.readyState > 0 && !one.muted) },
    get pictures() { return this.all.filter(one => !one.hidden && one.videoWidth > 0) },
    state() {
      const { lead } = this
      return {
        at: lead?.currentTime ?? -1, duration: lead?.duration ?? 0,
        paused: lead?.paused ?? null, seeking: lead?.seeking ?? null,
        rate: lead?.playbackRate ?? null, pitch: lead?.preservesPitch ?? null,
        lead: lead?.id ?? null, loud: this.all.filter(one => one.src && !one.muted).length,
        layout: document.getElementById('screens').dataset.layout,
        shown: this.pictures.map(one => one.dataset.source).sort(),
        times: this.all.filter(one => one.readyState > 0).map(one => one.currentTime),
      }
    },
    // Where the bar of the clip stands, in seconds of the clip; null while nothing can be read.
    bar(source) {
      const video = this.pictures.find(one => one.dataset.source === source)
      if (!video || video.readyState < 2) return null
      const canvas = document.createElement('canvas')
      canvas.width = video.videoWidth
      canvas.height = video.videoHeight
      const context = canvas.getContext('2d')
      context.drawImage(video, 0, 0)
      const { data } = context.getImageData(0, canvas.height >> 3, canvas.width, 1)
      const bright = [...Array(canvas.width).keys()]
        .filter(x => Math.abs(data[4 * x] - 168) < 25)
      return bright.length < 8 ? null : bright[bright.length >> 1] / 60 - 8 / 60
    },
    seek(to) {
      const bar = document.getElementById('seek')
      bar.value = to
      for (const kind of ['input', 'change']) bar.dispatchEvent(new Event(kind, { bubbles: true }))
    },
    click(id) { document.querySelector(id).click() },
    press(key) { dispatchEvent(new KeyboardEvent('keydown', { key, cancelable: true })) },
  }
"""


class Tab(Protocol):
    """What the two browsers have in common."""

    async def goto(self, url: str) -> Any:
        """Open a page."""

    async def reload(self) -> Any:
        """Open it again."""

    async def evaluate(self, expression: str) -> Any:
        """The value of an expression in the page."""


class Replay:
    """The replay page of one lesson, in either browser."""

    def __init__(self, tab: Tab, node: Node) -> None:
        self._tab = tab
        self._url = f"{node.url}/archive/{LESSON}"

    async def open(self, fragment: str = "") -> None:
        """Go there, and wait until there is something to see."""
        await self._tab.goto(self._url + fragment)
        await self._ready()

    async def reload(self) -> None:
        """Come back later."""
        await self._tab.goto("about:blank")
        await self._tab.goto(self._url)
        await self._ready()

    async def _ready(self) -> None:
        await self._tab.evaluate(f"void ({{ run() {{ {_HELPERS} }} }}).run()")
        await self.comes(lambda state: state["at"] >= 0 and state["duration"] > 0, "a lead")

    async def state(self) -> dict[str, Any]:
        """What the player shows."""
        return dict(await self._tab.evaluate("seen.state()"))

    async def comes(self, holds: Any, what: str) -> dict[str, Any]:
        """Wait until the player's state is so."""

        last: dict[str, Any] = {}

        async def now() -> bool:
            last.update(await self.state())
            return bool(holds(last))

        try:
            await until(now, PATIENCE, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the player says {last}") from None
        return last

    async def does(self, call: str) -> Any:
        """Something of the helpers."""
        return await self._tab.evaluate(f"seen.{call}")

    async def shows(self, source: str, at: float) -> None:
        """Wait until that picture is the one of that moment."""

        seen: list[float | None] = []

        async def there() -> bool:
            seen.append(await self.does(f"bar('{source}')"))
            return seen[-1] is not None and apart(seen[-1], at) < NEAR

        try:
            await until(there, PATIENCE, f"{source} at {at}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows {seen[-1]}") from None

    async def plays_on(self, seconds: float = 1.0) -> float:
        """Wait until it has played so much further; returns where it began."""
        began = float((await self.comes(lambda state: state["at"] >= 0, "a lead"))["at"])
        await self.comes(lambda state: state["at"] > began + seconds, "more of the lesson")
        return began


def apart(one: float, other: float) -> float:
    """How far two moments of the clip are from each other; it repeats."""
    gap = (one - other) % CLIP
    return min(gap, CLIP - gap)
