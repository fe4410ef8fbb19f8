"""The feeds of a node, by lesson: how many there may be, and how they end."""

import asyncio

from signaling.errors import LimitExceeded
from signaling.feeds.feed import Feed, Spec

MAX_OF_LESSON = 8
MAX_OF_NODE = 32
"""Each is a process of some 90 MB."""

_AT_SHUTDOWN = 0.5  # seconds that processes have to end when the node does


class Feeds:
    """Some feeds that run."""

    def __init__(self) -> None:
        self._feeds: dict[str, dict[str, Feed]] = {}
        self._leaving: dict[asyncio.Task[None], Feed] = {}

    def add(self, spec: Spec, most: int = MAX_OF_LESSON) -> Feed:
        """Start a feed, one of at most `most` of its lesson. Raises LimitExceeded."""
        own = self._feeds.get(spec.lesson, {})
        if len(own) >= most or sum(map(len, self._feeds.values())) >= MAX_OF_NODE:
            raise LimitExceeded(
                f"There are too many already: {MAX_OF_LESSON} of a lesson, {MAX_OF_NODE} of a node."
            )
        feed = Feed(spec, self._forget)
        self._feeds.setdefault(spec.lesson, {})[feed.id] = feed
        feed.start()
        return feed

    def of(self, lesson: str) -> list[Feed]:
        """A lesson's, the oldest first."""
        return list(self._feeds.get(lesson, {}).values())

    def remove(self, lesson: str, feed_id: str, patience: float = 0.0) -> bool:
        """Stop a feed, or let it end by itself for so many seconds; False when there is none."""
        feed = self._feeds.get(lesson, {}).get(feed_id)
        if feed is None:
            return False
        self._forget(feed)
        task = asyncio.get_running_loop().create_task(feed.over(patience))
        self._leaving[task] = feed
        task.add_done_callback(lambda done: self._leaving.pop(done, None))
        return True

    async def close(self) -> None:
        """Stop all of them."""
        feeds = [feed for own in self._feeds.values() for feed in own.values()]
        feeds += self._leaving.values()
        self._feeds.clear()
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*(feed.stop(_AT_SHUTDOWN) for feed in feeds))

    def _forget(self, feed: Feed) -> None:
        own = self._feeds.get(feed.spec.lesson, {})
        own.pop(feed.id, None)
        if not own:
            self._feeds.pop(feed.spec.lesson, None)
