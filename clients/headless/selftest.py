"""`tongbu selftest`: does this installation work? One whole lesson, judged by a real decoder.

A node of its own, in a temporary folder and on free ports; the demo lesson taught by WHIP; three
schools, each a process, that decode every picture; the bell; the archive, fetched and decoded.
"""

import asyncio
import json
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import click
import uvloop
from rich.console import Console
from rich.table import Table

from clients.headless.api import Api, Json
from clients.headless.demo_media import DemoFiles, demo_files
from clients.headless.errors import EndpointError, HeadlessError
from clients.headless.media import inspect
from clients.headless.node import Node
from clients.headless.publish import Publication
from clients.headless.replay import fetch_view, look_at
from clients.headless.verdict import (
    MAX_ABSENCE_S,
    MAX_PLAYABLE_MS,
    Archive,
    Journal,
    Result,
    School,
    Taught,
    judge_archive,
    judge_journal,
    judge_school,
)
from clients.headless.whip import Endpoint

LESSON = "selftest"
SCHOOLS = 3


async def selftest(seconds: float, *, quiet: bool = False) -> Result:
    """Teach, watch, record and replay one lesson; raises HeadlessError when that cannot begin."""
    files = demo_files(quiet=quiet)
    with tempfile.TemporaryDirectory(prefix="tongbu-selftest-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        node = await Node.start(folder)
        try:
            async with Api(node.url) as api:
                return await _examine(api, files, folder, seconds)
        finally:
            await node.stop()


async def _examine(api: Api, files: DemoFiles, data_dir: Path, seconds: float) -> Result:
    token = await api.become("school", LESSON)
    schools = [_School(f"{api.url}/{LESSON}/whep", token) for _ in range(SCHOOLS)]
    try:
        taught = await _teach(api, files, seconds, schools)
        await api.become("archivist", LESSON)
        entry, playable_ms = await _playable(api, taught)
        watched = [await school.report() for school in schools]
    finally:
        for school in schools:
            await school.stop()
    seen = await asyncio.to_thread(look_at, *await fetch_view(_camera(entry), api.file))
    manifest = data_dir / "lessons" / taught.lesson_id / "manifest.json"
    counts = json.loads(manifest.read_text())["counts"]
    result = Result(
        [school for school, _ in watched],
        Archive(playable_ms, entry["duration_s"], seen.frames, _rounded(seen.skew_ms)),
        Journal(counts["journal_bytes"], counts["journal_errors"]),
    )
    result.problems = [
        *(
            line
            for school, watched_s in watched
            for line in judge_school(school, watched_s, taught)
        ),
        *judge_archive(result.archive, entry["state"], seen, taught),
        *judge_journal(result.journal),
    ]
    return result


async def _teach(api: Api, files: DemoFiles, seconds: float, schools: "list[_School]") -> Taught:
    """Teach for a time, with schools that join at the start."""
    token = await api.become("teacher", LESSON)
    camera, slides = inspect(files.camera), inspect(files.slides)
    async with Endpoint(f"{api.url}/{LESSON}/whip", token) as endpoint:
        lesson = Publication(endpoint, camera, slides, loop=True)
        try:
            await lesson.start()
            began = time.monotonic()
            for school in schools:
                await school.start(seconds + MAX_ABSENCE_S)
            live = await api.live(LESSON)
            if live is None:
                raise EndpointError(f"{api.url} does not list the lesson that it takes.")
            await asyncio.sleep(began + seconds - time.monotonic())
            frames = lesson.camera.sent if lesson.camera else 0
        finally:
            ended_at = time.monotonic()
            await lesson.stop()
    return Taught(live["id"], ended_at - began, frames, ended_at)


class _School:
    """A school in a process of its own: its Python must not slow the teacher's."""

    def __init__(self, url: str, token: str) -> None:
        self._arguments = [url, "--json", "--token", token]
        self._process: Process | None = None

    async def start(self, seconds: float) -> None:
        """Begin to watch, until the lesson ends or for that time."""
        command = ["-m", "clients.headless.watch", *self._arguments, "--seconds", str(seconds)]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, *command), stdout=PIPE, stderr=PIPE
        )

    async def report(self) -> tuple[School, float]:
        """What it saw, and for how many seconds; raises HeadlessError when it could not watch."""
        assert self._process, "start it first"
        output, errors = await self._process.communicate()
        if self._process.returncode:
            raise HeadlessError(f"A school could not watch: {errors.decode().strip()}")
        report: Json = json.loads(output)
        names = School.__dataclass_fields__
        return School(**{name: report[name] for name in names}), report["watched_s"]

    async def stop(self) -> None:
        """End it if it still runs."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


async def _playable(api: Api, taught: Taught) -> tuple[Json, int]:
    """Wait until a player could open the finished lesson; its entry and the milliseconds since."""
    patience = taught.ended_at + 4 * MAX_PLAYABLE_MS / 1000
    while time.monotonic() < patience:
        entry = await _entry(api, taught.lesson_id)
        if entry and entry["state"] not in ("live", "finishing") and _camera(entry):
            await api.file(_camera(entry))
            return entry, round((time.monotonic() - taught.ended_at) * 1000)
        await asyncio.sleep(0.05)
    raise HeadlessError(f"The lesson was not in the archive after {4 * MAX_PLAYABLE_MS / 1000} s.")


async def _entry(api: Api, lesson_id: str) -> Json | None:
    try:
        return await api.entry(lesson_id)
    except EndpointError as error:
        if error.status == 404:
            return None
        raise


def _camera(entry: Json) -> str:
    """The path of the camera's master playlist, or nothing."""
    views = (view for view in entry["views"] if view["source"] == "camera")
    return next((view["hls"] for view in views if view["hls"]), "")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _table(result: Result) -> Table:
    """The result for a reader."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for number, school in enumerate(result.schools, 1):
        table.add_row(
            f"School {number}",
            f"{school.video_frames} pictures decoded, {school.audio_packets} sound packets, "
            f"{school.lost} lost, first picture after {school.first_frame_ms} ms",
        )
    archive, journal = result.archive, result.journal
    table.add_row(
        "Archive",
        f"{archive.duration_s:.1f} s with {archive.video_frames} pictures, playable "
        f"{archive.playable_after_ms} ms after the bell, sound {archive.av_skew_ms} ms late",
    )
    table.add_row("Journal", f"{journal.bytes} bytes, {journal.errors} damaged records")
    return table


@click.command("selftest")
@click.option("--seconds", type=click.FloatRange(min=10), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def command(seconds: float, as_json: bool) -> None:
    """See that this installation works: teach, watch, record and replay one lesson.

    Starts a node on free ports in a temporary folder, teaches the demo lesson, has three schools
    watch it, ends it and opens the archive. Exits with 0 only if all of it holds.
    """
    console = Console(stderr=True, quiet=as_json)
    with console.status(f"Teaching a lesson of {seconds:.0f} s to {SCHOOLS} schools"):
        result = uvloop.run(selftest(seconds, quiet=as_json))
    if as_json:
        click.echo(result.as_json())
    else:
        Console().print(_table(result))
        for problem in result.problems:
            Console().print(f"[red]✗[/red] {problem}")
        if not result.problems:
            Console().print("[green]✓ All of it works.[/green]")
    raise SystemExit(1 if result.problems else 0)


if __name__ == "__main__":
    command()
