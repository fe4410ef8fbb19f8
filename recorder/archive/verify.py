"""Is an archive what it was? Every file against its checksum, every list against the others."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recorder.archive import sums
from recorder.archive.layout import Manifest, read_extras, read_manifest
from recorder.errors import ArchiveError

OnFile = Callable[[str, int], None]
"""Told of each file that was read: its path from the lesson's folder, its bytes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that is not what it should be; `name` is its path from the lesson's folder."""

    name: str
    problem: str

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}"


def faults(lesson: Path, on_file: OnFile = lambda name, size: None) -> list[Fault]:
    """What is wrong with an archive; empty when every checksum holds.

    Raises FileNotFoundError when the lesson is not finished (or its manifest is gone).
    """
    return list(_faults(lesson, on_file))


def expected(lesson: Path) -> dict[str, str]:
    """The digest of every file that the lesson should have, by path from its folder.

    Raises FileNotFoundError, ArchiveError.
    """
    manifest = read_manifest(lesson)
    return {**_listed(lesson), **_manifest_sums(manifest)}


def _faults(lesson: Path, on_file: OnFile) -> Iterator[Fault]:
    listed, bad_list = _readable_list(lesson)
    if bad_list is not None:
        yield bad_list
    try:
        manifest = read_manifest(lesson)
    except ArchiveError as error:
        yield Fault("manifest.json", str(error))
        manifest = None
    wanted = dict(listed)
    if manifest is not None:
        for name, digest in _manifest_sums(manifest).items():
            if bad_list is None and listed.get(name) != digest:
                yield Fault(sums.FILE, f"it disagrees with the manifest about {name}")
            wanted[name] = digest
    yield from _extras_faults(lesson, wanted)
    for name, digest in wanted.items():
        problem = _problem(lesson / name, digest)
        if problem:
            yield Fault(name, problem)
        else:
            on_file(name, (lesson / name).stat().st_size)


def _readable_list(lesson: Path) -> tuple[dict[str, str], Fault | None]:
    try:
        return _listed(lesson), None
    except FileNotFoundError:
        return {}, Fault(sums.FILE, "it is missing")
    except ArchiveError as error:
        return {}, Fault(sums.FILE, str(error))


def _listed(lesson: Path) -> dict[str, str]:
    listed = sums.read(lesson)
    if "manifest.json" not in listed:
        raise ArchiveError("it does not list manifest.json")
    return listed


def _manifest_sums(manifest: Manifest) -> dict[str, str]:
    return {f"media/{name}": str(facts["sha256"]) for name, facts in manifest.files.items()}


def _extras_faults(lesson: Path, wanted: dict[str, str]) -> Iterator[Fault]:
    """The extras that their own list names; those are added to what is wanted."""
    try:
        extras = read_extras(lesson)
    except (ArchiveError, UnicodeDecodeError, json.JSONDecodeError) as error:
        yield Fault("extras.json", str(error))
        return
    if extras is not None:
        for name, facts in extras.files.items():
            wanted.setdefault(f"media/{name}", str(facts["sha256"]))


def _problem(path: Path, digest: str) -> str:
    try:
        return "" if sums.digest(path) == digest else "the content has changed"
    except OSError as error:
        return error.strerror or str(error)
