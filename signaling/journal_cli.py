"""`tongbu journal`: look into a lesson's journal, or hand it to other tools."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from recorder.archive.layout import LESSON_ID, lesson_folders
from recorder.errors import JournalError
from recorder.journal.export import FORMATS, export
from recorder.journal.inspect import JournalFacts, inspect
from recorder.journal.read import segments

_SHOWN = 20
"""Rows of events, gaps and damage on a terminal; --json has all."""


class JournalCommandError(click.ClickException):
    """Something the user can mend."""

    exit_code = 2


_where = click.argument("where", metavar="PATH|LESSON")
_data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    envvar="TONGBU_DATA_DIR",
    default=Path("data"),
    show_default=True,
    help="Where a lesson's name or id is looked up.",
)


@click.group()
def command() -> None:
    """Look into a lesson's journal, the record of all that was published in it.

    \b
    tongbu journal inspect 20260901-080000-math-1a2b
    tongbu journal inspect math --json
    tongbu journal export math --format pcapng -o math.pcapng

    PATH is a journal's folder, its lesson's folder or a segment; LESSON is a lesson's id, or its
    name: then it is the newest of that name.
    """


@command.command("inspect")
@_where
@_data_dir
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with all there is to say.")
def inspect_command(where: str, data_dir: Path, as_json: bool) -> None:
    """Count what a journal holds, and tell what it lacks.

    Exit code 1 when some of it is damaged.
    """
    journal = find_journal(where, data_dir)
    with _errors_told(), _progress(journal) as advance:
        facts = inspect(journal, advance)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(facts), ensure_ascii=False))
    else:
        show(facts, Console())
    if facts.damage:
        raise SystemExit(1)


@command.command("export")
@_where
@_data_dir
@click.option("--format", "form", type=click.Choice(FORMATS), required=True)
@click.option("--track", type=click.IntRange(1, 65_535), help="Only this one. [default: all]")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
def export_command(where: str, data_dir: Path, form: str, track: int | None, output: Path) -> None:
    """Write a journal's packets to a file for Wireshark and other tools.

    pcapng has everything: RTP, RTCP, an SDP for each track, and lesson events as comments. rtpdump
    is the format of rtptools: RTP and RTCP.
    """
    journal = find_journal(where, data_dir)
    partial = output.with_name(f".{output.name}.part")
    with _errors_told():
        try:
            with partial.open("wb") as out, _progress(journal) as advance:
                packets = export(journal, out, form, track=track, on_progress=advance)
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    click.echo(f"{packets} packets in {output}")


def find_journal(where: str, data_dir: Path) -> Path:
    """The journal that a user means. Raises JournalCommandError."""
    path = Path(where)
    if path.suffix == ".tbj" and path.is_file():
        return path.parent
    for folder in (path, path / "journal"):
        if (folder / "lock").is_file() or any(folder.glob("*.tbj")):
            return folder
    named = [
        folder
        for folder in lesson_folders(data_dir)
        if where == folder.name or _name_of(folder) == where
    ]
    if not named:
        raise JournalCommandError(
            f"{where} is neither a journal nor a lesson in {data_dir}: name a folder with .tbj "
            "files, or a lesson, and with --data-dir where lessons are."
        )
    return named[-1] / "journal"


def show(facts: JournalFacts, console: Console) -> None:
    """Tables for a person."""
    console.print(
        f"{facts.path}: {facts.state}, {facts.seconds:.1f} s, {facts.records} records, "
        f"{facts.bytes / 1e6:.1f} MB in {len(facts.segments)} segments",
        highlight=False,
        soft_wrap=True,
    )
    columns = ("track", "what", "of", "packets", "MB", "lost", "late", "twice", "SR", "seconds")
    tracks = Table(*columns, title="tracks")
    for track in facts.tracks:
        counts = (track.lost, track.late, track.repeated, track.reports)
        tracks.add_row(
            *(str(track.track), f"{track.source} {track.codec}".strip(), track.identity),
            *(str(track.packets), f"{track.bytes / 1e6:.2f}", *map(str, counts)),
            _span(track.first_s, track.last_s),
        )
    console.print(tracks)
    gaps = [(t.track, gap) for t in facts.tracks for gap in t.gaps]
    _rows(console, "gaps", ("track", "at s", "seconds", "packets", "reason"), [
        (number, f"{gap.at_s:.3f}", f"{gap.seconds:.3f}", gap.packets, gap.reason)
        for number, gap in sorted(gaps, key=lambda pair: pair[1].at_s)
    ])  # fmt: skip
    _rows(console, "damage", ("segment", "offset", "bytes"), [
        (stretch["segment"], stretch["offset"], stretch["bytes"] or "the whole segment")
        for stretch in facts.damage
    ])  # fmt: skip
    _rows(console, "events", ("at s", "type", "what"), [
        (f"{event['at_s']:.3f}", event.get("type", "?"), _details(event))
        for event in facts.events
    ])  # fmt: skip


def _rows(console: Console, title: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    if not rows:
        return
    more = f" (the first {_SHOWN} of {len(rows)})" if len(rows) > _SHOWN else ""
    table = Table(*columns, title=title + more)
    for row in rows[:_SHOWN]:
        table.add_row(*map(str, row))
    console.print(table)


def _details(event: dict[str, Any]) -> str:
    rest = {key: value for key, value in event.items() if key not in ("at_s", "type")}
    return ", ".join(f"{key}={value}" for key, value in rest.items())


def _span(first: float | None, last: float | None) -> str:
    return "" if first is None or last is None else f"{first:.1f} to {last:.1f}"


def _name_of(folder: Path) -> str | None:
    match = LESSON_ID.fullmatch(folder.name)
    return match[2] if match else None


@contextlib.contextmanager
def _errors_told() -> Iterator[None]:
    try:
        yield
    except JournalError as error:
        raise JournalCommandError(f"{_sentence(error)}.") from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise JournalCommandError(f"{where}{error.strerror or error}.") from None


def _sentence(error: Exception) -> str:
    text = str(error).rstrip(".")
    return text[:1].upper() + text[1:]


@contextlib.contextmanager
def _progress(journal: Path) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, and only on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task("reading", total=sum(segments(journal).values()))
        yield lambda done: progress.update(task, completed=done)
