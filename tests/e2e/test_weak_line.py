"""What a teacher's browser sends for lines of any width, and what a school on a weak one sees."""

import json
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from clients.headless.node import Node
from tests.e2e.classroom import archived, until
from tests.e2e.pages import Teacher, Viewer, open_page

LESSON = "math"
SIZES = {"q": 320, "h": 640, "f": 1280}
"""Width of each stream of a camera with 1280 x 720."""

_LISTEN = """
  const page = globalThis.weakLine = { peers: [], channels: {} }
  const create = RTCPeerConnection.prototype.createDataChannel
  RTCPeerConnection.prototype.createDataChannel = function (label, ...rest) {
    if (!page.peers.includes(this)) page.peers.push(this)
    return (page.channels[label] = create.call(this, label, ...rest))
  }
"""
_SAY = """data => weakLine.channels.tongbu.dispatchEvent(new MessageEvent('message', { data }))"""
_TARGETS = "weakLine.peers.at(-1).getReceivers().map(one => one.jitterBufferTarget)"
_STREAMS = """async () => {
  const reports = [...(await weakLine.peers.at(-1).getStats()).values()]
  return reports.filter(one => one.type === 'outbound-rtp' && one.rid && one.framesEncoded > 5)
    .map(one => [one.rid, one.frameWidth])
}"""


async def open_listening(browser: Browser, url: str) -> Page:
    """A page whose connections and data channels a test can reach."""
    page = await open_page(browser, "about:blank")
    await page.add_init_script(_LISTEN)
    await page.goto(url)
    return page


async def say(school: Page, **said: Any) -> None:
    """What the node would say to this school."""
    await school.evaluate(_SAY, json.dumps(said))


@pytest.mark.parametrize("codec", ["H264", "VP9"])
async def test_the_camera_is_sent_in_three_sizes(node: Node, browser: Browser, codec: str):
    page = await open_listening(browser, f"{node.url}/teach?devices&codec={codec.lower()}")
    teacher = Teacher(page)
    await teacher.go_live(LESSON)

    async def all_sizes() -> bool:
        return dict(await page.evaluate(_STREAMS)) == SIZES

    await until(all_sizes, 20, "three sizes of the camera")
    school = Viewer(await open_page(browser, f"{node.url}/join/{LESSON}"), "camera-video")

    async def largest() -> bool:
        return bool(await school.get("videoWidth") == SIZES["f"])

    await until(largest, 20, "the largest size at a school on a good line")
    await teacher.end()
    camera = next(view for view in (await archived(node.url, LESSON))["views"])
    assert (camera["width"], camera["codec"]) == (SIZES["f"], codec)


async def test_words_stand_for_what_does_not_fit_on_the_line(node: Node, browser: Browser):
    teacher = Teacher(await open_page(browser, f"{node.url}/teach?codec=h264"))
    await teacher.go_live(LESSON)
    page = await open_listening(browser, f"{node.url}/join/{LESSON}")
    school = Viewer(page, "camera-video")
    await school.shows_a_picture()
    await until(lambda: school.get("videoWidth === 640"), 10, "all of a small camera's picture")
    words = page.get_by_test_id("camera-off")
    await expect(words).to_be_hidden()

    await say(page, type="quality", source="camera", state="paused")
    await expect(words).to_contain_text("The camera is paused")
    await expect(words).to_contain_text("The camera returns by itself")
    await say(page, type="quality", source="slides", state="paused")
    await expect(words).to_contain_text("very weak")
    await say(page, type="quality", source="slides", state="playing")
    await say(page, type="quality", source="camera", state="playing")
    await expect(words).to_be_hidden()
    await teacher.end()


async def test_sound_and_pictures_wait_for_repair_as_long_as_the_node_asks(
    node: Node, browser: Browser
):
    teacher = Teacher(await open_page(browser, f"{node.url}/teach?codec=h264"))
    await teacher.go_live(LESSON)
    page = await open_listening(browser, f"{node.url}/join/{LESSON}")
    await Viewer(page, "camera-video").shows_a_picture()
    await say(page, type="playout", delay=1.1)
    assert await page.evaluate(_TARGETS) == [1100, 1100, 1100]
    await say(page, type="playout", delay=-1)
    assert await page.evaluate(_TARGETS) == [1100, 1100, 1100]
    await say(page, type="playout", delay=0)
    assert await page.evaluate(_TARGETS) == [0, 0, 0]
    await teacher.end()
