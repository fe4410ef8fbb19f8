"""Who publishes in a lesson, and whose track an archive shows where it has one place. Pure.

An archive has one view of each source, and one of whoever has the floor:

- `camera`, `slides` and the like are the teacher's; while there is none, the assistant's who was
  first. Of two teachers (one takes over from the other) it is the one who came last.
- `floor` is the camera of the school that has the floor; of two, the one who came last.

A place that becomes free goes to who is next by the same rules. What is not shown is in the journal
all the same. Sound has no places: all of it is mixed (see `mix.py`).
"""

from dataclasses import dataclass

TEACHER = "teacher"
ASSISTANT = "assistant"

FLOOR = "floor"
"""The view of a school's camera; what else a school shows is `floor-` and its source."""


@dataclass(frozen=True, slots=True)
class _Live:
    owner: str
    role: str
    source: str
    place: str
    clock: int


class Publishers:
    """The tracks that are published now, by number."""

    def __init__(self) -> None:
        self._live: dict[int, _Live] = {}
        self._shown: dict[str, int] = {}
        self._last = 0

    def publish(self, number: int, owner: str, role: str, source: str) -> int:
        """A track appears; returns the number of its publisher's wall clock.

        `owner` is a member's connection; "" in a journal that tells of one publisher only.
        """
        clock = self._clock(owner, source)
        place = place_of(role, source)
        self._live[number] = _Live(owner, role, source, place, clock)
        self._choose(place)
        return clock

    def unpublish(self, number: int) -> None:
        """A track is taken back."""
        track = self._live.pop(number, None)
        if track is not None:
            self._choose(track.place)

    def shows(self, number: int) -> bool:
        """The track is the one at its place."""
        track = self._live.get(number)
        return track is not None and self._shown.get(track.place) == number

    @property
    def any(self) -> bool:
        """Something is published."""
        return bool(self._live)

    def _choose(self, place: str) -> None:
        there = {number: track for number, track in self._live.items() if track.place == place}
        if not there:
            self._shown.pop(place, None)
            return
        teachers = [track for track in there.values() if track.role == TEACHER]
        last_counts = teachers or (list(there.values()) if place.startswith(FLOOR) else [])
        first = next(iter(there.values()))
        owner = last_counts[-1].owner if last_counts else first.owner
        role = last_counts[-1].role if last_counts else first.role
        self._shown[place] = next(
            number for number, track in there.items() if (track.owner, track.role) == (owner, role)
        )

    def _clock(self, owner: str, source: str) -> int:
        own = {number: track for number, track in self._live.items() if track.owner == owner}
        if own and (owner or all(track.source != source for track in own.values())):
            return next(iter(own.values())).clock
        for number in own:  # of an unknown owner: a source that comes again has another clock
            self.unpublish(number)
        self._last += 1
        return self._last


def place_of(role: str, source: str) -> str:
    """The view that shows this."""
    if role in (TEACHER, ASSISTANT):
        return source
    return FLOOR if source == "camera" else f"{FLOOR}-{source}"
