"""What Prometheus is told, as its own parser reads it."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from signaling.admission import Counts
from signaling.config import DEV_KEY, DEV_SECRET
from signaling.edge import errors_as_json
from signaling.metrics import Metrics
from signaling.webhooks import Counts as WebhookCounts
from tests.signaling.conftest import House, token

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


async def scraped(house: House, *, dev: bool = True, bearer: str = "") -> tuple[int, Samples]:
    metrics = Metrics(
        house.registry,
        house.engine,
        joins=lambda: Counts(admitted=3, waiting=1),
        webhooks=lambda: WebhookCounts(delivered=2, dropped=1),
        keys={DEV_KEY: DEV_SECRET},
        dev=dev,
    )
    app = web.Application(middlewares=[errors_as_json])
    app.add_routes(metrics.routes())
    async with TestClient(TestServer(app)) as client:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        response = await client.get("/metrics", headers=headers)
        text = await response.text()
    if response.status != 200:
        return response.status, {}
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            samples.setdefault(sample.name, {})[labels] = sample.value
    return 200, samples


def labels(**pairs: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs.items()))


async def test_lessons_members_and_tracks(house: House) -> None:
    await house.teach()
    await house.join("/math/whep", _offer(), token("school", identity="h", site="hilltop"))
    _, samples = await scraped(house)
    assert samples["livekit_room_total"] == {(): 1}
    assert samples["livekit_participant_total"] == {
        labels(room="math", site="", role="teacher"): 1,
        labels(room="math", site="hilltop", role="school"): 1,
    }
    published = samples["livekit_track_published_total"]
    assert published[labels(room="math", site="", kind="video", source="slides")] == 1
    assert sum(published.values()) == 3


async def test_links_by_lesson_and_site(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.teach()
    peers = [
        (await house.join("/math/whep", _offer(), token("school", identity=i, site="hilltop"))).id
        for i in ("a", "b")
    ]
    links: list[dict[str, Any]] = [
        {"peer": peers[0], "rtt_ms": 20.0, "lost": 0, "delivered": 0, "delivered_bps": 8000},
        {"peer": peers[1], "rtt_ms": 60.0, "lost": 5, "delivered": 95, "delivered_bps": 16000},
        {"peer": 999, "rtt_ms": 900.0, "lost": 9, "delivered": 1, "delivered_bps": 1},
    ]
    snapshot = {**house.native.stats(), "links": links}
    monkeypatch.setattr(house.native, "stats", lambda: snapshot)
    _, samples = await scraped(house)
    place = labels(room="math", site="hilltop")
    assert samples["tongbu_link_round_trip_seconds"] == {place: pytest.approx(0.04)}
    assert samples["tongbu_link_round_trip_worst_seconds"] == {place: pytest.approx(0.06)}
    assert samples["tongbu_link_loss_worst_ratio"] == {place: pytest.approx(0.05)}
    assert samples["tongbu_link_delivered_bytes_per_second"] == {place: 3000}


async def test_counters_of_the_node(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = [
        {"datagrams_in": 1, "bytes_in": 100, "datagrams_out": 2, "bytes_out": 300},
        {"datagrams_in": 4, "bytes_in": 10, "dropped_no_keys": 7},
    ]
    monkeypatch.setattr(house.native, "stats", lambda: {"shards": shards})
    _, samples = await scraped(house)
    incoming, outgoing = labels(direction="incoming"), labels(direction="outgoing")
    assert samples["livekit_packet_total"] == {incoming: 5, outgoing: 2}
    assert samples["livekit_packet_bytes"] == {incoming: 110, outgoing: 300}
    assert samples["tongbu_packets_dropped_total"] == {labels(reason="no_keys"): 7}
    assert samples["livekit_participant_join_total"][labels(state="admitted")] == 3
    assert samples["tongbu_joins_waiting"] == {(): 1}
    assert samples["livekit_webhook_dispatch_total"][labels(status="dropped")] == 1


async def test_for_administrators_only(house: House) -> None:
    assert (await scraped(house, dev=False))[0] == 401
    assert (await scraped(house, dev=False, bearer=token("teacher")))[0] == 403
    admin = token("archivist", None, admin=True)
    assert (await scraped(house, dev=False, bearer=admin))[0] == 200


def _offer() -> str:
    from tests.signaling.conftest import offer

    return offer("chromium_watch")
