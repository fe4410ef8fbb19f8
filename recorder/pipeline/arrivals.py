"""The journal's clock, when the journal can be trusted and when it cannot. Pure.

Records carry the node's time, which runs on without steps while one engine lives. But a journal
may be damaged, made by hand, or continued by another engine, and the recorder fills what is
missing with silence: one wrong time must not become hours of it.

- A time far in the future is a pause, and one far in the past a clock that was set back: it goes on
  from where it stands. Both are believed when the next record says the same.
- What is further from the lesson's beginning than any lesson lasts is not believed at all.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfu._media import Record

BACK_US = 10_000_000
"""Records are out of order by milliseconds; further back is another clock."""
AHEAD_US = 600_000_000
"""A pause that is believed at once."""
NEAR_US = 60_000_000
"""So near each other two records confirm a longer one."""
LONGEST_US = 24 * 3_600_000_000
"""The longest lesson."""

_LAST_DAY_US = 253_402_214_400_000_000  # of the year 9999


class Arrivals:
    """Gives each record the time at which to believe it came.

    A record whose time, with `shift`, is after `earliest` and not after `latest` came then. All
    others are for `handle`. Tell the time with `move` every now and then.
    """

    def __init__(self, start_us: int) -> None:
        """`start_us` stands for a beginning that no calendar has."""
        self.refused = 0
        """Records that were left out."""
        self.shift = 0
        self.earliest = 0
        self.latest = -1
        self._start = start_us
        self._first: int | None = None
        self._now = 0
        self._doubted: tuple[int, Record] | None = None

    def move(self, now_us: int) -> None:
        """Records came up to this time."""
        self._now = max(self._now, now_us)
        self.earliest = self._now - BACK_US
        if self._first is not None:
            self.latest = min(self._now + AHEAD_US, self._first + LONGEST_US)

    def handle(self, record: "Record") -> "list[tuple[int, Record]]":
        """The records to take now, with their times; mostly this one."""
        at = record.arrival_us + self.shift
        if self._first is None:
            at = self._first = self._now = self._begin(at)
        if at - self._first > LONGEST_US:
            self.refused += 1
            return []
        if -BACK_US < at - self._now <= AHEAD_US:
            self.finish()
            self.move(at)
            return [(at, record)]
        return self._handle_odd(at, record)

    def finish(self) -> None:
        """Nothing confirms what was doubted."""
        self.refused += self._doubted is not None
        self._doubted = None

    def _begin(self, at: int) -> int:
        if 0 < at < _LAST_DAY_US:
            return at
        self.shift = self._start - at
        return self._start

    def _handle_odd(self, at: int, record: "Record") -> "list[tuple[int, Record]]":
        doubted = self._doubted
        if doubted is None or abs(at - doubted[0]) > NEAR_US:
            self.finish()
            self._doubted = (at, record)
            self.latest = -1  # let the next one come here
            return []
        self._doubted = None
        back = max(self._now - doubted[0], 0)
        self.shift += back
        first = doubted[0] + back
        second = max(at + back, first)
        self.move(second)
        return [(first, doubted[1]), (second, record)]
