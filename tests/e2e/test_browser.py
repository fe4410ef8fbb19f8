"""Chromium teaches, Chromium watches, Chromium replays."""

from itertools import pairwise
from statistics import median

import pytest
from playwright.async_api import Browser, Page, expect

from clients.headless.api import Api
from clients.headless.node import Node
from tests.e2e.classroom import until
from tests.e2e.pages import Shown, Teacher, Viewer, open_page

LESSON = "math"
CODEC_NOISE = 12.0
"""Mean difference per colour channel, of 255, that a codec may make. A wrong picture has > 20."""
MOST_FROZEN = 0.2
"""Share of the time for which a picture may stand: a busy machine's teacher draws unevenly."""


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_a_lesson_from_end_to_end(node: Node, browser: Browser, codec: str):
    teacher = Teacher(await open_page(browser, f"{node.url}/teach?codec={codec.lower()}"))
    await teacher.go_live(LESSON)
    school = Viewer(await open_page(browser, f"{node.url}/join/{LESSON}"), "camera-video")
    await school.shows_a_picture()

    shown = await school.watch(180)
    camera = next(r for r in await school.received() if r["framesDecoded"])
    sent_at = await teacher.sent_at()
    padded = await padded_packets(node)
    await teacher.end()
    await expect(school.page.get_by_test_id("status")).to_have_attribute("data-state", "ended")

    assert camera["framesDecoded"] > 60  # the device gives some 20 a second
    assert camera["totalFreezesDuration"] < MOST_FROZEN * shown.seconds
    assert camera["packetsLost"] == 0
    assert padded > 0  # the browser's pictures are uneven, and it takes them evened out
    assert_is_what_was_sent(shown)
    assert len(shown.numbers) > 0.25 * (shown.numbers[-1] - shown.numbers[0])
    assert median(at - sent_at[n] for n, at in zip(shown.numbers, shown.at, strict=True)) < 1000

    await replay(browser, node, teacher.taught_s, shown)


async def replay(browser: Browser, node: Node, taught_s: float, live: Shown) -> None:
    """Open the archive by its card, play, seek to the middle."""
    page = await open_page(browser, f"{node.url}/archive")
    await open_card(page)
    player = Viewer(page, "player")
    await page.wait_for_function(
        "video => video.readyState >= 2", arg=await player.video.element_handle()
    )
    duration = await player.get("duration")
    assert duration == pytest.approx(taught_s, abs=1.0)

    await player.get("play()")
    from_the_start = await player.watch(40)
    assert_is_what_was_sent(from_the_start)

    await player.seek(duration / 2)
    from_the_middle = await player.watch(40)
    assert from_the_middle.times[-1] > duration / 2
    assert_is_what_was_sent(from_the_middle)
    pace = (from_the_middle.numbers[-1] - from_the_start.numbers[0]) / (
        from_the_middle.times[-1] - from_the_start.times[0]
    )
    assert pace == pytest.approx(30, rel=0.1)  # pictures of the lesson per second of the archive
    assert from_the_start.numbers[0] < live.numbers[0]  # the archive has what came before


async def padded_packets(node: Node) -> int:
    """Packets of pictures that were padded to the size of their neighbours."""
    async with Api(node.url) as api:
        return sum(track["padded"] for track in (await api.stats())["downtracks"])


async def open_card(page: Page) -> None:
    card = page.locator('[data-testid="lesson-card"][data-state="complete"]')
    await card.click()
    await expect(page.get_by_test_id("player")).to_be_visible()


def assert_is_what_was_sent(shown: Shown) -> None:
    """Pictures go forward and are the ones that were drawn. A busy machine may skip some."""
    assert len(shown.numbers) > 10
    assert shown.unreadable <= len(shown.numbers) // 20
    assert all(a <= b for a, b in pairwise(shown.numbers))  # a canvas may be captured twice
    assert shown.difference < CODEC_NOISE


async def test_a_live_lesson_is_in_the_archive(node: Node, browser: Browser):
    """A live lesson can be rewound: it is in the archive while it goes on (H264)."""
    teacher = Teacher(await open_page(browser, f"{node.url}/teach?codec=h264"))
    await teacher.go_live(LESSON)
    page = await open_page(browser, f"{node.url}/archive")
    await page.locator('[data-testid="lesson-card"][data-state="live"]').click()
    player = Viewer(page, "player")
    await player.video.evaluate("video => video.play()")
    await player.shows_a_picture()
    await player.seek(0)
    shown = await player.watch(30)
    assert shown.times[0] < 2.0
    assert_is_what_was_sent(shown)
    await teacher.end()


async def test_the_browsers_own_fake_devices(node: Node, browser: Browser):
    """The page's own way to camera and microphone, and the sound's way to a school."""
    teacher = Teacher(await open_page(browser, f"{node.url}/teach?devices"))
    await teacher.go_live(LESSON)
    school = Viewer(await open_page(browser, f"{node.url}/join/{LESSON}"), "camera-video")
    await school.shows_a_picture()

    async def seen_and_heard() -> bool:
        camera = next((r for r in await school.received() if r["framesDecoded"]), None)
        voice = next(iter(await school.received("audio")), None)
        return bool(
            camera
            and voice
            and camera["framesDecoded"] > 60  # the device gives some 20 a second
            and voice["packetsReceived"] > 100
            and voice["audioLevel"] > 0
        )

    await until(seen_and_heard, 60, "three seconds of camera and voice")
    await teacher.end()
