"""SHA256SUMS: a lesson's checksums as `sha256sum -c` reads them, without this program.

One line a file: 64 hex digits, two spaces, the path from the lesson's folder. `manifest.json` is
among them: it is what says that the rest is whole, and nothing inside it could vouch for itself.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from recorder.archive import atomic
from recorder.errors import ArchiveError

FILE = "SHA256SUMS"

_LINE = re.compile(r"([0-9a-f]{64})  ([\w-][\w.-]*(?:/[\w-][\w.-]*)*)")


def render(sums: Mapping[str, str]) -> str:
    """The file's text; `sums` are hex digests by path."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def parse(text: str) -> dict[str, str]:
    """The inverse of `render`. Raises ArchiveError; no path in it leaves the lesson's folder."""
    sums = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ArchiveError(f"{FILE} has a line that is none of its: {line[:80]!r}")
        sums[match[2]] = match[1]
    return sums


def read(lesson: Path) -> dict[str, str]:
    """The sums of a lesson's folder. Raises FileNotFoundError, ArchiveError."""
    try:
        return parse((lesson / FILE).read_text())
    except UnicodeDecodeError:
        raise ArchiveError(f"{FILE} is not text") from None


def digest(path: Path) -> str:
    """A file's SHA-256 in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(lesson: Path, sums: Mapping[str, str]) -> None:
    """Replace the sums, whole and on disk before this returns. Raises OSError."""
    atomic.write(lesson / FILE, render(sums).encode(), sync=True)


def add(lesson: Path, names: Iterable[str]) -> None:
    """Add files of the lesson's folder, or take them anew. Raises OSError, ArchiveError."""
    sums = read(lesson)
    sums.update((name, digest(lesson / name)) for name in names)
    write(lesson, sums)
