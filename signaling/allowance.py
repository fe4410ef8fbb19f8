"""How often somebody may do something: a token bucket. Pure; `now` is in seconds of any clock."""


class Allowance:
    """`burst` at once, refilled at `rate` a second."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._left = float(burst)
        self._since = now

    def take(self, now: float) -> bool:
        """Use one, if there is one."""
        refill = max(0.0, now - self._since) * self._rate
        self._left = min(self._burst, self._left + refill)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
