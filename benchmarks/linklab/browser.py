"""Debian's Chromium in a namespace, with the lab's pages."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from playwright.async_api import BrowserContext, Page, Playwright, Route

PAGES = Path(__file__).parent / "pages"
PROGRAM = Path("/usr/bin/chromium")
PATIENCE_MS = 20_000
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-component-update",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    # Between two peers addresses are told as they are: nobody resolves names across the link.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)


@contextlib.asynccontextmanager
async def chromium(
    playwright: Playwright, namespace: str, folder: Path, origin: str
) -> AsyncIterator[BrowserContext]:
    """A browser that lives in the namespace, and takes that origin for a secure one."""
    wrapper = folder / f"chromium-in-{namespace}"
    wrapper.write_text(f'#!/bin/sh\nexec ip netns exec {namespace} {PROGRAM} "$@" 2>/dev/null\n')
    wrapper.chmod(0o755)
    browser = await playwright.chromium.launch(
        executable_path=wrapper,
        args=[*_FLAGS, f"--unsafely-treat-insecure-origin-as-secure={origin}"],
    )
    try:
        yield await browser.new_context()
    finally:
        await browser.close()


async def open_page(context: BrowserContext, origin: str, scripts: Sequence[str]) -> Page:
    """A page of that origin that no server has: these scripts of the lab, one after the other."""
    body = f"<!doctype html><meta charset=utf-8><body><script>{source(scripts)}</script>"

    async def serve(route: Route) -> None:
        await route.fulfill(body=body, content_type="text/html")

    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    address = f"{origin}/linklab"
    await page.route(address, serve)
    await page.goto(address)
    return page


def source(scripts: Sequence[str]) -> str:
    """Some of the lab's scripts as one."""
    return "\n".join((PAGES / f"{name}.js").read_text() for name in scripts)
