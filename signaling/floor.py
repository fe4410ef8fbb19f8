"""Who has the floor, and who asks for it. Pure; `lesson.py` says who may do what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from signaling.events import Member


@dataclass(slots=True)
class Floor:
    """One holder at most; hands in the order in which they were raised. All are sessions."""

    holder: str | None = None
    _hands: dict[str, None] = field(default_factory=dict)

    @property
    def hands(self) -> Sequence[str]:
        """Who asks, the one who has waited longest first."""
        return tuple(self._hands)

    def asks(self, session: str) -> bool:
        """Whether its hand is raised."""
        return session in self._hands

    def raise_hand(self, session: str) -> None:
        """Who asks again keeps its place."""
        self._hands.setdefault(session)

    def lower_hand(self, session: str) -> None:
        """Idempotent."""
        self._hands.pop(session, None)

    def give(self, session: str) -> None:
        """The floor is its own now, and its hand is lowered."""
        self.lower_hand(session)
        self.holder = session

    def free(self) -> None:
        """Nobody has the floor."""
        self.holder = None

    def forget(self, session: str) -> None:
        """It holds nothing here any more."""
        self.lower_hand(session)
        if self.holder == session:
            self.free()

    def clear(self) -> None:
        """Nobody holds anything."""
        self._hands.clear()
        self.free()

    def told(self, members: Mapping[str, Member]) -> dict[str, object]:
        """What everybody is told of it, by whatever way: `floor`, the identity of who has it or
        None, and `hands`, the identities of who asks, first come first. `members` by session."""
        holder = members[self.holder].identity if self.holder is not None else None
        return {"floor": holder, "hands": [members[session].identity for session in self._hands]}
