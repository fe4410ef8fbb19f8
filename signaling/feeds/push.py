"""Which lessons are sent to which other platforms, each by a process (`push/sender.py`) that reads
the lesson's journal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signaling.classroom import Classroom
from signaling.config import PushConfig
from signaling.effects import Effect, Over
from signaling.errors import IllegalEvent, NotAllowed
from signaling.feeds.address import PUSHED, allowed, parse
from signaling.feeds.feed import Feed, Job, Spec
from signaling.feeds.feeds import Feeds
from signaling.registry import Registry

COMMAND = ("-m", "recorder.push.sender")

LAST_WORDS = 8.0
"""Seconds that a push has to send the end of a lesson that is over."""


@dataclass(frozen=True, slots=True)
class PushWish:
    """What is sent, and to whom."""

    url: str
    source: str = "camera"
    audio: str = "aac"


class Pushes:
    """All pushes of a node."""

    def __init__(self, registry: Registry, config: PushConfig) -> None:
        self._registry = registry
        self._config = config
        self._feeds = Feeds()
        registry.on_open(lambda classroom: classroom.add_listener(_Bell(classroom, self._over)))

    def add(self, lesson: str, wish: PushWish) -> Feed:
        """Send a live lesson there. Raises ValueError, NotAllowed, NotLive, LessonError."""
        url = parse(wish.url, PUSHED)
        if not allowed(url, self._config.allow):
            raise NotAllowed(
                f"This node sends no lesson to {url.host}: its operator may allow that host under "
                "push.allow."
            )
        classroom = self._registry.require(lesson)
        if classroom.config.lessons_dir is None:
            raise IllegalEvent("Only a lesson that is recorded can be sent elsewhere.")
        if not classroom.lesson.publications:
            raise IllegalEvent("Nothing is published in this lesson yet.")
        journal = classroom.config.lessons_dir / classroom.lesson.id / "journal"
        job: Job = {
            "journal": str(journal),
            "url": wish.url,
            "source": wish.source,
            "audio": wish.audio,
        }
        shown = {"source": wish.source}
        name = f"{lesson}: the push to {url.shown}"
        spec = Spec(lesson, url, COMMAND, lambda: job, shown, name)
        return self._feeds.add(spec)

    def of(self, lesson: str) -> Sequence[Feed]:
        """A lesson's pushes."""
        return self._feeds.of(lesson)

    def remove(self, lesson: str, feed_id: str) -> bool:
        """Stop one; False when there is none."""
        return self._feeds.remove(lesson, feed_id)

    async def close(self) -> None:
        """Stop all."""
        await self._feeds.close()

    def _over(self, lesson: str) -> None:
        for feed in self.of(lesson):
            self._feeds.remove(lesson, feed.id, LAST_WORDS)


class _Bell:
    """Hears when a lesson is over."""

    def __init__(self, classroom: Classroom, over: Callable[[str], None]) -> None:
        self._name = classroom.lesson.name
        self._over = over

    def on_effect(self, effect: Effect) -> None:
        """Only that."""
        if isinstance(effect, Over):
            self._over(self._name)
