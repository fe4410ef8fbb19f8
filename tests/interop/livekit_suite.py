"""`make interop-livekit`: the tests of PyPI's `livekit`, its makers' own, against a node of ours.

They come with the source distribution, fetched by pip when this runs. Each file runs in a process
of its own: the SDK may abort when an interpreter ends. The last line is JSON: how many passed,
failed and were skipped, each skip with its reason. Exit code 0 when none failed.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from clients.headless.node import Node
from signaling.config import DEV_KEY, DEV_SECRET
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


@dataclass
class Outcome:
    """What became of all tests so far."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    """Of the skipped and the failed, by name."""

    def add(self, report: Path, file: str) -> None:
        """Count what pytest wrote; a report that is not there is a failure."""
        if not report.exists():
            self.failed += 1
            self.reasons[file] = "it ended without a report"
            return
        for case in ElementTree.parse(report).iter("testcase"):
            self._count(f"{file}::{case.get('name')}", case)

    def _count(self, name: str, case: ElementTree.Element) -> None:
        trouble = [child for child in case if child.tag in ("failure", "error")]
        skips = [child for child in case if child.tag == "skipped"]
        if trouble:
            self.failed += 1
            self.reasons[name] = (trouble[0].get("message") or "").splitlines()[0][:300]
        elif skips:
            self.skipped += 1
            self.reasons[name] = skips[0].get("message") or "no reason given"
        else:
            self.passed += 1


async def run(files: tuple[str, ...], version: str | None, *, keyword: str) -> Outcome:
    """Run these against a node of their own. Raises InstallError, NodeError."""
    version = version or releases("livekit")[0]
    print(f"== livekit {version}: its tests, against this node", flush=True)
    python = python_with(f"livekit-{version}", f"livekit=={version}", *_REQUIREMENTS)
    tests = source_of("livekit", version) / "tests"
    outcome = Outcome()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copy(Path(__file__).with_name("livekit_utils.py"), place / "utils.py")
        node = await Node.start(place / "data")
        try:
            for file in files:
                shutil.copy(tests / f"{file}.py", place)
                await _run_file(python, place, file, node, keyword)
                outcome.add(place / f"{file}.xml", file)
        finally:
            code = await node.stop()
        if code or any("Traceback" in line for line in node.log):
            outcome.failed += 1
            outcome.reasons["the node"] = f"exit code {code}: {list(node.log)[-1:]}"
    return outcome


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
    parser.add_argument("files", nargs="*", default=FILES, help="of the suite; all that need us")
    parser.add_argument("--version", help="of livekit; the newest, if none is given")
    parser.add_argument("-k", dest="keyword", default="", help="as pytest's")
    options = parser.parse_args()
    try:
        outcome = asyncio.run(run(tuple(options.files), options.version, keyword=options.keyword))
    except InstallError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(outcome.__dict__))
    return 1 if outcome.failed or not outcome.passed else 0


if __name__ == "__main__":
    sys.exit(main())
