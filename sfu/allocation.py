"""Who gets which layer within an estimate: sound, then slides, then the camera. Pure.

`ladder` orders what a publisher sends into steps of quality; `Allocator` is one viewer's place
on them: down at once, up slowly; `share` splits what several viewers have together.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

PRIORITY = ("microphone", "slides", "camera")
"""Who is served first."""
SLIDES_FLOOR = 150_000
"""Bits a second from which slides are shown whatever they cost: they need much for a moment when
a page is turned, and next to nothing until the next."""
HEADROOM = 1.15
"""A step up must fit so many times: a rate is a mean, and an estimate is one."""
TOLERANCE = 1.1
"""A step is kept while it fits into so many times the budget: an estimate swings by this."""
TURN_SHARE, MOST_TURN = 0.3, 300_000
"""Part of the budget that the camera leaves to slides, beyond what these cost in the mean; and
the most of it, bits a second."""
PATIENCE = 1.0
"""Seconds for which a step up must have fitted."""
MOST_PATIENCE = 64.0
"""Patience doubles with every step that had to be taken back, up to this."""
REGRET = 20.0
"""Seconds within which a step down takes back the step up before it."""
START, GRACE = 400_000, 4.0
"""Bits a second that a way is taken to carry at least until an estimate has had these seconds to
find out; on a satellite's it takes as long."""
STEPS, STEP_EVERY = 2.0, 60.0
"""Steps up that may follow each other, and seconds for another: at most two switches a minute."""

WISH = 20.0
"""Seconds after a viewer has said itself how much it wants, in which steps up wait for nothing
and are not counted: until its line took one back."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A step of quality: a simulcast stream, its spatial and temporal layers, and the cost."""

    stream: int
    spatial: int
    temporal: int
    bits_per_second: int

    @property
    def place(self) -> tuple[int, int, int]:
        """Which layer it is, whatever it costs now."""
        return (self.stream, self.spatial, self.temporal)


@dataclass(frozen=True, slots=True)
class Demand:
    """A viewer's track, and what it may be given of it."""

    source: str
    ladder: Sequence[Layer]
    """The cheapest step first; empty while nothing is known of its cost."""
    wished: float = -math.inf
    """When the viewer last said itself how much it wants of it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a viewer's track gets now."""

    downtrack: int
    layer: Layer | None
    """None: the track is paused."""


def ladder(rates: Iterable[tuple[int, int, int, int]]) -> tuple[Layer, ...]:
    """The steps of quality that a track has, the cheapest first.

    `rates` has (stream, spatial, temporal, bits a second) for each layer, with all below it.
    The picture gets larger only where it moves as well: the fewest pictures a second are taken
    of the smallest size alone.
    """
    layers = [Layer(*rate) for rate in rates]
    sizes: dict[tuple[int, int], list[Layer]] = {}
    for layer in sorted(layers, key=lambda layer: layer.temporal):
        sizes.setdefault((layer.stream, layer.spatial), []).append(layer)
    steps: list[Layer] = []
    for size in sorted(sizes.values(), key=lambda size: size[-1].bits_per_second):
        offered = size[-2:] if steps else size
        least = steps[-1].bits_per_second if steps else -1
        steps += [layer for layer in offered if layer.bits_per_second > least]
    return tuple(steps)


def share(budget: float, wanted: Sequence[float]) -> list[float]:
    """Split a budget: nobody gets more than wanted, and what one leaves the others have."""
    shares = [0.0] * len(wanted)
    left = budget
    for place, index in enumerate(sorted(range(len(wanted)), key=lambda i: wanted[i])):
        shares[index] = min(wanted[index], left / (len(wanted) - place))
        left -= shares[index]
    return shares


