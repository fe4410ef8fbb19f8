"""A weak link by its letter: what it is (a file in `profiles/`), and what happens on it. Pure.

The file says what may happen; the seed says when. All times are seconds of the run, which begins
when the viewer asks to join.
"""

import random
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks.linklab.link import Loss, Settings

FOLDER = Path(__file__).parent / "profiles"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
OUTAGE_AT = 30.0
"""When an outage that was asked for begins: the lesson is in its steady state by then."""
AFTER_OUTAGE = 20.0
"""Seconds that a run goes on after an outage, at least."""

Way = Literal["down", "up"]
WAYS: tuple[Way, Way] = ("down", "up")


@dataclass(frozen=True)
class Change:
    """The link is different from now on."""

    at: float
    way: Way
    settings: Mapping[str, object]


@dataclass(frozen=True)
class Flow:
    """Somebody else's TCP connection on the same link, as fast as it may."""

    at: float
    until: float
    way: Way
    kilobytes: float | None = None
    """It ends earlier when this much was sent."""


@dataclass(frozen=True)
class Window:
    """A part of the run that is told apart."""

    start: float
    end: float

    def __contains__(self, at: float) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True)
class Script:
    """What will happen in one run."""

    links: Mapping[Way, Settings]
    """At its beginning."""
    changes: tuple[Change, ...] = ()
    flows: tuple[Flow, ...] = ()
    dark: tuple[Window, ...] = ()
    """When nothing can pass: outages and stalls. The first outage is the one asked for."""


@dataclass(frozen=True)
class Profile:
    """One kind of link."""

    name: str
    title: str
    goals: str
    """Whose goals it is measured by: A, D, E or F."""
    tables: Mapping[str, Any] = field(repr=False, default_factory=dict)
    tcp_ports: tuple[int, ...] | None = None
    """Where UDP is blocked: the only ports there are. None blocks nothing."""

    def script(
        self,
        seconds: float,
        seed: int,
        *,
        outage: float = 0.0,
        rain: bool = False,
        loss: float | None = None,
    ) -> Script:
        """The run of that seed. `loss` (0-1) replaces the downlink's by independent losses.

        Raises ValueError where the profile has no such weather, or the run is too short.
        """
        rng = random.Random(f"script {self.name} {seed}")
        links = {way: self._settings(way, rng) for way in WAYS}
        if rain:
            links = {way: self._rained(links[way]) for way in WAYS}
        if loss is not None:
            links["down"] = replace(links["down"], loss=Loss(loss, 1 - loss))
        script = Script(links)
        for event in self.tables.get("events", []):
            script = _EVENTS[event["kind"]](script, event, seconds, rng)
        return _with_outage(script, outage, seconds) if outage else script

    def _settings(self, way: Way, rng: random.Random) -> Settings:
        table = dict(self.tables[way])
        rate = table.pop("rate_kbps")
        if isinstance(rate, list):
            rate = rng.uniform(*rate)
        return Settings(rate_bps=rate * 1e3, **{**table, "loss": _loss(table.get("loss"))})

    def _rained(self, settings: Settings) -> Settings:
        if "rain" not in self.tables:
            raise ValueError(f"It does not rain on {self.name}: only a satellite's link has it.")
        return replace(settings, loss=_loss(self.tables["rain"]))


def load(name: str) -> Profile:
    """The profile of that letter. Raises ValueError."""
    if name not in NAMES:
        raise ValueError(f"There is no profile {name}; there are {', '.join(NAMES)}.")
    tables = tomllib.loads((FOLDER / f"{name}.toml").read_text())
    ports = tables.get("tcp_ports")
    tcp_ports = tuple(ports) if ports is not None else None
    if "like" in tables:
        like = load(tables["like"])
        return replace(like, name=name, title=tables["title"], tcp_ports=tcp_ports)
    return Profile(name, tables["title"], tables["goals"], tables, tcp_ports)


def _loss(table: Mapping[str, float] | None) -> Loss | None:
    return Loss(**table) if table else None


