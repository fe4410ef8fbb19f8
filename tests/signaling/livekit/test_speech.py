import pytest

from signaling.events import Role
from signaling.livekit.speech import EVERY, Speakers
from tests.signaling.livekit.stand import Stand


@pytest.fixture
def stand() -> Stand:
    stand = Stand()
    stand.enter("ann", Role.TEACHER)
    stand.enter("bob", Role.ASSISTANT)
    stand.enter("one")
    stand.quiet()
    return stand


@pytest.fixture
def speakers(stand: Stand) -> Speakers:
    return Speakers(stand.presence, stand.later)


def heard(stand: Stand, who: str = "one") -> list[dict[str, tuple[float, bool]]]:
    by_sid = {info.sid: info.identity for info in stand.presence.everybody()}
    return [
        {by_sid.get(s.sid, "gone"): (s.level, s.active) for s in message.speakers}
        for message in stand.recipients[who].of("speakers_changed")
    ]


def test_everybody_hears_who_speaks_by_the_same_bytes(stand: Stand, speakers: Speakers) -> None:
    speakers.heard("s-ann", 1, 0.5, True)
    speakers.heard("s-bob", 2, 0.01, True)
    stand.wait(EVERY)
    assert stand.recipients["ann"].raw[0] is stand.recipients["one"].raw[0]
    assert heard(stand) == [{"ann": (0.5, True), "bob": (0.125, True)}]
    assert [s.sid for s in speakers.now()] == [
        stand.presence.info("s-ann").sid,
        stand.presence.info("s-bob").sid,
    ]


def test_only_what_has_changed_is_told(stand: Stand, speakers: Speakers) -> None:
    speakers.heard("s-ann", 1, 0.5, True)
    speakers.heard("s-bob", 2, 0.5, True)
    stand.wait(EVERY)
    speakers.heard("s-ann", 1, 0.48, True)  # the same eighth
    speakers.heard("s-bob", 2, 0.3, False)
    stand.wait(EVERY)
    speakers.heard("s-ann", 1, 0.49, True)
    stand.wait(EVERY)
    assert heard(stand)[1:] == [{"bob": (0.0, False)}]


def test_a_second_microphone_is_the_same_speaker(stand: Stand, speakers: Speakers) -> None:
    speakers.heard("s-ann", 1, 0.25, True)
    speakers.heard("s-ann", 2, 1.0, True)
    stand.wait(EVERY)
    speakers.heard("s-ann", 2, 0.0, False)
    stand.wait(EVERY)
    assert heard(stand) == [{"ann": (1.0, True)}, {"ann": (0.25, True)}]


def test_who_stops_publishing_falls_silent(stand: Stand, speakers: Speakers) -> None:
    speakers.heard("s-ann", 1, 0.5, True)
    stand.wait(EVERY)
    speakers.gone(1)
    stand.wait(EVERY)
    assert heard(stand)[1:] == [{"ann": (0.0, False)}]
    assert speakers.now() == []


def test_who_leaves_falls_silent(stand: Stand, speakers: Speakers) -> None:
    speakers.heard("s-bob", 1, 0.5, True)
    stand.wait(EVERY)
    stand.go("bob")
    speakers.gone(1)
    stand.wait(EVERY)
    assert heard(stand)[1:] == [{"gone": (0.0, False)}]


def test_chatter_costs_three_messages_a_second(stand: Stand, speakers: Speakers) -> None:
    for step in range(100):
        speakers.heard("s-ann", 1, step % 8 / 8, True)
        stand.wait(0.01)
    assert len(heard(stand)) <= 4


def test_who_comes_is_told_who_speaks(stand: Stand, speakers: Speakers) -> None:
    speakers.heard("s-ann", 1, 0.5, True)
    speakers.heard("s-bob", 2, 0.5, True)
    stand.wait(EVERY)
    stand.quiet()
    stand.enter("two")
    speakers.arrived("s-two")
    speakers.heard("s-bob", 2, 1.0, True)
    stand.wait(EVERY)
    assert heard(stand, "two") == [{"ann": (0.5, True), "bob": (1.0, True)}]
    assert heard(stand, "one") == [{"bob": (1.0, True)}]


def test_who_comes_while_all_are_silent_is_told_nothing(stand: Stand, speakers: Speakers) -> None:
    speakers.arrived("s-one")
    stand.wait(EVERY)
    assert heard(stand) == []
