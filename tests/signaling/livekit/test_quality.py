import pytest
from livekit.protocol import models

from signaling.events import Role
from signaling.livekit.quality import Look, Qualities, quality, score
from tests.signaling.livekit.stand import Stand

GOOD = Look(rtt=0.03, loss=0.0)
BAD = Look(rtt=0.4, loss=0.2)


@pytest.mark.parametrize(
    ("look", "word"),
    [
        (Look(0.02, 0.0), models.EXCELLENT),
        (Look(0.2, 0.01), models.EXCELLENT),
        (Look(0.3, 0.08), models.GOOD),
        (Look(0.6, 0.2), models.POOR),
        (Look(30.0, 1.0), models.POOR),
    ],
)
def test_words_for_links(look: Look, word: int) -> None:
    assert 1.0 <= score(look) <= 4.5
    assert quality(score(look)) == word


def test_worse_is_never_better() -> None:
    scores = [score(Look(rtt / 100, loss / 100)) for loss in range(50) for rtt in range(100)]
    for row in range(50):
        row_scores = scores[row * 100 : row * 100 + 100]
        assert row_scores == sorted(row_scores, reverse=True)


class TestTelling:
    @pytest.fixture
    def stand(self) -> Stand:
        stand = Stand()
        stand.enter("ann", Role.TEACHER)
        stand.enter("one")
        stand.enter("two")
        stand.publish("ann")
        stand.quiet()
        return stand

    def told(self, stand: Stand, who: str) -> dict[str, int]:
        by_sid = {info.sid: info.identity for info in stand.presence.everybody()}
        messages = stand.recipients[who].of("connection_quality")
        return {by_sid[u.participant_sid]: u.quality for m in messages for u in m.updates}

    def test_each_hears_of_itself_and_of_publishers_and_the_teacher_of_all(
        self, stand: Stand
    ) -> None:
        Qualities(stand.presence).look({"s-ann": GOOD, "s-one": BAD, "s-two": GOOD})
        excellent, poor = models.EXCELLENT, models.POOR
        assert self.told(stand, "ann") == {"ann": excellent, "one": poor, "two": excellent}
        assert self.told(stand, "one") == {"ann": excellent, "one": poor}
        assert self.told(stand, "two") == {"ann": excellent, "two": excellent}

    def test_only_what_anybody_would_notice(self, stand: Stand) -> None:
        qualities = Qualities(stand.presence)
        qualities.look({"s-one": GOOD})
        self.told(stand, "one")
        qualities.look({"s-one": Look(0.05, 0.001)})
        assert self.told(stand, "one") == {}
        qualities.look({"s-one": BAD})
        assert self.told(stand, "one") == {"one": models.POOR}
        assert qualities.of("s-one") == score(BAD)
        assert qualities.of("s-two") is None

    def test_strangers_are_passed_over(self, stand: Stand) -> None:
        Qualities(stand.presence).look({"s-gone": BAD})
        assert self.told(stand, "ann") == {}
