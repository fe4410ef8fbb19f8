import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfu.engine import Engine, UptrackConfig
from sfu.errors import EngineError
from sfu.negotiation import Codec
from tests import fake_media
from tests.fake_media import FakeEngine


class Peer:
    def __init__(self) -> None:
        self.heard: list[object] = []
        self.event = asyncio.Event()

    def on_dtls(self, datagram: bytes) -> None:
        self.heard.append(datagram)
        self.event.set()
        if datagram == b"boom":
            raise RuntimeError("handler bug")

    def on_reachable(self, host: str, port: int) -> None:
        self.heard.append((host, port))
        self.event.set()

    def on_consent_lost(self) -> None:
        self.heard.append("lost")
        self.event.set()


class Journal:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_journal_failed(self, reason: str) -> None:
        self.heard.append(reason)

    def on_journal_recovered(self, dropped: int) -> None:
        self.heard.append(dropped)


@pytest.fixture
async def native() -> FakeEngine:
    return FakeEngine(shards=2)


@pytest.fixture
async def engine(native: FakeEngine) -> AsyncIterator[Engine]:
    engine = Engine(native, asyncio.get_running_loop())  # type: ignore[arg-type]
    yield engine
    await engine.close()


def video() -> UptrackConfig:
    return UptrackConfig("video", "0", Codec("VP8", 96, 90000), ())


async def test_events_reach_the_handler_of_their_peer_in_order(
    engine: Engine, native: FakeEngine
) -> None:
    one, two = Peer(), Peer()
    first, second = engine.add_peer("u1", "p1", one), engine.add_peer("u2", "p2", two)
    native.say(
        fake_media.Connected(first, "192.0.2.1", 9),
        fake_media.Dtls(first, b"a"),
        fake_media.Dtls(second, b"b"),
        fake_media.ConsentLost(first),
    )
    await two.event.wait()
    assert one.heard == [("192.0.2.1", 9), b"a", "lost"]
    assert two.heard == [b"b"]


async def test_a_raising_handler_is_logged_and_the_rest_is_dispatched(
    engine: Engine, native: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = Peer(), Peer()
    first, second = engine.add_peer("u1", "p1", one), engine.add_peer("u2", "p2", two)
    with caplog.at_level(logging.ERROR):
        native.say(fake_media.Dtls(first, b"boom"), fake_media.Dtls(second, b"b"))
        await two.event.wait()
    assert two.heard == [b"b"]
    assert "handler bug" in caplog.text


async def test_peers_go_to_the_least_loaded_shard(engine: Engine, native: FakeEngine) -> None:
    peers = [engine.add_peer("u", "p", Peer()) for _ in range(3)]
    assert [native.peers[peer][0] for peer in peers] == [0, 1, 0]
    engine.remove_peer(peers[0])
    engine.remove_peer(peers[2])
    engine.remove_peer(peers[2])
    assert native.peers[engine.add_peer("u", "p", Peer())][0] == 0
    assert engine.port_of(peers[1]) == native.ports[1]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(comings=st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=60))
async def test_a_class_spreads_over_all_shards(comings: list[int | None]) -> None:
    native = FakeEngine(shards=3)
    engine = Engine(native, asyncio.get_running_loop())  # type: ignore[arg-type]
    seated: list[int] = []
    for leaving in comings:
        if leaving is not None and leaving < len(seated):
            engine.remove_peer(seated.pop(leaving))
            continue
        before = Counter(shard for shard, _, _ in native.peers.values())
        seated.append(engine.add_peer("u", "p", Peer()))
        shard = native.peers[seated[-1]][0]
        assert before[shard] == min(before[index] for index in range(3))
        assert engine.port_of(seated[-1]) == native.ports[shard]
    await engine.close()


async def test_a_removed_peer_hears_nothing_more(engine: Engine, native: FakeEngine) -> None:
    gone, here = Peer(), Peer()
    peer, other = engine.add_peer("u", "p", gone), engine.add_peer("u", "p", here)
    streams: list[tuple[str, int]] = []
    uptrack = engine.add_uptrack(peer, video(), lambda rid, ssrc: streams.append((rid, ssrc)))
    engine.remove_peer(peer)
    native.say(
        fake_media.Dtls(peer, b"a"),
        fake_media.StreamStarted(uptrack, "", 1),
        fake_media.Dtls(other, b"b"),
    )
    await here.event.wait()
    assert gone.heard == []
    assert streams == []


