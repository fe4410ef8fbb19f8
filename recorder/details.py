"""What people have said of a lesson, as far as keeping it goes: `details.json` beside its manifest.

The catalogue writes that file; here it is only read.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorder.errors import ArchiveError

FILE = "details.json"


@dataclass(frozen=True, slots=True)
class Details:
    """The part of it that retention needs."""

    hold: bool = False
    """Never delete it, whatever the rules say."""
    keep_until: float | None = None
    """Unix seconds before which it is not deleted."""
    school: str = ""
    subject: str = ""


def read(lesson: Path) -> Details:
    """The details of a lesson; none when there is no such file.

    Raises ArchiveError when it cannot be understood: then nothing may be deleted.
    """
    try:
        text = (lesson / FILE).read_text()
    except FileNotFoundError:
        return Details()
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{lesson.name}: {FILE} cannot be read") from error
    try:
        value = json.loads(text)
        if not isinstance(value, dict):
            raise TypeError("it is not an object")
        return Details(
            hold=_flag(value.get("hold", False)),
            keep_until=_moment(value.get("keep_until")),
            school=str(value.get("school") or ""),
            subject=str(value.get("subject") or ""),
        )
    except (ValueError, TypeError) as error:
        raise ArchiveError(f"{lesson.name}: {FILE} is not understood: {error}") from error


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("hold is neither true nor false")
    return value


def _moment(value: Any) -> float | None:
    """An ISO date (its end, UTC), an ISO time, or Unix seconds."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    moment = datetime.fromisoformat(str(value))
    if len(str(value)) == 10:
        moment = moment.replace(hour=23, minute=59, second=59)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
