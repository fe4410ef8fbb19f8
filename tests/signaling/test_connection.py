"""A connection over many negotiations: the client's offers (`Answering`), and ours (`Offering`)."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sfu.dtls import Identity
from sfu.engine import Engine
from sfu.errors import NegotiationError
from sfu.negotiation import Offer, choose_audio, choose_video
from sfu.sdp_offer import CONFERENCE, parse_answer, parse_offer
from signaling.answering import Answering, Intent, Receive, Rest, Send, Talk
from signaling.connection import Connection, MediaPlane
from signaling.offering import Offering
from tests.fake_media import FakeEngine
from tests.sfu.offers import capture
from tests.sfu.test_sdp_offering import answered

RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"


class Handler:
    """Hears nothing: no media flows here."""

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


@pytest.fixture
def native() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
async def connection(native: FakeEngine) -> AsyncIterator[Connection]:
    engine = Engine(native, asyncio.get_running_loop())  # type: ignore[arg-type]
    media = MediaPlane(engine, Identity.generate(), ("192.0.2.7",))
    connection = Connection(media, Handler())  # type: ignore[arg-type]
    yield connection
    connection.close()
    await engine.close()


def offered(name: str = "chromium_watch", **changes: str) -> Offer:
    text = capture(name)
    for old, new in changes.items():
        text = text.replace(old, new)
    return parse_offer(text, CONFERENCE)


def watching(offer: Offer, names: str = "TR_1") -> list[Intent]:
    """Send in each section that receives; talk where there is data."""
    intents: list[Intent] = []
    for section in offer.sections:
        if section.is_data_channel:
            intents.append(Talk())
            continue
        audio = section.kind == "audio"
        codec = choose_audio(section) if audio else choose_video(section, ["VP8"])
        assert codec is not None
        intents.append(Send(codec, "PA_1|camera", f"{names}_{section.mid}"))
    return intents


def ssrcs(answer: str) -> list[str]:
    return re.findall(r"a=ssrc:(\d+) cname", answer)


async def test_what_stays_is_untouched_by_a_later_offer(
    native: FakeEngine, connection: Connection
) -> None:
    answering = Answering(connection)
    first = answering.answer(offered(), watching(offered()))
    second = answering.answer(offered(), watching(offered()))
    assert ssrcs(first) == ssrcs(second)
    assert native.told("remove_downtrack") == []
    assert native.told("rotate_credentials") == []
    versions = [re.search(r"o=- (\d+) (\d+)", text) for text in (first, second)]
    assert versions[0]
    assert versions[1]
    assert versions[0][1] == versions[1][1]
    assert int(versions[1][2]) == int(versions[0][2]) + 1


async def test_another_track_in_a_section_has_another_ssrc(
    native: FakeEngine, connection: Connection
) -> None:
    answering = Answering(connection)
    first = answering.answer(offered(), watching(offered()))
    second = answering.answer(offered(), watching(offered(), "TR_2"))
    assert not set(ssrcs(first)) & set(ssrcs(second))
    assert len(native.told("remove_downtrack")) == len(native.downtracks)
    assert "TR_2_1" in second


async def test_a_section_that_rests_gives_its_track_back(
    native: FakeEngine, connection: Connection
) -> None:
    offer = offered()
    answering = Answering(connection)
    answering.answer(offer, watching(offer))
    intents = [
        Rest(section.codecs[:1]) if isinstance(intent, Send) else intent
        for section, intent in zip(offer.sections, watching(offer), strict=True)
    ]
    answer = answering.answer(offer, intents)
    assert native.downtracks == {}
    assert connection.downtracks == {}
    assert answer.count("a=inactive") == sum(isinstance(i, Rest) for i in intents)
    assert "m=video 0" not in answer


async def test_a_publisher_may_stop_and_begin_again(
    native: FakeEngine, connection: Connection
) -> None:
    offer = offered("chromium_publish")
    codecs = [
        choose_audio(s) if s.kind == "audio" else choose_video(s, ["VP8"]) for s in offer.sections
    ]
    taking: list[Intent] = [
        Talk() if section.is_data_channel else Receive(codec) if codec else None
        for section, codec in zip(offer.sections, codecs, strict=True)
    ]
    answering = Answering(connection, publishes_later=True)
    answering.answer(offer, taking)
    before = dict(connection.uptracks)
    answering.answer(offer, taking)
    assert connection.uptracks == before
    stopped = [
        Rest(s.codecs[:1]) if s.kind == "video" else i
        for s, i in zip(offer.sections, taking, strict=True)
    ]
    answering.answer(offer, stopped)
    gone = {up.id for mid, up in before.items() if mid not in connection.uptracks}
    assert {arguments[0] for arguments in native.told("remove_uptrack")} == gone
    assert gone
    answering.answer(offer, taking)
    assert set(connection.uptracks) == set(before)
    assert not gone & {up.id for up in connection.uptracks.values()}


@pytest.mark.parametrize("publishes_later", [True, False])
async def test_who_may_publish_later_is_agreed_with_on_all_that_takes(
    connection: Connection, publishes_later: bool
) -> None:
    offer = offered()
    assert all(RID in dict(map(reversed, s.extensions)) for s in offer.sections[1:3])
    answering = Answering(connection, publishes_later=publishes_later)
    assert (RID in answering.answer(offer, watching(offer))) is publishes_later


async def test_a_new_ufrag_restarts_ice_and_nothing_else(
    native: FakeEngine, connection: Connection
) -> None:
    offer = offered()
    ufrag = offer.ice.ufrag
    answering = Answering(connection)
    first = answering.answer(offer, watching(offer))
    restarted = offered(**{f"a=ice-ufrag:{ufrag}": "a=ice-ufrag:newone"})
    second = answering.answer(restarted, watching(restarted))
    assert len(native.told("rotate_credentials")) == 1
    assert f"a=ice-ufrag:{connection.ufrag}" in second
    assert f"a=ice-ufrag:{connection.ufrag}" not in first
    assert ssrcs(first) == ssrcs(second)


async def test_another_certificate_is_refused(native: FakeEngine, connection: Connection) -> None:
    offer = offered()
    answering = Answering(connection)
    answering.answer(offer, watching(offer))
    tracks = dict(native.downtracks)
    other = offered(**{offer.fingerprints[0].value: ":".join(["AB"] * 32)})
    with pytest.raises(NegotiationError, match="certificate"):
        answering.answer(other, watching(other))
    assert native.downtracks == tracks


class Client:
    """Keeps our offers; answers them as `answered` does."""

    def __init__(self, connection: Connection) -> None:
        self.offers: list[str] = []
        self.offering = Offering(connection, self.offers.append)

    def answer(self, change: Any = lambda text: text) -> list[tuple[str, Any]]:
        assert self.offering._outstanding is not None
        sections = list(self.offering._outstanding)
        return self.offering.take_answer(parse_answer(change(answered(sections))))


async def test_one_offer_is_out_at_a_time(connection: Connection) -> None:
    client = Client(connection)
    client.offering.offer()
    client.offering.send("video", "VP8", "PA_1|camera", "TR_1")
    client.offering.offer()
    client.offering.offer()
    assert len(client.offers) == 1, "the first is not answered yet"
    assert client.answer() == []
    assert len(client.offers) == 2
    ((mid, downtrack),) = client.answer()
    assert downtrack is not None
    assert connection.downtracks[mid] == downtrack
    assert len(client.offers) == 2


async def test_a_stopped_place_is_taken_by_another_mid(
    native: FakeEngine, connection: Connection
) -> None:
    client = Client(connection)
    first = client.offering.send("video", "VP8", "PA_1|camera", "TR_1")
    client.offering.offer()
    client.answer()
    client.offering.stop(first)
    assert len(native.told("remove_downtrack")) == 1, "at once, whatever the client knows"
    early = client.offering.send("audio", "opus", "PA_1|camera", "TR_2")
    client.offering.offer()
    assert client.offers[-1].count("m=") == 3, "the place is not free before it is answered"
    client.answer()
    late = client.offering.send("audio", "opus", "PA_1|camera", "TR_3")
    client.offering.offer()
    assert client.offers[-1].count("m=") == 3
    assert len({first, early, late}) == 3
    ((mid, _),) = client.answer()
    assert mid == late


async def test_what_is_stopped_while_offered_never_begins(
    native: FakeEngine, connection: Connection
) -> None:
    client = Client(connection)
    mid = client.offering.send("video", "VP8", "PA_1|camera", "TR_1")
    client.offering.offer()
    client.offering.stop(mid)
    assert client.answer() == []
    assert native.downtracks == {}


async def test_a_refused_section_is_told(connection: Connection) -> None:
    client = Client(connection)
    mid = client.offering.send("video", "AV1", "PA_1|camera", "TR_1")
    client.offering.offer()
    refused = client.answer(lambda text: text.replace("m=video 9", "m=video 0"))
    assert refused == [(mid, None)]


async def test_an_answer_that_nothing_asked_for_is_passed_over(connection: Connection) -> None:
    client = Client(connection)
    client.offering.offer()
    client.answer()
    assert client.offering.take_answer(parse_answer(answered([]))) == []


async def test_a_resume_offers_again_with_new_credentials(
    native: FakeEngine, connection: Connection
) -> None:
    client = Client(connection)
    client.offering.send("video", "VP8", "PA_1|camera", "TR_1")
    client.offering.offer()
    client.offering.restart_ice()
    assert len(client.offers) == 2
    assert len(native.told("rotate_credentials")) == 1
    assert ssrcs(client.offers[0]) == ssrcs(client.offers[1])
    assert len(client.answer()) == 1
