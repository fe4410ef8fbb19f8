"""What a teacher's browser sends for lines of any width, and what a school on a weak one sees."""

import pytest
from livekit.protocol import models, rtc
from playwright.async_api import Browser, Page, expect

from clients.headless.node import Node
from signaling.livekit.messages import stream_state
from tests.e2e.classroom import archived, until
from tests.e2e.pages import Teacher, Viewer, open_page

LESSON = "math"
SIZES = {"q": 320, "h": 640, "f": 1280}
"""Width of each stream of a camera with 1280 x 720."""

_LISTEN = """
  const page = globalThis.weakLine = { peers: [], said: [], roundTrip: null }
  const create = RTCPeerConnection.prototype.createDataChannel
  RTCPeerConnection.prototype.createDataChannel = function (...channel) {
    if (!page.peers.includes(this)) page.peers.push(this)
    return create.apply(this, channel)
  }
  globalThis.WebSocket = class extends WebSocket {
    constructor(...address) {
      super(...address)
      page.socket = this
      this.addEventListener('message', ({ data }) => page.said.push([...new Uint8Array(data)]))
    }
  }
  const ask = RTCRtpReceiver.prototype.getStats
  RTCRtpReceiver.prototype.getStats = async function () {
    const found = new Map(await ask.call(this))
    for (const [id, one] of found)
      if (one.type === 'candidate-pair' && page.roundTrip !== null)
        found.set(id, { ...one, currentRoundTripTime: page.roundTrip })
    return found
  }
"""
_SAY = """raw => weakLine.socket.dispatchEvent(
  new MessageEvent('message', { data: new Uint8Array(raw).buffer }))"""
_TARGETS = """[...new Set(weakLine.peers.at(-1).getReceivers()
  .map(one => one.jitterBufferTarget).filter(one => one !== null))]"""
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


Named = tuple[str, str]
"""The sids of a participant and of one of its tracks."""


async def tracks(school: Page) -> dict[int, Named]:
    """What the node has told this school to be published, by source."""
    found: dict[int, Named] = {}
    for raw in await school.evaluate("weakLine.said"):
        response = rtc.SignalResponse.FromString(bytes(raw))
        for person in (*response.join.other_participants, *response.update.participants):
            found |= {track.source: (person.sid, track.sid) for track in person.tracks}
    return found


async def say(school: Page, track: Named, *, paused: bool) -> None:
    """What the node would say to this school of a picture."""
    await school.evaluate(_SAY, list(stream_state(*track, paused=paused)))


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
    await teacher.page.get_by_test_id("screen").click()
    await Viewer(page, "slides-video").shows_a_picture()
    published = await tracks(page)
    camera, slides = published[models.CAMERA], published[models.SCREEN_SHARE]
    words = page.get_by_test_id("camera-off")
    await expect(words).to_be_hidden()

    await say(page, camera, paused=True)
    await expect(words).to_contain_text("The camera is paused")
    await expect(words).to_contain_text("the voice and the slides come first")
    await say(page, slides, paused=True)
    await expect(words).to_contain_text("very weak")
    await say(page, slides, paused=False)
    await say(page, camera, paused=False)
    await expect(words).to_be_hidden()
    await teacher.end()


async def test_sound_and_pictures_wait_for_repair_on_a_long_way(node: Node, browser: Browser):
    teacher = Teacher(await open_page(browser, f"{node.url}/teach?codec=h264"))
    await teacher.go_live(LESSON)
    page = await open_listening(browser, f"{node.url}/join/{LESSON}")
    await page.evaluate("weakLine.roundTrip = 0.6")
    await Viewer(page, "camera-video").shows_a_picture()

    async def waits(milliseconds: int) -> bool:
        return bool(await page.evaluate(_TARGETS) == [milliseconds])

    await until(lambda: waits(1000), 20, "a second for what was lost")
    await page.evaluate("weakLine.roundTrip = 0.03")
    await until(lambda: waits(0), 20, "no wait on a short way")
    await teacher.end()