def _steps(script: Script, event: Mapping[str, Any], seconds: float, rng: random.Random) -> Script:
    """Another rate every few seconds, each way by itself."""
    changes = []
    for way in WAYS:
        for at in _beats(event["every_s"], seconds, rng):
            rate = rng.uniform(*event[f"{way}_kbps"]) * 1e3
            changes.append(Change(at, way, {"rate_bps": rate}))
    return _and(script, changes=changes)


def _stall(script: Script, event: Mapping[str, Any], seconds: float, rng: random.Random) -> Script:
    """Nothing moves for a while, and nothing is lost but what the queue cannot hold."""
    windows = []
    for minute in range(int(seconds // 60 + 0.5)):
        start = minute * 60 + rng.uniform(20, 45)
        windows.append(Window(start, start + rng.uniform(*event["lasts_s"])))
    windows = [window for window in windows if window.end + 5 < seconds]
    return _and(script, changes=_during(windows, {"stalled": True}), dark=windows)


def _bulk(script: Script, event: Mapping[str, Any], seconds: float, rng: random.Random) -> Script:
    """Downloads of neighbours: one or more at a time, for a part of the run."""
    start, end = (part * seconds for part in event["part"])
    number = rng.randint(*event["flows"])
    flows = [Flow(start + rng.uniform(0, 2), end, event["way"]) for _ in range(number)]
    return _and(script, flows=flows)


def _burst(script: Script, event: Mapping[str, Any], seconds: float, rng: random.Random) -> Script:
    """A file sent now and then."""
    flows = [
        Flow(at, at + event["every_s"] / 2, event["way"], event["kilobytes"])
        for at in _beats([event["every_s"]] * 2, seconds, rng)
    ]
    return _and(script, flows=flows)


def _handover(
    script: Script, event: Mapping[str, Any], seconds: float, rng: random.Random
) -> Script:
    """Another satellite: losses for a moment, and another distance."""
    changes = []
    first = rng.uniform(5, 5 + event["every_s"])
    number = 0
    while (at := first + number * event["every_s"]) < seconds:
        farther = event["step_ms"] / 2 * (1 - number % 2)  # there and back, half of it each way
        for way, settings in script.links.items():
            lossy = {"loss": {"p": event["loss"], "r": 1 - event["loss"]}}
            usual = settings.loss and {"p": settings.loss.p, "r": settings.loss.r}
            changes.append(Change(at, way, {**lossy, "delay_ms": settings.delay_ms + farther}))
            changes.append(Change(at + event["lasts_ms"] / 1e3, way, {"loss": usual}))
        number += 1
    return _and(script, changes=changes)


_EVENTS = {
    "steps": _steps,
    "stall": _stall,
    "bulk": _bulk,
    "burst": _burst,
    "handover": _handover,
}


def _with_outage(script: Script, lasts: float, seconds: float) -> Script:
    window = Window(OUTAGE_AT, OUTAGE_AT + lasts)
    if window.end + AFTER_OUTAGE > seconds:
        least = window.end + AFTER_OUTAGE
        raise ValueError(f"An outage of {lasts:.0f} s needs a run of {least:.0f} s or more.")
    # What comes back is to be told of this one only: without stalls.
    kept = tuple(change for change in script.changes if "stalled" not in change.settings)
    script = replace(script, dark=(), changes=kept)
    return _and(script, changes=_during([window], {"up": False}), dark=[window])


def _during(windows: list[Window], settings: dict[str, bool]) -> list[Change]:
    opposite = {key: not value for key, value in settings.items()}
    return [
        Change(at, way, what)
        for window in windows
        for at, what in ((window.start, settings), (window.end, opposite))
        for way in WAYS
    ]


def _and(
    script: Script,
    *,
    changes: list[Change] | None = None,
    flows: list[Flow] | None = None,
    dark: list[Window] | None = None,
) -> Script:
    return replace(
        script,
        changes=tuple(sorted([*script.changes, *(changes or [])], key=lambda change: change.at)),
        flows=(*script.flows, *(flows or [])),
        dark=(*script.dark, *(dark or [])),
    )


def _beats(every: list[float], seconds: float, rng: random.Random) -> Iterator[float]:
    at = rng.uniform(*every)
    while at < seconds:
        yield at
        at += rng.uniform(*every)
