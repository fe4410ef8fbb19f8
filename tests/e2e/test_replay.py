"""The replay page, in Chromium and in Firefox: play, seek, change views, follow a link."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from clients.headless.api import Api
from clients.headless.node import Node
from tests.e2e.classroom import archived, teaching, until
from tests.e2e.conftest import StartNode
from tests.e2e.firefox import firefox
from tests.e2e.pages import open_page
from tests.e2e.replaying import CLIP, LESSON, PATIENCE, Replay, Tab
from tests.recorder import media, tbj
from tests.recorder.journals import Journal, Sender, loop

SECONDS = 60.0


@pytest.fixture(scope="session")
def journal() -> Journal:
    """A minute of camera, slides and voice."""
    made = Journal().start()
    for track, source, codec in ((1, "microphone", "opus"), (2, "camera", "H264")):
        made.publish(0.1, track, source, codec)
    made.publish(0.1, 3, "slides", "H264")
    clips = {
        1: media.audio(int(CLIP)),
        2: media.video("H264", int(CLIP)),
        3: media.video("H264", int(CLIP), size=(640, 360)),
    }
    for track, clip in clips.items():
        sender = Sender(track, 48_000 if track == 1 else 90_000, base=7 * track)
        made.add(sender.frames(loop(clip, SECONDS), 0.2)).add(sender.reports(0.2, SECONDS))
    return made.end(SECONDS + 0.3)


@pytest.fixture
async def taught(start_node: StartNode, tmp_path: Path, journal: Journal) -> Node:
    """A node with that lesson in its archive."""
    tbj.write(journal, tmp_path / "data" / "lessons" / LESSON / "journal")
    node = await start_node()
    await archived(node.url, "math", 60)
    return node


@asynccontextmanager
async def chromium_tab(browser: Browser) -> AsyncIterator[Page]:
    """A tab with a memory of its own."""
    page = await open_page(browser, "about:blank")
    yield page
    await page.context.close()


async def watch_a_lesson(tab: Tab, node: Node) -> None:
    """What a viewer does with a lesson, whatever the browser."""
    replay = Replay(tab, node)
    await replay.open("#t=31")
    state = await replay.comes(lambda state: state["shown"] == ["camera", "slides"], "two pictures")
    assert state["at"] == pytest.approx(31, abs=0.1)
    assert state["duration"] == pytest.approx(SECONDS, abs=0.5)
    assert (state["paused"], state["layout"]) == (True, "both")
    await replay.shows("slides", 31)
    await replay.shows("camera", 31)

    await replay.does("click('#toggle')")
    await replay.plays_on()
    state = await replay.comes(
        lambda state: max(state["times"]) - min(state["times"]) < 0.2, "pictures in step"
    )
    assert state["loud"] == 1

    await replay.does("seek(12.5)")
    await replay.comes(lambda state: 12.4 < state["at"] < 30, "the place on the seek bar")
    await replay.does("click('#toggle')")
    at = (await replay.comes(lambda state: state["paused"], "a stop"))["at"]
    await replay.shows("slides", at)
    await replay.shows("camera", at)  # both stand on the same moment

    await replay.does("click('#toggle')")
    for choice, layout, shown in (
        ("camera", "one", ["camera"]),
        ("pip", "pip", ["camera", "slides"]),
        ("voice", "voice", []),
        ("light", "one", ["slides"]),
        ("slides", "one", ["slides"]),
    ):
        began = (await replay.comes(lambda state: state["at"] >= 0, "a lead"))["at"]
        await replay.does(f"click('[data-view={choice}]')")
        wanted = (layout, shown, 1)
        await replay.comes(
            lambda state, wanted=wanted: (
                state["at"] >= 0 and (state["layout"], state["shown"], state["loud"]) == wanted
            ),
            f"the view {choice}",
        )
        on = began + 0.3
        await replay.comes(lambda state, on=on: state["at"] > on, f"{choice} to go on from there")

    await replay.does("press('>')")
    await replay.does("press('>')")
    state = await replay.comes(lambda state: state["rate"] == 1.5, "one and a half times the speed")
    assert state["pitch"]
    await replay.does("seek(42)")
    await replay.comes(lambda state: state["at"] > 41.9 and not state["seeking"], "42 s")
    await replay.does("press(' ')")
    left = (await replay.comes(lambda state: state["paused"], "a stop"))["at"]

    await replay.reload()
    state = await replay.comes(
        lambda state: state["at"] == pytest.approx(left, abs=1), "where it was left"
    )
    assert (state["rate"], state["shown"]) == (1.5, ["slides"])
    assert await tab.evaluate("!document.getElementById('resume').hidden")
    await replay.does("click('#resume-start')")
    await replay.comes(lambda state: 0 < state["at"] < 40 and not state["paused"], "the start")


async def test_in_chromium(taught: Node, browser: Browser):
    async with chromium_tab(browser) as page:
        await watch_a_lesson(page, taught)


async def test_in_firefox(taught: Node, tmp_path: Path):
    async with firefox(tmp_path / "profile", 1366, 768) as tab:
        await watch_a_lesson(tab, taught)


async def test_by_keyboard_alone(taught: Node, browser: Browser):
    async with chromium_tab(browser) as page:
        replay = Replay(page, taught)
        await replay.open("#t=20")
        keyboard = page.keyboard

        async def goes(key: str, to: float) -> None:
            await keyboard.press(key)
            await replay.comes(
                lambda state: state["at"] == pytest.approx(to, abs=0.1), f"{key} to {to}"
            )

        await goes("l", 30)
        await goes("j", 20)
        await goes("ArrowRight", 25)
        await goes("ArrowLeft", 20)
        duration = (await replay.state())["duration"]
        await goes("5", duration / 2)
        await goes(".", duration / 2 + 1 / 30)
        await keyboard.press("m")
        await replay.comes(lambda state: state["loud"] == 0, "no sound")
        await keyboard.press("m")
        await keyboard.press("?")
        help_ = page.get_by_test_id("help")
        await expect(help_).to_be_visible()
        await expect(help_).to_contain_text("Play or pause")
        await keyboard.press("Escape")
        await expect(help_).to_be_hidden()
        before = (await replay.state())["layout"]
        await keyboard.press("v")
        await replay.comes(lambda state: state["layout"] != before, "another view")
        await keyboard.press("f")
        await page.wait_for_function("document.fullscreenElement?.id === 'stage'")
        await keyboard.press("f")
        await page.wait_for_function("document.fullscreenElement === null")
        await page.get_by_test_id("seek").focus()
        await goes("ArrowRight", duration / 2 + 1 / 30 + 5)
        words = await page.get_by_test_id("seek").get_attribute("aria-valuetext")
        assert words == "0:35 of 1:00"


async def extended(route: Route) -> None:
    """An entry with all that an archive may have."""
    answer = await route.fetch()
    here = f"/archive/{LESSON}/media"
    more = {
        "chapters": f"{here}/c.vtt",
        "thumbnails": f"{here}/t.vtt",
        "captions": [{"language": "en", "label": "English", "url": f"{here}/s.vtt"}],
        "downloads": [f"{here}/camera.mp4"],
        "notes": "Bring a ruler.",
        "talk": [{"t": 31, "name": "Hill", "text": "<b>yes</b>", "kind": "chat"}],
    }
    await route.fulfill(response=answer, json={**await answer.json(), **more})


async def test_what_an_archive_may_have_besides(taught: Node, browser: Browser):
    files = {
        "c": "start\n00:00.000 --> 00:20.000\nx\n\nslide-2\n00:20.000 --> 00:40.000\nx\n\n"
        "mine\n00:40.000 --> 01:00.000\nHomework\n",
        "t": "00:00.000 --> 01:00.000\nposter.jpg#xywh=0,0,160,90\n",
        "s": "00:00.000 --> 01:00.000\nHello &amp; welcome\n",
    }
    async with chromium_tab(browser) as page:
        await page.route("**/api/archive/*", extended)

        async def file(route: Route) -> None:
            text = files[route.request.url.rpartition("/")[2][0]]
            await route.fulfill(body=f"WEBVTT\n\n{text}", content_type="text/vtt")

        await page.route("**/*.vtt", file)
        replay = Replay(page, taught)
        await replay.open("#t=5")
        chapters = page.get_by_test_id("chapters").get_by_role("button")
        await expect(chapters).to_have_text(
            ["0:00The lesson begins", "0:20Slide 2", "0:40Homework"]
        )
        await chapters.nth(2).click()
        await replay.comes(lambda state: state["at"] == pytest.approx(40, abs=0.1), "chapter 3")
        await expect(page.get_by_test_id("chapter-now")).to_have_text("Homework")
        await expect(page.get_by_test_id("marks").locator("i")).to_have_count(2)
        await page.get_by_test_id("seek").hover()
        preview = page.get_by_test_id("preview")
        await expect(preview).to_contain_text("Slide 2")
        await expect(preview.locator("i")).to_have_css("width", "160px")
        await page.get_by_test_id("captions").click()
        await expect(page.get_by_test_id("caption")).to_have_text("Hello & welcome")
        await page.get_by_test_id("tab-talk").click()
        await expect(page.get_by_test_id("notes")).to_have_text("Bring a ruler.")
        said = page.get_by_test_id("talk").get_by_role("button")
        await expect(said).to_contain_text("<b>yes</b>")  # shown as it was written
        await said.click()
        await replay.comes(lambda state: state["at"] == pytest.approx(31, abs=0.1), "what was said")
        await expect(page.get_by_test_id("downloads").get_by_role("link")).to_have_attribute(
            "download", "math-camera.mp4"
        )
        await page.get_by_test_id("share").click()
        await expect(page).to_have_url(re.compile(r"#t=31$"))


async def test_without_any_of_it(taught: Node, browser: Browser):
    async with chromium_tab(browser) as page:

        async def bare(route: Route) -> None:
            answer = await route.fetch()
            gone = ("chapters", "thumbnails", "captions", "talk", "notes")
            entry = {k: v for k, v in (await answer.json()).items() if k not in gone}
            await route.fulfill(response=answer, json={**entry, "downloads": []})

        await page.route("**/api/archive/*", bare)
        await Replay(page, taught).open()
        await expect(page.get_by_test_id("side")).to_be_hidden()
        none = page.get_by_test_id("downloads").get_by_role("button")
        await expect(none).to_have_text("No download yet")
        await expect(none).to_have_attribute("aria-disabled", "true")


async def test_trouble_is_told_in_words_and_retried(taught: Node, browser: Browser):
    async with chromium_tab(browser) as page:
        lost = True

        async def media_files(route: Route) -> None:
            await (route.fulfill(status=404, body="") if lost else route.continue_())

        await page.clock.install()  # patience of minutes, in no time
        await page.route("**/*.m4s", media_files)
        await page.goto(f"{taught.url}/archive/{LESSON}")
        trouble = page.get_by_test_id("trouble")

        async def told() -> bool:
            await page.clock.run_for(2_000)
            return await trouble.is_visible()

        await until(told, PATIENCE, "words")
        await expect(trouble).to_contain_text("missing")
        lost = False
        await page.get_by_test_id("retry").click()
        await expect(trouble).to_be_hidden()

        async def plays() -> bool:
            await page.clock.run_for(500)
            return bool(await page.evaluate("document.getElementById('player').readyState >= 2"))

        await until(plays, PATIENCE, "the lesson after all")


async def test_what_only_the_other_player_knows_is_left_to_it(taught: Node, browser: Browser):
    async with chromium_tab(browser) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))

        def its_code() -> bool:
            return any("/assets/hls-" in url for url in asked)

        replay = Replay(page, taught)
        await replay.open("#t=21")
        await replay.shows("slides", 21)
        assert not its_code()  # a closed lesson of ours needs none of it

        async def foreign(route: Route) -> None:
            answer = await route.fetch()
            text = await answer.text()
            more = "#EXTM3U\n#EXT-X-START:TIME-OFFSET=0\n"
            await route.fulfill(response=answer, body=text.replace("#EXTM3U\n", more))

        await page.route("**/index.m3u8", foreign)
        await page.goto("about:blank")
        await replay.open("#t=31")
        await replay.comes(lambda state: state["at"] == pytest.approx(31, abs=0.1), "31 s")
        await replay.shows("slides", 31)
        assert its_code()
        await replay.does("seek(12.5)")
        await replay.shows("slides", 12.5)


async def test_a_lost_link_costs_time_and_not_the_lesson(taught: Node, browser: Browser):
    async with chromium_tab(browser) as page:
        replay = Replay(page, taught)
        await replay.open("#t=5")
        await replay.shows("slides", 5)
        lost: list[Route] = []
        back = False

        async def media_files(route: Route) -> None:
            if back:
                await route.continue_()
            else:
                lost.append(route)
                await route.abort("connectionreset")

        await page.route("**/*.m4s", media_files)
        await replay.does("seek(42.5)")

        async def tried() -> bool:
            return len(lost) >= 3

        await until(tried, PATIENCE, "some tries")
        assert (await replay.state())["seeking"]
        back = True
        await replay.comes(lambda state: not state["seeking"], "the link")
        await replay.shows("slides", 42.5)
        await replay.shows("camera", 42.5)
        assert not await page.get_by_test_id("trouble").is_visible()


async def test_a_live_lesson_is_rewound_and_caught_up(
    node: Node, browser: Browser, lesson_clip: Path
):
    async with chromium_tab(browser) as page:
        async with teaching(node.url, "math", lesson_clip):
            async with Api(node.url) as api:
                await api.become("archivist", "math")

                async def begun() -> dict[str, Any] | None:
                    entries = await api.entries()
                    return entries[0] if entries and entries[0]["views"] else None

                entry = await until(begun, PATIENCE, "a live lesson in the archive")
            assert entry
            await page.goto(f"{node.url}/archive/{entry['id']}")
            await expect(page.get_by_test_id("entry-state")).to_have_text("Live")
            edge = page.get_by_test_id("go-live-edge")
            await page.get_by_test_id("toggle").click()
            await page.wait_for_function("document.getElementById('player').duration > 24")
            await page.evaluate("document.getElementById('player').currentTime = 0")
            await expect(edge).to_have_text("Go to live")
            await edge.click()
            await expect(edge).to_have_text("Live")
            await page.wait_for_function("document.getElementById('player').currentTime > 8")
        # The bell: the same page is a replay now.
        await expect(page.get_by_test_id("entry-state")).to_be_hidden()
        await expect(edge).to_be_hidden()
