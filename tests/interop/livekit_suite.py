"""`make interop-livekit`: the tests of LiveKit's SDKs, by their makers, against a node of ours.

Those of PyPI's `livekit` come with the source distribution, fetched by pip when this runs. Each
file runs in a process of its own: the SDK may abort when an interpreter ends. That of
livekit-client's SignalClient comes with the npm package (`signal_client.py`). The last line is
JSON: how many passed, failed and were skipped, each skip with its reason. Exit code 0 when none
failed.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from clients.headless.node import Node
from signaling.config import DEV_KEY, DEV_SECRET
from tests.interop import signal_client
from tests.interop.outcome import Outcome
from tests.interop.venvs import InstallError, python_with, releases, source_of

FILES = (
    "test_basic",
    "test_dc",
    "test_audio",
    "test_video",
    "test_change_video_quality",
    "test_e2ee_shared_key",
    "test_e2ee_per_participant",
)
_REQUIREMENTS = ("numpy", "pyjwt", "pytest>=8", "pytest-asyncio", "pytest-timeout")
_TEST_SECONDS = 600
"""For one test; the longest waits for keys to be stretched, again and again."""


SIGNAL_CLIENT = "SignalClient"
"""The test of livekit-client's, beside those of PyPI's `livekit`."""


def count(outcome: Outcome, report: Path, file: str) -> None:
    """Add what pytest wrote; a report that is not there is a failure."""
    if not report.exists():
        outcome.fails(file, "it ended without a report")
        return
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{file}::{case.get('name')}"
        trouble = [child for child in case if child.tag in ("failure", "error")]
        skips = [child for child in case if child.tag == "skipped"]
        if trouble:
            outcome.fails(name, trouble[0].get("message") or "no reason given")
        elif skips:
            outcome.skips(name, skips[0].get("message") or "no reason given")
        else:
            outcome.passed += 1


async def run(files: Sequence[str], version: str | None, outcome: Outcome, *, keyword: str) -> None:
    """Run these against a node of their own. Raises InstallError, NodeError."""
    version = version or releases("livekit")[0]
    print(f"== livekit {version}: its tests, against this node", flush=True)
    python = python_with(f"livekit-{version}", f"livekit=={version}", *_REQUIREMENTS)
    tests = source_of("livekit", version) / "tests"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copy(Path(__file__).with_name("livekit_utils.py"), place / "utils.py")
        node = await Node.start(place / "data")
        try:
            for file in files:
                shutil.copy(tests / f"{file}.py", place)
                await _run_file(python, place, file, node, keyword)
                count(outcome, place / f"{file}.xml", file)
        finally:
            code = await node.stop()
        if code or any("Traceback" in line for line in node.log):
            outcome.fails("the node", f"exit code {code}: {list(node.log)[-1:]}")


async def _run_file(python: Path, place: Path, file: str, node: Node, keyword: str) -> None:
    environment = {
        **os.environ,
        "LIVEKIT_URL": node.url.replace("http", "ws", 1),
        "LIVEKIT_API_KEY": DEV_KEY,
        "LIVEKIT_API_SECRET": DEV_SECRET,
        "PYTHONPATH": str(place),
    }
    process = await asyncio.create_subprocess_exec(
        *(str(python), "-m", "pytest", f"{file}.py", "-q", "-p", "no:cacheprovider"),
        *(
            "-o",
            "asyncio_mode=auto",
            "-W",
            "ignore",
            "--timeout",
            str(_TEST_SECONDS),
            "-k",
            keyword,
        ),
        *("--junitxml", f"{file}.xml", "--tb", "short"),
        cwd=place,
        env=environment,
        stdout=PIPE,
        stderr=STDOUT,
    )
    assert process.stdout is not None
    async for line in process.stdout:
        sys.stdout.write(f"   {line.decode(errors='replace')}")
        sys.stdout.flush()
    await process.wait()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=[*FILES, SIGNAL_CLIENT], help="which of them")
    parser.add_argument("--version", help="of livekit; the newest, if none is given")
    parser.add_argument("-k", dest="keyword", default="", help="as pytest's")
    options = parser.parse_args()
    outcome = Outcome()
    files = [file for file in options.files if file != SIGNAL_CLIENT]
    try:
        if files:
            asyncio.run(run(files, options.version, outcome, keyword=options.keyword))
        if SIGNAL_CLIENT in options.files:
            asyncio.run(signal_client.run(outcome, options.keyword))
    except InstallError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(outcome.__dict__))
    return 1 if outcome.failed or not outcome.passed else 0


if __name__ == "__main__":
    sys.exit(main())
