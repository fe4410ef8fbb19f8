"""Imports a video file as a lesson. The file is read by a process of its own, with limits.

The lesson is made in a folder beside the others and moved to them when it is whole.
"""

import json
import os
import re
import secrets
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorder.archive.layout import LESSON_ID, Entry, read_entry
from recorder.catalogue import Catalogue
from recorder.errors import ArchiveError, MediaError

SILENT = 300.0
"""Seconds without a sign of progress after which an import is given up."""

_MOST_LINE = 65_536
_NAME = re.compile(r"[^\w-]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user says of a file; what is left out is taken from the file."""

    lesson: str = ""
    title: str = ""
    started_at: float | None = None
    """Unix seconds."""


OnNote = Callable[[str], None]
OnProgress = Callable[[float, float], None]
"""Told how far it has come: seconds, of so many."""


def import_file(
    data_dir: Path,
    file: Path,
    wanted: Wanted,
    catalogue: Catalogue,
    on_note: OnNote = lambda note: None,
    on_progress: OnProgress = lambda at, of: None,
) -> Entry:
    """Make a lesson of a video file. Raises MediaError, ArchiveError, OSError."""
    if not file.is_file():
        raise ArchiveError(f"{file} is no file")
    room = shutil.disk_usage(data_dir).free
    if room < file.stat().st_size * 2:
        raise ArchiveError(f"there is no room for {file.name}: {room >> 20} MB are free")
    scratch = data_dir / f".import-{os.getpid()}-{secrets.token_hex(2)}"
    scratch.mkdir(parents=True)
    try:
        lesson = _run(file, scratch, wanted, on_note, on_progress)
        target = data_dir / "lessons" / lesson
        target.parent.mkdir(exist_ok=True)
        (scratch / lesson).rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    entry = read_entry(target)
    catalogue.save(entry)
    return entry


def _run(
    file: Path, scratch: Path, wanted: Wanted, on_note: OnNote, on_progress: OnProgress
) -> str:
    """The id of the lesson that was made in `scratch`."""
    command = [sys.executable, "-m", "recorder.importing", str(file.absolute()), str(scratch)]
    command += ["--lesson", wanted.lesson or _name_of(file), "--suffix", secrets.token_hex(2)]
    command += ["--title", wanted.title]
    if wanted.started_at is not None:
        command += ["--started-at", str(wanted.started_at)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        said = _listen(process, on_note, on_progress)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None  # it was asked for
        process.stdout.close()
    if "error" in said:
        raise MediaError(str(said["error"]))
    lesson = str(said.get("id", ""))
    if "done" not in said or not LESSON_ID.fullmatch(lesson):
        raise MediaError(f"{file.name} cannot be imported: reading it broke its reader")
    return lesson


def _listen(
    process: "subprocess.Popen[bytes]", on_note: OnNote, on_progress: OnProgress
) -> dict[str, Any]:
    """What the process says until it ends or is silent for too long; the last of each kind."""
    assert process.stdout is not None  # it was asked for
    said: dict[str, Any] = {}
    heard = time.monotonic()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() - heard < SILENT:
            if not selector.select(1.0):
                continue
            data = os.read(process.stdout.fileno(), _MOST_LINE)
            if not data:
                return said
            heard = time.monotonic()
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                now = _parsed(line)
                said.update(now)
                if "note" in now:
                    on_note(str(now["note"]))
                if "at" in now:
                    on_progress(float(now["at"]), float(now.get("of", 0)))
    return {"error": f"the import has made no progress for {SILENT:.0f} s and was given up"}


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _name_of(file: Path) -> str:
    """A lesson's name from a file's."""
    return _NAME.sub("-", file.stem).strip("-")[:64] or "import"
