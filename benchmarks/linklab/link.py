"""One direction of a link: a rate, a drop-tail queue, loss in bursts, delay with jitter. Pure.

A packet that is pushed waits for those before it, takes its time at the rate of that moment, may
be lost on the way (it has used the capacity then), and arrives after the delay, never before the
one in front of it:

    push -> queue (bounded: drop-tail) -> transmitter (rate) -> air (loss) -> delay -> poll

Times are nanoseconds of any steady clock; randomness comes from the seed alone: losses are drawn
packet by packet from one stream, jitter from another, so that neither shifts the other.
"""

import math
import random
from collections import Counter, deque
from dataclasses import dataclass, fields, replace
from typing import Generic, TypeVar

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
JITTER_MEMORY_MS = 100.0
"""After this time jitter has forgotten 63 % of what it was: queues far away do not leap."""
_MEAN_OF_ABS = math.sqrt(2 / math.pi)  # of a normal variable, in standard deviations

P = TypeVar("P")


@dataclass(frozen=True)
class Loss:
    """Gilbert-Elliott: in the bad state packets are lost, in the good state they are not.

    Mean loss is p / (p + r), a mean burst has 1 / r packets. With r = 1 - p losses are independent.
    """

    p: float
    """Probability to turn bad, at each packet."""
    r: float
    """Probability to turn good again."""

    @classmethod
    def of(cls, mean: float, burst: float) -> "Loss":
        """By mean loss (0-1) and mean burst (packets)."""
        r = 1 / burst
        return cls(mean * r / (1 - mean), r)

    @property
    def mean(self) -> float:
        """Part of the packets that is lost in the long run."""
        return self.p / (self.p + self.r) if self.p else 0.0


@dataclass(frozen=True)
class Settings:
    """What may change while packets are on their way."""

    rate_bps: float = 0.0
    """Of IP packets; 0 has no limit and no queue."""
    queue_ms: float = 200.0
    """Depth of the queue, at the rate of the moment."""
    delay_ms: float = 0.0
    """Mean one-way delay beyond queue and transmission."""
    jitter_ms: float = 0.0
    """Standard deviation of the normal variable whose size is added to the delay."""
    loss: Loss | None = None
    up: bool = True
    """During an outage (False) all that is transmitted is lost."""
    stalled: bool = False
    """A stall holds packets back in the queue, and loses none."""

    def changed(self, changes: dict[str, object]) -> "Settings":
        """With these fields instead; a loss may come as {"p":..., "r":...}. Raises ValueError."""
        unknown = set(changes) - {field.name for field in fields(self)}
        if unknown:
            raise ValueError(f"a link has no {', '.join(sorted(unknown))}")
        if isinstance(loss := changes.get("loss"), dict):
            changes = {**changes, "loss": Loss(**loss)}
        return replace(self, **changes)  # type: ignore[arg-type]

    @property
    def queue_bytes(self) -> float:
        """Bytes that may wait."""
        return self.rate_bps / 8 * self.queue_ms / 1e3