async def test_a_removed_track_is_heard_no_more_and_its_peer_is(
    engine: Engine, native: FakeEngine
) -> None:
    here = Peer()
    peer = engine.add_peer("u", "p", here)
    streams: list[tuple[str, int]] = []
    uptrack = engine.add_uptrack(peer, video(), lambda rid, ssrc: streams.append((rid, ssrc)))
    engine.watch_layers(uptrack, lambda *rates: streams.append(("rates", uptrack)))
    other = engine.add_uptrack(peer, video(), lambda rid, ssrc: streams.append((rid, ssrc)))
    engine.remove_uptrack(uptrack)
    engine.remove_uptrack(uptrack)
    engine.remove_downtrack(7)
    native.say(
        fake_media.StreamStarted(uptrack, "", 1),
        fake_media.LayersChanged(uptrack, []),
        fake_media.StreamStarted(other, "", 2),
        fake_media.Dtls(peer, b"a"),
    )
    await here.event.wait()
    assert streams == [("", 2)]
    engine.remove_peer(peer)
    assert native.told("remove_uptrack") == [(uptrack,)]
    assert native.told("remove_downtrack") == [(7,)]


async def test_what_is_wanted_and_who_speaks_is_told_to_who_watches(
    engine: Engine, native: FakeEngine
) -> None:
    here = Peer()
    peer = engine.add_peer("u", "p", here)
    camera = engine.add_uptrack(peer, video(), lambda rid, ssrc: None)
    unwatched = engine.add_uptrack(peer, video(), lambda rid, ssrc: None)
    heard: list[object] = []
    engine.watch_wanted(camera, lambda *wanted: heard.append(wanted))
    engine.watch_speech(camera, lambda *speech: heard.append(speech))
    native.say(
        fake_media.LayersWanted(camera, [0, 2]),
        fake_media.LayersWanted(unwatched, [1]),
        fake_media.Speaking(camera, 0.25, True),
        fake_media.Speaking(unwatched, 0.5, True),
        fake_media.Dtls(peer, b"a"),
    )
    await here.event.wait()
    assert heard == [(camera, [0, 2]), (camera, 0.25, True)]
    engine.remove_uptrack(camera)
    here.event.clear()
    native.say(
        fake_media.LayersWanted(camera, [0]),
        fake_media.Speaking(camera, 0.0, False),
        fake_media.Dtls(peer, b"b"),
    )
    await here.event.wait()
    assert len(heard) == 2


async def test_streams_and_journals_have_their_own_handlers(
    engine: Engine, native: FakeEngine, tmp_path: Path
) -> None:
    here = Peer()
    peer = engine.add_peer("u", "p", here)
    streams: list[tuple[str, int]] = []
    uptrack = engine.add_uptrack(peer, video(), lambda rid, ssrc: streams.append((rid, ssrc)))
    journal_handler = Journal()
    journal = engine.open_journal(tmp_path, journal_handler)
    native.say(
        fake_media.StreamStarted(uptrack, "q", 7),
        fake_media.JournalFailed(journal, "disk full"),
        fake_media.JournalRecovered(journal, 3),
        fake_media.Dtls(peer, b"end"),
    )
    await here.event.wait()
    assert streams == [("q", 7)]
    assert journal_handler.heard == ["disk full", 3]
    await engine.close_journal(journal)
    assert native.journals[journal].closed


async def test_a_journal_that_cannot_be_opened_is_an_engine_error(
    engine: Engine, native: FakeEngine, tmp_path: Path
) -> None:
    native.refuse_journals = True
    with pytest.raises(EngineError, match="No space left"):
        engine.open_journal(tmp_path, Journal())


async def test_close_is_idempotent(native: FakeEngine) -> None:
    engine = Engine(native, asyncio.get_running_loop())  # type: ignore[arg-type]
    await engine.close()
    await engine.close()
    assert native.closed
