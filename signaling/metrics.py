"""`GET /metrics` for Prometheus: counted when asked for, never when a packet passes.

Names that begin with `livekit_` mean what they mean there, so that dashboards go on working; what
is ours begins with `tongbu_`. What belongs to a lesson has a `room` label, and a `site` label: the
place that its members' tokens name, "" for none. Units are base units: seconds, bytes, ratios.

For whoever may see all counters: an administrator's token, or anybody under --dev.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from aiohttp import web
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    UntypedMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from sfu.engine import Engine
from sfu.stats import Counters, Stats
from signaling.admission import Counts
from signaling.classroom import Classroom
from signaling.disk import Disk
from signaling.edge import permissions
from signaling.webhooks import Counts as WebhookCounts

_ROOM = ("room", "site")


class Metrics(Collector):
    """What a node's parts know of themselves, in Prometheus' words."""

    def __init__(
        self,
        classrooms: Iterable[Classroom],
        engine: Engine,
        *,
        joins: Callable[[], Counts],
        webhooks: Callable[[], WebhookCounts],
        disk: Callable[[], Disk | None] = lambda: None,
        keys: Mapping[str, str],
        dev: bool,
    ) -> None:
        self._classrooms = classrooms
        self._engine = engine
        self._joins = joins
        self._webhooks = webhooks
        self._disk = disk
        self._keys = keys
        self._dev = dev
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to an application."""
        return [web.get("/metrics", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        if not self._dev:
            permissions(request, self._keys).require_admin()
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(self._registry), headers=headers)

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is asked for."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything, as it is now."""
        classrooms = list(self._classrooms)
        stats = self._engine.stats()
        yield from _lessons(classrooms)
        yield from _links(classrooms, stats)
        yield from _packets(stats)
        yield from _totals(self._joins(), self._webhooks())
        yield from _disk(self._disk())


def _lessons(classrooms: Sequence[Classroom]) -> Iterator[Metric]:
    yield _gauge("livekit_room_total", "Lessons that are live.", (), {(): len(classrooms)})
    people: Counter[tuple[str, ...]] = Counter()
    published: Counter[tuple[str, ...]] = Counter()
    subscribed: Counter[tuple[str, ...]] = Counter()
    for classroom in classrooms:
        lesson = classroom.lesson
        for member in lesson.members.values():
            people[lesson.name, _site(classroom, member.session), member.role] += 1
        for publication in lesson.publications.values():
            site, track = _site(classroom, publication.session), publication.track
            published[lesson.name, site, track.kind, track.source] += 1
        for watch in lesson.watches.values():
            subscribed[lesson.name, _site(classroom, watch.session)] += 1
    yield _gauge("livekit_participant_total", "Members of lessons.", (*_ROOM, "role"), people)
    yield _gauge(
        "livekit_track_published_total",
        "Tracks that are published now.",
        (*_ROOM, "kind", "source"),
        published,
    )
    yield _gauge(
        "livekit_track_subscribed_total", "Tracks that members take now.", _ROOM, subscribed
    )


def _links(classrooms: Sequence[Classroom], stats: Stats) -> Iterator[Metric]:
    """The ways to those who are sent media, by lesson and site: mean and worst."""
    places = {
        seat.peer: (classroom.lesson.name, seat.site)
        for classroom in classrooms
        for seat in classroom.sessions.values()
    }
    rows: defaultdict[tuple[str, str], list[Counters]] = defaultdict(list)
    for row in stats.links:
        if (place := places.get(int(row.get("peer", -1)))) is not None:
            rows[place].append(row)
    trips = {
        place: [float(row.get("rtt_ms", 0)) / 1e3 for row in all_] for place, all_ in rows.items()
    }
    loss = {place: [_loss(row) for row in all_] for place, all_ in rows.items()}
    sent = {
        place: sum(float(r.get("delivered_bps", 0)) for r in all_) for place, all_ in rows.items()
    }
    yield _gauge(
        "tongbu_link_round_trip_seconds",
        "Mean round trip of a lesson's links.",
        _ROOM,
        {place: sum(all_) / len(all_) for place, all_ in trips.items()},
    )
    yield _gauge(
        "tongbu_link_round_trip_worst_seconds",
        "Longest round trip of a lesson's links.",
        _ROOM,
        {place: max(all_) for place, all_ in trips.items()},
    )
    yield _gauge(
        "tongbu_link_loss_worst_ratio",
        "Highest share of packets lost on any of a lesson's links, since it is there.",
        _ROOM,
        {place: max(all_) for place, all_ in loss.items()},
    )
    yield _gauge(
        "tongbu_link_delivered_bytes_per_second",
        "What arrives at a lesson's members now.",
        _ROOM,
        {place: bits / 8 for place, bits in sent.items()},
    )


def _packets(stats: Stats) -> Iterator[Metric]:
    directions = (("incoming", "in"), ("outgoing", "out"))
    for name, counter, help_ in (
        ("livekit_packet_total", "datagrams", "Datagrams of all kinds."),
        ("livekit_packet_bytes", "bytes", "Their bytes."),
    ):
        # LiveKit's second name has no _total, which a counter of this library would get.
        family = UntypedMetricFamily(name, help_, labels=["direction"])
        for direction, suffix in directions:
            family.add_metric([direction], stats.total(f"{counter}_{suffix}"))
        yield family
    dropped = CounterMetricFamily(
        "tongbu_packets_dropped", "Datagrams that were not forwarded.", labels=["reason"]
    )
    reasons = sorted({key for row in stats.shards for key in row if key.startswith("dropped_")})
    for reason in reasons:
        dropped.add_metric([reason.removeprefix("dropped_")], stats.total(reason))
    yield dropped
    for journal_counter, help_ in (
        ("bytes", "Bytes in open journals."),
        ("records", "Records in open journals."),
    ):
        written = sum(float(row.get(journal_counter, 0)) for row in stats.journals)
        yield _gauge(f"tongbu_journal_{journal_counter}", help_, (), {(): written})


def _totals(joins: Counts, webhooks: WebhookCounts) -> Iterator[Metric]:
    joined = CounterMetricFamily(
        "livekit_participant_join", "Joins, by what became of them.", labels=["state"]
    )
    for state in ("admitted", "refused", "abandoned", "overdue"):
        joined.add_metric([state], getattr(joins, state))
    yield joined
    waiting: dict[tuple[str, ...], float] = {(): joins.waiting}
    yield _gauge("tongbu_joins_waiting", "Joins that wait for their turn.", (), waiting)
    sent = CounterMetricFamily(
        "livekit_webhook_dispatch", "Webhook events, by what became of them.", labels=["status"]
    )
    for status in ("delivered", "failed", "dropped"):
        sent.add_metric([status], getattr(webhooks, status))
    yield sent


def _disk(disk: Disk | None) -> Iterator[Metric]:
    if disk is None:
        return
    yield _gauge("tongbu_disk_free_bytes", "Free for recordings.", (), {(): disk.free_bytes})
    if disk.hours_left is not None:
        seconds = disk.hours_left * 3600
        help_ = "Until video is not recorded any more, at the rate of the last minutes."
        yield _gauge("tongbu_disk_left_seconds", help_, (), {(): seconds})
    limited: dict[tuple[str, ...], float] = {(): float(disk.keeps != "everything")}
    yield _gauge("tongbu_recording_limited", "Not all is recorded: the disk is full.", (), limited)


def _gauge(
    name: str, help_: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _site(classroom: Classroom, session: str) -> str:
    seat = classroom.sessions.get(session)
    return seat.site if seat is not None else ""


def _loss(row: Counters) -> float:
    lost, delivered = float(row.get("lost", 0)), float(row.get("delivered", 0))
    return lost / (lost + delivered) if lost else 0.0
