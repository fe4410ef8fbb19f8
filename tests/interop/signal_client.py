"""livekit-client's own end-to-end test of its SignalClient, in Chromium, against a node of ours.

The test comes with the npm package (`src/api/SignalClient.e2e.test.ts`) and runs as it is, by
vitest in a real browser. What it finds at the other end is `signal_stand.py`.
"""

import asyncio
import json
import os
import shutil
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from clients.headless.node import Node
from tests.interop.outcome import Outcome
from tests.interop.signal_stand import SignalStand
from tests.interop.venvs import InstallError, newest_of_npm, node_modules

TEST = "src/api/SignalClient.e2e.test.ts"
_TOOLS = ("vitest@4", "@vitest/browser@4", "@vitest/browser-playwright@4", "playwright@1")
_OF_THE_TEST = ("livekit-server-sdk@2",)
_CHROMIUM = Path("/usr/bin/chromium")
_PATIENCE = 600
_CONFIG = """
import { playwright } from '@vitest/browser-playwright'
export default {
  test: {
    include: ['TEST'],
    globalSetup: ['./src/test/signalServerSetup.ts'],
    testTimeout: 40_000,
    hookTimeout: 120_000,
    fileParallelism: false,
    silent: true,
    reporters: ['default', 'json'],
    outputFile: { json: 'report.json' },
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({
        launchOptions: { executablePath: 'CHROMIUM', args: ['--no-sandbox'] },
      }),
      instances: [{ browser: 'chromium' }],
    },
  },
}
"""


async def run(outcome: Outcome, keyword: str = "") -> None:
    """Run it. Raises InstallError, NodeError."""
    if not _CHROMIUM.exists():
        outcome.skips(TEST, "There is no Chromium: tests/tools.sh installs it.")
        return
    version = await asyncio.to_thread(newest_of_npm, "livekit-client")
    print(f"== livekit-client {version}: its SignalClient's test, against this node", flush=True)
    wish = (f"livekit-client@{version}", *_TOOLS, *_OF_THE_TEST)
    modules = await asyncio.to_thread(node_modules, f"signal-client-{version}", *wish)
    sources = modules / "livekit-client" / "src"
    if not (sources.parent / TEST).exists():
        raise InstallError(f"livekit-client {version} comes without {TEST}.")
    # Beside node_modules, where tools would take its sources for finished JavaScript.
    with tempfile.TemporaryDirectory(dir=modules.parent) as folder:
        place = Path(folder)
        shutil.copytree(sources, place / "src")
        shutil.copy(sources.parent / "package.json", place)  # they read their version from it
        config = _CONFIG.replace("TEST", TEST).replace("CHROMIUM", str(_CHROMIUM))
        (place / "vitest.config.mjs").write_text(config)
        node = await Node.start(place / "data")
        try:
            async with SignalStand(node.url) as stand:
                await _run(modules, place, stand.url, keyword)
            _count(outcome, place / "report.json")
        finally:
            code = await node.stop()
        if code or any("Traceback" in line for line in node.log):
            outcome.fails("the node", f"exit code {code}: {list(node.log)[-1:]}")


async def _run(modules: Path, place: Path, url: str, keyword: str) -> None:
    vitest = modules / "vitest" / "vitest.mjs"
    more = ("--testNamePattern", keyword) if keyword else ()
    process = await asyncio.create_subprocess_exec(
        *("node", str(vitest), "run", "--root", str(place), *more),
        cwd=place,
        env={**os.environ, "LK_TEST_SERVER_URL": url, "CI": "1", "NO_COLOR": "1"},
        stdout=PIPE,
        stderr=STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE):
            async for line in process.stdout:
                print(f"   {line.decode(errors='replace').rstrip()}", flush=True)
            await process.wait()
    except TimeoutError:
        print(f"   it was not done within {_PATIENCE} s", flush=True)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _count(outcome: Outcome, report: Path) -> None:
    """Add what vitest wrote; a report that is not there is a failure."""
    if not report.exists():
        outcome.fails(TEST, "it ended without a report")
        return
    for file in json.loads(report.read_text())["testResults"]:
        if not file["assertionResults"]:
            outcome.fails(TEST, file.get("message") or "it has no tests")
        for case in file["assertionResults"]:
            match case["status"]:
                case "passed":
                    outcome.passed += 1
                case "failed":
                    outcome.fails(case["fullName"], *case["failureMessages"][:1])
                case _:
                    outcome.skips(case["fullName"], "not asked for, or not run")