class Allocator:
    """What one viewer is given. Times are seconds of any steady clock."""

    def __init__(self, now: float, *, estimates: bool) -> None:
        """Without `estimates`, of a viewer who never tells what arrives, all is given always."""
        self._demands: dict[int, Demand] = {}
        self._places: dict[int, _Place] = {}
        self._estimate: float = START if estimates else math.inf
        self._measured: float | None = None
        self._cap = math.inf
        self._begins = False
        self._steps = STEPS
        self._refilled = now

    @property
    def wanted(self) -> int:
        """Bits a second that would carry the best of everything, with headroom."""
        best = [d.ladder[-1].bits_per_second for d in self._demands.values() if d.ladder]
        return int(sum(best) * HEADROOM) + MOST_TURN

    def set_demands(self, demands: Mapping[int, Demand]) -> None:
        """What there is to give, by downtrack."""
        self._demands = dict(demands)
        self._places = {d: self._places.get(d, _Place()) for d in demands}

    def set_estimate(self, bits_per_second: float, now: float) -> None:
        """What the way to the viewer carries, measured."""
        self._estimate = bits_per_second
        if self._measured is None:
            self._measured = now

    def set_cap(self, bits_per_second: float) -> None:
        """What the viewer may take at most."""
        self._cap = bits_per_second

    def poll(self, now: float) -> list[Grant]:
        """What changes now."""
        self._refill(now)
        known = self._measured is not None and now >= self._measured + GRACE
        estimate = self._estimate if known else max(self._estimate, START)
        budget = left = min(estimate, self._cap)
        self._begins = not known and self._measured is not None
        changes: list[Grant] = []
        for downtrack, demand in self._in_order():
            if not demand.ladder:
                continue
            turn = min(budget * TURN_SHARE, MOST_TURN)
            reserve = turn if self._turns_pages(demand) else 0.0
            place = self._places[downtrack]
            forced = not known or _must_have(demand, budget, left)
            step = self._step(place, demand, left, reserve, forced, now)
            layer = demand.ladder[step] if step is not None else None
            if place.move(layer, now):
                changes.append(Grant(downtrack, layer))
            if layer is not None:
                left = max(left - layer.bits_per_second, 0.0)
        return changes

    def waits(self) -> bool:
        """Whether time alone may change something: call `poll` again within a second."""
        waiting = any(place.fits_since is not None for place in self._places.values())
        return waiting or self._begins

    # --- one track

    def _step(
        self,
        place: "_Place",
        demand: Demand,
        budget: float,
        reserve: float,
        forced: bool,
        now: float,
    ) -> int | None:
        """The step to be on: the present one, a lower one that fits, or a higher one at last."""
        steps = demand.ladder
        eager = place.follows(demand.wished, now)
        least = 0 if forced else None
        fitting = _highest(steps, budget - reserve)
        if not place.begun:
            return least if fitting is None else fitting
        present = place.index(steps)
        if present is not None and steps[present].bits_per_second > budget * TOLERANCE:
            place.fits_since, place.fell = None, now
            lower = least if fitting is None else fitting
            return lower if _rank(lower) < present else present
        if present is None and forced:
            return 0 if fitting is None else fitting
        higher = _highest(steps, (budget - reserve) / HEADROOM)
        if _rank(higher) <= _rank(present):
            place.fits_since = None
            return present
        if place.fits_since is None:
            place.fits_since = now
        if not eager and (now < place.fits_since + place.patience or self._steps < 1):
            return present
        place.fits_since = None
        self._steps -= 0 if eager else 1
        return higher

    def _turns_pages(self, demand: Demand) -> bool:
        """Whether this track has to leave room for slides."""
        return demand.source == "camera" and any(
            other.source == "slides" and other.ladder for other in self._demands.values()
        )

    def _in_order(self) -> list[tuple[int, Demand]]:
        return sorted(self._demands.items(), key=lambda item: PRIORITY.index(item[1].source))

    def _refill(self, now: float) -> None:
        self._steps = min(STEPS, self._steps + (now - self._refilled) / STEP_EVERY)
        self._refilled = now


class _Place:
    """Where a viewer's track stands on its ladder."""

    def __init__(self) -> None:
        self.begun = False
        self.fits_since: float | None = None
        self.patience = PATIENCE
        self.fell = -math.inf
        """When the line took a step back."""
        self._layer: Layer | None = None
        self._rose = -math.inf

    def index(self, steps: Sequence[Layer]) -> int | None:
        """The present step; the nearest below it when the publisher sends it no more."""
        if self._layer is None:
            return None
        for index, step in enumerate(steps):
            if step.place == self._layer.place:
                return index
        return _highest(steps, self._layer.bits_per_second)

    def follows(self, wished: float, now: float) -> bool:
        """Whether the viewer's own wish decides; what it takes back itself is not regretted."""
        if wished > self._rose:
            self._rose, self.patience = -math.inf, PATIENCE
        return wished > self.fell and now < wished + WISH

    def move(self, layer: Layer | None, now: float) -> bool:
        """Take this step; whether it is another one."""
        before, self._layer = self._layer, layer
        begun, self.begun = self.begun, True
        if begun and (before and before.place) == (layer and layer.place):
            return False
        cost = [step.bits_per_second if step else 0 for step in (before, layer)]
        if begun and cost[1] > cost[0]:
            self._rose = now
        elif begun and now < self._rose + REGRET:
            self.patience = min(self.patience * 2, MOST_PATIENCE)
        elif begun:
            self.patience = PATIENCE
        return True


def _must_have(demand: Demand, budget: float, left: float) -> bool:
    """Whether the cheapest step is given even with nothing in reserve: sound always, slides on all
    but the narrowest lines, and the camera where it fits at all."""
    match demand.source:
        case "microphone":
            return True
        case "slides":
            return budget >= SLIDES_FLOOR
        case _:
            return demand.ladder[0].bits_per_second <= left


def _highest(steps: Sequence[Layer], budget: float) -> int | None:
    """The highest step within a budget."""
    fitting = [index for index, step in enumerate(steps) if step.bits_per_second <= budget]
    return fitting[-1] if fitting else None


def _rank(step: int | None) -> int:
    return -1 if step is None else step
