"""What is written in a lesson, on its way into the lesson's journal. Pure.

Whoever carries data hands over what was said to everybody; what was said to some is theirs, and is
not kept. A journal is for ever, so there is a bound to what anybody may put into it; what is
beyond reaches the others all the same, and only the journal does without.
"""

from collections.abc import Callable

from signaling.allowance import Allowance
from signaling.effects import Departed, Effect
from signaling.events import Said

MAX_TEXT = 4_000
"""Characters of one message that are kept."""
MAX_MESSAGE_ID = 64
"""Characters of a message's name."""
RATE, BURST = 2.0, 20
"""Messages a second of one member, and at once: quicker than anybody writes."""
LESSON_RATE, LESSON_BURST = 20.0, 200
"""Those of all together: 160 KB/s of journal at the very most."""


class Chat:
    """One lesson's. `tell` hears what is kept; `clock` is in seconds."""

    def __init__(self, tell: Callable[[Said], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._all = Allowance(LESSON_RATE, LESSON_BURST, clock())
        self._allowances: dict[str, Allowance] = {}  # by session
        self.dropped = 0
        """Messages that were too many."""

    def said(self, session: str, text: str, *, message: str = "", edited: bool = False) -> None:
        """A member wrote this to everybody. `message` is the name its client gave it, under which
        it may come again, `edited`; no text then means that it was taken back."""
        if not text and not edited:
            return
        now = self._clock()
        own = self._allowances.setdefault(session, Allowance(RATE, BURST, now))
        if not own.take(now) or not self._all.take(now):
            self.dropped += 1
            return
        name = _bounded(message, MAX_MESSAGE_ID)
        self._tell(Said(session, _bounded(text, MAX_TEXT), name, edited))

    # --- Listener

    def on_effect(self, effect: Effect) -> None:
        """Classroom: who is gone writes no more."""
        if isinstance(effect, Departed):
            self._allowances.pop(effect.member.session, None)


def _bounded(text: str, most: int) -> str:
    """No longer than that, and of characters that UTF-8 has (JSON may name halves of some)."""
    return text[:most].encode("utf-8", "replace").decode()
