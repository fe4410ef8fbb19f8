"""What was written in a lesson: `chat.jsonl` beside the manifest, one message a line.

    {"t": 125.2, "from": "school-7", "name": "Hilltop", "text": "Why is it three?"}

`t` is the lesson's time in seconds. The recorder writes it at the bell; the catalogue makes it
findable, and the replay shows it.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from recorder.archive import atomic
from recorder.archive.details import clean

FILE = "chat.jsonl"

MOST = 10_000
"""Messages of a lesson; those after it are counted, not kept."""
LONGEST = 1_000
"""Characters of a message."""
_log = logging.getLogger(__name__)

_LONGEST_NAME = 256
_MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `t` in seconds of the lesson."""

    t: float
    name: str
    text: str
    identity: str = ""


class Talk:
    """The messages of a lesson as it goes on."""

    def __init__(self) -> None:
        self.omitted = 0
        """Messages beyond `MOST`."""
        self._messages: dict[tuple[str, str], Message] = {}  # by who wrote it, and its name

    def add(self, t: float, event: Mapping[str, Any]) -> None:
        """A `chat` event of the journal: a message, or another text for one of that name, where no
        text takes it back. Raises ValueError when it is none.
        """
        identity = str(event.get("identity", ""))
        key = identity, str(event.get("message") or f"#{len(self._messages) + self.omitted}")
        before = self._messages.get(key)
        if event.get("edited") is True and event.get("text") == "":
            self._messages.pop(key, None)
            return
        message = _message({**event, "from": identity, "t": round(max(0.0, t), 3)})
        if before is not None:
            self._messages[key] = replace(message, t=before.t)
        elif len(self._messages) < MOST:
            self._messages[key] = message
        else:
            self.omitted += 1

    def write(self, folder: Path) -> None:
        """Write the file, where there is anything to write; on disk before this returns."""
        if not self._messages:
            return
        text = "".join(_line(message) for message in self._messages.values())
        atomic.write(folder / FILE, text.encode(), sync=True)


def read(folder: Path) -> list[Message]:
    """The messages of a lesson, none if there is no file; a damaged line is left out."""
    try:
        with (folder / FILE).open("rb") as file:
            lines = file.read(_MOST_BYTES).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        _log.warning("%s: what was written in the lesson cannot be read: %s", folder.name, error)
        return []
    found = []
    for line in lines[:MOST]:
        try:
            found.append(_message(json.loads(line)))
        except (ValueError, RecursionError):
            continue
    return found


def _line(message: Message) -> str:
    value = asdict(message)
    value["from"] = value.pop("identity")
    return json.dumps(value, ensure_ascii=False) + "\n"


def _message(value: Any) -> Message:
    """Raises ValueError."""
    try:
        text = clean(value["text"])[:LONGEST]
        identity = clean(value.get("from") or "")[:_LONGEST_NAME]
        name = clean(value.get("name") or "")[:_LONGEST_NAME] or identity
        t = float(value["t"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message: {error}") from error
    if not text or not 0 <= t < 1e9:
        raise ValueError("a message without text or time")
    return Message(t, name, text, identity)
