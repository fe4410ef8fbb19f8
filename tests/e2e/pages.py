"""The web client's pages, as a test uses them."""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.async_api import Browser, Page, expect

PATTERN = Path(__file__).with_name("pattern.js")

_PATIENCE_MS = 60_000
expect.set_options(timeout=_PATIENCE_MS)


@dataclass
class Shown:
    """What a <video> showed: numbers of the pattern, when, and how far from what was drawn."""

    numbers: list[int]
    at: list[float]  # ms since the epoch
    times: list[float]  # the player's currentTime
    differences: list[float]
    unreadable: int

    @classmethod
    def of(cls, seen: list[dict[str, Any]]) -> "Shown":
        """From what `testPattern.watch` gathered."""
        read = [one for one in seen if one["number"] is not None]
        return cls(
            numbers=[one["number"] for one in read],
            at=[one["at"] for one in read],
            times=[one["time"] for one in read],
            differences=[one["difference"] for one in read if "difference" in one],
            unreadable=len(seen) - len(read),
        )

    @property
    def seconds(self) -> float:
        """From the first picture to the last."""
        return (self.at[-1] - self.at[0]) / 1000

    @property
    def difference(self) -> float:
        """The median difference per colour channel, of 255."""
        return median(self.differences)


async def open_page(browser: Browser, url: str) -> Page:
    """A page of its own context, with the test pattern in place."""
    context = await browser.new_context(
        viewport={"width": 1366, "height": 768}, permissions=["camera", "microphone"]
    )
    await context.add_init_script(path=PATTERN)
    page = await context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    await page.goto(url)
    return page


class Teacher:
    """/teach"""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.live_at = 0.0
        self.taught_s = 0.0

    async def go_live(self, lesson: str) -> None:
        await self.page.wait_for_function(
            "document.getElementById('camera-preview').videoWidth > 0"
        )
        await self.page.get_by_test_id("lesson-name").fill(lesson)
        await self.page.get_by_test_id("go-live").click()
        status = self.page.get_by_test_id("status")
        await expect(status).to_have_attribute("data-state", "live", timeout=_PATIENCE_MS)
        self.live_at = time.monotonic()

    async def end(self) -> None:
        await self.page.get_by_test_id("end-lesson").click()
        await self.page.get_by_test_id("confirm-end").click()
        status = self.page.get_by_test_id("status")
        await expect(status).to_have_attribute("data-state", "ended", timeout=_PATIENCE_MS)
        self.taught_s = time.monotonic() - self.live_at

    async def sent_at(self) -> list[float | None]:
        """When each number of the pattern was drawn: ms since the epoch."""
        return list(await self.page.evaluate("testPattern.sent.at"))


class Viewer:
    """A page with a <video> that shows the pattern: /join or /archive."""

    def __init__(self, page: Page, video: str) -> None:
        self.page = page
        self.video = page.get_by_test_id(video)

    async def watch(self, pictures: int) -> Shown:
        """The next pictures it shows, however long they take; fewer if it comes to its end."""
        seen = await self.video.evaluate_handle("video => testPattern.watch(video)")
        await self.page.wait_for_function(
            "([video, seen, pictures]) => seen.length >= pictures || video.ended",
            arg=[await self.video.element_handle(), seen, pictures],
        )
        return Shown.of(await seen.json_value())

    async def seek(self, seconds: float) -> None:
        """Jump to that moment, and wait until it is there."""
        await self.video.evaluate(
            """(video, seconds) => new Promise(done => {
                video.addEventListener('seeked', done, { once: true })
                video.currentTime = seconds
            })""",
            seconds,
        )

    async def shows_a_picture(self) -> None:
        """Wait until the first picture is there."""
        handle = await self.video.element_handle()
        await self.page.wait_for_function(
            "video => video.videoWidth > 0 && video.currentTime > 0", arg=handle
        )

    async def received(self, kind: str = "video") -> list[dict[str, Any]]:
        """The inbound-rtp reports of that kind that had packets."""
        reports = await self.page.evaluate("testPattern.inbound()")
        return [r for r in reports if r["kind"] == kind and r.get("packetsReceived")]

    async def get(self, member: str) -> Any:
        """A property of the <video>."""
        return await self.video.evaluate(f"video => video.{member}")