class Bursts:
    """Which packets are lost: the chain of `Loss`, a step for each packet."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"loss {seed}")
        self._bad = False

    def loses(self, loss: Loss | None) -> bool:
        """Whether the next packet is lost, on a link that is so now."""
        if loss is None:
            return False
        chance = self._rng.random()
        self._bad = chance >= loss.r if self._bad else chance < loss.p
        return self._bad


class Counts:
    """What has happened to packets so far."""

    def __init__(self) -> None:
        self.pushed = self.pushed_bytes = 0
        self.delivered = self.delivered_bytes = 0
        self.queue_drops = 0
        self.lost = 0
        self.outage_drops = 0
        self.waits_ms: Counter[int] = Counter()
        """Histogram of what packets waited for the transmitter, in whole milliseconds."""

    @property
    def missing(self) -> int:
        """Packets that will never arrive."""
        return self.queue_drops + self.lost + self.outage_drops


@dataclass
class _Waiting(Generic[P]):
    packet: P
    size: int
    came: int
    counts: Counts


class Link(Generic[P]):
    """Push packets in, poll them out. `now` never runs backwards."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self.settings = settings
        self._bursts = Bursts(seed)
        self._jitters = random.Random(f"jitter {seed}")
        self._jitter = 0.0  # ms, of either sign
        self._jitter_at = 0.0
        self._queue: deque[_Waiting[P]] = deque()
        self._queued_bytes = 0
        self._head_bits = 0.0  # of the first in the queue: not yet transmitted at _head_at
        self._head_at = 0.0
        self._flying: deque[tuple[int, _Waiting[P]]] = deque()
        self._last_arrival = 0

    def push(self, packet: P, size: int, now: int, counts: Counts) -> bool:
        """A packet of `size` bytes enters; False if the queue was full. `counts` follow it."""
        self._advance(now)
        counts.pushed += 1
        counts.pushed_bytes += size
        waiting = _Waiting(packet, size, now, counts)
        if self._queue and self._backlog(now) + size > self.settings.queue_bytes > 0:
            counts.queue_drops += 1
            return False
        self._queue.append(waiting)
        self._queued_bytes += size
        if len(self._queue) == 1:
            self._head_bits, self._head_at = size * 8, now
            self._advance(now)  # at once where there is no rate
        return True

    def poll(self, now: int) -> tuple[int, P] | None:
        """The next packet that has arrived by now, and when it was due."""
        self._advance(now)
        if not self._flying or self._flying[0][0] > now:
            return None
        due, waiting = self._flying.popleft()
        waiting.counts.delivered += 1
        waiting.counts.delivered_bytes += waiting.size
        return due, waiting.packet

    def next_at(self) -> int | None:
        """When to poll again: no packet arrives before."""
        if self._flying:
            return self._flying[0][0]
        if not self._queue or self.settings.stalled:
            return None
        return math.ceil(self._head_done() + self._least_delay() * MILLISECOND)

    def change(self, settings: Settings, now: int) -> None:
        """From now on; what is left of the packet in transmission goes on at the new rate."""
        self._advance(now)
        if self._queue:
            self._head_bits, self._head_at = self._left_bits(now), now
        self.settings = settings

    def _advance(self, now: int) -> None:
        """Transmit what the transmitter has finished by now."""
        while self._queue and not self.settings.stalled and (done := self._head_done()) <= now:
            waiting = self._queue.popleft()
            self._queued_bytes -= waiting.size
            self._transmitted(waiting, done)
            if self._queue:
                self._head_bits, self._head_at = self._queue[0].size * 8, done

    def _head_done(self) -> float:
        return self._head_at + self._time(self._head_bits)

    def _time(self, bits: float) -> float:
        """Nanoseconds to transmit them."""
        return bits * SECOND / self.settings.rate_bps if self.settings.rate_bps else 0.0

    def _left_bits(self, now: int) -> float:
        """Of the packet at the head, what has not been transmitted."""
        if self.settings.stalled:
            return self._head_bits
        return self._head_bits - (now - self._head_at) / SECOND * self.settings.rate_bps

    def _backlog(self, now: int) -> float:
        """Bytes that are not yet transmitted."""
        return self._queued_bytes - self._queue[0].size + self._left_bits(now) / 8

    def _transmitted(self, waiting: _Waiting[P], done: float) -> None:
        waited = done - waiting.came - self._time(waiting.size * 8)
        waiting.counts.waits_ms[max(0, int(waited)) // MILLISECOND] += 1
        lost = self._bursts.loses(self.settings.loss)
        if not self.settings.up:
            waiting.counts.outage_drops += 1
        elif lost:
            waiting.counts.lost += 1
        else:
            self._fly(waiting, done)

    def _fly(self, waiting: _Waiting[P], done: float) -> None:
        arrival = math.ceil(done + self._delay(done) * MILLISECOND)
        self._last_arrival = max(arrival, self._last_arrival)
        self._flying.append((self._last_arrival, waiting))

    def _delay(self, at: float) -> float:
        """In milliseconds; its mean is that of the settings: what jitter adds is taken off."""
        settings = self.settings
        if not settings.jitter_ms:
            return settings.delay_ms
        memory = math.exp(-(at - self._jitter_at) / MILLISECOND / JITTER_MEMORY_MS)
        fresh = self._jitters.gauss(0, settings.jitter_ms)
        self._jitter = memory * self._jitter + math.sqrt(1 - memory * memory) * fresh
        self._jitter_at = at
        return self._least_delay() + abs(self._jitter)

    def _least_delay(self) -> float:
        return max(0.0, self.settings.delay_ms - self.settings.jitter_ms * _MEAN_OF_ABS)
