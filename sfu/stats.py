"""A typed view of the engine's counters.

`Engine.stats()` returns, from the native side, one list of flat dicts per kind of thing::

    {"shards": [{"datagrams_in": 1, ...}],                      each shard
     "uptracks": [{"id": 3, "peer": 1, "idle_ms": 20, ...}],    each published track
     "downtracks": [{"id": 4, "peer": 2, "packets": 1, ...}],   each viewer's track
     "links": [{"peer": 2, "rtt_ms": 40.0, "lost": 1, ...}],    the way to each peer
     "listeners": [{"accepted": 1, ...}],                       the TCP port, if there is one
     "journals": [{"id": 1, "bytes": 1, ...}]}                  each open journal

`forwarding_us_N` of a shard counts packets sent that had been on this machine for at most N
microseconds, and longer than the next smaller N: from the kernel's receipt to the last step out.
`links` tell what peers say of our packets by transport-wide feedback, and what waits for those who
are here by TCP (`queue_bytes`).

`idle_ms` is the time since the track's last packet. Which counters there are is the native plane's
business: this view keeps what it finds, so that a new counter needs no change here, and a missing
one reads as 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Counters = Mapping[str, int | float | str]


@dataclass(frozen=True, slots=True)
class Stats:
    """One snapshot; all counters are cumulative since the thing they count was made."""

    shards: tuple[Counters, ...]
    uptracks: tuple[Counters, ...]
    downtracks: tuple[Counters, ...]
    links: tuple[Counters, ...]
    listeners: tuple[Counters, ...]
    journals: tuple[Counters, ...]

    def total(self, counter: str) -> float:
        """The sum of one counter over all shards; 0 when no shard has it."""
        return sum(_number(shard.get(counter, 0)) for shard in self.shards)

    def as_json(self) -> dict[str, list[dict[str, int | float | str]]]:
        """The same shape as above, for `/api/stats`."""
        return {
            "shards": [dict(row) for row in self.shards],
            "uptracks": [dict(row) for row in self.uptracks],
            "downtracks": [dict(row) for row in self.downtracks],
            "links": [dict(row) for row in self.links],
            "listeners": [dict(row) for row in self.listeners],
            "journals": [dict(row) for row in self.journals],
        }


def parse_stats(snapshot: Mapping[str, object]) -> Stats:
    """View a native snapshot; unknown sections and values of other types are left out."""
    return Stats(
        shards=_rows(snapshot.get("shards")),
        uptracks=_rows(snapshot.get("uptracks")),
        downtracks=_rows(snapshot.get("downtracks")),
        links=_rows(snapshot.get("links")),
        listeners=_rows(snapshot.get("listeners")),
        journals=_rows(snapshot.get("journals")),
    )


def _rows(section: object) -> tuple[Counters, ...]:
    if not isinstance(section, list):
        return ()
    return tuple(
        {str(key): value for key, value in row.items() if isinstance(value, int | float | str)}
        for row in section
        if isinstance(row, dict)
    )


def _number(value: int | float | str) -> float:
    return 0 if isinstance(value, str) else value
