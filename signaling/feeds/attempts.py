"""When a feed that broke off is tried again. Pure; times in seconds of any steady clock."""

WAITS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Between attempts that come to nothing, the last one for ever."""
GOOD_LIFE = 30.0
"""An attempt that was live so long was not in vain: the waits begin anew."""


class Attempts:
    """Counts attempts in vain."""

    def __init__(self) -> None:
        self.restarts = 0
        """Attempts after the first."""
        self._vain = 0

    def wait(self, live_for: float) -> float:
        """An attempt is over that was live so long: how long to wait until the next."""
        if live_for >= GOOD_LIFE:
            self._vain = 0
        self.restarts += 1
        self._vain += 1
        return WAITS[min(self._vain, len(WAITS)) - 1]
