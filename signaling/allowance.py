"""How often somebody may do something: a token bucket. Pure; `now` is in seconds of any clock."""


class Allowance:
    """`burst` at once, refilled at `rate` a second."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._left = float(burst)
        self._since = now

    def take(self, now: float, cost: float = 1) -> bool:
        """Use that many, if they are there; who costs more than a burst pays a burst."""
        refill = max(0.0, now - self._since) * self._rate
        self._left = min(self._burst, self._left + refill)
        self._since = now
        cost = min(cost, self._burst)
        if self._left < cost:
            return False
        self._left -= cost
        return True
