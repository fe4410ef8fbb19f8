import asyncio
import gzip

import pytest

from signaling.lesson import Rules
from tests import fake_media
from tests.signaling.conftest import House, offer, token

_COMPRESSED = {
    "Content-Type": "application/sdp",
    "Content-Encoding": "gzip",
    "Accept-Encoding": "gzip",
}


async def test_nothing_live_is_409_with_retry_after(house: House) -> None:
    response = await house.post("/math/whep", offer("chromium_watch"), token("school"))
    assert response.status == 409
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    await house.join("/math/whip", offer("obs_publish"), token("teacher"))  # not connected yet
    response = await house.post("/math/whep", offer("chromium_watch"), token("school"))
    assert response.status == 409


async def test_a_school_is_fed_when_it_is_connected(house: House) -> None:
    await house.teach()
    camera, microphone = house.uptrack("1"), house.uptrack("0")
    school = await house.join("/math/whep", offer("chromium_watch"), token("school"))
    assert house.native.sources == {}
    await school.connect()
    assert house.native.sources[house.downtrack("1")] == camera
    assert house.native.sources[house.downtrack("0")] == microphone


async def test_a_keyframe_is_asked_for_while_a_school_shakes_hands(house: House) -> None:
    await house.teach()
    camera, microphone = house.uptrack("1"), house.uptrack("0")
    school = await house.join("/math/whep", offer("chromium_watch"), token("school"))
    assert house.native.told("freshen") == []
    await school.connect()
    told = [command for command, *_ in house.native.commands]
    assert told.index("freshen") < told.index("set_keys", told.index("freshen"))
    assert (camera,) in house.native.told("freshen")
    assert (microphone,) not in house.native.told("freshen")


async def test_the_answer_says_what_is_what(house: House) -> None:
    await house.teach()
    school = await house.join("/math/whep", offer("chromium_watch"), token("school"))
    for line in ("a=msid:math microphone", "a=msid:math camera", "a=msid:slides slides"):
        assert line in school.answer
    config = house.native.downtracks[house.downtrack("1")]
    assert f"a=ssrc:{config.ssrc} cname:{config.cname}" in school.answer
    assert f"a=ssrc-group:FID {config.ssrc} {config.rtx_ssrc}" in school.answer
    assert config.codec.payload_type == 109


async def test_an_offer_may_be_compressed(house: House) -> None:
    await house.teach()
    wish = offer("chromium_watch").encode()
    headers = {**_COMPRESSED, "Authorization": f"Bearer {token('school')}"}
    response = await house.client.post("/math/whep", data=gzip.compress(wish), headers=headers)
    assert response.status == 201
    assert response.headers["Content-Encoding"] == "gzip"
    assert "a=msid:math camera" in await response.text()
    bomb = gzip.compress(bytes(50_000_000))
    response = await house.client.post("/math/whep", data=bomb, headers=headers)
    assert response.status == 413
    response = await house.client.post("/math/whep", data=b"not gzip", headers=headers)
    assert response.status == 400


class TestShards:
    @pytest.fixture
    def shards(self) -> int:
        return 2

    async def test_each_school_is_sent_to_the_port_of_its_shard(self, house: House) -> None:
        teacher = await house.teach()
        schools = [await house.watch() for _ in range(3)]
        placed = [house.native.peers[peer.id][0] for peer in (teacher, *schools)]
        assert placed == [0, 1, 0, 1]
        for peer, shard in zip((teacher, *schools), placed, strict=True):
            candidates = [x for x in peer.answer.splitlines() if " udp " in x]
            ports = {candidate.split(" ")[5] for candidate in candidates}
            assert ports == {str(house.native.ports[shard])}


async def test_a_school_sees_the_teacher_come_back(house: House) -> None:
    teacher = await house.teach()
    school = await house.watch()
    downtrack = house.downtrack("1")
    await teacher.say(fake_media.ConsentLost(teacher.id))
    assert house.native.sources[downtrack] is None
    await house.teach()
    assert house.native.sources[downtrack] == house.uptrack("1")
    assert school.id in house.native.peers


async def test_a_school_may_join_while_the_teacher_is_away(house: House) -> None:
    teacher = await house.teach()
    await teacher.say(fake_media.ConsentLost(teacher.id))
    await house.watch()
    await house.teach()
    assert house.native.sources[house.downtrack("1")] == house.uptrack("1")


async def test_delete_frees_the_seat(house: House) -> None:
    await house.teach()
    school = await house.watch()
    assert (await house.lessons())[0]["schools"] == 1
    assert (await house.client.delete(school.location)).status == 200
    assert (await house.lessons())[0]["schools"] == 0
    assert school.id not in house.native.peers
    assert house.journal()[-1]["type"] == "member_left"


async def test_a_lost_school_frees_its_seat(house: House) -> None:
    await house.teach()
    school = await house.watch()
    await school.say(fake_media.ConsentLost(school.id))
    assert (await house.lessons())[0]["schools"] == 0


async def test_full_is_503_with_retry_after(house: House) -> None:
    await house.teach()
    for _ in range(3):
        await house.watch()
    peers = len(house.native.peers)
    response = await house.post("/math/whep", offer("chromium_watch"), token("school"))
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert len(house.native.peers) == peers


async def test_sessions_of_the_two_protocols_are_apart(house: House) -> None:
    teacher = await house.teach()
    crossed = teacher.location.replace("/whip/", "/whep/")
    assert (await house.client.delete(crossed)).status == 404
    assert len(await house.lessons()) == 1


async def test_a_teachers_token_watches_too_and_a_strangers_does_not(house: House) -> None:
    await house.teach()
    await house.join("/math/whep", offer("chromium_watch"), token("teacher"))
    response = await house.post("/math/whep", offer("chromium_watch"), token("school", "art"))
    assert response.status == 403
    assert (await house.post("/math/whep", offer("chromium_watch"), None)).status == 401


async def test_an_observer_is_no_school(house: House) -> None:
    await house.teach()
    hidden = token("observer", identity="inspector", attributes={"role": "observer"})
    watcher = await house.join("/math/whep", offer("chromium_watch"), hidden)
    await watcher.connect()
    assert house.native.sources[house.downtrack("1")] == house.uptrack("1")
    assert (await house.lessons())[0]["schools"] == 0
    assert house.journal()[-1]["role"] == "observer"


async def test_the_end_disconnects_the_schools(house: House) -> None:
    teacher = await house.teach()
    school = await house.watch()
    await house.client.delete(teacher.location)
    async with asyncio.timeout(2):
        while school.id in house.native.peers:
            await school.exchange()
    await school.exchange()
    assert school.dtls.state == "closed"  # it was told


class TestLinger:
    @pytest.fixture
    def rules(self) -> Rules:
        return Rules(linger=0.05, max_schools=3)

    async def test_the_lesson_ends_when_the_teacher_stays_away(self, house: House) -> None:
        teacher = await house.teach()
        await teacher.say(fake_media.ConsentLost(teacher.id))
        async with asyncio.timeout(30):
            while await house.lessons():
                pass
            assert house.journal()[-1] == {"type": "lesson_ended", "reason": "linger"}
            (journal,) = house.native.journals.values()
            while not journal.closed:  # a turn of the loop later
                await house.lessons()
