"""`tongbu archive`: look at lessons, check and mend them, take them out and bring others in.

What a user got wrong, and what a lesson lacks, is one sentence; exit code 2, or 1 where a check
found something. Nothing here needs a node to run, and nothing disturbs one that does.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.table import Table

from recorder.archive import details, policy, upload
from recorder.archive.layout import LessonFolder, read_entry, read_extras, read_manifest
from recorder.archive.policy import Policy
from recorder.archive.retention import Executor, survey
from recorder.archive.storage import Storage
from recorder.archive.verify import faults
from recorder.catalogue import Query, Sort
from recorder.errors import ArchiveError
from signaling.archive_tools import (
    Archive,
    UserError,
    began,
    bytes_bar,
    err,
    length,
    out,
    seconds_bar,
    size_of,
    told,
    unix_time,
    where_is,
    whole_lesson,
)
from signaling.config import load

pass_archive = click.make_pass_decorator(Archive)


@click.group("archive")
@click.option("--config", "path", type=click.Path(path_type=Path), help="The node's configuration.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where lessons are kept. [default: that of the configuration, ./data]",
)
@click.pass_context
def archive(context: click.Context, path: Path | None, data_dir: Path | None) -> None:
    """Look at recorded lessons, check and mend them, take them out, bring others in.

    \b
    tongbu archive list
    tongbu archive verify                        every lesson; --remote for the storage
    tongbu archive export 20260921-141320-math-00aa lesson.mp4
    tongbu archive import old-lesson.mp4 --title 分数的加法
    """
    with told():
        config = load(path, dev=True)
        folder = (data_dir or config.data_dir).absolute()
        if not folder.is_dir():
            raise ArchiveError(f"there is no data folder {folder}: name it with --data-dir")
        if path is not None:
            wanted = Policy.from_json(config.archive.model_dump(exclude={"database"}))
        else:
            wanted = policy.read(folder)
    context.obj = Archive(folder, wanted, config.archive.database)


command = archive
"""As `signaling.cli` looks it up."""


@archive.command("list")
@click.argument("words", nargs=-1)
@click.option("--state", help="Only complete, recovered or degraded ones.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@pass_archive
def list_lessons(
    archive: Archive, words: tuple[str, ...], state: str | None, limit: int, as_json: bool
) -> None:
    """List lessons whose title or name has all the WORDS, newest first."""
    with told():
        query = Query(" ".join(words), sort=Sort.NEWEST, limit=limit)
        hits = archive.catalogue().search(query).hits
    found = [hit.entry for hit in hits if state in (None, hit.entry.state)]
    if as_json:
        for entry in found:
            click.echo(json.dumps(asdict(entry), ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("lesson", "title", "state", "began (UTC)", "length", "size", "where"):
        right, whole = column in ("length", "size"), column == "lesson"
        table.add_column(column, justify="right" if right else "left", no_wrap=whole)
    for entry in found:
        where = where_is(archive.lessons / entry.id)
        sizes = length(entry.duration_s), size_of(entry.bytes)
        table.add_row(entry.id, entry.title, entry.state, began(entry), *sizes, where)
    out.print(table)


@archive.command()
@click.argument("lesson")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_archive
def show(archive: Archive, lesson: str, as_json: bool) -> None:
    """Show what is known of a LESSON (its id, or a part of it)."""
    with told():
        folder = archive.folder(lesson)
        if not LessonFolder(folder).finished:
            raise ArchiveError(f"{folder.name} is not finished")
        manifest, extras, known = read_manifest(folder), read_extras(folder), upload.read(folder)
        entry = replace(read_entry(folder), **details.edited(folder))
    value = {
        **asdict(entry),
        "gaps": [asdict(gap) for gap in manifest.gaps],
        "counts": manifest.counts,
        "extras": extras.notes if extras is not None else ["They have not been made yet."],
        "stored_at": known.verified_at if known is not None else None,
        "storage": known.storage if known is not None else None,
        "where": where_is(folder),
    }
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, indent=1))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    views = ", ".join(f"{v.source} ({v.codec} {v.width}x{v.height})" for v in entry.views)
    for name, text in (
        ("lesson", entry.id),
        ("title", entry.title),
        ("state", entry.state + (f": {entry.reason}" if entry.reason else "")),
        ("began", f"{began(entry)} UTC"),
        ("length", length(entry.duration_s)),
        ("views", views or "none"),
        ("gaps", str(len(manifest.gaps))),
        ("size", size_of(entry.bytes)),
        ("where", where_is(folder)),
        ("hold", "yes" if entry.hold else "no"),
    ):
        table.add_row(name, text)
    out.print(table)


@archive.command()
@click.argument("lessons", nargs=-1)
@click.option("--remote", is_flag=True, help="Check what is in the storage, not what is here.")
@click.option("--read-back", is_flag=True, help="With --remote: read every byte, not the listing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a lesson.")
@pass_archive
def verify(
    archive: Archive, lessons: tuple[str, ...], remote: bool, read_back: bool, as_json: bool
) -> None:
    """Check every file of LESSONS (all, if none is named) against its checksum.

    Exit code 1 when something is wrong.
    """
    with told():
        storage = archive.needed_storage() if remote else None
        folders = archive.folders(lessons)
        bad = 0
        with bytes_bar("checking", sum(_bytes_of(folder) for folder in folders)) as advance:
            for folder in folders:
                wrong = _check(folder, storage, read_back, advance)
                bad += bool(wrong)
                if as_json:
                    line = {"lesson": folder.name, "wrong": wrong}
                    click.echo(json.dumps(line, ensure_ascii=False))
                else:
                    for sentence in wrong:
                        click.echo(f"{folder.name}: {sentence}")
    if not as_json:
        click.echo(f"{len(folders) - bad} of {len(folders)} lessons are whole.")
    raise SystemExit(1 if bad else 0)


@archive.command()
@click.argument("lessons", nargs=-1)
@click.option("--catalogue", is_flag=True, help="Make the catalogue anew from all lessons.")
@pass_archive
def repair(archive: Archive, lessons: tuple[str, ...], catalogue: bool) -> None:
    """Mend LESSONS from the storage or from their journals.

    Exit code 1 when something is left that cannot be mended.
    """
    from recorder.archive.repair import rebuild_catalogue
    from recorder.archive.repair import repair as mend
    from sfu._media import JournalReader

    if not lessons and not catalogue:
        raise UserError("Name the lessons to repair, or --catalogue.")
    left = 0
    with told():
        storage, stock = archive.storage(), archive.catalogue()
        for lesson in lessons:
            folder = archive.folder(lesson, there=False)
            with err.status(folder.name) as status:
                report = mend(folder, JournalReader, stock, storage, status.update)
            left += len(report.left)
            click.echo(f"{folder.name}: {len(report.mended)} files mended.")
            for fault in report.left:
                click.echo(f"{folder.name}: {fault}")
        if catalogue:
            count = rebuild_catalogue(stock, archive.data_dir)
            click.echo(f"The catalogue has {count} lessons.")
    raise SystemExit(1 if left else 0)


@archive.command("export")
@click.argument("lesson")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--view", help="Which view a film shows. [default: camera]")
@pass_archive
def export_lesson(archive: Archive, lesson: str, target: Path, view: str | None) -> None:
    """Take a LESSON out of the archive, without transcoding.

    TARGET says how: a name that ends with .mp4 or .webm is one film, .tar the whole lesson in a
    file, any other a folder.
    """
    from recorder.archive import export

    with told(), whole_lesson(archive, archive.folder(lesson)) as folder:
        suffix = target.suffix.lower()
        if suffix in export.FILMS:
            with seconds_bar(f"writing {target.name}") as at:
                at(0.0, read_entry(folder).duration_s)
                export.as_film(folder, target, view, lambda seconds: at(seconds, None))
        else:
            copy = export.as_tar if suffix == ".tar" else export.as_folder
            with err.status(f"writing {target.name}") as status:
                copy(folder, target, status.update)
    click.echo(str(target))


@archive.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--lesson", help="The lesson's name. [default: the file's]")
@click.option("--title", help="[default: the file's own title, or its name]")
@click.option("--date", help="When it began, such as 2024-05-06T07:08. [default: the file's]")
@pass_archive
def import_films(
    archive: Archive,
    files: tuple[Path, ...],
    lesson: str | None,
    title: str | None,
    date: str | None,
) -> None:
    """Make lessons of video FILES: mp4, mov, mkv, webm, flv, ts, avi.

    What browsers play is copied as it is; the rest is transcoded, which takes its time. Prints the
    ids of the new lessons.
    """
    from recorder.importing.sandbox import Wanted, import_file
    from signaling.edge import is_lesson_name

    if lesson is not None and not is_lesson_name(lesson):
        raise UserError("--lesson must be 1 to 64 letters, digits, _ or -.")
    wanted = Wanted(lesson or "", title or "", unix_time(date) if date else None)
    for file in files:
        with told(), seconds_bar(f"reading {file.name}") as at:
            entry = import_file(archive.data_dir, file, wanted, archive.catalogue(), err.print, at)
        click.echo(entry.id)


@archive.command()
@click.argument("lessons", nargs=-1, required=True)
@click.option("--release", is_flag=True, help="Let the rules count for them again.")
@pass_archive
def hold(archive: Archive, lessons: tuple[str, ...], release: bool) -> None:
    """Keep LESSONS whatever the retention rules say, and whoever asks to delete them."""
    with told():
        for lesson in lessons:
            folder = archive.folder(lesson)
            archive.catalogue().edit(folder.name, {"hold": None if release else True})
            click.echo(f"{folder.name}: {'released' if release else 'on hold'}")


@archive.command()
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a lesson.")
@pass_archive
def prune(archive: Archive, yes: bool, as_json: bool) -> None:
    """Show what the retention rules would delete now, or with --yes delete it."""
    with told():
        now = time.time()
        decisions = list(survey(archive.data_dir, archive.policy, now))
        due = [decision for decision in decisions if decision.action != "keep"]
        for decision in due:
            if as_json:
                click.echo(json.dumps(asdict(decision), ensure_ascii=False))
            else:
                click.echo(f"{decision.action:6}  {decision.lesson}  {decision.why}")
        if yes:
            Executor(archive.data_dir, archive.storage(), archive.catalogue()).carry_out(due, now)
        if not as_json:
            verb = "deleted or freed" if yes else "would be deleted or freed"
            click.echo(f"{len(due)} of {len(decisions)} lessons {verb}.")


def _check(
    folder: Path, storage: Storage | None, read_back: bool, advance: Callable[[int], None]
) -> list[str]:
    if storage is not None:
        wrong = upload.check(folder, storage, read_back=read_back)
        advance(_bytes_of(folder))
        return wrong
    known = upload.read(folder)
    if known is not None and known.local != "kept":
        advance(_bytes_of(folder))
        return []  # it is in the storage: --remote
    try:
        return [str(fault) for fault in faults(folder, lambda name, size: advance(size))]
    except FileNotFoundError:
        return ["manifest.json: it is missing"]


def _bytes_of(folder: Path) -> int:
    try:
        return read_manifest(folder).entry.bytes
    except (OSError, ArchiveError):
        return 0
