"""Where UDP is blocked: Chromium teaches and watches over the node's one TCP port (RFC 6544)."""

import re
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median
from typing import Any

from playwright.async_api import Browser, Page

from clients.headless.api import Api
from clients.headless.node import Node
from tests.e2e.classroom import breaks, teaching, until, watching
from tests.e2e.pages import PATTERN, Teacher, Viewer
from tests.e2e.test_bad_input import hostile, impostor
from tests.e2e.test_browser import MOST_FROZEN

LESSON = "math"
JOIN_S = 15.0
"""Seconds from the click to the first picture: three times the goal, which the lab measures."""
AGE_MS = 1_500
"""Profile H: age of what is seen."""
STRANGERS = 1_000

_NO_UDP = "globalThis.blocked = true;"
_CONNECTIONS = """
globalThis.connections = new Set()
for (const method of ['setRemoteDescription', 'addIceCandidate']) {
  const original = RTCPeerConnection.prototype[method]
  RTCPeerConnection.prototype[method] = function (told, ...rest) {
    connections.add(this)
    if (!globalThis.blocked || !told?.sdp) return original.call(this, told, ...rest)
    const lines = told.sdp.split('\\r\\n')
    const kept = lines.filter(line => !/^a=candidate:\\S+ 1 udp /i.test(line))
    return original.call(this, { type: told.type, sdp: kept.join('\\r\\n') }, ...rest)
  }
}
"""
"""Keeps the page's connections to be asked; where UDP is blocked, takes the UDP candidates out of
the answer, for an ICE-lite server is reached by no others."""

_PAIRS = """async () => {
  const pairs = []
  for (const connection of connections) {
    const stats = await connection.getStats()
    for (const transport of [...stats.values()].filter(r => r.type === 'transport')) {
      const pair = stats.get(transport.selectedCandidatePairId)
      pairs.push([stats.get(pair.localCandidateId).protocol,
                  stats.get(pair.remoteCandidateId).protocol])
    }
  }
  return pairs
}"""


async def open_page(browser: Browser, url: str, *, udp: bool = False) -> Page:
    """A page whose network lets no UDP through, or does."""
    context = await browser.new_context(
        viewport={"width": 1366, "height": 768}, permissions=["camera", "microphone"]
    )
    await context.add_init_script(script=_CONNECTIONS if udp else _NO_UDP + _CONNECTIONS)
    await context.add_init_script(path=PATTERN)
    page = await context.new_page()
    page.set_default_timeout(60_000)
    await page.goto(url)
    return page


async def shards(node: Node) -> dict[str, Any]:
    """The counters of all shards together."""
    async with Api(node.url) as api:
        rows = (await api.stats())["shards"]
    return {name: sum(row[name] for row in rows) for name in rows[0]}


async def pairs(*pages: Page) -> list[list[str]]:
    """By which protocols the pages' connections go, at both ends."""
    return [pair for page in pages for pair in await page.evaluate(_PAIRS)]


async def test_a_lesson_without_udp(node: Node, browser: Browser):
    teacher = Teacher(await open_page(browser, f"{node.url}/teach?codec=h264"))
    await teacher.go_live(LESSON)
    joining = time.monotonic()
    school = Viewer(await open_page(browser, f"{node.url}/join/{LESSON}"), "camera-video")
    await school.shows_a_picture()
    joined = time.monotonic() - joining
    shown = await school.watch(240)
    sent_at = await teacher.sent_at()
    went_by = await pairs(teacher.page, school.page)
    camera = next(r for r in await school.received() if r["framesDecoded"])
    sound = (await school.received("audio"))[0]
    counted = await shards(node)
    await teacher.end()

    assert went_by == [["tcp", "tcp"]] * 2
    assert joined < JOIN_S
    assert camera["totalFreezesDuration"] < MOST_FROZEN * shown.seconds
    assert (camera["packetsLost"], sound["packetsLost"]) == (0, 0)
    assert sound["packetsReceived"] > 400
    assert median(at - sent_at[n] for n, at in zip(shown.numbers, shown.at, strict=True)) < AGE_MS
    assert counted["tcp_connections"] >= 2
    assert counted["tcp_dropped_stale"] == 0


async def test_who_has_both_goes_by_udp(node: Node, browser: Browser):
    teacher = Teacher(await open_page(browser, f"{node.url}/teach?codec=h264", udp=True))
    await teacher.go_live(LESSON)
    page = await open_page(browser, f"{node.url}/join/{LESSON}", udp=True)
    await Viewer(page, "camera-video").shows_a_picture()

    async def all_by_udp() -> bool:
        async with Api(node.url) as api:
            links = (await api.stats())["links"]
        return [link["transport"] for link in links] == ["udp", "udp"]

    await until(all_by_udp, 10, "both by UDP")
    assert await pairs(teacher.page, page) == [["udp", "udp"]] * 2
    await teacher.end()


def framed(datagram: bytes) -> bytes:
    """RFC 4571."""
    return len(datagram).to_bytes(2, "big") + datagram


def address_of(answer: str) -> tuple[str, int]:
    """Where the node takes TCP: from the candidates of an answer."""
    candidate = re.search(r"a=candidate:\S+ 1 tcp \d+ ([\d.]+) (\d+) typ host tcptype pass", answer)
    assert candidate, answer
    return candidate[1], int(candidate[2])


async def test_strangers_at_the_door_do_not_disturb_a_lesson(node: Node, lesson_clip: Path):
    async with teaching(node.url, LESSON, lesson_clip), watching(node.url, LESSON) as pupil:
        await pupil.sees(15)
        lines = len(node.log)
        answer = pupil.school.connection.remoteDescription.sdp
        address, forged = address_of(answer), framed(impostor(answer))
        with ExitStack() as crowd:
            for number in range(STRANGERS):
                stranger = crowd.enter_context(socket.create_connection(address))
                rude = [b"", b"\0", forged[:-1], forged, b"\xff" * 3_000, b"GET / HTTP/1.1\r\n\r\n"]
                rude += [framed(datagram) for datagram in hostile(number)]
                with suppress(ConnectionError):  # shown out while it speaks
                    stranger.sendall(rude[number % len(rude)])
                if number % 100 == 0:
                    await pupil.sees(len(pupil.numbers) + 1)
            await pupil.sees(len(pupil.numbers) + 45)
            async with Api(node.url) as api:
                counted = (await api.stats())["listeners"][0]
        report = await pupil.school.measure()
    assert breaks(pupil.numbers) == []
    assert report.lost == 0
    assert counted["accepted"] == STRANGERS
    still_there = STRANGERS - sum(counted[name] for name in counted if name != "accepted")
    assert still_there <= 32  # of one address
    assert counted["delivered"] >= STRANGERS // 18  # who knows a name, and not the password
    assert counted["dropped_malformed"] > STRANGERS // 2
    assert (await shards(node))["tcp_connections"] == 0
    assert len(node.log) - lines < 20, "a line of log per connection"
