from signaling import chat
from signaling.chat import Chat
from signaling.effects import Departed, Reason
from signaling.events import Member, Role, Said


class World:
    """A lesson's chat on a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.kept: list[Said] = []
        self.chat = Chat(self.kept.append, lambda: self.now)

    def flood(self, session: str, count: int = 1_000) -> int:
        """How many of so many messages at once are kept."""
        before = len(self.kept)
        for number in range(count):
            self.chat.said(session, str(number))
        return len(self.kept) - before


def test_what_is_written_is_kept_with_its_name() -> None:
    world = World()
    world.chat.said("ann", "你好", message="m1")
    world.chat.said("ann", "", message="m1", edited=True)
    world.chat.said("ann", "", message="m2")  # nothing
    assert world.kept == [Said("ann", "你好", "m1"), Said("ann", "", "m1", edited=True)]


def test_a_text_has_a_bound_and_no_half_characters() -> None:
    world = World()
    world.chat.said("ann", "x" * 100_000, message="n" * 100)
    world.chat.said("ann", "a\ud800b")
    assert len(world.kept[0].text) == chat.MAX_TEXT
    assert len(world.kept[0].message) == chat.MAX_MESSAGE_ID
    assert world.kept[1].text == "a?b"


def test_who_floods_is_kept_as_far_as_anybody_writes() -> None:
    world = World()
    assert world.flood("eve") == chat.BURST
    assert world.chat.dropped == 1_000 - chat.BURST
    world.chat.said("ann", "I am heard all the same.")
    assert world.kept[-1].session == "ann"
    world.now += 10
    assert world.flood("eve") == 10 * chat.RATE


def test_all_together_have_a_bound_too() -> None:
    world = World()
    assert sum(world.flood(f"s{n}", 30) for n in range(50)) == chat.LESSON_BURST


def test_who_is_gone_is_forgotten() -> None:
    world = World()
    world.flood("eve")
    world.chat.on_effect(Departed(Member("eve", "eve", Role.SCHOOL), Reason.LEFT))
    assert world.flood("eve") == chat.BURST  # another's seat under that name: nothing is held
