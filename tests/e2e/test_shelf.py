"""The shelf in a browser: found by two characters, narrowed by a filter, opened at a word."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from playwright.async_api import Browser, Page, expect

from clients.headless.api import Api
from recorder.archive.layout import (
    Extras,
    LessonFolder,
    Manifest,
    entry_from_id,
    write_extras,
)
from recorder.archive.talk import Talk
from recorder.catalogue import restoring
from tests.e2e.classroom import until
from tests.e2e.conftest import StartNode

_PATIENCE = 60_000
"""Milliseconds for a page on a busy machine."""


def archive(data_dir: Path, number: int, said: str = "", **facts: Any) -> str:
    """An archived lesson without media, and what was written in it two minutes after its start."""
    entry = entry_from_id(f"20260921-14{number // 60 + 13:02d}{number % 60:02d}-math-00aa")
    folder = data_dir / "lessons" / entry.id
    folder.mkdir(parents=True)
    talk = Talk()
    if said:
        talk.add(125.2, {"identity": "s", "name": "Hilltop", "text": said})
    talk.write(folder)
    made = replace(entry, state="complete", duration_s=600.0, **facts)
    LessonFolder(folder).write_manifest(Manifest(made))
    return entry.id


async def shelf(browser: Browser, url: str, language: str = "zh-CN") -> Page:
    context = await browser.new_context(locale=language)
    page = await context.new_page()
    page.set_default_timeout(_PATIENCE)
    await page.goto(url)
    return page


async def test_a_lesson_is_found_by_two_characters_and_opened_where_they_were_said(
    browser: Browser, start_node: StartNode, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    archive(data_dir, 1, title="分数的加法", school="山顶小学", subject="数学")
    archive(data_dir, 2, title="圆的面积", school="海边小学", subject="数学")
    said = archive(data_dir, 3, "分母为什么是三？", title="复习", school="海边小学")
    node = await start_node()
    page = await shelf(browser, f"{node.url}/archive")
    cards = page.get_by_test_id("lesson-card")
    await expect(cards).to_have_count(3, timeout=_PATIENCE)

    await page.get_by_test_id("search").fill("分数")
    await expect(cards).to_have_count(1, timeout=_PATIENCE)
    await expect(page.locator("mark")).to_have_text(["分数"], timeout=_PATIENCE)

    await page.get_by_test_id("search").fill("分母")
    found = page.get_by_test_id("found").get_by_role("link")
    await expect(found).to_contain_text("Hilltop", timeout=_PATIENCE)
    await found.click()
    await page.wait_for_url(f"**/archive/{said}#t=125")


async def test_a_filter_narrows_the_shelf_and_the_address_keeps_it(
    browser: Browser, start_node: StartNode, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    archive(data_dir, 1, title="One", school="Hilltop", subject="Mathematics")
    archive(data_dir, 2, title="Two", school="Seaside", subject="Mathematics")
    archive(data_dir, 3, title="Three", school="Seaside", subject="History")
    node = await start_node()
    page = await shelf(browser, f"{node.url}/archive", "en")
    cards = page.get_by_test_id("lesson-card")
    await expect(cards).to_have_count(3, timeout=_PATIENCE)
    schools = page.get_by_test_id("filter-school")
    await expect(schools.get_by_role("option")).to_have_text(
        ["All schools", "Seaside (2)", "Hilltop (1)"], timeout=_PATIENCE
    )
    await expect(page.get_by_test_id("filter-teacher")).to_be_hidden()

    await schools.select_option("Seaside")
    await expect(cards).to_have_count(2, timeout=_PATIENCE)
    await page.get_by_test_id("filter-subject").select_option("History")
    await expect(cards).to_have_count(1, timeout=_PATIENCE)
    await page.reload()
    await expect(cards).to_have_count(1, timeout=_PATIENCE)
    await expect(page.get_by_test_id("filter-school")).to_have_value("Seaside", timeout=_PATIENCE)

    await page.get_by_test_id("clear-all").click()
    await expect(cards).to_have_count(3, timeout=_PATIENCE)
    assert page.url.endswith("/archive")


async def test_a_lost_catalogue_is_made_again_beside_the_node(
    start_node: StartNode, tmp_path: Path
) -> None:
    data_dir, many = tmp_path / "data", restoring.FEW + 20
    for number in range(many):
        lesson = archive(data_dir, number, title="分数")
        # or the process that makes the extras of lessons writes some of these rows before
        write_extras(data_dir / "lessons" / lesson, Extras())
    node = await start_node()

    async with Api(node.url) as api:
        token = await api.become("archivist", "math")

    async def listed() -> bool:
        url, headers = f"{node.url}/api/archive?limit=1", {"Authorization": f"Bearer {token}"}
        async with ClientSession() as client, client.get(url, headers=headers) as answer:
            return bool((await answer.json())["total"] == many)

    await until(listed, 60, "all lessons on the shelf")
    said = f"{many} of {many} lessons"
    await until(lambda: any(said in line for line in node.log), 30, "a line in the log")
    await until(lambda: not restoring.wanted(data_dir), 30, "the end of it")


async def test_a_lesson_is_edited_by_keyboard_by_those_who_may(
    browser: Browser, start_node: StartNode, tmp_path: Path
) -> None:
    lesson = archive(tmp_path / "data", 1, title="Lesson 5", school="Hilltop")
    node = await start_node()
    page = await shelf(browser, f"{node.url}/archive/{lesson}", "en")
    edit, editor = page.get_by_test_id("edit"), page.get_by_test_id("editor")
    await expect(edit).to_have_text("Edit", timeout=_PATIENCE)
    await edit.focus()
    await page.keyboard.press("Enter")
    title = page.get_by_test_id("edit-title")
    await expect(title).to_be_focused(timeout=_PATIENCE)
    await expect(title).to_have_value("Lesson 5")
    await title.fill("分数的加法")

    tags = page.get_by_test_id("edit-tags")
    await tags.fill("x" * 41)
    await page.keyboard.press("Enter")
    trouble = page.get_by_test_id("edit-trouble")
    await expect(trouble).to_contain_text("20 tags", timeout=_PATIENCE)
    await expect(tags).to_be_focused()

    await tags.fill("numbers, 分母")
    refuse = "**/api/archive/*"
    await page.route(refuse, lambda route: route.abort())
    await page.keyboard.press("Enter")
    await expect(trouble).to_contain_text("cannot be reached", timeout=_PATIENCE)
    await expect(title).to_have_value("分数的加法")
    await page.unroute(refuse)
    await page.keyboard.press("Enter")
    await expect(editor).to_be_hidden(timeout=_PATIENCE)
    await expect(edit).to_be_focused()
    await expect(page.locator("#title")).to_have_text("分数的加法", timeout=_PATIENCE)

    await page.goto(f"{node.url}/archive?q=分母")
    await expect(page.get_by_test_id("lesson-card")).to_contain_text(
        "分数的加法", timeout=_PATIENCE
    )

    async with Api(node.url) as api:
        school = await api.become("school", "math")
    await page.goto("about:blank")
    visitor = await shelf(browser, f"{node.url}/archive/{lesson}#token={school}", "en")
    await expect(visitor.locator("#title")).to_have_text("分数的加法", timeout=_PATIENCE)
    await expect(visitor.get_by_test_id("edit")).to_be_hidden()
