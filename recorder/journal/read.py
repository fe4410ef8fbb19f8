"""A journal's records as they are in its files, from the first to the last: for tools."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recorder.errors import JournalError
from recorder.pipeline.follow import is_locked
from sfu._media import Damage, RawJournalReader, RawRecord

EVENT, RTP, SENDER_REPORT, END = 1, 2, 3, 4
"""Kinds of records; see docs/journal.md."""

_AT_ONCE = 2_000

OnProgress = Callable[[int], None]
"""Is told how many bytes have been read."""


@dataclass(frozen=True, slots=True)
class Report:
    """A sender report (RFC 3550, 6.4.1): the two clocks of the same moment."""

    ntp: int
    """Seconds since 1900 as a fixed-point number, 32.32 bits."""
    rtp: int

    @classmethod
    def parse(cls, body: bytes) -> "Report":
        """Raises struct.error when it is not 12 bytes; a reader's records are."""
        return cls(*struct.unpack("<QI", body))


def read_items(
    journal: Path, on_progress: OnProgress = lambda done: None
) -> Iterator[RawRecord | Damage]:
    """All that stands in a journal now; a torn end is damage only where nobody writes.

    Raises JournalError.
    """
    try:
        reader = RawJournalReader(str(journal))
    except (OSError, ValueError) as error:
        raise JournalError(f"the journal cannot be read: {error}") from error
    live = is_locked(journal)
    while items := reader.read(_AT_ONCE) or ([] if live else reader.flush(_AT_ONCE)):
        yield from items
        on_progress(reader.bytes_read)


def segments(journal: Path) -> dict[int, int]:
    """The bytes of each segment, by number. Raises JournalError."""
    try:
        files = {int(path.stem): path.stat().st_size for path in journal.glob("*.tbj")}
    except (OSError, ValueError) as error:
        raise JournalError(f"{journal} cannot be listed: {error}") from error
    return dict(sorted(files.items()))
