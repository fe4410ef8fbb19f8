"""Which cameras and recording boxes are pulled into which lessons.

Each is a WHIP client of the node in a process of its own (`clients.headless.ingest`), with a token
that the node makes for it: as an assistant it comes along with a lesson that somebody gives, as the
teacher it gives the lesson itself.
"""

import functools
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from signaling.auth import TokenRole, mint
from signaling.classroom import Classroom
from signaling.config import IngestConfig, IngestSource
from signaling.edge import unix_now
from signaling.effects import Announced, Effect, Over
from signaling.errors import LimitExceeded, NotAllowed
from signaling.feeds.address import PULLED, allowed, parse
from signaling.feeds.feed import Feed, Job, Spec
from signaling.feeds.feeds import MAX_OF_LESSON, MAX_OF_NODE, Feeds
from signaling.registry import Registry

logger = logging.getLogger(__name__)

COMMAND = ("-m", "clients.headless.ingest", "--job")
TOKEN_TTL = 120.0
"""Seconds: it is used at once, or never."""


@dataclass(frozen=True, slots=True)
class Key:
    """Who signs the tokens."""

    name: str
    secret: str


class Ingests:
    """All pulls of a node."""

    def __init__(self, registry: Registry, config: IngestConfig, keys: Mapping[str, str]) -> None:
        self._registry = registry
        self._config = config
        self._key = Key(*next(iter(keys.items())))
        self._feeds = Feeds()
        self._node_url = ""
        registry.on_open(self._watch)

    def serve(self, node_url: str) -> None:
        """The node listens there: what the configuration pulls whether a lesson is live or not."""
        self._node_url = node_url
        for source in self._config.sources:
            if source.role == "teacher":
                self._start(source, configured=True)

    def add(self, source: IngestSource) -> Feed:
        """Pull what a user names. Raises NotAllowed, NotLive, LimitExceeded."""
        url = parse(source.url, PULLED)
        if not allowed(url, self._config.allow):
            raise NotAllowed(
                f"This node pulls nothing from {url.host}: its operator may allow that host under "
                "ingest.allow."
            )
        if source.role != "teacher":
            self._registry.require(source.lesson)
        return self._start(source, configured=False)

    def of(self, lesson: str) -> Sequence[Feed]:
        """A lesson's pulls."""
        return self._feeds.of(lesson)

    def remove(self, lesson: str, feed_id: str) -> bool:
        """Stop one; False when there is none."""
        return self._feeds.remove(lesson, feed_id)

    async def close(self) -> None:
        """Stop all."""
        await self._feeds.close()

    def _start(self, source: IngestSource, *, configured: bool) -> Feed:
        url = parse(source.url, (*PULLED, "file"))
        identity = f"ingest-{secrets.token_hex(4)}"
        name = source.name or ("Slides" if source.source == "slides" else "Camera")
        shown = {
            "source": source.source,
            "role": str(source.role),
            "name": name,
            "configured": configured,
        }
        return self._feeds.add(
            Spec(
                source.lesson,
                url,
                COMMAND,
                functools.partial(self._job, source, identity, name),
                shown,
                f"{source.lesson}: the pull of {url.shown}",
            ),
            MAX_OF_NODE if configured else MAX_OF_LESSON,
        )

    def _job(self, source: IngestSource, identity: str, name: str) -> Job:
        token = mint(
            self._key.name,
            self._key.secret,
            role=TokenRole(source.role),
            identity=identity,
            name=name,
            lesson=source.lesson,
            ttl=TOKEN_TTL,
            now=unix_now(),
            grants={"canSubscribe": False, "canPublishData": False},
        )
        audio = source.source != "slides" if source.audio is None else source.audio
        return {
            "url": source.url,
            "transport": source.transport,
            "audio": audio,
            "source": source.source,
            "whip": f"{self._node_url}/{source.lesson}/whip",
            "token": token,
        }

    def _watch(self, classroom: Classroom) -> None:
        classroom.add_listener(_Lesson(classroom, self._begin, self._over))

    def _begin(self, lesson: str) -> None:
        """Somebody gives the lesson now: what the configuration has come along with it."""
        for source in self._config.sources:
            if source.lesson == lesson and source.role != "teacher":
                try:
                    self._start(source, configured=True)
                except LimitExceeded as error:
                    logger.warning("%s: a configured source is not pulled: %s", lesson, error)

    def _over(self, lesson: str) -> None:
        """The lesson is over, and all pulls into it but those that bring the next one."""
        for feed in self.of(lesson):
            if not (feed.spec.shown["configured"] and feed.spec.shown["role"] == "teacher"):
                self._feeds.remove(lesson, feed.id)


class _Lesson:
    """Hears when a lesson begins and ends."""

    def __init__(
        self, classroom: Classroom, begin: Callable[[str], None], over: Callable[[str], None]
    ) -> None:
        self._classroom = classroom
        self._begin = begin
        self._over = over
        self._begun = False

    def on_effect(self, effect: Effect) -> None:
        """Its first picture or sound of the teacher's begins a lesson."""
        lesson = self._classroom.lesson
        match effect:
            case Announced() if not self._begun and lesson.teacher is not None:
                self._begun = True
                self._begin(lesson.name)
            case Over():
                self._over(lesson.name)


def validated(source: Mapping[str, object], lesson: str) -> IngestSource:
    """A user's wish. Raises pydantic.ValidationError."""
    return IngestSource.model_validate({**source, "lesson": lesson})
