"""Who publishes in a lesson, and whose track an archive shows where it has one place. Pure.

An archive has one sound and one view of each source. The teacher's comes first; of others, who
was first there. What is not shown is in the journal all the same.
"""

from dataclasses import dataclass

TEACHER = "teacher"


@dataclass(frozen=True, slots=True)
class Placed:
    """What becomes of a track that is published."""

    publisher: int
    """Tracks with the same number share one wall clock."""
    shown: bool
    displaced: int | None = None
    """The track that is no longer shown, because this one is."""


@dataclass(frozen=True, slots=True)
class _Live:
    owner: str
    source: str
    place: str
    publisher: int


class Publishers:
    """The tracks that are published now, by number."""

    def __init__(self) -> None:
        self._live: dict[int, _Live] = {}
        self._shown: dict[str, int] = {}
        self._last = 0

    def publish(self, number: int, owner: str, role: str, source: str, place: str) -> Placed:
        """A track appears that would be shown in this place ("audio", or its source).

        `owner` is a member's connection; "" in a journal that tells of one publisher only.
        """
        publisher = self._publisher(owner, source)
        before = self._shown.get(place)
        shown = before is None or (role == TEACHER and self._live[before].owner != owner)
        self._live[number] = _Live(owner, source, place, publisher)
        if shown:
            self._shown[place] = number
        return Placed(publisher, shown, before if shown else None)

    def unpublish(self, number: int) -> None:
        """A track is taken back."""
        track = self._live.pop(number, None)
        if track is not None and self._shown.get(track.place) == number:
            del self._shown[track.place]

    def _publisher(self, owner: str, source: str) -> int:
        own = {number: track for number, track in self._live.items() if track.owner == owner}
        if own and (owner or all(track.source != source for track in own.values())):
            return next(iter(own.values())).publisher
        for number in own:  # of an unknown owner: a source that comes again has another clock
            self.unpublish(number)
        self._last += 1
        return self._last
