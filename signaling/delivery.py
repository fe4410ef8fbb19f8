"""What each viewer of a lesson is sent: carries out on the engine what an `Allocator` grants.

The native plane tells what a viewer's line carries and what a track's layers cost; the allocator
of that viewer decides; here its grants become commands, and a paused camera is announced.
"""

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sfu.allocation import PRIORITY, Allocator, Demand, Grant, Layer, ladder, share
from sfu.engine import Engine, Link
from signaling.events import SLIDES, SLIDES_AUDIO
from signaling.seat import CONTROL_LABEL, Seat

ALL = 255
"""No limit, in the media plane's words."""
_LONG_WAY = 0.25
"""Seconds of round trip from which a viewer of a lecture shows pictures later than it could."""
_LOSES = 0.002
"""Part lost from which it does so on a short way too. By TCP nothing is lost, but comes late."""
_CALM = 60.0
"""Seconds without such a loss after which it no longer does."""
_REPAIR_TIME = 0.4
"""Seconds that a viewer waits beyond a round trip: what was lost comes again meanwhile."""
_MOST_DELAY = 10.0
_DELAY_STEP = 0.1
"""Seconds; playout delays are chosen in these, so that a round trip's jitter changes nothing."""
_DELAY_GROWTH = 0.1
"""Seconds by which a delay grows at each look: pictures are slower for a while, where they would
stand if it grew at once."""
_RECENT = 8
"""Looks at a link of which the shortest round trip counts: others contain a queue."""
_POLL_EVERY = 0.25
"""Seconds between looks at what time alone may change."""


def playout_delay(rtt: float, *, lossy: bool, speaks: bool) -> float:
    """How long pictures should wait at a viewer at least, in seconds.

    Who listens to a lecture has time for repair where it is needed; who speaks has not.
    """
    if speaks or not (rtt >= _LONG_WAY or lossy):
        return 0.0
    steps = math.ceil((rtt + _REPAIR_TIME) / _DELAY_STEP)
    return min(round(steps * _DELAY_STEP, 2), _MOST_DELAY)


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that a viewer wants of a track, whatever its line carries."""

    paused: bool = False
    """Nothing."""
    stream: int = ALL
    """The simulcast stream, in the order of the publisher's offer."""
    spatial: int = ALL
    temporal: int = ALL

    def apply(self, ladder: Sequence[Layer]) -> Sequence[Layer]:
        """The steps that cost no more than the best that the viewer wants.

        All of them, where none is what it wants: that stream is not being sent now.
        """
        wanted = [layer.bits_per_second for layer in ladder if self._takes(layer)]
        most = max(wanted, default=math.inf)
        return tuple(layer for layer in ladder if layer.bits_per_second <= most)

    def _takes(self, layer: Layer) -> bool:
        stream = self.stream in (ALL, layer.stream)
        return stream and layer.spatial <= self.spatial and layer.temporal <= self.temporal


class Budgets:
    """What viewers may take at most: each of them, and all of one site together.

    A school whose classrooms watch several lessons has one line for them.
    """

    def __init__(self, each: float = math.inf, sites: Mapping[str, float] = {}) -> None:
        """Bits a second; a site that is not named has no limit of its own."""
        self._each = each
        self._sites = sites
        self._members: dict[str, dict[Allocator, None]] = {}

    def enter(self, site: str, allocator: Allocator) -> None:
        """A viewer of this site ("" for none) is here."""
        allocator.set_cap(self._each)
        if site in self._sites:
            self._members.setdefault(site, {})[allocator] = None

    def leave(self, site: str, allocator: Allocator) -> None:
        """It is gone; what it had the others of the site have at their next look."""
        self._members.get(site, {}).pop(allocator, None)

    def look(self, site: str) -> None:
        """Share the site's line among its viewers by what they want now."""
        members = list(self._members.get(site, ()))
        if members:
            shares = share(self._sites[site], [float(member.wanted) for member in members])
            for member, cap in zip(members, shares, strict=True):
                member.set_cap(min(cap, self._each))


