"""A lesson's journal, as its classroom sees it: always there, whatever the disk does.

When the journal cannot be opened (a full disk, a folder gone), it is tried again every few
seconds; meanwhile the notes and tracks are kept, so that a journal that opens late still begins
with the lesson's start. Media of that time is lost, and `state` says so.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sfu.engine import Engine
from sfu.errors import EngineError

logger = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds between attempts to open a journal."""
_MAX_KEPT = 10_000
"""Steps kept while there is no journal: a joining and leaving of every school, ten times over."""


class Recording:
    """One lesson's journal in `folder`."""

    def __init__(self, engine: Engine, folder: Path, *, retry: float = RETRY) -> None:
        self.state = "ok"
        """"ok", or "failing: " and why."""
        self._engine = engine
        self._folder = folder
        self._retry = retry
        self._journal: int | None = None
        self._kept: deque[Callable[[int], None]] = deque(maxlen=_MAX_KEPT)
        self._timer: asyncio.TimerHandle | None = None
        self._open()

    def note(self, event: Mapping[str, Any]) -> None:
        """Append an event."""
        text = json.dumps(event, ensure_ascii=False)
        self._do(lambda journal: self._engine.journal_event(journal, text))

    def record(self, number: int, uptrack: int) -> None:
        """Record an uptrack under the journal's own number."""
        self._do(lambda journal: self._engine.journal_track(journal, number, uptrack))

    async def stop(self) -> None:
        """Close the journal; returns when it is on disk."""
        if self._timer is not None:
            self._timer.cancel()
        if self._journal is not None:
            await self._engine.close_journal(self._journal)

    # --- JournalHandler

    def on_journal_failed(self, reason: str) -> None:
        """Engine: nothing can be written for now."""
        logger.error("the journal in %s fails: %s", self._folder, reason)
        self.state = f"failing: {reason}"

    def on_journal_recovered(self, dropped: int) -> None:
        """Engine: it writes again."""
        logger.warning("the journal in %s writes again, %d records lost", self._folder, dropped)
        self.state = "ok"

    def _do(self, step: Callable[[int], None]) -> None:
        if self._journal is None:
            self._kept.append(step)
        else:
            step(self._journal)

    def _open(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._journal = self._engine.open_journal(self._folder, self)
        except (OSError, EngineError) as error:
            if self.state == "ok":
                logger.error("no recording for now: %s", error)
            self.state = f"failing: {_reason(error)}"
            self._timer = asyncio.get_running_loop().call_later(self._retry, self._open)
            return
        self.state = "ok"
        while self._kept:
            self._kept.popleft()(self._journal)


def _reason(error: OSError | EngineError) -> str:
    cause = error.__cause__ if isinstance(error, EngineError) else error
    return str(cause.strerror or cause) if isinstance(cause, OSError) else str(error)
