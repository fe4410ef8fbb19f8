"""Which layers of each publication anybody may want (`dynacast`). Pure.

What counts is how much viewers can show, not what their lines carry just now: a layer that is not
sent could never be given to a line that has room for it again. While somebody takes part who cannot
say what it shows (a recording, a viewer by WHEP), all layers are wanted.
"""

from collections import Counter
from collections.abc import Callable

from signaling.delivery import ALL

NOTHING = -1
"""Not even the lowest stream is wanted."""

Tell = Callable[[int, int], None]
"""A publication's number, and its highest simulcast stream that anybody may want: a place in the
order of the offer, `ALL`, or `NOTHING`."""


class Interest:
    """One lesson's. `tell` hears what changes; at first all is wanted."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._wishes: dict[int, dict[str, int]] = {}
        self._counts: dict[int, Counter[int]] = {}
        self._told: dict[int, int] = {}
        self._everything = False

    def set_everything(self, everything: bool) -> None:
        """Whether somebody is there who wants all layers of all publications."""
        if everything != self._everything:
            self._everything = everything
            for number in list(self._wishes):
                self._review(number)

    def want(self, number: int, session: str, stream: int) -> None:
        """A participant may want up to this stream; `NOTHING` while it shows none."""
        wishes = self._wishes.setdefault(number, {})
        counts = self._counts.setdefault(number, Counter())
        if (before := wishes.get(session)) is not None:
            counts[before] -= 1
        wishes[session] = stream
        counts[stream] += 1
        self._review(number)

    def drop(self, number: int, session: str) -> None:
        """It takes this publication no more."""
        stream = self._wishes.get(number, {}).pop(session, None)
        if stream is not None:
            self._counts[number][stream] -= 1
            self._review(number)

    def forget(self, number: int) -> None:
        """The publication is withdrawn."""
        for kept in (self._wishes, self._counts, self._told):
            kept.pop(number, None)

    def _review(self, number: int) -> None:
        counts = self._counts[number]
        most = max((stream for stream, count in counts.items() if count > 0), default=NOTHING)
        if self._everything:
            most = ALL
        if most != self._told.get(number, ALL):
            self._told[number] = most
            self._tell(number, most)