@dataclass(slots=True)
class _Viewer:
    session: Seat
    allocator: Allocator
    sources: dict[int, str] = field(default_factory=dict)
    """What is served as what, by downtrack."""
    caps: dict[int, Cap] = field(default_factory=dict)
    wished: dict[int, float] = field(default_factory=dict)
    """When a downtrack's cap was last another one."""
    fed: dict[int, int] = field(default_factory=dict)
    """Downtrack to uptrack."""
    paused: set[int] = field(default_factory=set)
    rtts: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))
    lost_at: float = -math.inf
    delay: float = 0.0
    """Seconds that pictures should wait, and what was told of it so far."""
    delay_told: float | None = None
    wanted: int = 0

    @property
    def grows_later(self) -> bool:
        """Whether pictures are to wait longer than was told yet."""
        return self.delay > (self.delay_told or 0.0)


class Delivery:
    """The viewers of one lesson."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, budgets: Budgets) -> None:
        self._engine = engine
        self._loop = loop
        self._budgets = budgets
        self._viewers: dict[str, _Viewer] = {}
        self._of_downtrack: dict[int, str] = {}
        self._ladders: dict[int, Sequence[Layer]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, session: Seat) -> None:
        """A viewer is connected."""
        allocator = Allocator(self._loop.time(), estimates=session.tells_arrivals)
        self._viewers[session.id] = _Viewer(session, allocator)
        for watch in session.watches:
            self.watch(session.id, watch.downtrack, watch.source)
        self._budgets.enter(session.site, allocator)
        self._engine.watch_link(session.peer, lambda link: self._on_link(session.id, link))

    def remove(self, session: Seat) -> None:
        """A viewer is gone."""
        viewer = self._viewers.pop(session.id, None)
        if viewer is not None:
            self._budgets.leave(session.site, viewer.allocator)
            for downtrack in viewer.sources:
                self._of_downtrack.pop(downtrack, None)
        if not self._viewers and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def watch(self, session_id: str, downtrack: int, source: str, kind: str = "video") -> None:
        """A viewer has one more downtrack; to be told before it is fed."""
        if viewer := self._viewers.get(session_id):
            viewer.sources[downtrack] = _served_as(source, kind)
            self._of_downtrack[downtrack] = session_id
            if viewer.delay_told:
                self._delay(viewer, downtrack)

    def unwatch(self, session_id: str, downtrack: int) -> None:
        """It has that downtrack no more."""
        viewer = self._viewers.get(session_id)
        if viewer is None or viewer.sources.pop(downtrack, None) is None:
            return
        del self._of_downtrack[downtrack]
        viewer.caps.pop(downtrack, None)
        viewer.wished.pop(downtrack, None)
        viewer.paused.discard(downtrack)
        if viewer.fed.pop(downtrack, None) is not None:
            self._look(viewer)

    def cap(self, session_id: str, downtrack: int, cap: Cap) -> None:
        """A viewer wants no more than this of a track, and that at once if its line carries it."""
        viewer = self._viewers.get(session_id)
        if viewer is None or downtrack not in viewer.sources:
            return
        before = viewer.caps.get(downtrack, Cap())
        viewer.caps[downtrack] = cap
        if cap != before:
            viewer.wished[downtrack] = self._loop.time()
        if cap.paused != before.paused and downtrack not in viewer.paused:
            self._engine.set_paused(downtrack, cap.paused)
        self._look(viewer)

    def layers(self, uptrack: int) -> Sequence[Layer]:
        """The steps of quality that a published track has now, the cheapest first."""
        return self._ladders.get(uptrack, ())

    def publish(self, uptracks: Sequence[int]) -> None:
        """These tracks are published from now on."""
        for uptrack in uptracks:
            self._engine.watch_layers(uptrack, self._on_layers)

    def withdraw(self, uptracks: Sequence[int]) -> None:
        """These tracks are gone."""
        for uptrack in uptracks:
            self._ladders.pop(uptrack, None)

    def feed(self, feeds: Iterable[tuple[int, int | None]]) -> None:
        """Viewers' tracks come from here now: downtrack, uptrack or none. To be told before the
        native plane is, so that everybody begins with what their line carries."""
        changed: dict[str, _Viewer] = {}
        for downtrack, uptrack in feeds:
            viewer = self._viewers.get(self._of_downtrack.get(downtrack, ""))
            if viewer is None:
                continue
            changed[viewer.session.id] = viewer
            viewer.fed.pop(downtrack, None)
            if uptrack is not None:
                viewer.fed[downtrack] = uptrack
        for viewer in changed.values():
            self._look(viewer)

    # --- what the native plane tells

    def _on_link(self, session_id: str, link: Link) -> None:
        viewer = self._viewers.get(session_id)
        if viewer is None:
            return
        now = self._loop.time()
        viewer.allocator.set_estimate(link.bits_per_second, now)
        viewer.rtts.append(link.rtt)
        if link.loss >= _LOSES or link.tcp:
            viewer.lost_at = now
        lossy = now - viewer.lost_at < _CALM
        speaks = bool(viewer.session.tracks)
        delay = playout_delay(min(viewer.rtts), lossy=lossy, speaks=speaks)
        if abs(delay - viewer.delay) > _DELAY_STEP * 1.5:
            viewer.delay = delay
        if viewer.delay_told is None or viewer.delay < viewer.delay_told:
            self._tell_delay(viewer, 0.0 if viewer.delay_told is None else viewer.delay)
        self._look(viewer)

    def _on_layers(self, uptrack: int, rates: Sequence[tuple[int, int, int, int]]) -> None:
        self._ladders[uptrack] = ladder(rates)
        for viewer in self._viewers.values():
            if uptrack in viewer.fed.values():
                self._look(viewer)

    # --- what follows

    def _look(self, viewer: _Viewer) -> None:
        viewer.allocator.set_demands(
            {
                downtrack: Demand(
                    viewer.sources[downtrack],
                    cap.apply(self.layers(uptrack)),
                    viewer.wished.get(downtrack, -math.inf),
                )
                for downtrack, uptrack in viewer.fed.items()
                if not (cap := viewer.caps.get(downtrack, _ALL)).paused
            }
        )
        if (wanted := viewer.allocator.wanted) != viewer.wanted:
            viewer.wanted = wanted
            self._engine.set_wanted(viewer.session.peer, wanted)
        self._budgets.look(viewer.session.site)
        self._poll(viewer)

    def _poll(self, viewer: _Viewer) -> None:
        for grant in viewer.allocator.poll(self._loop.time()):
            self._carry_out(viewer, grant)
        if (viewer.allocator.waits() or viewer.grows_later) and self._timer is None:
            self._timer = self._loop.call_later(_POLL_EVERY, self._poll_all)

    def _poll_all(self) -> None:
        self._timer = None
        for viewer in self._viewers.values():
            if viewer.grows_later:
                told = viewer.delay_told or 0.0
                self._tell_delay(viewer, min(round(told + _DELAY_GROWTH, 2), viewer.delay))
            self._poll(viewer)

    def _tell_delay(self, viewer: _Viewer, delay: float) -> None:
        viewer.delay_told = delay
        for downtrack in viewer.sources:
            self._delay(viewer, downtrack)
        self._say_delay(viewer)

    def _delay(self, viewer: _Viewer, downtrack: int) -> None:
        if viewer.sources[downtrack] != SLIDES:  # a page stands for long: it need not wait
            delay = viewer.delay_told or 0.0
            self._engine.set_playout_delay(downtrack, delay, _MOST_DELAY)

    def _carry_out(self, viewer: _Viewer, grant: Grant) -> None:
        layer, downtrack = grant.layer, grant.downtrack
        if layer is not None:
            self._engine.set_limit(downtrack, *layer.place)
        if (layer is None) == (downtrack in viewer.paused):
            return
        if not viewer.caps.get(downtrack, _ALL).paused:
            self._engine.set_paused(downtrack, layer is None)
        viewer.paused ^= {downtrack}
        viewer.session.stream_state(downtrack, paused=layer is None)

    # --- what viewers are told

    def say_again(self, session: Seat) -> None:
        """A viewer can hear us from now on: what was said before it missed."""
        viewer = self._viewers.get(session.id)
        if viewer is None:
            return
        self._say_delay(viewer)
        for downtrack in viewer.paused:
            session.stream_state(downtrack, paused=True)

    def _say_delay(self, viewer: _Viewer) -> None:
        if viewer.delay_told is not None:
            message = {"type": "playout", "delay": viewer.delay_told}
            viewer.session.notify(CONTROL_LABEL, message)


_ALL = Cap()


def _served_as(source: str, kind: str) -> str:
    """As which of the allocator's sources a track is served."""
    if source in PRIORITY:
        return source
    return "microphone" if kind == "audio" or source == SLIDES_AUDIO else "camera"
