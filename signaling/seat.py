"""What a classroom needs of a member's connection, whatever protocol it speaks."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sfu.datachannel import Message
from signaling.events import Role, Track, Watch

CONTROL_LABEL = "tongbu"
"""The data channel on which the node itself speaks; nothing is relayed on it."""


class Seat(Protocol):
    """The connection of one member. `id` is the member's session in the lesson."""

    @property
    def id(self) -> str:
        """Nobody can guess it."""

    @property
    def peer(self) -> int:
        """Its name in the engine, on which it is sent media."""

    @property
    def role(self) -> Role:
        """What it came as."""

    @property
    def site(self) -> str:
        """The place whose line it shares, or ""."""

    @property
    def created_at(self) -> float:
        """When it came, in seconds of the loop's clock."""

    @property
    def connected(self) -> bool:
        """Whether media can flow now."""

    @property
    def tells_arrivals(self) -> bool:
        """Whether it tells which packets came (transport-wide feedback)."""

    @property
    def tracks(self) -> Sequence[Track]:
        """What it sends now."""

    @property
    def watches(self) -> Sequence[Watch]:
        """What it takes now."""

    def send(self, label: str, message: Message) -> bool:
        """Send on its data channel of that label; False when it has none or it is full."""

    def notify(self, label: str, message: Mapping[str, Any]) -> bool:
        """Send a JSON object."""

    def stream_state(self, downtrack: int, *, paused: bool) -> None:
        """Tell its user that a picture rests, or goes on: its line carries no more."""

    def close(self) -> None:
        """Free everything; nothing is heard of it any more."""
