"""The queue of joins as clients meet it: over real HTTP, with real DTLS."""

import asyncio

import pytest

from signaling.admission import Limits
from signaling.lesson import Rules
from tests.signaling.conftest import House, Peer, offer, token

AT_ONCE = 4
STORM = 60


@pytest.fixture
def limits() -> Limits:
    return Limits(at_once=AT_ONCE, waiting=STORM, waiting_per_lesson=STORM - 1, patience=30)


@pytest.fixture
def rules() -> Rules:
    return Rules(linger=30, max_schools=STORM + 10)


async def joins(house: House) -> dict[str, int]:
    async with house.client.get("/api/stats") as response:
        counts: dict[str, int] = (await response.json())["joins"]
        return counts


async def until(house: House, **expected: int) -> None:
    """Wait until the counts are these."""
    async with asyncio.timeout(10):
        while not expected.items() <= (await joins(house)).items():
            pass


async def ask(house: House, lesson: str = "math") -> Peer:
    """A school's POST, answered when its turn has come; it is not connected yet."""
    return await house.join(f"/{lesson}/whep", offer("chromium_watch"), token("school", lesson))


async def full(house: House) -> list[Peer]:
    """Schools enough that the next one waits."""
    await house.teach()
    return [await ask(house) for _ in range(AT_ONCE)]


async def test_a_lessons_storm_does_not_starve_another_lesson(house: House) -> None:
    await house.teach("math")
    await house.teach("art", "li")
    order: list[str] = []
    begin = asyncio.Event()

    async def school(lesson: str) -> None:
        peer = await ask(house, lesson)
        order.append(lesson)
        await begin.wait()
        await peer.connect()

    async with asyncio.TaskGroup() as schools:
        for _ in range(STORM):
            schools.create_task(school("math"))
        await until(house, under_way=AT_ONCE, waiting=STORM - AT_ONCE)
        schools.create_task(school("art"))
        await until(house, waiting=STORM - AT_ONCE + 1)
        assert order == ["math"] * AT_ONCE
        begin.set()
    assert len(order) == STORM + 1
    assert order.index("art") <= 2 * AT_ONCE
    lessons = {row["lesson"]: row["schools"] for row in await house.lessons()}
    assert lessons == {"math": STORM, "art": 1}
    await until(house, under_way=0, waiting=0)


async def test_a_teacher_comes_before_the_schools_that_wait(house: House) -> None:
    first, *_ = await full(house)
    school = asyncio.create_task(ask(house))
    await until(house, waiting=1)
    bearer = token("teacher", "art", "li")
    teacher = asyncio.create_task(house.join("/art/whip", offer("obs_publish"), bearer))
    await until(house, waiting=2)
    await first.connect()
    await teacher
    assert not school.done()
    await (await teacher).connect()
    await school


async def test_beyond_the_queue_is_503_with_retry_after(house: House) -> None:
    peers = await full(house)
    waiting = [asyncio.create_task(ask(house)) for _ in range(STORM - 1)]
    await until(house, waiting=STORM - 1)
    response = await house.post("/math/whep", offer("chromium_watch"), token("school"))
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert (await response.json())["error"].endswith("try again in a moment.")
    assert (await joins(house))["refused"] == 1
    assert len(house.native.peers) == 1 + AT_ONCE
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await until(house, waiting=0, abandoned=STORM - 1)  # they hung up, and left their places
    for peer in peers:
        await peer.connect()
    await ask(house)
    assert len(house.native.peers) == 1 + AT_ONCE + 1


@pytest.mark.parametrize("text", ["hello", offer("obs_publish").replace("opus", "nix")])
async def test_a_refused_offer_frees_its_place(house: House, text: str) -> None:
    await house.teach()
    for _ in range(AT_ONCE + 1):
        response = await house.post("/math/whep", text, token("school"))
        assert response.status == 400
    assert (await joins(house))["under_way"] == 0


async def test_goodbye_frees_the_place_of_an_unfinished_join(house: House) -> None:
    first, *_ = await full(house)
    waiting = asyncio.create_task(ask(house))
    await until(house, waiting=1)
    await house.client.delete(first.location)
    await waiting


async def test_nothing_live_is_said_without_queueing(house: House) -> None:
    await full(house)
    response = await house.post("/art/whep", offer("chromium_watch"), token("school", "art"))
    assert response.status == 409


class TestPatience:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(at_once=AT_ONCE, patience=0.05)

    async def test_offers_without_a_handshake_hold_up_nobody_for_long(self, house: House) -> None:
        stuck = await full(house)
        async with asyncio.timeout(5):
            late = await ask(house)
        await late.connect()
        await stuck[0].connect()  # late, but still welcome
        assert (await house.lessons())[0]["schools"] == AT_ONCE + 1
        assert (await joins(house))["overdue"] >= 1
