"""The order in which one participant's reliable packets go on. Pure.

A client numbers its reliable packets. While it tries to resume it keeps some of them back, sends
others between its attempts, and says all that we have not again once it is back, if we say so:
what went on out of order its receivers would pass over for ever. So while a client is away, and
for a moment after, what comes behind a gap waits for what is missing.
"""

from typing import Generic, TypeVar

MAX_HELD = 512
"""Packets that wait; with more of them nothing waits any longer."""

T = TypeVar("T")


class Ordering(Generic[T]):
    """One participant's. Packets without a number are none of its business."""

    def __init__(self) -> None:
        self.last = 0
        """The newest packet before which none is missing that may still come."""
        self._gathers = False
        self._held: dict[int, T] = {}

    def gather(self) -> None:
        """Its client is away: a gap may be filled when it is back."""
        self._gathers = True

    def take(self, number: int, packet: T) -> list[T]:
        """A packet came; what goes on now, in order. What has gone on already does not again."""
        if number <= self.last:
            return []
        if not self._gathers:
            self.last = number
            return [packet]
        self._held[number] = packet
        if len(self._held) > MAX_HELD:
            return self._release()
        return self._follow()

    def settle(self) -> list[T]:
        """Nothing that is missing will come any more: what waited for it goes on."""
        self._gathers = False
        return self._release()

    def _follow(self) -> list[T]:
        found = []
        while self.last + 1 in self._held:
            self.last += 1
            found.append(self._held.pop(self.last))
        return found

    def _release(self) -> list[T]:
        held, self._held = self._held, {}
        self.last = max(held, default=self.last)
        return [held[number] for number in sorted(held)]
