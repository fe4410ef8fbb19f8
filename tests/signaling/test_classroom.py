"""Data channels through a lesson, and recording trouble: over HTTP, DTLS and SCTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiortc import RTCDataChannel, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters

from sfu.datachannel import _Underlay
from sfu.engine import Engine
from signaling.desk import RELAY_BURST
from signaling.recording import Recording
from tests import fake_media
from tests.fake_media import FakeEngine
from tests.signaling.conftest import House, Peer


class Talker:
    """A browser's data channels at the far end of a peer."""

    def __init__(self, peer: Peer, label: str) -> None:
        self.peer = peer
        self.heard: list[str | bytes] = []
        self._sctp = RTCSctpTransport(_Underlay("client", peer.dtls.send))  # type: ignore[arg-type]
        self.channel = RTCDataChannel(self._sctp, RTCDataChannelParameters(label=label))
        self.channel.on("message", self.heard.append)

    async def start(self) -> None:
        await self._sctp.start(None, 5000)
        async with asyncio.timeout(5):
            while self.channel.readyState != "open":
                await self.step()

    async def step(self) -> None:
        await self.peer.exchange()
        packets, self.peer.data[:] = list(self.peer.data), []
        for packet in packets:
            await self._sctp._handle_data(packet)

    async def stop(self) -> None:
        await self._sctp.stop()
        await asyncio.sleep(0)


@pytest.fixture
async def talkers(house: House) -> AsyncIterator[list[Talker]]:
    peers = [await house.teach(), await house.watch(), await house.watch()]
    talkers = [Talker(peer, "chat") for peer in peers]
    for talker in talkers:
        await talker.start()
    yield talkers
    for talker in talkers:
        await talker.stop()


async def until(condition: object, talkers: list[Talker]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # type: ignore[operator]
            for talker in talkers:
                await talker.step()


async def test_what_one_says_all_others_hear(talkers: list[Talker]) -> None:
    teacher, one, two = talkers
    one.channel.send("a question")
    teacher.channel.send(b"\x01\x02")
    await until(lambda: len(teacher.heard) + len(one.heard) + len(two.heard) == 4, talkers)
    assert teacher.heard == ["a question"]
    assert one.heard == [b"\x01\x02"]
    assert sorted(map(str, two.heard)) == sorted(map(str, ["a question", b"\x01\x02"]))


async def test_what_is_written_is_in_the_journal(house: House, talkers: list[Talker]) -> None:
    _, one, two = talkers
    one.channel.send("a question")
    one.channel.send(b"no text")
    await until(lambda: len(two.heard) == 2, talkers)
    written = [event for event in house.journal() if event["type"] == "chat"]
    assert [(event["identity"], event["text"]) for event in written] == [("school", "a question")]


async def test_a_flood_is_cut_off(talkers: list[Talker]) -> None:
    teacher, one, _ = talkers
    for number in range(RELAY_BURST + 100):
        one.channel.send(str(number))
    await until(lambda: len(teacher.heard) >= RELAY_BURST, talkers)
    for _ in range(50):
        for talker in talkers:
            await talker.step()
    assert RELAY_BURST <= len(teacher.heard) < RELAY_BURST + 100
    assert teacher.heard[:RELAY_BURST] == [str(number) for number in range(RELAY_BURST)]


async def test_schools_are_told_the_end_and_cannot_fake_it(house: House) -> None:
    teacher = await house.teach()
    schools = [Talker(await house.watch(), "tongbu"), Talker(await house.watch(), "tongbu")]
    for school in schools:
        await school.start()
    schools[0].channel.send(json.dumps({"type": "ended"}))
    for _ in range(20):
        for school in schools:
            await school.step()
    assert schools[1].heard == []
    await house.client.delete(teacher.location)
    await until(lambda: all(school.heard for school in schools), schools)
    assert [json.loads(school.heard[0]) for school in schools] == [{"type": "ended"}] * 2
    for school in schools:
        await school.stop()


async def test_a_full_disk_is_said_and_live_goes_on(house: House) -> None:
    teacher = await house.teach()
    (journal,) = house.native.journals
    await teacher.say(fake_media.JournalFailed(journal, "disk full"))
    assert (await house.lessons())[0]["recording"] == "failing: disk full"
    await house.watch()
    await teacher.say(fake_media.JournalRecovered(journal, 12))
    assert (await house.lessons())[0]["recording"] == "ok"


async def test_a_failing_worker_is_said_too(house: House) -> None:
    await house.teach()
    house.recorder_state.append("failing: the recorder is starting again")
    assert (await house.lessons())[0]["recording"] == "failing: the recorder is starting again"


async def test_without_a_journal_the_lesson_is_live_all_the_same(house: House) -> None:
    house.native.refuse_journals = True
    await house.teach()
    (live,) = await house.lessons()
    assert live["recording"] == "failing: No space left on device"
    await house.watch()
    assert house.native.sources[house.downtrack("1")] == house.uptrack("1")


async def test_a_journal_that_opens_late_begins_with_the_start(tmp_path: Path) -> None:
    native = FakeEngine()
    native.refuse_journals = True
    engine = Engine(native, asyncio.get_running_loop())  # type: ignore[arg-type]
    opened = asyncio.Event()
    open_journal = native.open_journal

    def spy(directory: str) -> int:
        journal = open_journal(directory)
        opened.set()
        return journal

    native.open_journal = spy  # type: ignore[method-assign]
    recording = Recording(engine, tmp_path / "a" / "journal", retry=0.01)
    recording.note({"type": "lesson_started"})
    recording.record(1, 77)
    assert recording.state.startswith("failing")
    native.refuse_journals = False
    async with asyncio.timeout(2):
        await opened.wait()
    assert recording.state == "ok"
    recording.note({"type": "lesson_ended"})
    (journal,) = native.journals.values()
    assert [json.loads(event)["type"] for event in journal.events] == [
        "lesson_started",
        "lesson_ended",
    ]
    assert journal.tracks == {1: 77}
    await recording.stop()
    assert journal.closed
    await engine.close()


async def test_shutdown_closes_every_journal(house: House) -> None:
    await house.teach("math")
    await house.teach("art", "li")
    await house.registry.close("shutdown")
    assert all(journal.closed for journal in house.native.journals.values())
    for journal in house.native.journals.values():
        assert json.loads(journal.events[-1]) == {"type": "lesson_ended", "reason": "shutdown"}
    assert house.native.peers == {}
