"""What people say of a lesson: title, school, subject, notes, whether it must be kept.

A lesson brings some of it along (`given`: its journal's events); what is changed later is written
to `details.json` beside the manifest, which is final:

    {"version": 1, "edited": {"title": "Fractions", "hold": true}}

Only what was edited is in it, and it wins over what the lesson said. The catalogue is made again
from the two. A file that cannot be read may have said that the lesson is on hold, so it counts as
saying just that.
"""

import fcntl
import json
import logging
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recorder.archive import atomic
from recorder.errors import DetailsError

FILE = "details.json"
VERSION = 1

FACETS = ("school", "subject", "grade", "teacher", "series", "language")
"""What lessons are counted and filtered by."""

_LONGEST = {
    "title": 200,
    "school": 100,
    "subject": 100,
    "grade": 100,
    "teacher": 100,
    "series": 100,
    "language": 35,
    "notes": 10_000,
}
"""Characters of each text."""
_MOST_TAGS, _LONGEST_TAG = 20, 40
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")
_LATEST = 253_402_300_799  # the end of the year 9999
_MOST_BYTES = 1 << 20

TEXTS = tuple(_LONGEST)
RULES = ("hold", "keep_until")
"""What only an administrator may change: how long the lesson stays."""
EDITABLE = (*TEXTS, "tags", *RULES)
"""All names; they are fields of `archive.Entry`."""

_log = logging.getLogger(__name__)


def clean(text: str, *, lines: bool = False) -> str:
    """Composed (NFC), trimmed, one line unless `lines`, without what no database or page takes."""
    if text.isprintable():  # nearly all are: neither controls nor halves of characters in it
        return unicodedata.normalize("NFC", text).strip()
    kept = "".join(
        character
        if character == "\n" and lines
        else " "
        if unicodedata.category(character) in ("Cc", "Zl", "Zp")
        else character
        for character in text
        if not "\ud800" <= character <= "\udfff"
    )
    return unicodedata.normalize("NFC", kept).strip()


def given(event: Mapping[str, Any]) -> dict[str, Any]:
    """What a lesson's event tells, as fields of an entry; what makes no sense is left out.

    A lesson cannot put itself on hold, nor say when it may go.
    """
    found: dict[str, Any] = {}
    for name in (*TEXTS, "tags"):
        try:
            value = _CHECKS[name](name, _shortened(name, event.get(name)))
        except DetailsError:
            continue
        if value:
            found[name] = value
    return found


def checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as they may be applied; None takes an edit back. Raises DetailsError."""
    for name in changes:
        if name not in EDITABLE:
            raise DetailsError(f"{str(name)[:40]!r} cannot be changed; {', '.join(EDITABLE)} can.")
    return {
        name: None if value is None else _CHECKS[name](name, value)
        for name, value in changes.items()
    }


def edited(folder: Path) -> dict[str, Any]:
    """What was changed of this lesson, as fields of an entry."""
    try:
        return _read(folder)
    except (DetailsError, OSError) as error:
        _log.warning("%s: %s, so the lesson is kept on hold", folder.name, error)
        return {"hold": True}


def edit(folder: Path, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Apply changes to what was changed before; on disk before this returns.

    Raises DetailsError for a change that cannot be, FileNotFoundError when there is no such lesson.
    """
    wanted = checked(changes)
    with _locked(folder):
        before = edited(folder)
        after = {name: value for name, value in {**before, **wanted}.items() if value is not None}
        _write(folder / FILE, {"version": VERSION, "edited": after})
    return after


def _read(folder: Path) -> dict[str, Any]:
    try:
        with (folder / FILE).open("rb") as file:
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return {}
    try:
        value = json.loads(data)["edited"]
        return {name: item for name, item in checked(value).items() if item is not None}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DetailsError(f"{FILE} cannot be read ({error})") from error


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """The file appears whole, or not at all, and stays."""
    atomic.write(path, json.dumps(value, ensure_ascii=False, indent=1).encode(), sync=True)
    atomic.sync_to_disk(path.parent)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One edit of a lesson at a time, whichever process makes it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _shortened(name: str, value: Any) -> Any:
    """A lesson's own words are cut where an editor's would be refused."""
    if name == "tags":
        return [clean(tag)[:_LONGEST_TAG] for tag in _strings(value)][:_MOST_TAGS]
    return clean(value, lines=name == "notes")[: _LONGEST[name]] if isinstance(value, str) else ""


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise DetailsError(f"{name} must be a text.")
    text = clean(value, lines=name == "notes")
    if len(text) > _LONGEST[name]:
        raise DetailsError(f"{name} may have {_LONGEST[name]} characters, not {len(text)}.")
    return text


def _language(name: str, value: Any) -> str:
    text = _text(name, value)
    if text and not _LANGUAGE.fullmatch(text):
        raise DetailsError("language must be a tag such as zh, zh-CN or en (RFC 5646).")
    return text


def _strings(value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(tag, str) for tag in value):
        raise DetailsError("tags must be a list of texts.")
    return list(value)


def _tags(name: str, value: Any) -> tuple[str, ...]:
    tags = [tag for tag in (clean(tag) for tag in _strings(value)) if tag]
    if len(tags) > _MOST_TAGS or any(len(tag) > _LONGEST_TAG for tag in tags):
        raise DetailsError(f"tags may be {_MOST_TAGS}, of {_LONGEST_TAG} characters each.")
    return tuple(dict.fromkeys(tags))


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise DetailsError(f"{name} must be true or false.")
    return value


def _moment(name: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= _LATEST:  # which NaN is not, either
        raise DetailsError(f"{name} must be a time in Unix seconds.")
    return float(value)


_CHECKS = {
    **dict.fromkeys(TEXTS, _text),
    "language": _language,
    "tags": _tags,
    "hold": _flag,
    "keep_until": _moment,
}
