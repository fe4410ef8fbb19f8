"""Follows one lesson's journal while it is written, and knows when there is no more to come.

A writer holds an exclusive `flock` on `journal/lock` as long as it lives, so a free lock on a
journal without an end says that the node was killed.
"""

import enum
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from recorder.errors import JournalError

if TYPE_CHECKING:
    from sfu._media import Record

POLL_SECONDS = 0.2
"""How often a journal that has been read to its end is looked at again: once for each part. Each
look costs as much as three pictures do."""

_IDLE_READS = 5  # the lock is tried only after a second without records: live media is steady


class Reader(Protocol):
    """What is asked of `sfu._media.JournalReader`."""

    bytes_read: int
    errors: int

    def read(self, limit: int) -> "list[Record]":
        """Up to about `limit` records; [] when caught up with the writer."""

    def flush(self) -> "list[Record]":
        """What is held back waiting for lost packets."""


OpenReader = Callable[[str], Reader]
"""Opens the journal in a directory; raises FileNotFoundError or ValueError."""


class State(enum.Enum):
    """What is known of the writer."""

    LIVE = "live"
    ENDED = "ended"
    """It closed the journal in good order."""
    ABANDONED = "abandoned"
    """It is gone, and the journal has no end."""


class Follower:
    """Reads a journal's records in order, from the first."""

    def __init__(self, journal: Path, open_reader: OpenReader) -> None:
        """Raises FileNotFoundError (no journal yet), JournalError (it is not one)."""
        try:
            self.reader = open_reader(str(journal))
        except ValueError as error:
            raise JournalError(f"the journal cannot be read: {error}") from error
        self.state = State.LIVE
        self.taken = 0
        """How many records the last `read` gave."""
        self._journal = journal
        self._idle = 0

    def read(self, limit: int) -> "list[Record]":
        """Up to about `limit` records; [] when there are none now, or (see `state`) ever."""
        self.taken = 0
        if self.state is not State.LIVE:
            return []
        records = self.reader.read(limit)
        if records:
            self._idle = 0
        else:
            self._idle += 1
            if self._idle >= _IDLE_READS and not is_locked(self._journal):
                records = self._last_words(limit)
        if records and type(records[-1]).__name__ == "JournalEnd":
            self.state = State.ENDED
        self.taken = len(records)
        return records

    def _last_words(self, limit: int) -> "list[Record]":
        """The writer is gone: what it wrote before we looked at the lock, then what is held."""
        records = self.reader.read(limit)
        if records:
            return records
        self.state = State.ABANDONED
        return self.reader.flush()


def is_locked(journal: Path) -> bool:
    """A writer lives."""
    try:
        descriptor = os.open(journal / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
